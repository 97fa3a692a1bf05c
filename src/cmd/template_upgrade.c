/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "template_upgrade.h"
#include "cmd/template_run.h"
#include "template/template.h"
#include "tree/clone.h"
#include "util/dirread.h"
#include "util/fd.h"

enum { COMMANDS_MAX = 3, DATABASE_MAX = 256 << 20 };

/* zypper's statuses from 100 to 107 say something about what it did, not that it failed. */
#define ZYPPER(words)                                                                              \
  {                                                                                                \
    "/bin/sh", "-c",                                                                               \
        "zypper --non-interactive " words "; s=$?; [ $s -ge 100 ] && [ $s -le 107 ] || exit $s",   \
        NULL                                                                                       \
  }
#define APT                                                                                        \
  "apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", "-o", "Dir::Cache::pkgcache=", "-o",             \
      "Dir::Cache::srcpkgcache=", "-o", "Dpkg::Options::=--force-confdef", "-o",                   \
      "Dpkg::Options::=--force-confold"

static const struct manager {
  const char *name;
  const char *program; /* that tells that it is there */
  const char *database[3];
  const char *commands[COMMANDS_MAX][20];
} managers[] = {
    {"apt",
     "usr/bin/apt-get",
     {"var/lib/dpkg/status"},
     {{APT, "--error-on=any", "update"}, {APT, "dist-upgrade"}, {"apt-get", "clean"}}},
    {"dnf",
     "usr/bin/dnf",
     {"usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages"},
     {{"dnf", "-y", "--refresh", "upgrade"}, {"dnf", "-q", "clean", "all"}}},
    {"yum",
     "usr/bin/yum",
     {"var/lib/rpm/Packages"},
     {{"yum", "-y", "upgrade"}, {"yum", "-q", "clean", "all"}}},
    {"zypper",
     "usr/bin/zypper",
     {"usr/lib/sysimage/rpm/Packages.db", "usr/lib/sysimage/rpm/rpmdb.sqlite",
      "var/lib/rpm/Packages"},
     {ZYPPER ("refresh"), ZYPPER ("update"), ZYPPER ("clean --all")}},
    {"pacman", "usr/bin/pacman", {"var/lib/pacman/local"}, {{"pacman", "-Syu", "--noconfirm"}}},
    {"apk", "sbin/apk", {"lib/apk/db/installed"}, {{"apk", "--no-cache", "upgrade"}}},
};

/* Caches and lists, which would be in every guest. */
static const char *const caches[] = {
    "/var/lib/apt/lists/*",    "/var/cache/apt/archives/*",
    "/var/cache/dnf/*",        "/var/cache/libdnf5/*",
    "/var/cache/yum/*",        "/var/cache/zypp/*",
    "/var/cache/pacman/pkg/*", "/var/lib/pacman/sync/*",
    "/var/cache/apk/*",        NULL,
};

static bool is_there (int tree_fd, const char *path)
{
  autoclose int fd = fd_open_in_root (tree_fd, path, O_PATH, 0);

  return fd >= 0;
}

/* By what template.json says, else by what is installed. */
static const struct manager *find_manager (int tree_fd, const char *name)
{
  for (size_t i = 0; i < sizeof managers / sizeof managers[0]; i++)
    if (name ? strcmp (managers[i].name, name) == 0 : is_there (tree_fd, managers[i].program))
      return &managers[i];
  return NULL;
}

