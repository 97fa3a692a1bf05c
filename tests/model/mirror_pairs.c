/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done to, or asked of, a guest and its twin path by path. */
#include "mirror.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <time.h>

enum { FLAGS = FS_IMMUTABLE_FL | FS_APPEND_FL };

/* A path that is in both, of the same type. */
struct pair {
  int guest_fd, twin_fd; /* the directories */
  const char *name;
  struct stat guest, twin;
};

typedef int pair_fn (void *data, const struct pair *pair, struct err *err);

/* Directories come behind what is in them. */
static int walk (int guest_fd, int twin_fd, pair_fn *fn, void *data, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (guest_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    struct pair pair = {.guest_fd = guest_fd, .twin_fd = twin_fd, .name = list.items[i].name};

    if (fstatat (guest_fd, pair.name, &pair.guest, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s", pair.name);
    if (fstatat (twin_fd, pair.name, &pair.twin, AT_SYMLINK_NOFOLLOW) < 0 ||
        ((pair.guest.st_mode ^ pair.twin.st_mode) & S_IFMT))
      continue;
    if (S_ISDIR (pair.guest.st_mode)) {
      autoclose int guest = fd_open_dir (guest_fd, pair.name);
      autoclose int twin = fd_open_dir (twin_fd, pair.name);

      if (guest < 0 || twin < 0)
        return err_errno (err, "open %s", pair.name);
      if (walk (guest, twin, fn, data, err) < 0)
        return -err->code;
    }
    if (fn (data, &pair, err) < 0)
      return -err->code;
  }
  return 0;
}

static bool has_flags (const struct stat *st)
{
  return S_ISREG (st->st_mode) || S_ISDIR (st->st_mode);
}

/* Those of FLAGS, or -1. */
static int fd_flags (int fd)
{
  int flags = 0;

  return ioctl (fd, FS_IOC_GETFLAGS, &flags) < 0 ? -1 : flags & FLAGS;
}

static int fd_set_flags (int fd, int wanted)
{
  int flags = 0;

  if (ioctl (fd, FS_IOC_GETFLAGS, &flags) < 0)
    return -1;
  flags = (flags & ~FLAGS) | wanted;
  return ioctl (fd, FS_IOC_SETFLAGS, &flags);
}

static int get_flags (int dir_fd, const char *name)
{
  autoclose int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK, 0);

  return fd < 0 ? -1 : fd_flags (fd);
}

static int set_flags (int dir_fd, const char *name, int wanted)
{
  autoclose int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK, 0);

  return fd < 0 ? -1 : fd_set_flags (fd, wanted);
}

/* In a directory without flags. */
static int separate (int dir_fd, const char *name, const struct stat *st, const struct stat *dir)
{
  static const char temporary[] = ".mirror-separate";
  autoerr struct err err = {0};
  struct timespec times[2] = {dir->st_atim, dir->st_mtim};
  autoclose int inner = fd_make_dir (dir_fd, temporary, 0700);

  if (inner < 0 || copy_one (dir_fd, name, inner, st, &err) < 0 ||
      fd_rename (inner, name, dir_fd, name, 0) < 0 ||
      unlinkat (dir_fd, temporary, AT_REMOVEDIR) < 0)
    return -1;
  return utimensat (dir_fd, ".", times, 0);
}

int mirror_separate (int dir_fd, const char *name)
{
  struct stat st, dir;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || fstatat (dir_fd, ".", &dir, 0) < 0)
    return -1;
  if (st.st_nlink < 2)
    return 0;
  /* Flags of the directory, and of what is copied, do not keep the kernel from copying up. */
  autoclose int old = S_ISREG (st.st_mode) ? fd_open (dir_fd, name, O_RDONLY, 0) : -1;
  int dir_flags = fd_flags (dir_fd), flags = old >= 0 ? fd_flags (old) : 0;
  if (dir_flags < 0 || flags < 0 || (dir_flags && set_flags (dir_fd, ".", 0) < 0) ||
      (flags && fd_set_flags (old, 0) < 0) || separate (dir_fd, name, &st, &dir) < 0 ||
      (flags && (fd_set_flags (old, flags) < 0 || set_flags (dir_fd, name, flags) < 0)) ||
      (dir_flags && set_flags (dir_fd, ".", dir_flags) < 0))
    return -1;
  return 0;
}

/* With the flags out of the way. */
static int set_mtime (int dir_fd, const char *name, const struct stat *st, time_t mtime,
                      struct err *err)
{
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime, .tv_nsec = 123456789}};
  int flags = has_flags (st) ? get_flags (dir_fd, name) : 0;

  if ((flags && set_flags (dir_fd, name, 0) < 0) ||
      utimensat (dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ||
      (flags && set_flags (dir_fd, name, flags) < 0))
    return err_errno (err, "settle the time of %s", name);
  return 0;
}

