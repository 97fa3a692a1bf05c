/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/xattr.h"
#include <endian.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

void make_name (struct rng *rng, char *name)
{
  static const char *const odd[] = {
      "with space", "line\nbreak",  "-rf",    "*",
      "%s%n",       "back\\slash",  "é",      "\xff\xfe",
      ".wh.a",      ".wh..wh..opq", "#17",    ".vg-0123456789abcdef",
      "a:b,c=d",    "journal",      "upper",  "...",
      "%41",        "\x01\x7f",     "D tree", "incompat",
  };
  static const char small[] = "abcdefgh";
  unsigned kind = rng_below (rng, 100);

  if (kind < 74) {
    snprintf (name, 256, "%c", small[rng_below (rng, sizeof small - 1)]);
  } else if (kind < 90) {
    snprintf (name, 256, "%s", odd[rng_below (rng, sizeof odd / sizeof *odd)]);
  } else if (kind < 93) {
    size_t len = 250 + rng_below (rng, 6);

    memset (name, 'L', len);
    name[len] = '\0';
  } else {
    size_t len = 1 + rng_below (rng, 12);

    for (size_t i = 0; i < len; i++) {
      name[i] = (char) (1 + rng_below (rng, 255));
      if (name[i] == '/')
        name[i] = '_';
    }
    name[len] = '\0';
    if (strcmp (name, ".") == 0 || strcmp (name, "..") == 0)
      name[0] = '_';
  }
}

void fill (struct rng *rng, char *data, size_t len)
{
  for (size_t i = 0; i < len; i++)
    data[i] = (char) rng_next (rng);
}

static const uid_t owners[] = {0, 0, 0, 1, 33, 1000, 65534, 100000, 4294967294U};

bool change_owner (struct rng *rng, int dir_fd, const char *name)
{
  size_t count = sizeof owners / sizeof *owners;

  return fchownat (dir_fd, name, owners[rng_below (rng, (unsigned) count)],
                   owners[rng_below (rng, (unsigned) count)], AT_SYMLINK_NOFOLLOW) == 0;
}

bool change_mode (struct rng *rng, int dir_fd, const char *name)
{
  static const mode_t modes[] = {0644, 0755, 0600, 0, 04755, 02755, 06711, 01777, 02775, 0444};
  mode_t mode = rng_chance (rng, 80) ? modes[rng_below (rng, sizeof modes / sizeof *modes)]
                                     : (mode_t) rng_below (rng, 010000);
  struct stat st;

  /* fchmodat would follow a symlink. */
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISLNK (st.st_mode))
    return false;
  return fchmodat (dir_fd, name, mode, 0) == 0;
}

