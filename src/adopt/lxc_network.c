/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lxc.net.0.type of LXC 2.1 and later, lxc.network.type before: there each "type" begins an
 * interface. A guest has one interface, the first; what others had is left over. */
#include "lxc_internal.h"

static const char one_interface[] = "a guest has one interface, of its first network";

static void take_type (struct lxc *lxc, const char *key, char *value)
{
  if (lxc->networked) {
    lxc->network_closed = true;
    translation_leave (lxc->translation, key, value, one_interface);
    return;
  }
  lxc->networked = true;
  if (strcmp (value, "none") == 0)
    translation_set (lxc->translation, key, value, "network=host");
  else if (strcmp (value, "empty") == 0)
    translation_set (lxc->translation, key, value, "network=none");
  else
    translation_own_network (lxc->translation, key, value);
}

/* "10.0.3.5/24 10.0.3.255": the broadcast address is the network's. */
static void take_address (struct lxc *lxc, const char *key, char *value)
{
  value[strcspn (value, " \t")] = '\0';
  translation_network (lxc->translation, key, value, "addresses+");
}

static void take_mac (struct lxc *lxc, const char *key, char *value)
{
  /* A template's, of which LXC makes an address. */
  if (strpbrk (value, "xX"))
    return;
  translation_network (lxc->translation, key, value, "mac");
}

static void take_name (struct lxc *lxc, const char *key, char *value)
{
  if (strcmp (value, "eth0") != 0 || lxc->translation->cni)
    translation_network (lxc->translation, key, value, "interface");
}

static void take_flags (struct lxc *lxc, const char *key, char *value)
{
  if (strcmp (value, "up") != 0)
    translation_leave (lxc->translation, key, value, "interfaces are up");
}

static const char of_network[] = "the CNI network says how interfaces are made (vguest-network(7))";

static const struct {
  const char *name;
  lxc_take_fn *take;
} members[] = {
    {"type", take_type},
    {"hwaddr", take_mac},
    {"ipv4.address", take_address},
    {"ipv6.address", take_address},
    {"ipv4", take_address},
    {"ipv6", take_address},
    {"name", take_name},
    {"flags", take_flags},
};

void lxc_take_network (struct lxc *lxc, const char *key, char *value)
{
  const char *name = strchr (key + strlen ("lxc.net"), '.');
  size_t digits;

  if (!name) {
    translation_leave (lxc->translation, key, value, "it is not known");
    return;
  }
  name++;
  digits = strspn (name, "0123456789");
  if (digits && name[digits] == '.') {
    /* Interfaces are told apart by number. */
    lxc->network_closed |= strspn (name, "0") != digits;
    name += digits + 1;
  }
  if (lxc->network_closed) {
    translation_leave (lxc->translation, key, value, one_interface);
    return;
  }
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
    if (strcmp (members[i].name, name) == 0) {
      members[i].take (lxc, key, value);
      return;
    }
  translation_leave (lxc->translation, key, value, of_network);
}
