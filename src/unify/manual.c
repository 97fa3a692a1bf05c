/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manual_internal.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include "util/reflink.h"
#include "util/xattr.h"
#include <signal.h>
#include <sys/file.h>

/* One inode among those of equal keys, in full. */
struct candidate {
  struct digest id;
  size_t first; /* which of files is its first name; the others follow */
  size_t names;
  uint64_t links;
  uint64_t bytes; /* disk space */
};

void manual_report_release (struct manual_report *report)
{
  int saved = errno;

  free (report->first_error);
  report->first_error = NULL;
  errno = saved;
}

int manual_add_rules (struct policy *policy, struct err *err)
{
  static const char *const paths[] = {"/etc", "/var"};

  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
    if (rules_add (&policy->rules, paths[i], MANUAL_EXCLUDED, MANUAL_EXCLUDED, err) < 0)
      return -err->code;
  return 0;
}

int manual_open_dir (struct manual *manual, const struct manual_file *file)
{
  const struct manual_dir *dir = &manual->dirs[file->dir];

  if (manual->open_fd >= 0 && manual->open_dir == file->dir)
    return manual->open_fd;
  cleanup_close (&manual->open_fd);
  manual->open_dir = file->dir;
  manual->open_fd = fd_open_dir_beneath (manual->tops[dir->top].fd, manual->names.data + dir->path);
  return manual->open_fd;
}

void manual_fail (struct manual *manual, const struct manual_file *file, struct err *err)
{
  const struct manual_dir *dir = &manual->dirs[file->dir];
  const char *path = manual->names.data + dir->path;

  err_wrap (err, "%s/%s%s%s", manual->tops[dir->top].path, path, *path ? "/" : "",
            manual_name (manual, file));
  manual->report->failed++;
  if (!manual->report->first_error)
    manual->report->first_error = xstrdup (err_text (err));
  err_release (err);
}

bool manual_is_top (const struct manual *manual, const struct stat *st)
{
  for (size_t i = 0; i < manual->top_count; i++)
    if (manual->tops[i].dev == st->st_dev && manual->tops[i].ino == st->st_ino)
      return true;
  return false;
}

static int by_key (const void *a, const void *b)
{
  const struct manual_file *x = a, *y = b;

  if (x->key != y->key)
    return x->key < y->key ? -1 : 1;
  if (x->ino != y->ino)
    return x->ino < y->ino ? -1 : 1;
  return x->name < y->name ? -1 : x->name > y->name;
}

/* Equal ones together; among them first the one with most names elsewhere, which cannot go. */
static int by_identity (const void *a, const void *b)
{
  const struct candidate *x = a, *y = b;
  int order = memcmp (x->id.bytes, y->id.bytes, sizeof x->id.bytes);

  if (order)
    return order;
  if (x->links != y->links)
    return x->links > y->links ? -1 : 1;
  return x->first < y->first ? -1 : x->first > y->first;
}

/* Blocks are shared by contents alone. */
static int contents_of (struct manual *manual, const struct manual_held *held,
                        struct digest *ret_id, struct err *err)
{
  enum { STEP = 128 << 10 };
  autofree char *buffer = xmalloc (STEP);
  ssize_t n;

  hasher_start (manual->hasher);
  while ((n = fd_read_full (held->fd, buffer, STEP)) > 0)
    hasher_add (manual->hasher, buffer, (size_t) n);
  if (n < 0)
    return err_errno (err, "read it");
  hasher_end (manual->hasher, ret_id);
  return 0;
}

/* 1, 0 when a link is not safe for it, or negative. */
static int identify (struct manual *manual, const struct manual_file *file,
                     const struct manual_held *held, struct digest *ret_id, struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};

  if (manual->options->reflink)
    return contents_of (manual, held, ret_id, err) < 0 ? -err->code : 1;
  if (xattrs_read (held->fd, -1, NULL, /* with_overlay= */ false, &xattrs, err) < 0)
    return -err->code;
  if (xattrs_find (&xattrs, "security.capability")) {
    manual->report->unsafe++;
    return 0;
  }
  int ret = identity_of_fd (manual->hasher, held->fd, file->flags, ret_id, NULL, err);
  if (ret == -ESTALE) {
    err_release (err);
    manual->report->changed++;
    return 0;
  }
  return ret < 0 ? ret : 1;
}

/* Reads the inode whose first name is @first. 1, 0 when it is left out, negative on errors. */
static int read_candidate (struct manual *manual, size_t first, size_t names,
                           struct candidate *ret_candidate, struct err *err)
{
  const struct manual_file *file = &manual->files[first];
  automanualheld struct manual_held held = {.fd = -1};
  int ret = manual_hold (manual, file, /* lease= */ false, &held, err);