bool change_times (struct rng *rng, int dir_fd, const char *name)
{
  static const time_t seconds[] = {0, -1, 1700000000, 1700000000, 1, 4294967296, 951782400};
  struct timespec times[2] = {
      {.tv_nsec = UTIME_OMIT},
      {.tv_sec = seconds[rng_below (rng, sizeof seconds / sizeof *seconds)],
       .tv_nsec = rng_chance (rng, 50) ? 0 : (long) rng_below (rng, 1000000000)},
  };

  return utimensat (dir_fd, name, times, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A version 2 ACL, with one named user and one named group. */
static bool set_acl (struct rng *rng, const char *path, bool is_default)
{
  struct {
    uint32_t version;
    struct {
      uint16_t tag, perm;
      uint32_t id;
    } entries[6];
  } acl = {.version = htole32 (2)};
  static const uint16_t tags[] = {1, 2, 4, 8, 0x10, 0x20};

  for (size_t i = 0; i < 6; i++) {
    bool named = tags[i] == 2 || tags[i] == 8;

    acl.entries[i].tag = htole16 (tags[i]);
    acl.entries[i].perm = htole16 ((uint16_t) rng_below (rng, 8));
    acl.entries[i].id = htole32 (named ? 1000 + rng_below (rng, 3) : 0xffffffff);
  }
  return lsetxattr (path, is_default ? "system.posix_acl_default" : "system.posix_acl_access", &acl,
                    sizeof acl, 0) == 0;
}

bool change_xattrs (struct rng *rng, int dir_fd, const char *name)
{
  static const char *const names[] = {"user.a",
                                      "user.b",
                                      "trusted.foo",
                                      "trusted.bar",
                                      "security.foo",
                                      "user.\xc3\xa9 odd",
                                      "trusted.overlay.opaque",
                                      "trusted.overlay.redirect",
                                      "trusted.overlay.whiteout"};
  autofree char *path = fd_proc_path (dir_fd, name);
  const char *chosen = names[rng_below (rng, sizeof names / sizeof *names)];
  /* A guest that has overlays of its own: the kernel keeps its attributes in the escaped form. */
  bool nested = rng->raw && strncmp (chosen, XATTR_OVERLAY, strlen (XATTR_OVERLAY)) == 0;
  autofree char *attribute =
      nested ? xasprintf (XATTR_OVERLAY_NESTED "%s", chosen + strlen (XATTR_OVERLAY))
             : xstrdup (chosen);
  char value[300];
  unsigned kind = rng_below (rng, 100);

  if (kind < 25)
    return lremovexattr (path, attribute) == 0;
  if (kind < 40)
    return set_acl (rng, path, rng_chance (rng, 50));
  if (kind < 50) {
    /* struct vfs_cap_data, revision 2: cap_net_raw+ep and others */
    uint32_t caps[5] = {htole32 (0x02000001), htole32 (1U << (10 + rng_below (rng, 4))), 0, 0, 0};

    return lsetxattr (path, "security.capability", caps, sizeof caps, 0) == 0;
  }
  if (kind < 55)
    return lremovexattr (path, "system.posix_acl_access") == 0;
  if (kind < 58)
    return lremovexattr (path, "security.capability") == 0;
  if (kind < 80) {
    /* Often the same few values, so that files become equal again. */
    size_t len = rng_below (rng, 3);

    memset (value, 'y', sizeof value);
    return lsetxattr (path, attribute, value, len, 0) == 0;
  }
  size_t len = rng_below (rng, sizeof value);
  fill (rng, value, len);
  return lsetxattr (path, attribute, value, len, 0) == 0;
}

static void random_metadata (struct rng *rng, int dir_fd, const char *name)
{
  if (rng_chance (rng, 40))
    change_owner (rng, dir_fd, name);
  if (rng_chance (rng, 40))
    change_mode (rng, dir_fd, name);
  while (rng_chance (rng, 35))
    change_xattrs (rng, dir_fd, name);
  if (rng_chance (rng, 60))
    change_times (rng, dir_fd, name);
}

bool make_package_file (struct rng *rng, int dir_fd, const char *name)
{
  unsigned which = rng_below (rng, 12);
  struct rng own = {.state = which + 1};
  char data[9000];
  size_t len = 1 + rng_below (&own, which & 1 ? sizeof data : 40);
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1600000000, .tv_nsec = which}};
  autoclose int fd = fd_open (dir_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);

  if (fd < 0)
    return false;
  fill (&own, data, len);
  return fd_write_all (fd, data, len) == 0 && fchown (fd, 0, 0) == 0 &&
         fchmod (fd, which % 3 ? 0644 : 04755) == 0 && futimens (fd, times) == 0;
}

bool make_file (struct rng *rng, int dir_fd, const char *name)
{
  char data[20000];
  unsigned kind = rng_below (rng, 100);

  if (kind < 35)
    return make_package_file (rng, dir_fd, name);
  autoclose int fd = fd_open (dir_fd, name, O_RDWR | O_CREAT | O_EXCL, 0644);
  if (fd < 0)
    return false;
  if (kind >= 45) {
    size_t len = rng_below (rng, rng_chance (rng, 80) ? 200 : sizeof data);

    fill (rng, data, len);
    if (fd_write_all (fd, data, len) < 0)
      return false;
  }
  if (kind >= 90) {
    off_t size = rng_below (rng, 600000);

    if (ftruncate (fd, size) < 0 || pwrite (fd, "x", 1, size / 2) != 1)
      return false;
  }
  random_metadata (rng, dir_fd, name);
  return true;
}

