/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hostfacts.h"
#include "util/fd.h"
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

void hostfacts_release (struct hostfacts *facts)
{
  free (facts->kernel);
}

static const char *file_system_name (int fd)
{
  static const struct {
    long magic;
    const char *name;
  } known[] = {
      {EXT4_SUPER_MAGIC, "ext4"},         {XFS_SUPER_MAGIC, "xfs"}, {BTRFS_SUPER_MAGIC, "btrfs"},
      {F2FS_SUPER_MAGIC, "f2fs"},         {TMPFS_MAGIC, "tmpfs"},   {0x2fc12fc1, "zfs"},
      {OVERLAYFS_SUPER_MAGIC, "overlay"},
  };
  struct statfs st;

  if (fstatfs (fd, &st) < 0)
    return "other";
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if ((unsigned long) st.f_type == (unsigned long) known[i].magic)
      return known[i].name;
  return "other";
}

/* By what is mounted: a hybrid host has hierarchies of version 1 with controllers beside that of
 * version 2. */
static const char *cgroup_mode (void)
{
  FILE *file = fopen ("/proc/self/mountinfo", "re");
  autofree char *line = NULL;
  size_t size = 0;
  bool v1 = false, v2 = false;

  if (!file)
    return "none";
  while (getline (&line, &size, file) > 0) {
    const char *dash = strstr (line, " - ");

    v2 |= dash && strncmp (dash + 3, "cgroup2 ", 8) == 0;
    v1 |= dash && strncmp (dash + 3, "cgroup ", 7) == 0;
  }
  fclose (file);
  if (v1 && v2)
    return "hybrid";
  return v2 ? "v2" : v1 ? "v1" : "none";
}

static bool has_file_system (const char *name)
{
  FILE *file = fopen ("/proc/filesystems", "re");
  autofree char *line = NULL;
  size_t size = 0;
  bool found = false;

  if (!file)
    return false;
  while (!found && getline (&line, &size, file) > 0) {
    char *tab = strrchr (line, '\t');

    line[strcspn (line, "\n")] = '\0';
    found = tab && strcmp (tab + 1, name) == 0;
  }
  fclose (file);
  return found;
}

/* A file without a name in the root. */
static int open_probe (const struct vroot *root)
{
  return openat (root->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static bool can_reflink (const struct vroot *root)
{
  static const char block[4096];
  autoclose int from = open_probe (root), to = open_probe (root);

  return from >= 0 && to >= 0 && fd_write_all (from, block, sizeof block) == 0 &&
         ioctl (to, FICLONE, from) == 0;
}

/* A file system that has fs-verity says that this file has none of it. */
static bool has_verity (const struct vroot *root)
{
  struct {
    struct fsverity_digest digest;
    char bytes[64];
  } measured = {.digest = {.digest_size = 64}};
  autoclose int fd = open_probe (root);

  return fd >= 0 && ioctl (fd, FS_IOC_MEASURE_VERITY, &measured.digest) < 0 && errno == ENODATA;
}

/* A user namespace, kept by a child that waits: its descriptor, or -1. */
static int make_user_namespace (void)
{
  int ready[2];
  char byte = 0;

  if (pipe2 (ready, O_CLOEXEC) < 0)
    return -1;
  pid_t pid = fork ();
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    byte = unshare (CLONE_NEWUSER) == 0;
    if (write (ready[1], &byte, 1) == 1)
      pause ();
    _exit (0);
  }
  close (ready[1]);
  int fd = -1;
  if (pid > 0 && read (ready[0], &byte, 1) == 1 && byte) {
    autofree char *dir = xasprintf ("/proc/%ld", (long) pid);
    autoclose int dir_fd = fd_open_dir (AT_FDCWD, dir);
    autoclose int map_fd = fd_open (dir_fd, "uid_map", O_WRONLY, 0);
    autoclose int group_fd = fd_open (dir_fd, "gid_map", O_WRONLY, 0);
    static const char map[] = "0 100000 65536\n";

    if (map_fd >= 0 && group_fd >= 0 && fd_write_all (map_fd, map, sizeof map - 1) == 0 &&
        fd_write_all (group_fd, map, sizeof map - 1) == 0)
      fd = openat (dir_fd, "ns/user", O_RDONLY | O_CLOEXEC);
  }
  close (ready[0]);
  if (pid > 0) {
    kill (pid, SIGKILL);
    while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
      ;
  }
  return fd;
}

/* On a clone of the root's mount, which nobody sees. */
static bool can_idmap (const struct vroot *root)
{
#ifdef MOUNT_ATTR_IDMAP
  autoclose int user_fd = make_user_namespace ();
  autoclose int tree = (int) syscall (SYS_open_tree, root->fd, "",
                                      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};

  if (user_fd < 0 || tree < 0)
    return false;
  attr.userns_fd = (uint64_t) user_fd;
  return syscall (SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr) == 0;
#else
  (void) root;
  return false;
#endif
}

int hostfacts_read (struct vroot *root, struct hostfacts *ret_facts, struct err *err)
{
  struct utsname name;

  if (uname (&name) < 0)
    return err_errno (err, "ask for the kernel's release");
  *ret_facts = (struct hostfacts){
      .cgroups = cgroup_mode (),
      .kernel = xstrdup (name.release),
      .file_system = file_system_name (root->fd),
      .overlay = has_file_system ("overlay"),
      .metacopy = access ("/sys/module/overlay/parameters/metacopy", F_OK) == 0,
      .idmapped = can_idmap (root),
      .reflink = can_reflink (root),
      .verity = has_verity (root),
  };
  return 0;
}

json_object *hostfacts_runtimes (struct vroot *root)
{
  autoerr struct err ignored = {0};
  const char *run_dir = root_run_dir (root, &ignored);
  autofree char *path = run_dir ? xasprintf ("%s/.runtime.json", run_dir) : NULL;
  autojson json_object *cache = NULL;
  json_object *programs = NULL;

  if (!path || json_read_file (AT_FDCWD, path, path, &cache, &ignored) < 0 ||
      !json_object_object_get_ex (cache, "programs", &programs) ||
      !json_object_is_type (programs, json_type_array))
    return json_object_new_array ();
  return json_object_get (programs);
}