/* Adds the names in a directory, or the contents of a file; nothing when it is neither. */
static int read_database (int tree_fd, const char *path, struct strbuf *text, struct err *err)
{
  autoclose int fd = fd_open_in_root (tree_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  autofree char *buffer = xmalloc (64 << 10);
  struct stat st;
  ssize_t n;

  if (fd < 0 || fstat (fd, &st) < 0)
    return 0;
  if (S_ISDIR (st.st_mode)) {
    autodirlist struct dirlist list = {0};

    if (dirread_all (fd, &list, err) < 0)
      return -err->code;
    for (size_t i = 0; i < list.count; i++)
      strbuf_addf (text, "%s\n", list.items[i].name);
  }
  while (S_ISREG (st.st_mode) && (n = fd_read_full (fd, buffer, 64 << 10)) > 0)
    strbuf_add (text, buffer, (size_t) n);
  return 0;
}

/* Has the package database changed? Returns 1, 0 or negative. */
static int changed (const struct manager *manager, int old_fd, int new_fd, struct err *err)
{
  for (size_t i = 0; i < 3 && manager->database[i]; i++) {
    autostrbuf struct strbuf before = STRBUF_INIT (DATABASE_MAX);
    autostrbuf struct strbuf after = STRBUF_INIT (DATABASE_MAX);

    if (read_database (old_fd, manager->database[i], &before, err) < 0 ||
        read_database (new_fd, manager->database[i], &after, err) < 0)
      return err_wrap (err, "%s", manager->database[i]);
    if (before.len != after.len ||
        (before.len && memcmp (before.data, after.data, before.len) != 0))
      return 1;
  }
  return 0;
}

static int run_manager (struct import *import, struct guest *guest, const struct manager *manager,
                        struct err *err)
{
  const char *const *commands[COMMANDS_MAX];
  size_t count = 0;

  for (; count < COMMANDS_MAX && manager->commands[count][0]; count++)
    commands[count] = manager->commands[count];
  return template_run (import, guest, commands, count, err);
}

/* What the new generation has of the old one's template.json. */
static void keep_info (struct import *import, const struct template *old)
{
  static const char *const kept[] = {"description", "source",   "definition", "packages",
                                     "guest",       "verified", "version",    NULL};

  for (const char *const *key = kept; *key; key++) {
    json_object *value = json_object_object_get (old->info, *key);

    if (value)
      json_put (import->info, *key, json_object_get (value));
  }
  json_set_int (import->info, "upgraded_from", (int64_t) old->generation);
}

static int keep_policy (struct import *import, const struct template *old, struct err *err)
{
  autofree char *text = NULL;
  size_t len = 0;

  if (faccessat (old->fd, "unify.policy", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "look for unify.policy");
  if (fd_read_file (old->fd, "unify.policy", 1 << 20, &text, &len, err) < 0)
    return -err->code;
  return fd_write_file (import->generation_fd, "unify.policy", text, len, 0600, err);
}

/* Returns 1, or 0 when nothing was changed. */
static int upgrade (struct import *import, const struct template *old, struct err *err)
{
  autoguest struct guest *guest = NULL;
  autorules struct rules rules = {0};
  const char *packages = NULL;

  if (json_get_string (old->info, "packages", NULL, &packages, err) < 0)
    return -err->code;
  const struct manager *manager = find_manager (old->tree_fd, packages);
  if (!manager)
    return err_code (err, EOPNOTSUPP, "no package manager is known for it%s%s",
                     packages ? ": " : "", packages ? packages : "");
  for (const char *const *cache = caches; *cache; cache++)
    if (rules_add (&rules, *cache, CLONE_SKIP, CLONE_SKIP, err) < 0)
      return -err->code;
  keep_info (import, old);
  if (keep_policy (import, old, err) < 0 || stage_make (import, old->tree_fd, &guest, err) < 0 ||
      run_manager (import, guest, manager, err) < 0 || stage_take (import, guest, &rules, err) < 0)
    return -err->code;
  return changed (manager, old->tree_fd, import->tree_fd, err);
}

int template_upgrade (struct vroot *root, const char *name, struct writer_report *ret_report,
                      struct err *err)
{
  autoimport struct import import = IMPORT_INIT;
  autotemplate struct template *old = NULL;

  if (template_open (root, name, 0, &old, err) < 0)
    return -err->code;
  /* Held while we wait for another one who makes a generation, the lock would keep that one from
   * removing old ones. */
  unsigned after = old->generation;
  template_close (steal_ptr (&old));
  if (import_begin_next (root, name, after, "", &import, err) < 0 ||
      template_open (root, name, after, &old, err) < 0)
    return -err->code;
  int ret = upgrade (&import, old, err);
  if (ret < 0)
    return err_wrap (err, "upgrade the template %s", name);
  template_close (steal_ptr (&old));
  return ret && import_finish (&import, ret_report, err) < 0 ? -err->code : ret;
}