bool make_symlink (struct rng *rng, int dir_fd, const char *name)
{
  char target[4096];
  size_t len = rng_chance (rng, 90) ? 1 + rng_below (rng, 80) : 1 + rng_below (rng, 4095);

  if (rng_chance (rng, 40)) {
    snprintf (target, sizeof target, "%s", rng_chance (rng, 50) ? "/etc/passwd" : "../a");
  } else {
    fill (rng, target, len);
    for (size_t i = 0; i < len; i++)
      if (!target[i])
        target[i] = '/';
    target[len < sizeof target ? len : sizeof target - 1] = '\0';
  }
  if (symlinkat (target, dir_fd, name) < 0)
    return false;
  if (rng_chance (rng, 30))
    change_owner (rng, dir_fd, name);
  if (rng_chance (rng, 60))
    change_times (rng, dir_fd, name);
  if (rng_chance (rng, 15))
    change_xattrs (rng, dir_fd, name);
  return true;
}

bool make_special (struct rng *rng, int dir_fd, const char *name)
{
  const struct {
    mode_t type;
    dev_t rdev;
  } kinds[] = {{S_IFIFO, 0},
               {S_IFSOCK, 0},
               {S_IFCHR, makedev (1, 3)},
               {S_IFBLK, makedev (0, 0)},
               {S_IFBLK, makedev (259, 70000)},
               {S_IFCHR, makedev (0, 1)}};
  unsigned kind = rng_below (rng, sizeof kinds / sizeof *kinds);

  if (mknodat (dir_fd, name, kinds[kind].type | 0644, kinds[kind].rdev) < 0)
    return false;
  random_metadata (rng, dir_fd, name);
  return true;
}

/* The names that matter to the policies below. */
static const char *const top_names[] = {"usr", "etc", "home", "var", "opt"};

static void grow_link (struct rng *rng, int dir_fd, const char *name, int top_fd)
{
  autodirlist struct dirlist list = {0};
  autoerr struct err err = {0};
  int from = rng_chance (rng, 50) ? dir_fd : top_fd;

  if (dirread_all (from, &list, &err) < 0 || !list.count)
    return;
  const struct dirread_entry *entry = &list.items[rng_below (rng, (unsigned) list.count)];
  if (entry->type != DT_DIR && linkat (from, entry->name, dir_fd, name, 0) < 0 && errno != EEXIST)
    return;
}

/* A name that @like has, or any. */
static void pick_like (struct rng *rng, int like_fd, char *name)
{
  autodirlist struct dirlist list = {0};
  autoerr struct err err = {0};

  make_name (rng, name);
  if (like_fd < 0 || !rng_chance (rng, 70) || dirread_all (like_fd, &list, &err) < 0 || !list.count)
    return;
  snprintf (name, 256, "%s", list.items[rng_below (rng, (unsigned) list.count)].name);
}

static void grow (struct rng *rng, int dir_fd, int like_fd, int top_fd, unsigned entries,
                  unsigned depth)
{
  unsigned here = entries > 6 ? 4 + rng_below (rng, 6) : entries;

  for (unsigned i = 0; i < here; i++) {
    char name[256];
    unsigned kind = rng_below (rng, 100);

    pick_like (rng, like_fd, name);
    if (kind < 30 && depth) {
      autoclose int fd = fd_make_dir (dir_fd, name, 0755);
      autoclose int like = fd < 0 || like_fd < 0 ? -1 : fd_open_dir (like_fd, name);

      if (fd >= 0)
        grow (rng, fd, like, top_fd, entries / (here ? here : 1) + 3, depth - 1);
      if (fd >= 0)
        random_metadata (rng, dir_fd, name);
    } else if (kind < 70) {
      make_file (rng, dir_fd, name);
    } else if (kind < 80) {
      make_symlink (rng, dir_fd, name);
    } else if (kind < 85) {
      make_special (rng, dir_fd, name);
    } else {
      grow_link (rng, dir_fd, name, top_fd);
    }
  }
}

void grow_tree (struct rng *rng, int dir_fd, int like_fd, unsigned entries, unsigned depth)
{
  grow (rng, dir_fd, like_fd, dir_fd, 5, 0);
  for (size_t i = 0; i < sizeof top_names / sizeof *top_names; i++) {
    autoclose int fd = fd_make_dir (dir_fd, top_names[i], 0755);
    autoclose int like = like_fd < 0 ? -1 : fd_open_dir (like_fd, top_names[i]);

    if (fd < 0 || (like_fd >= 0 && rng_chance (rng, 30)))
      continue;
    grow (rng, fd, like, dir_fd, entries / 5, depth);
    random_metadata (rng, dir_fd, top_names[i]);
  }
  random_metadata (rng, dir_fd, ".");
}
