/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The unit of work is one directory: its files are placed, its subdirectories made empty, and then
 * it gets its metadata, as nothing that happens further down changes its times any more. So
 * directories are independent of one another and several threads can work: linkat spends its time
 * waiting for locks in the file system's journal, two threads take half the time of one. */
#include "clone.h"
#include "layer.h"
#include "util/copy.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include "util/xattr.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>

enum {
  THREADS_MAX = 4, /* more only wait for one another */
  PENDING_MAX =
      64, /* directories waiting, two descriptors each; beyond that they are done at once */
};

struct directory {
  bool top;
  int from_fd;              /* owned */
  int to_fd;                /* owned */
  struct rules_state state; /* owned */
};

struct cloner {
  const struct rules *rules;
  bool layer;   /* a private layer, which must not have forms of the overlay */
  bool thin;    /* the own tree of a thin guest, whose forms are kept */
  int top_from; /* borrowed */
  int beside;   /* borrowed; the other layer of a thin guest's tree, or -1 */
  int top_to;   /* borrowed */
  /* Makes @to_dir/NAME; no directories and no sockets. */
  int (*place) (struct cloner *cloner, int from_dir, const struct dirread_entry *entry, int to_dir,
                struct err *err);

  pthread_mutex_t mutex; /* what follows, up to the next mutex */
  pthread_cond_t changed;
  struct directory pending[PENDING_MAX];
  size_t pending_count;
  size_t busy; /* directories being worked on */
  bool failed;
  struct err err; /* the first error */
  struct clone_counts counts;

  /* clone_tree: */
  pthread_mutex_t full_mutex; /* the store and what follows */
  struct share *share;
  struct u64table full; /* inodes of the source that had no room for another link */

  /* clone_copy_tree: */
  int partners_fd; /* owned; temporary links to copies with partners, named by the inode number */
  char partners_name[FD_TEMP_NAME_SIZE]; /* its directory in top_to; empty when not made */
};

/* Says in which directory it happened; the path is looked up only now. */
static int wrap_directory (int fd, struct err *err)
{
  autofree char *link = fd_proc_path (fd, NULL);
  char path[4096];
  ssize_t n = readlink (link, path, sizeof path - 1);

  if (n <= 0)
    return -err->code;
  path[n] = '\0';
  return err_wrap (err, "%s", path);
}

int clone_directory_metadata (int from_fd, int to_fd, struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};
  struct stat st;

  if (fstat (from_fd, &st) < 0)
    return err_errno (err, "stat a directory");
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (fchown (to_fd, st.st_uid, st.st_gid) < 0)
    return err_errno (err, "set the owner of a directory");
  if (xattrs_read (from_fd, -1, NULL, /* with_overlay= */ false, &xattrs, err) < 0 ||
      xattrs_apply (to_fd, -1, NULL, &xattrs, err) < 0)
    return -err->code;
  if (fchmod (to_fd, st.st_mode & 07777) < 0)
    return err_errno (err, "set the mode of a directory");
  if (futimens (to_fd, times) < 0)
    return err_errno (err, "set the times of a directory");
  return 0;
}

static void directory_release (struct directory *directory)
{
  cleanup_close (&directory->from_fd);
  cleanup_close (&directory->to_fd);
  rules_state_release (&directory->state);
}

/* Does the rules' verdict leave @name out? */
static bool left_out (const struct cloner *cloner, const struct rules_state *state,
                      const char *name)
{
  struct rules_state entered;

  if (!cloner->rules)
    return false;
  rules_enter (cloner->rules, state, name, &entered);
  bool out = entered.verdict & CLONE_SKIP;
  rules_state_release (&entered);
  return out;
}

/* A file or directory that is only a part of what the guest sees must not be copied as if it were
 * all of it. */
