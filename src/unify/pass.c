/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pass.h"
#include "dirtimes.h"
#include "groups.h"
#include "tree/lower.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/metaentry.h"
#include "util/progress.h"
#include "util/strbuf.h"

enum {
  LOAD_THREADS_MAX = 4,
  DESCRIPTORS = 512,        /* the store has up to 256, and each guest some */
  GROUP_DIRS_MAX = 1 << 20, /* bytes of paths; with more of them a walk finds the names */
};

struct pass_tick {
  struct pass *pass;
  size_t thread;
};

void pass_start (struct pass *pass, struct store *store, const struct policy *policy, int tree_fd,
                 int base_fd, int temp_fd, struct unify_report *report)
{
  *pass = (struct pass){
      .store = store,
      .policy = policy,
      .tree_fd = tree_fd,
      .base_fd = base_fd,
      .temp_fd = temp_fd,
      .report = report,
      .group_dirs = STRBUF_INIT (GROUP_DIRS_MAX),
      .ticks = xcalloc (DIRWALK_THREADS_MAX, sizeof *pass->ticks),
  };
  fd_make_room (DESCRIPTORS);
  pass->share = (struct share){.store = store, .inodes = &pass->inodes, .temp_fd = temp_fd};
  for (size_t i = 0; i < PASS_STRIPES; i++)
    pthread_mutex_init (&pass->stripes[i], NULL);
  pthread_mutex_init (&pass->mutex, NULL);
}

static void pass_release (struct pass *pass)
{
  for (size_t i = 0; i < DIRWALK_THREADS_MAX; i++)
    hasher_free (pass->hashers[i]);
  for (size_t i = 0; i < PASS_STRIPES; i++)
    pthread_mutex_destroy (&pass->stripes[i]);
  pthread_mutex_destroy (&pass->mutex);
  cleanup_free (&pass->ticks);
  u64set_release (&pass->inodes);
  u64set_release (&pass->of_base);
  u64set_release (&pass->groups);
  u64set_release (&pass->met);
  share_release (&pass->share);
  strbuf_release (&pass->group_dirs);
}

/* The names of hard-link groups that are left, and the times of directories. */
static int finish (struct pass *pass, struct err *err)
{
  bool known = pass->whole && !pass->left && !pass->group_dirs.failed;

  if (pass->groups.count &&
      (known ? groups_finish_in (pass->tree_fd, pass->temp_fd, &pass->group_dirs, err)
             : groups_finish (pass->tree_fd, pass->temp_fd, err)) < 0)
    return -err->code;
  return pass->whole ? dirtimes_drop (pass->temp_fd, err)
                     : dirtimes_restore (pass->tree_fd, pass->temp_fd, err);
}

int pass_end (struct pass *pass, int ret, struct err *err)
{
  autoerr struct err end_err = {0};

  if (pass->loaded && !pass->dry_run && finish (pass, &end_err) < 0 && ret == 0)
    ret = err_code (err, end_err.code, "%s", err_text (&end_err));
  pass_release (pass);
  return ret;
}

/* The walk of pass_load. */
struct load {
  struct pass *pass;
  struct dirtimes times; /* under the pass's mutex, as the pass's inodes */
};

/* The entries of a directory that are in memory, from @entry on. Returns true when one of them is
 * none of the store's. */
static bool load_entries (struct load *load, struct dirwalk_turn *turn, struct dirread *dirread,
                          struct dirread_entry *entry, const struct u64set *known)
{
  struct pass *pass = load->pass;
  struct err err = {0};
  bool has_news = false;

  pthread_mutex_lock (&pass->mutex);
  do {
    if (entry->type == DT_DIR) {
      dirwalk_enter (turn, entry->name, NULL);
      continue;
    }
    has_news |= !u64set_has (known, entry->ino);
    u64set_add (&pass->inodes, entry->ino);
  } while (dirread_buffered (dirread) && dirread_next (dirread, entry, &err) > 0);
  pthread_mutex_unlock (&pass->mutex);
  return has_news;
}

static int load_dir (void *data, struct dirwalk_turn *turn, struct err *err)
{
  struct load *load = data;
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  bool has_news = false;
  int ret;

  dirread_start (turn->fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    const struct u64set *known = store_lock_inodes (load->pass->store, err);

    if (!known)
      return -err->code;
    has_news |= load_entries (load, turn, &dirread, &entry, known);
    store_unlock_inodes (load->pass->store);
  }
  if (ret < 0)
    return err_wrap (err, "/%s", turn->path);
  if (!has_news)
    return 0;
  pthread_mutex_lock (&load->pass->mutex);
  ret = dirtimes_note (&load->times, turn->fd, turn->path, err);
  pthread_mutex_unlock (&load->pass->mutex);
  return ret;
}

