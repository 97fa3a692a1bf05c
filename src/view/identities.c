/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "identities.h"
#include "util/fd.h"
#include "view.h"
#include <fnmatch.h>

enum { VALUE_MAX = 1 << 20 };

/* What etc/clone.policy keeps from clones, as far as equal files prove anything: an equal history
 * of a shell does not. @name is a pattern of fnmatch(3). The value is the file, or, with a @word,
 * what follows that at the start of a line. */
static const struct {
  const char *kind, *directory, *name, *word;
} places[] = {
    {"machine-id", "/etc", "machine-id", NULL},
    {"machine-id", "/var/lib/dbus", "machine-id", NULL},
    {"host-id", "/etc", "hostid", NULL},
    {"host-name", "/etc", "hostname", NULL},
    {"mail-name", "/etc", "mailname", NULL},
    {"ssh-host-key", "/etc/ssh", "ssh_host_*_key", NULL},
    {"ssh-host-key", "/etc/dropbear", "dropbear_*_host_key", NULL},
    {"kerberos-key", "/etc", "krb5.keytab", NULL},
    {"salt-id", "/etc/salt", "minion_id", NULL},
    {"salt-key", "/etc/salt/pki/minion", "minion.pem", NULL},
    {"credential-secret", "/var/lib/systemd", "credential.secret", NULL},
    {"iscsi-initiator", "/etc/iscsi", "initiatorname.iscsi", NULL},
    {"nvme-host", "/etc/nvme", "host*", NULL},
    {"random-seed", "/var/lib/systemd", "random-seed", NULL},
    {"random-seed", "/var/lib/urandom", "random-seed", NULL},
    {"random-seed", "/var/lib/misc", "random-seed", NULL},
    {"random-seed", "/var/lib", "random-seed", NULL},
    {"random-seed", "/var/lib/seedrng", "seed.*", NULL},
    {"dhcp-lease", "/var/lib/dhcp", "*.lease*", NULL},
    {"dhcp-lease", "/var/lib/dhclient", "*.lease*", NULL},
    {"dhcp-lease", "/var/lib/dhcpcd", "*.lease*", NULL},
    {"dhcp-lease", "/var/lib/dhcpcd5", "*.lease*", NULL},
    {"dhcp-lease", "/var/lib/NetworkManager", "*.lease", NULL},
    {"duid", "/etc", "dhcpcd.duid", NULL},
    {"duid", "/var/lib/dhcpcd", "duid", NULL},
    {"duid", "/var/lib/systemd/network", "duid", NULL},
    {"duid", "/var/lib/dhcpcd5", "duid", NULL},
    {"duid", "/var/lib/dhcp", "*.lease*", "default-duid"},
    {"duid", "/var/lib/dhclient", "*.lease*", "default-duid"},
    {"network-key", "/var/lib/NetworkManager", "secret_key", NULL},
    {"udev-names", "/etc/udev/rules.d", "70-persistent-*.rules", NULL},
    {"cloud-instance", "/var/lib/cloud/data", "instance-id", NULL},
    {"phasing-id", "/etc/apt", "apt.conf", "APT::Machine-ID"},
    {"phasing-id", "/etc/apt/apt.conf.d", "*", "APT::Machine-ID"},
    {"package-id", "/var/lib/zypp", "AnonymousUniqueId", NULL},
    {"package-id", "/etc", "popularity-contest.conf", "MY_HOSTID="},
    {"login-log", "/var/log", "wtmp", NULL},
    {"login-log", "/var/log", "btmp", NULL},
};

void identities_release (struct identities *identities)
{
  for (size_t i = 0; i < identities->count; i++) {
    free (identities->items[i].path);
    free (identities->items[i].bytes);
  }
  free (identities->items);
}

/* A machine id that the first boot is to make. */
static bool says_nothing (const char *bytes, size_t len)
{
  return len == 0 || strcmp (bytes, "uninitialized\n") == 0 || strcmp (bytes, "uninitialized") == 0;
}

/* Moves what follows @word in a line to the start of @bytes; to nothing where no line has it. */
static void cut_value (char *bytes, size_t *len, const char *word)
{
  size_t word_len = strlen (word);

  *len = 0;
  for (char *line = bytes; line && *line; line = strchr (line, '\n')) {
    line += strspn (line, "\n\t ");
    if (strncmp (line, word, word_len) != 0)
      continue;
    line += word_len;
    line += strspn (line, "\t \"'");
    *len = strcspn (line, "\n;\"'");
    memmove (bytes, line, *len);
    break;
  }
  bytes[*len] = '\0';
}