static int settle_pair (void *data, const struct pair *pair, struct err *err)
{
  const time_t *since = data, settled = 1500000000, now = time (NULL) + 1;

  if (pair->guest.st_mtime < *since || pair->twin.st_mtime < *since || pair->guest.st_mtime > now ||
      pair->twin.st_mtime > now)
    return 0;
  if (set_mtime (pair->guest_fd, pair->name, &pair->guest, settled, err) < 0)
    return err_wrap (err, "guest");
  if (set_mtime (pair->twin_fd, pair->name, &pair->twin, settled, err) < 0)
    return err_wrap (err, "twin");
  return 0;
}

int mirror_settle (int guest_fd, int twin_fd, time_t since, struct err *err)
{
  struct pair top = {.guest_fd = guest_fd, .twin_fd = twin_fd, .name = "."};

  if (walk (guest_fd, twin_fd, settle_pair, &since, err) < 0)
    return -err->code;
  if (fstat (guest_fd, &top.guest) < 0 || fstat (twin_fd, &top.twin) < 0)
    return err_errno (err, "stat the tops");
  return settle_pair (&since, &top, err);
}

struct flagging {
  struct rng rng;
  unsigned differences;
};

static int flag_pair (void *data, const struct pair *pair, struct err *err)
{
  static const int choices[] = {FS_IMMUTABLE_FL, FS_APPEND_FL, FLAGS};
  struct flagging *flagging = data;
  struct rng *rng = &flagging->rng;
  struct stat now;

  (void) err;
  if (!has_flags (&pair->twin))
    return 0;
  int old = get_flags (pair->twin_fd, pair->name);
  int new = choices[rng_below (rng, sizeof choices / sizeof *choices)];
  if (!rng_chance (rng, old ? 70 : 2))
    return 0;
  new = old ? 0 : new;
  int guest = set_flags (pair->guest_fd, pair->name, new) < 0 ? errno : 0;
  if (!S_ISDIR (pair->guest.st_mode) &&
      fstatat (pair->guest_fd, pair->name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
      now.st_ino != pair->guest.st_ino && mirror_separate (pair->twin_fd, pair->name) < 0)
    printf ("# %s: cannot be separated: %s\n", pair->name, strerror (errno));
  int twin = set_flags (pair->twin_fd, pair->name, new) < 0 ? errno : 0;
  if (guest != twin) {
    printf ("# flags %x to %x of %s: %s in the guest, %s in the twin\n", (unsigned) old,
            (unsigned) new, pair->name, strerrorname_np (guest), strerrorname_np (twin));
    flagging->differences++;
  }
  return 0;
}

unsigned mirror_flags (uint64_t seed, int guest_fd, int twin_fd)
{
  struct flagging flagging = {.rng = {.state = seed}};
  autoerr struct err err = {0};

  if (walk (guest_fd, twin_fd, flag_pair, &flagging, &err) < 0) {
    printf ("# flags: %s\n", err_text (&err));
    flagging.differences++;
  }
  return flagging.differences;
}

static int compare_pair (void *data, const struct pair *pair, struct err *err)
{
  size_t *differences = data;

  (void) err;
  if (!has_flags (&pair->twin))
    return 0;
  int guest = get_flags (pair->guest_fd, pair->name);
  int twin = get_flags (pair->twin_fd, pair->name);
  if (guest < 0 || twin < 0 || guest != twin) {
    printf ("# %s has the flags %x in the guest, %x in the twin\n", pair->name, (unsigned) guest,
            (unsigned) twin);
    ++*differences;
  }
  return 0;
}

static bool is_socket (void *data, const char *path)
{
  const struct manifest_entry *entry = manifest_find (data, path);

  return entry && S_ISSOCK (entry->st.st_mode);
}

size_t mirror_compare (int guest_fd, int twin_fd, bool sockets, struct err *err)
{
  automanifest struct manifest guest = {0}, twin = {0}, found = {0};
  size_t differences = 0;

  if (manifest_read (guest_fd, &guest, err) < 0 || manifest_read (twin_fd, &twin, err) < 0 ||
      (!sockets && manifest_read (twin_fd, &found, err) < 0) ||
      walk (guest_fd, twin_fd, compare_pair, &differences, err) < 0) {
    printf ("# compare: %s\n", err_text (err));
    return 1;
  }
  if (!sockets) {
    manifest_filter (&twin, is_socket, &found);
    manifest_filter (&guest, is_socket, &found);
  }
  return differences + manifest_compare (&twin, &guest, "guest", NULL, NULL, stdout);
}