  if (ret > 0)
    ret = identify (manual, file, &held, &ret_candidate->id, err);
  if (ret <= 0)
    return ret;
  manual->report->bytes += file->size;
  ret_candidate->first = first;
  ret_candidate->names = names;
  ret_candidate->links = held.st.st_nlink;
  ret_candidate->bytes = (uint64_t) held.st.st_blocks * 512;
  return 1;
}

static void count_shared (struct manual *manual, const struct candidate *candidate, uint64_t names)
{
  manual->report->shared += names;
  /* Only with its last name does an inode go. */
  if (names == candidate->links)
    manual->report->shared_bytes += candidate->bytes;
}

/* Makes the names of @candidate links of @master, but for those that are left as they are. */
static int link_names (struct manual *manual, const struct manual_held *master,
                       const struct candidate *candidate, struct err *err)
{
  const struct manual_file *files = &manual->files[candidate->first];
  automanualheld struct manual_held held = {.fd = -1};
  uint64_t done = 0;

  int ret = manual_hold (manual, &files[0], /* lease= */ true, &held, err);
  if (ret > 0)
    ret = manual_compare (manual, master, &held, files[0].flags, err);
  if (ret <= 0)
    return ret;
  for (size_t i = 0; ret >= 0 && i < candidate->names; i++) {
    ret = manual_replace (manual, master, &files[i], &held, err);
    done += ret > 0;
  }
  count_shared (manual, candidate, done);
  return ret < 0 ? ret : 0;
}

static int share_blocks (struct manual *manual, const struct manual_held *master,
                         const struct candidate *candidate, struct err *err)
{
  const struct manual_file *file = &manual->files[candidate->first];
  automanualheld struct manual_held held = {.fd = -1};
  uint64_t shared = 0;

  int ret = manual_hold (manual, file, /* lease= */ false, &held, err);
  if (ret <= 0)
    return ret;
  ret = reflink_share (master->fd, held.fd, file->size, &shared, err);
  manual->report->shared += shared > 0;
  manual->report->shared_bytes += shared;
  return ret;
}

/* All candidates of a run are equal: they become one, or as few as the file system allows. */
static int share_run (struct manual *manual, const struct candidate *run, size_t count,
                      struct err *err)
{
  automanualheld struct manual_held master = {.fd = -1};

  for (size_t i = 0; i < count; i++) {
    const struct manual_file *file = &manual->files[run[i].first];
    int ret = 0;

    if (interrupt_check (err) < 0)
      return -err->code;
    if (manual->options->dry_run) {
      if (i)
        count_shared (manual, &run[i], run[i].names);
      continue;
    }
    if (master.fd < 0)
      ret = manual_hold (manual, file, !manual->options->reflink, &master, err);
    else if (manual->options->reflink)
      ret = share_blocks (manual, &master, &run[i], err);
    else
      ret = link_names (manual, &master, &run[i], err);
    if (ret == -EMLINK) {
      /* It is full: the next one begins another inode for those that follow. */
      err_release (err);
      manual_held_release (&master);
      continue;
    }
    if (ret < 0)
      manual_fail (manual, file, err);
  }
  return 0;
}

/* The files @start … @end - 1 have one key. */
static int share_group (struct manual *manual, size_t start, size_t end, struct err *err)
{
  autofree struct candidate *candidates = NULL;
  size_t count = 0, size = 0;

  for (size_t i = start, next; i < end; i = next) {
    autoerr struct err file_err = {0};

    next = i + 1;
    while (next < end && manual->files[next].ino == manual->files[i].ino)
      next++;
    if (i == start && next == end)
      return 0;
    if (interrupt_check (err) < 0)
      return -err->code;
    if (count == size) {
      size = size ? size * 2 : 4;
      candidates = xreallocarray (candidates, size, sizeof *candidates);
    }
    int ret = read_candidate (manual, i, next - i, &candidates[count], &file_err);
    if (ret < 0)
      manual_fail (manual, &manual->files[i], &file_err);
    count += ret > 0;
    progress_show ("compare", next, manual->file_count, "files");
  }
  if (!count)
    return 0;
  qsort (candidates, count, sizeof *candidates, by_identity);
  for (size_t i = 0, next; i < count; i = next) {
    next = i + 1;
    while (next < count && digest_equal (&candidates[next].id, &candidates[i].id))
      next++;
    if (next - i > 1 && share_run (manual, &candidates[i], next - i, err) < 0)
      return -err->code;
  }
  return 0;
}

