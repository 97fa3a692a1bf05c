/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A util-vserver guest shares the host's network and may use some of its addresses only. The
 * nearest is network "host", where it may use all of them, or a network of its own. */
#include "vserver_internal.h"
#include "util/strbuf.h"
#include <arpa/inet.h>

static struct vserver_interface *find_interface (struct vserver *vserver, const char *directory,
                                                 size_t len)
{
  for (size_t i = 0; i < vserver->interface_count; i++)
    if (strlen (vserver->interfaces[i].directory) == len &&
        strncmp (vserver->interfaces[i].directory, directory, len) == 0)
      return &vserver->interfaces[i];
  if (vserver->interface_count == VSERVER_INTERFACES_MAX)
    return NULL;
  struct vserver_interface *interface = &vserver->interfaces[vserver->interface_count++];
  interface->directory = xstrndup (directory, len);
  return interface;
}

void vserver_take_interface (struct vserver *vserver, const char *path, char *text)
{
  const char *rest = path + strlen ("interfaces/");
  const char *slash = strchr (rest, '/');
  const char *member = slash ? slash + 1 : rest;
  struct vserver_interface *interface =
      find_interface (vserver, rest, slash ? (size_t) (slash - rest) : 0);
  const struct {
    const char *name;
    char **place;
  } places[] = {
      {"ip", interface ? &interface->ip : NULL},
      {"prefix", interface ? &interface->prefix : NULL},
      {"mask", interface ? &interface->mask : NULL},
      {"dev", interface ? &interface->dev : NULL},
      {"name", interface ? &interface->name : NULL},
  };

  if (!interface) {
    translation_leave (vserver->translation, path, text, "there are too many interfaces");
    return;
  }
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
    if (strcmp (places[i].name, member) == 0) {
      free (*places[i].place);
      *places[i].place = xstrdup (text);
      return;
    }
  if (strcmp (member, "disabled") == 0)
    interface->disabled = true;
  else if (strcmp (member, "nodev") == 0 || strcmp (member, "novlandev") == 0)
    interface->no_device = true;
  else
    translation_leave (vserver->translation, path, text,
                       "the host, or a CNI network, sets interfaces up (vguest-network(7))");
}

/* "255.255.255.0" -> 24; -1 when it is no mask. */
static int mask_length (const char *mask)
{
  struct in_addr address;
  int length = 0;

  if (inet_pton (AF_INET, mask, &address) != 1)
    return -1;
  uint32_t bits = ntohl (address.s_addr);
  while (bits & 0x80000000u) {
    bits <<= 1;
    length++;
  }
  return bits ? -1 : length;
}

/* What is said for all stands in interfaces/ itself. */
static const char *pick (const char *own, const char *common)
{
  return own ? own : common;
}

static void set_address (struct vserver *vserver, const struct vserver_interface *interface,
                         const struct vserver_interface *common)
{
  struct translation *translation = vserver->translation;
  const char *prefix = pick (interface->prefix, common ? common->prefix : NULL);
  const char *mask = pick (interface->mask, common ? common->mask : NULL);
  const char *dev = pick (interface->dev, common ? common->dev : NULL);
  autofree char *key = xasprintf ("interfaces/%s", interface->directory);
  autofree char *address = NULL;

  if (prefix)
    address = xasprintf ("%s/%s", interface->ip, prefix);
  else if (mask && mask_length (mask) >= 0)
    address = xasprintf ("%s/%d", interface->ip, mask_length (mask));
  else
    address = xstrdup (interface->ip);
  if (interface->disabled) {
    translation_leave (translation, key, address, "it was disabled");
    return;
  }
  if (translation->cni) {
    translation_network (translation, key, address, "addresses+");
    return;
  }
  autofree char *value = xasprintf ("%s%s%s", address, dev ? " dev " : "", dev ? dev : "");
  translation_leave (translation, key, value,
                     interface->no_device || !dev
                         ? "the guest may use all addresses of the host; to give it only this one "
                           "make a CNI network and say --cni"
                         : "set the address up on the host, where nobody does it for the guest any "
                           "more, or make a CNI network and say --cni");
}

void vserver_finish_network (struct vserver *vserver)
{
  struct vserver_interface *common = NULL;
  bool any = false;

  for (size_t i = 0; i < vserver->interface_count; i++)
    if (!*vserver->interfaces[i].directory)
      common = &vserver->interfaces[i];
    else
      any |= vserver->interfaces[i].ip != NULL;
  if (any && vserver->translation->cni)
    translation_own_network (vserver->translation, "interfaces", vserver->translation->cni);
  for (size_t i = 0; i < vserver->interface_count; i++) {
    struct vserver_interface *interface = &vserver->interfaces[i];

    if (interface->ip && *interface->directory)
      set_address (vserver, interface, common);
    if (interface->name)
      translation_leave (vserver->translation, "interfaces", interface->name,
                         "labels of addresses are the host's business");
  }
  for (size_t i = 0; i < vserver->interface_count; i++) {
    struct vserver_interface *interface = &vserver->interfaces[i];

    free (interface->directory);
    free (interface->ip);
    free (interface->prefix);
    free (interface->mask);
    free (interface->dev);
    free (interface->name);
  }
}