/* The same of the base, where the tree does not hide it. */
static int load_base (struct pass *pass, const struct lower *lower, struct err *err)
{
  autolowerlists struct lower_lists lists = {0};

  if (lower_read (lower, &lists, err) < 0)
    return -err->code;
  const struct dirlist *const both[] = {&lists.tree, &lists.base};
  for (size_t i = 0; i < 2; i++)
    for (size_t k = 0; k < both[i]->count; k++) {
      const struct dirread_entry *entry = &both[i]->items[k];
      autolower struct lower child = LOWER_NONE;

      if (entry->type != DT_DIR) {
        if (i == 0)
          continue;
        u64set_add (&pass->inodes, entry->ino);
        u64set_add (&pass->of_base, entry->ino);
        continue;
      }
      if (lower_child (lower, entry->name, &child, err) < 0)
        return -err->code;
      if (child.base >= 0 && load_base (pass, &child, err) < 0)
        return err_wrap (err, "%s", entry->name);
    }
  return 0;
}

int pass_load (struct pass *pass, struct err *err)
{
  struct load load = {.pass = pass};
  struct dirwalk walk = {
      .top_fd = pass->tree_fd,
      .threads = dirwalk_processors (LOAD_THREADS_MAX),
      .visit = load_dir,
      .data = &load,
  };

  if (pass->loaded)
    return 0;
  dirtimes_start (&load.times);
  const struct lower whole = {.priv = -1, .tree = pass->tree_fd, .base = pass->base_fd};
  int ret = dirwalk_run (&walk, err);
  if (ret == 0 && pass->base_fd >= 0)
    ret = load_base (pass, &whole, err);
  if (ret == 0 && !pass->dry_run)
    ret = dirtimes_write (&load.times, pass->temp_fd, err);
  dirtimes_release (&load.times);
  pass->loaded = ret == 0;
  return ret;
}

/* Between the pieces of a big file. */
static int tick (void *data, size_t bytes, struct err *err)
{
  struct pass_tick *own = data;
  struct pass *pass = own->pass;

  pthread_mutex_lock (&pass->mutex);
  pass->reading += bytes;
  uint64_t done = pass->report->bytes + pass->reading;
  pthread_mutex_unlock (&pass->mutex);
  if (own->thread == 0)
    progress_show ("unify: read", done >> 20, 0, "MiB");
  return interrupt_check (err);
}

static struct hasher *own_hasher (struct pass *pass, size_t thread)
{
  if (!pass->hashers[thread]) {
    pass->ticks[thread] = (struct pass_tick){pass, thread};
    pass->hashers[thread] = hasher_new ();
    hasher_on_read (pass->hashers[thread], tick, &pass->ticks[thread]);
  }
  return pass->hashers[thread];
}

/* A file of the pass. */
struct subject {
  size_t thread;
  int dir_fd;
  const char *dir_path;
  const char *name;
  int fd; /* owned; -1 when it is no regular file */
  unsigned flags;
  struct stat st;
};

/* What a file that has its identity would do; for -n. */
static int pretend (struct pass *pass, const struct stat *st, const struct digest *id,
                    struct err *err)
{
  int has = store_has (pass->store, id, err);

  if (has < 0)
    return has;
  pthread_mutex_lock (&pass->mutex);
  if (has) {
    pass->report->linked++;
    pass->report->linked_bytes += st->st_nlink == 1 ? (uint64_t) st->st_blocks * 512 : 0;
  } else {
    pass->report->published++;
  }
  pthread_mutex_unlock (&pass->mutex);
  return 0;
}

static int identify (struct pass *pass, const struct subject *subject, struct digest *ret_id,
                     struct err *err)
{
  struct hasher *hasher = own_hasher (pass, subject->thread);

  if (subject->fd < 0)
    return identity_of (hasher, subject->dir_fd, subject->name, subject->flags, ret_id, NULL, err);
  if (identity_of_open (hasher, subject->fd, &subject->st, subject->flags, ret_id, err) < 0)
    return -err->code;
  pthread_mutex_lock (&pass->mutex);
  pass->report->bytes += (uint64_t) subject->st.st_size;
  pass->reading -= pass->reading < (uint64_t) subject->st.st_size ? pass->reading
                                                                  : (uint64_t) subject->st.st_size;
  pthread_mutex_unlock (&pass->mutex);
  return 0;
}

static int share_file (struct pass *pass, const struct subject *subject, struct err *err)
{
  enum share_outcome outcome = SHARE_ALREADY;
  const struct stat *st = &subject->st;
  char link[GROUP_NAME_SIZE];
  uint64_t ino = 0;
  struct digest id;

  /* Its hard-link partners are in the base, where no name is ever replaced. */
  if (u64set_has (&pass->of_base, st->st_ino))
    return 0;
  if (identify (pass, subject, &id, err) < 0)
    return -err->code;
  if (pass->dry_run)
    return pretend (pass, st, &id, err);
  /* The names of a hard-link group must go to one inode together, also when we are killed in
   * between: the link that store_share keeps says where. */
  if (st->st_nlink > 1 && group_name (pass->temp_fd, st->st_ino, link, err) < 0)
    return -err->code;
  struct share_file file = {
      .dir_fd = subject->dir_fd,
      .name = subject->name,
      .st = st,
      .id = &id,
      .flags = subject->flags,
      .keep_link = st->st_nlink > 1 ? link : NULL,
  };
  if (store_share (&pass->share, &file, &outcome, &ino, err) < 0)
    return -err->code;
  pthread_mutex_lock (&pass->mutex);
  pass->report->published += outcome == SHARE_PUBLISHED;
  pass->report->linked += outcome == SHARE_LINKED;
  if (outcome == SHARE_LINKED && st->st_nlink == 1)
    pass->report->linked_bytes += (uint64_t) st->st_blocks * 512;
  else if (outcome == SHARE_LINKED)
    u64set_add (&pass->groups, st->st_ino);
  pthread_mutex_unlock (&pass->mutex);
  return 0;
}