static int refuse_forms (int from_dir, const char *name, struct err *err)
{
  static const char *const forms[] = {"opaque", "redirect", "metacopy", "whiteout"};
  autoxattrs struct xattrs xattrs = {0};

  if (xattrs_read (-1, from_dir, name, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    autofree char *form = xasprintf (XATTR_OVERLAY "%s", forms[i]);

    if (xattrs_find (&xattrs, form))
      return err_code (err, EBUSY, "%s has the attribute %s: the private layer was not folded",
                       name, form);
  }
  return 0;
}

static int keep_opaque (int from_fd, int to_fd, struct err *err)
{
  int opaque = layer_is_opaque (from_fd, err);

  return opaque > 0 ? layer_set_opaque (to_fd, err) : opaque;
}

/* Makes what is in one directory; subdirectories are made empty, and their names put into
 * @subdirectories, each with its NUL. */
static int fill (struct cloner *cloner, const struct directory *directory,
                 struct strbuf *subdirectories, struct clone_counts *counts, struct err *err)
{
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  int ret;

  dirread_start (directory->from_fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    if (entry.type == DT_SOCK || left_out (cloner, &directory->state, entry.name)) {
      counts->skipped++;
      continue;
    }
    if (entry.type != DT_DIR) {
      if (cloner->place (cloner, directory->from_fd, &entry, directory->to_fd, err) < 0)
        return -err->code;
      counts->files++;
      continue;
    }
    if (cloner->layer && refuse_forms (directory->from_fd, entry.name, err) < 0)
      return -err->code;
    if (mkdirat (directory->to_fd, entry.name, 0700) < 0)
      return err_errno (err, "make the directory %s", entry.name);
    strbuf_add (subdirectories, entry.name, strlen (entry.name) + 1);
  }
  if (ret < 0)
    return ret;
  counts->directories++;
  if (cloner->thin && keep_opaque (directory->from_fd, directory->to_fd, err) < 0)
    return -err->code;
  if (directory->top)
    return 0;
  return clone_directory_metadata (directory->from_fd, directory->to_fd, err);
}

static int open_child (const struct cloner *cloner, const struct directory *parent,
                       const char *name, struct directory *ret_child, struct err *err)
{
  struct directory child = {.from_fd = -1, .to_fd = -1};

  child.from_fd = fd_open (parent->from_fd, name, O_RDONLY | O_DIRECTORY | O_NOATIME, 0);
  child.to_fd = child.from_fd < 0 ? -1 : fd_open_dir (parent->to_fd, name);
  if (child.to_fd < 0) {
    err_errno (err, "open the directory %s", name);
    directory_release (&child);
    return -err->code;
  }
  if (cloner->rules)
    rules_enter (cloner->rules, &parent->state, name, &child.state);
  *ret_child = child;
  return 0;
}

/* Hands @directory to whichever thread is free. False when too many are waiting already. */
static bool hand_over (struct cloner *cloner, const struct directory *directory)
{
  pthread_mutex_lock (&cloner->mutex);
  bool room = cloner->pending_count < PENDING_MAX;
  if (room) {
    cloner->pending[cloner->pending_count++] = *directory;
    pthread_cond_signal (&cloner->changed);
  }
  pthread_mutex_unlock (&cloner->mutex);
  return room;
}

/* Clones one directory and sees to those below it. */
static int work (struct cloner *cloner, const struct directory *directory, struct err *err)
{
  autostrbuf struct strbuf subdirectories = STRBUF_INIT (SIZE_MAX / 2);
  struct clone_counts counts = {0};
  int ret = fill (cloner, directory, &subdirectories, &counts, err);

  if (ret < 0)
    ret = wrap_directory (directory->from_fd, err);
  pthread_mutex_lock (&cloner->mutex);
  cloner->counts.files += counts.files;
  cloner->counts.directories += counts.directories;
  cloner->counts.skipped += counts.skipped;
  bool stop = cloner->failed;
  pthread_mutex_unlock (&cloner->mutex);
  const char *name = strbuf_str (&subdirectories), *end = name + subdirectories.len;
  for (; ret == 0 && !stop && name < end; name += strlen (name) + 1) {
    struct directory child;

    if (open_child (cloner, directory, name, &child, err) < 0) {
      ret = wrap_directory (directory->from_fd, err);
    } else if (!hand_over (cloner, &child)) {
      ret = work (cloner, &child, err);
      directory_release (&child);
    }
  }
  return ret;
}

static void *run_thread (void *data)
{
  struct cloner *cloner = data;

  pthread_mutex_lock (&cloner->mutex);
  for (;;) {
    while (!cloner->pending_count && cloner->busy)
      pthread_cond_wait (&cloner->changed, &cloner->mutex);
    if (!cloner->pending_count)
      break;
    struct directory directory = cloner->pending[--cloner->pending_count];
    bool skip = cloner->failed;
    struct err err = {0};

    cloner->busy++;
    pthread_mutex_unlock (&cloner->mutex);
    int ret = skip ? 0 : work (cloner, &directory, &err);
    directory_release (&directory);
    pthread_mutex_lock (&cloner->mutex);
    cloner->busy--;
    if (ret < 0 && !cloner->failed) {
      cloner->failed = true;
      cloner->err = err;
      err = (struct err){0};
    }
    err_release (&err);
    if (!cloner->busy)
      pthread_cond_broadcast (&cloner->changed);
  }
  pthread_mutex_unlock (&cloner->mutex);
  return NULL;
}

static size_t choose_threads (void)
{
  long online = sysconf (_SC_NPROCESSORS_ONLN);

  return online < 1 ? 1 : online > THREADS_MAX ? THREADS_MAX : (size_t) online;
}

/* Clones the whole tree with @thread_count threads, this one included. */
static int run (struct cloner *cloner, size_t thread_count, struct err *err)
{
  struct directory top = {.top = true, .from_fd = -1, .to_fd = -1};
  pthread_t threads[THREADS_MAX];
  size_t started = 0;

  /* Descriptors of its own: their offsets are moved, and they are closed when done. */
  top.from_fd = fd_open (cloner->top_from, ".", O_RDONLY | O_DIRECTORY | O_NOATIME, 0);
  top.to_fd = top.from_fd < 0 ? -1 : fcntl (cloner->top_to, F_DUPFD_CLOEXEC, 3);
  if (top.to_fd < 0) {
    err_errno (err, "open the directory to clone");
    directory_release (&top);
    return -err->code;
  }
  if (cloner->rules)
    rules_start (cloner->rules, 0, &top.state);
  cloner->pending[cloner->pending_count++] = top;
  while (started + 1 < thread_count &&
         pthread_create (&threads[started], NULL, run_thread, cloner) == 0)
    started++;
  run_thread (cloner);
  for (size_t i = 0; i < started; i++)
    pthread_join (threads[i], NULL);
  if (cloner->failed) {
    err_release (err);
    *err = cloner->err;
    return -err->code;
  }
  return clone_directory_metadata (cloner->top_from, cloner->top_to, err);
}

static void cloner_init (struct cloner *cloner, int from_fd, int to_fd, const struct rules *rules)
{
  *cloner = (struct cloner){
      .rules = rules && rules->count ? rules : NULL,
      .top_from = from_fd,
      .beside = -1,
      .top_to = to_fd,
      .partners_fd = -1,
  };
  pthread_mutex_init (&cloner->mutex, NULL);
  pthread_mutex_init (&cloner->full_mutex, NULL);
  pthread_cond_init (&cloner->changed, NULL);
}

static void cloner_release (struct cloner *cloner)
{
  pthread_mutex_destroy (&cloner->mutex);
  pthread_mutex_destroy (&cloner->full_mutex);
  pthread_cond_destroy (&cloner->changed);
  u64table_release (&cloner->full);
}

/* Calls @visit for everything but directories below @fd. */
static int each_file (int fd,
                      int (*visit) (void *data, int dir_fd, const struct dirread_entry *entry,
                                    struct err *err),
                      void *data, struct err *err)
{
  autostrbuf struct strbuf subdirectories = STRBUF_INIT (SIZE_MAX / 2);
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  int ret;

  dirread_start (fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    if (entry.type == DT_DIR)
      strbuf_add (&subdirectories, entry.name, strlen (entry.name) + 1);
    else if (visit (data, fd, &entry, err) < 0)
      return wrap_directory (fd, err);
  }
  if (ret < 0)
    return wrap_directory (fd, err);
  dirread_release (&dirread);
  const char *name = strbuf_str (&subdirectories), *end = name + subdirectories.len;
  for (; name < end; name += strlen (name) + 1) {
    autoclose int child = fd_open_dir (fd, name);

    if (child < 0)
      return err_errno (err, "open the directory %s", name);
    if (each_file (child, visit, data, err) < 0)
      return -err->code;
  }
  return 0;
}

static int note_inode (void *data, int dir_fd, const struct dirread_entry *entry, struct err *err)
{
  (void) dir_fd;
  (void) err;
  u64table_put (data, entry->ino, NULL);
  return 0;
}

/* The inode of the source has as many links as the file system allows. */
static int place_full (struct cloner *cloner, int from_dir, const struct dirread_entry *entry,
                       int to_dir, struct err *err)
{
  int ret = 0;

  pthread_mutex_lock (&cloner->full_mutex);
  if (!cloner->full.count) {
    const int layers[] = {cloner->top_from, cloner->beside};

    for (size_t i = 0; ret == 0 && i < 2 && layers[i] >= 0; i++) {
      autoclose int fd = fd_open_dir (layers[i], ".");

      ret = fd < 0 ? err_errno (err, "open the directory to clone")
                   : each_file (fd, note_inode, cloner->share->inodes, err);
    }
  }
  if (ret == 0) {
    u64table_put (&cloner->full, entry->ino, NULL);
    ret = store_clone_full (cloner->share, from_dir, entry->name, to_dir, entry->name, err);
  }
  pthread_mutex_unlock (&cloner->full_mutex);
  return ret;
}

static int place_link (struct cloner *cloner, int from_dir, const struct dirread_entry *entry,
                       int to_dir, struct err *err)
{
  if (linkat (from_dir, entry->name, to_dir, entry->name, 0) == 0)
    return 0;
  if (errno == EMLINK)
    return place_full (cloner, from_dir, entry, to_dir, err);
  return err_errno (err, "link %s", entry->name);
}

/* Guests have whiteouts of their own: as links to one inode they would be too many some day. */
static int place_thin (struct cloner *cloner, int from_dir, const struct dirread_entry *entry,
                       int to_dir, struct err *err)
{
  struct stat st;

  if (entry->type != DT_CHR)
    return place_link (cloner, from_dir, entry, to_dir, err);
  if (fstatat (from_dir, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", entry->name);
  return layer_is_whiteout (&st) ? layer_whiteout (-1, NULL, to_dir, entry->name, err)
                                 : place_link (cloner, from_dir, entry, to_dir, err);
}

/* A name that got one of the last links of an inode, whose partners did not: it joins them. */
static int join_partners (void *data, int dir_fd, const struct dirread_entry *entry,
                          struct err *err)
{
  struct cloner *cloner = data;
  struct share *share = cloner->share;
  char temp[FD_TEMP_NAME_SIZE];
  struct stat st;

  if (!u64table_has (&cloner->full, entry->ino))
    return 0;
  if (fstat (dir_fd, &st) < 0)
    return err_errno (err, "stat a directory");
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  fd_temp_name (temp);
  if (store_clone_full (share, dir_fd, entry->name, share->temp_fd, temp, err) < 0 ||
      store_join (share, share->temp_fd, temp, dir_fd, entry->name, err) < 0)
    return -err->code;
  if (unlinkat (share->temp_fd, temp, 0) < 0)
    return err_errno (err, "remove a temporary link");
  if (futimens (dir_fd, times) < 0)
    return err_errno (err, "set the times of a directory");
  return 0;
}

int clone_thin_tree (int from_fd, int beside_fd, bool own, int to_fd, const struct rules *rules,
                     struct share *share, struct clone_counts *ret_counts, struct err *err)
{
  struct cloner cloner;

  cloner_init (&cloner, from_fd, to_fd, rules);
  cloner.beside = beside_fd;
  cloner.thin = own;
  cloner.place = own ? place_thin : place_link;
  cloner.share = share;
  int ret = run (&cloner, choose_threads (), err);
  if (ret == 0 && cloner.full.count) {
    autoclose int fd = fd_open_dir (to_fd, ".");

    ret = fd < 0 ? err_errno (err, "open the clone") : each_file (fd, join_partners, &cloner, err);
  }
  if (ret == 0)
    *ret_counts = cloner.counts;
  cloner_release (&cloner);
  return ret;
}

int clone_tree (int from_fd, int to_fd, const struct rules *rules, struct share *share,
                struct clone_counts *ret_counts, struct err *err)
{
  return clone_thin_tree (from_fd, -1, /* own= */ false, to_fd, rules, share, ret_counts, err);
}

static int open_partners (struct cloner *cloner, struct err *err)
{
  if (cloner->partners_fd >= 0)
    return cloner->partners_fd;
  fd_temp_name (cloner->partners_name);
  if (mkdirat (cloner->top_to, cloner->partners_name, 0700) < 0)
    return err_errno (err, "make a directory for hard links");
  cloner->partners_fd = fd_open_dir (cloner->top_to, cloner->partners_name);
  if (cloner->partners_fd < 0)
    return err_errno (err, "open the directory for hard links");
  return cloner->partners_fd;
}

static int place_copy (struct cloner *cloner, int from_dir, const struct dirread_entry *entry,
                       int to_dir, struct err *err)
{
  char partner[24];
  struct stat st;

  if (fstatat (from_dir, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", entry->name);
  if (S_ISCHR (st.st_mode) && st.st_rdev == 0)
    return err_code (err, EBUSY, "%s is a whiteout: the private layer was not folded", entry->name);
  if (refuse_forms (from_dir, entry->name, err) < 0)
    return -err->code;
  if (st.st_nlink < 2)
    return copy_inode (from_dir, entry->name, &st, -1, NULL, to_dir, entry->name, err);
  int partners_fd = open_partners (cloner, err);
  if (partners_fd < 0)
    return partners_fd;
  snprintf (partner, sizeof partner, "%" PRIu64, (uint64_t) st.st_ino);
  if (linkat (partners_fd, partner, to_dir, entry->name, 0) == 0)
    return 0;
  if (errno != ENOENT)
    return err_errno (err, "link %s", entry->name);
  if (copy_inode (from_dir, entry->name, &st, -1, NULL, to_dir, entry->name, err) < 0)
    return -err->code;
  if (linkat (to_dir, entry->name, partners_fd, partner, 0) < 0)
    return err_errno (err, "link %s", entry->name);
  return 0;
}

int clone_copy_tree (int from_fd, int to_fd, const struct rules *rules,
                     struct clone_counts *ret_counts, struct err *err)
{
  struct cloner cloner;

  cloner_init (&cloner, from_fd, to_fd, rules);
  cloner.place = place_copy;
  cloner.layer = true;
  int ret = run (&cloner, 1, err);
  if (ret == 0 && cloner.partners_fd >= 0)
    ret = fd_remove_tree (to_fd, cloner.partners_name, err);
  if (ret == 0 && cloner.partners_fd >= 0)
    ret = clone_directory_metadata (from_fd, to_fd, err);
  cleanup_close (&cloner.partners_fd);
  if (ret == 0)
    *ret_counts = cloner.counts;
  cloner_release (&cloner);
  return ret;
}