static int read_value (const struct view_dir *top, const struct view_dir *dir,
                       const struct view_entry *entry, size_t place, size_t guest,
                       struct identities *identities, struct err *err)
{
  autoviewdata struct view_data data = {.dir_fd = -1, .at = VIEW_DIR_NONE};
  autofree char *bytes = NULL;
  size_t len = 0;

  if (view_find_data (top, dir, entry, &data, err) < 0 ||
      fd_read_file (data.dir_fd, data.name, VALUE_MAX, &bytes, &len, err) < 0) {
    if (err->code != ENOENT && err->code != EFBIG)
      return -err->code;
    err_release (err);
    return 0;
  }
  if (places[place].word)
    cut_value (bytes, &len, places[place].word);
  if (says_nothing (bytes, len))
    return 0;
  if ((identities->count & (identities->count - 1)) == 0)
    identities->items =
        xreallocarray (identities->items, identities->count ? identities->count * 2 : 1,
                       sizeof *identities->items);
  identities->items[identities->count++] = (struct identity_value){
      .guest = guest,
      .kind = places[place].kind,
      .path = xasprintf ("%s/%s", places[place].directory, entry->name),
      .bytes = steal_ptr (&bytes),
      .len = len,
  };
  return 0;
}

/* What matches in the directory of @place. */
static int read_place (const struct view_dir *top, size_t place, size_t guest,
                       struct identities *identities, struct err *err)
{
  autoviewplace struct view_place at = {.dir = VIEW_DIR_NONE};
  autoviewdir struct view_dir dir = VIEW_DIR_NONE;
  autoviewlist struct view_list list = {0};

  if (view_lookup (top, places[place].directory, &at, err) < 0) {
    if (err->code != ENOENT && err->code != ENOTDIR)
      return -err->code;
    err_release (err);
    return 0;
  }
  if (!at.entry || at.entry->type != DT_DIR)
    return 0;
  if (view_child (top, &at.dir, at.entry, &dir, err) < 0 || view_read (&dir, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++)
    if (list.items[i].type == DT_REG &&
        fnmatch (places[place].name, list.items[i].name, FNM_PERIOD) == 0 &&
        read_value (top, &dir, &list.items[i], place, guest, identities, err) < 0)
      return -err->code;
  return 0;
}

static int read_guest (struct vroot *root, const char *name, size_t index,
                       struct identities *identities, struct err *err)
{
  autoguest struct guest *guest = NULL;
  autoviewdir struct view_dir top = VIEW_DIR_NONE;

  if (guest_open (root, name, GUEST_PEEK, &guest, err) < 0) {
    if (err->code != ERR_NO_GUEST)
      return -err->code;
    err_release (err);
    return 0;
  }
  if (view_open (guest->fd, &top, err) < 0)
    return err_wrap (err, "guest %s", name);
  for (size_t place = 0; place < sizeof places / sizeof *places; place++)
    if (read_place (&top, place, index, identities, err) < 0)
      return err_wrap (err, "guest %s: %s", name, places[place].directory);
  return 0;
}

/* By kind and contents. */
static int compare_values (const struct identity_value *a, const struct identity_value *b)
{
  int order = strcmp (a->kind, b->kind);

  if (order)
    return order;
  if (a->len != b->len)
    return a->len < b->len ? -1 : 1;
  return memcmp (a->bytes, b->bytes, a->len);
}

static int order_values (const void *a, const void *b)
{
  const struct identity_value *one = a, *other = b;
  int order = compare_values (one, other);

  if (order)
    return order;
  if (one->guest != other->guest)
    return one->guest < other->guest ? -1 : 1;
  return strcmp (one->path, other->path);
}

int identities_read (struct vroot *root, const struct names *names,
                     struct identities *ret_identities, struct err *err)
{
  autoidentities struct identities identities = {0};

  for (size_t i = 0; i < names->count; i++)
    if (read_guest (root, names->items[i], i, &identities, err) < 0)
      return -err->code;
  if (identities.count)
    qsort (identities.items, identities.count, sizeof *identities.items, order_values);
  *ret_identities = identities;
  identities = (struct identities){0};
  return 0;
}

size_t identities_same (const struct identities *identities, size_t first)
{
  size_t next = first + 1;

  while (next < identities->count &&
         compare_values (&identities->items[first], &identities->items[next]) == 0)
    next++;
  return next - first;
}