/* A name of a hard-link group; one of them at a time. */
static int share_group (struct pass *pass, const struct subject *subject, struct err *err)
{
  uint64_t ino = subject->st.st_ino;

  /* Another name of it was published in the meantime, or moved: then this one follows at the end of
   * the pass. */
  int known = store_has_inode (pass->store, ino, err);
  if (known)
    return known < 0 ? known : 0;
  pthread_mutex_lock (&pass->mutex);
  u64set_add (&pass->met, ino);
  pass->report->files++;
  bool moved = u64set_has (&pass->groups, ino);
  pass->report->linked += moved;
  if (moved)
    strbuf_add (&pass->group_dirs, subject->dir_path, strlen (subject->dir_path) + 1);
  pthread_mutex_unlock (&pass->mutex);
  return moved ? 0 : share_file (pass, subject, err);
}

/* One whose partners were moved has a single link left, and is noted since before the first was. */
static bool is_of_group (struct pass *pass, const struct stat *st)
{
  if (st->st_nlink > 1)
    return true;
  pthread_mutex_lock (&pass->mutex);
  bool met = u64set_has (&pass->met, st->st_ino);
  pthread_mutex_unlock (&pass->mutex);
  return met;
}

static int unify_subject (struct pass *pass, const struct subject *subject, struct err *err)
{
  if (!identity_can_share (&subject->st))
    return 0;
  if (is_of_group (pass, &subject->st)) {
    pthread_mutex_t *stripe = &pass->stripes[subject->st.st_ino % PASS_STRIPES];

    pthread_mutex_lock (stripe);
    int ret = share_group (pass, subject, err);
    pthread_mutex_unlock (stripe);
    return ret;
  }
  pthread_mutex_lock (&pass->mutex);
  pass->report->files++;
  pthread_mutex_unlock (&pass->mutex);
  return share_file (pass, subject, err);
}

static int open_subject (struct subject *subject, unsigned char type, struct err *err)
{
  if (type != DT_REG) {
    if (fstatat (subject->dir_fd, subject->name, &subject->st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat it");
    return 0;
  }
  subject->fd = fd_open (subject->dir_fd, subject->name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
  if (subject->fd < 0)
    return err_errno (err, "open it to hash it");
  if (fstat (subject->fd, &subject->st) < 0)
    return err_errno (err, "stat it");
  if (!S_ISREG (subject->st.st_mode))
    return err_code (err, ESTALE, "it is not the file any more that it was");
  /* It was an object, and becomes one again of that kind. */
  int is_entry = metaentry_read (subject->fd, -1, NULL, &subject->st, NULL);
  if (is_entry < 0)
    return err_errno (err, "read its attributes");
  if (is_entry)
    subject->flags = IDENTITY_ENTRY;
  return 0;
}

/* Counts the failure of one file, by its path; the pass goes on. */
static void fail_file (struct pass *pass, const char *dir_path, const char *name, struct err *err)
{
  err_wrap (err, "/%s%s%s", dir_path, *dir_path ? "/" : "", name);
  pthread_mutex_lock (&pass->mutex);
  unify_report_fail (pass->report, err);
  pass->left = true;
  pthread_mutex_unlock (&pass->mutex);
}

int pass_file (struct pass *pass, size_t thread, int dir_fd, const char *dir_path,
               const struct dirread_entry *entry, unsigned verdict, struct err *err)
{
  struct subject subject = {
      .thread = thread,
      .dir_fd = dir_fd,
      .dir_path = dir_path,
      .name = entry->name,
      .fd = -1,
  };
  int ret = open_subject (&subject, entry->type, err);

  /* Conditions of rules are asked here, where there is a stat. */
  if (ret == 0 && rules_settle (&pass->policy->rules, verdict, &subject.st) & FOLD_ANY_MTIME)
    subject.flags |= IDENTITY_ANY_MTIME;
  if (ret == 0)
    ret = unify_subject (pass, &subject, err);
  cleanup_close (&subject.fd);
  if (ret < 0 && err->code != ERR_INTERRUPTED && err->code != ETIMEDOUT) {
    fail_file (pass, dir_path, entry->name, err);
    return 0;
  }
  return ret;
}