static int share_all (struct manual *manual, struct err *err)
{
  if (manual->file_count)
    qsort (manual->files, manual->file_count, sizeof *manual->files, by_key);
  for (size_t i = 0, next; i < manual->file_count; i = next) {
    next = i + 1;
    while (next < manual->file_count && manual->files[next].key == manual->files[i].key)
      next++;
    if (next - i > 1 && share_group (manual, i, next, err) < 0)
      return -err->code;
  }
  return 0;
}

/* What a run left that was killed: one of several names of a file is not needed. */
static int sweep_temp (const struct manual_top *top, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (top->temp_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    struct stat st;

    if (fstatat (top->temp_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s/%s", MANUAL_TEMP, name);
    if (st.st_nlink < 2)
      return err_code (err, EEXIST,
                       "an earlier run was ended in the middle: look whether %s/%s/%s is needed "
                       "(an equal file should be in its place), and remove it",
                       top->path, MANUAL_TEMP, name);
    if (unlinkat (top->temp_fd, name, 0) < 0)
      return err_errno (err, "remove %s/%s", MANUAL_TEMP, name);
  }
  return 0;
}

static int open_temp (struct manual_top *top, struct err *err)
{
  struct stat st;

  if (fstat (top->fd, &st) < 0)
    return err_errno (err, "stat it");
  top->temp_fd = fd_make_dir (top->fd, MANUAL_TEMP, 0700);
  if (top->temp_fd < 0)
    return err_errno (err, "make the directory %s there", MANUAL_TEMP);
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (futimens (top->fd, times) < 0)
    return err_errno (err, "set its times");
  if (flock (top->temp_fd, LOCK_EX | LOCK_NB) < 0)
    return errno == EWOULDBLOCK ? err_code (err, EBUSY, "another run is at work there")
                                : err_errno (err, "lock %s", MANUAL_TEMP);
  return sweep_temp (top, err);
}

/* What cannot be removed is swept by the next run. */
static void close_temp (struct manual_top *top)
{
  struct stat st;

  if (top->temp_fd >= 0 && fstat (top->fd, &st) == 0 &&
      unlinkat (top->fd, MANUAL_TEMP, AT_REMOVEDIR) == 0) {
    struct timespec times[2] = {st.st_atim, st.st_mtim};

    (void) futimens (top->fd, times);
  }
  cleanup_close (&top->temp_fd);
}

static int open_top (struct manual *manual, const char *path, struct err *err)
{
  struct manual_top *top = &manual->tops[manual->top_count];
  const struct manual_options *options = manual->options;
  struct stat st;

  *top = (struct manual_top){.path = path, .fd = -1, .temp_fd = -1};
  top->fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (top->fd < 0 || fstat (top->fd, &st) < 0) {
    err_errno (err, "open %s", path);
    cleanup_close (&top->fd);
    return -err->code;
  }
  if (manual_is_top (manual, &st)) {
    cleanup_close (&top->fd);
    return 0;
  }
  top->dev = st.st_dev;
  top->ino = st.st_ino;
  manual->top_count++;
  if (options->reflink && !options->dry_run) {
    int has = reflink_probe (top->fd, err);

    if (has < 0)
      return err_wrap (err, "%s", path);
    if (!has)
      return err_code (err, EOPNOTSUPP,
                       "%s: its file system cannot share blocks of files (XFS and btrfs can)",
                       path);
  }
  if (!options->reflink && !options->dry_run && open_temp (top, err) < 0)
    return err_wrap (err, "%s", path);
  return 0;
}

static void close_manual (struct manual *manual)
{
  for (size_t i = 0; i < manual->top_count; i++) {
    close_temp (&manual->tops[i]);
    cleanup_close (&manual->tops[i].fd);
  }
  cleanup_close (&manual->open_fd);
  strbuf_release (&manual->names);
  free (manual->tops);
  free (manual->dirs);
  free (manual->files);
  hasher_free (manual->hasher);
}

int manual_unify (const struct manual_options *options, struct manual_report *report,
                  struct err *err)
{
  struct manual manual = {
      .options = options,
      .report = report,
      .tops = xcalloc (options->path_count, sizeof *manual.tops),
      .names = STRBUF_INIT (SIZE_MAX / 2),
      .hasher = hasher_new (),
      .open_fd = -1,
  };
  int ret = 0;

  signal (SIGIO, SIG_IGN);
  for (size_t i = 0; ret == 0 && i < options->path_count; i++)
    ret = open_top (&manual, options->paths[i], err);
  if (ret == 0)
    ret = manual_scan (&manual, err);
  if (ret == 0)
    ret = share_all (&manual, err);
  close_manual (&manual);
  return ret;
}
