/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pass has up to three walks: one that ends at the first file that is news, and on an unchanged
 * tree is all there is; one that reads which inodes the tree has (pass_load); and one that hashes
 * and links the news, a directory at a time in each thread. */
#include "unify.h"
#include "dirtimes.h"
#include "pass.h"
#include "tree/lower.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include "util/strbuf.h"

enum {
  LOOK_THREADS_MAX = 4,
  /* What is in memory is read best by as many as there are processors; a cold disk is fast with
   * many requests at once. */
  COLD_THREADS_MIN = 8,
  FOUND_NEWS = 1 << 20, /* no errno */
};

/* Something that can be shared, and is not? Empty files and the whiteouts of thin guests are never
 * shared, and ask for a stat. */
static bool is_news (int dir_fd, const struct dirread_entry *entry, const struct u64set *known)
{
  struct stat st;

  if (u64set_has (known, entry->ino) || entry->type == DT_SOCK)
    return false;
  return (entry->type != DT_REG && entry->type != DT_CHR) ||
         fstatat (dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || identity_can_share (&st);
}

/* A directory of a tree is looked at for something that the store does not know. */
static int look_dir (void *data, struct dirwalk_turn *turn, struct err *err)
{
  struct pass *pass = data;
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  bool has_news = false;
  int ret;

  if (interrupt_check (err) < 0)
    return -err->code;
  dirread_start (turn->fd, &dirread);
  while (!has_news && (ret = dirread_next (&dirread, &entry, err)) > 0) {
    const struct u64set *known = store_lock_inodes (pass->store, err);

    if (!known)
      return -err->code;
    do {
      if (entry.type == DT_DIR)
        dirwalk_enter (turn, entry.name, NULL);
      else
        has_news = has_news || is_news (turn->fd, &entry, known);
    } while (dirread_buffered (&dirread) && dirread_next (&dirread, &entry, err) > 0);
    store_unlock_inodes (pass->store);
  }
  if (has_news)
    return err_code (err, FOUND_NEWS, "news");
  return ret < 0 ? err_wrap (err, "/%s", turn->path) : 0;
}

/* Is there anything to do? */
static int look (struct pass *pass, struct err *err)
{
  struct dirwalk walk = {
      .top_fd = pass->tree_fd,
      .threads = dirwalk_processors (LOOK_THREADS_MAX),
      .visit = look_dir,
      .data = pass,
  };

  if (dirwalk_run (&walk, err) == 0)
    return 0;
  if (err->code != FOUND_NEWS)
    return -err->code;
  err_release (err);
  return 1;
}

/* The news of one directory: names, and what the policy says of them. */
struct news {
  struct dirread_entry entry; /* the name is at this offset of names until all are there */
  size_t name_at;
  unsigned verdict;
};

struct news_list {
  struct news *items; /* owned */
  size_t count;
  size_t size;
  struct strbuf names; /* owned */
};

static void news_list_release (struct news_list *list)
{
  cleanup_free (&list->items);
  strbuf_release (&list->names);
}
#define autonewslist __attribute__ ((cleanup (news_list_release)))

static void add_news (struct news_list *list, const struct dirread_entry *entry, unsigned verdict)
{
  if (list->count == list->size) {
    list->size = list->size ? list->size * 2 : 16;
    list->items = xreallocarray (list->items, list->size, sizeof *list->items);
  }
  list->items[list->count++] =
      (struct news){.entry = *entry, .name_at = list->names.len, .verdict = verdict};
  strbuf_add (&list->names, entry->name, strlen (entry->name) + 1);
}

/* What is shared already needs no more than its inode number. */
static int collect (struct pass *pass, struct dirwalk_turn *turn, struct news_list *list,
                    struct err *err)
{
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  int ret;

  dirread_start (turn->fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    const struct u64set *known = store_lock_inodes (pass->store, err);

    if (!known)
      return -err->code;
    do {
      autorulesstate struct rules_state state = {0};

      if (entry.type != DT_DIR && u64set_has (known, entry.ino))
        continue;
      rules_enter (&pass->policy->rules, turn->state, entry.name, &state);
      if (entry.type == DT_DIR)
        dirwalk_enter (turn, entry.name, &state);
      else
        add_news (list, &entry, state.verdict);
    } while (dirread_buffered (&dirread) && dirread_next (&dirread, &entry, err) > 0);
    store_unlock_inodes (pass->store);
  }
  return ret < 0 ? err_wrap (err, "/%s", turn->path) : 0;
}

/* A cold disk reads files best in the order of their inodes. */
static int compare_news (const void *a, const void *b)
{
  uint64_t x = ((const struct news *) a)->entry.ino, y = ((const struct news *) b)->entry.ino;

  return x < y ? -1 : x > y;
}

/* The walk over what is below a directory of the tree. */
struct work {
  struct pass *pass;
  const char *prefix; /* its path */
};

static int work_dir (void *data, struct dirwalk_turn *turn, struct err *err)
{
  struct work *work = data;
  struct pass *pass = work->pass;
  autonewslist struct news_list list = {.names = STRBUF_INIT (SIZE_MAX / 2)};
  autostrbuf struct strbuf path = STRBUF_INIT (1 << 26);
  struct stat before;

  /* Renaming over names while reading could show one twice: all names come first. */
  if (interrupt_check (err) < 0 || collect (pass, turn, &list, err) < 0)
    return -err->code;
  if (!list.count)
    return 0;
  strbuf_adds (&path, work->prefix);
  if (*turn->path)
    strbuf_push_name (&path, turn->path);
  for (size_t i = 0; i < list.count; i++)
    list.items[i].entry.name = strbuf_str (&list.names) + list.items[i].name_at;
  qsort (list.items, list.count, sizeof *list.items, compare_news);
  if (fstat (turn->fd, &before) < 0)
    return err_errno (err, "stat the directory /%s", strbuf_str (&path));
  for (size_t i = 0; i < list.count; i++)
    if (pass_file (pass, turn->thread, turn->fd, strbuf_str (&path), &list.items[i].entry,
                   list.items[i].verdict, err) < 0)
      return -err->code;
  if (!pass->dry_run && dirtimes_set (turn->fd, before.st_mtim, err) < 0)
    return err_wrap (err, "/%s", strbuf_str (&path));
  if (pass->hashers[turn->thread] && hasher_waits (pass->hashers[turn->thread]))
    dirwalk_want (turn, COLD_THREADS_MIN);
  if (turn->thread == 0) {
    pthread_mutex_lock (&pass->mutex);
    uint64_t files = pass->report->files;
    pthread_mutex_unlock (&pass->mutex);
    progress_show ("unify: files read", files, 0, "files");
  }
  return 0;
}

static int work_below (struct pass *pass, int fd, const char *prefix,
                       const struct rules_state *state, struct err *err)
{
  struct work work = {pass, prefix};
  struct dirwalk walk = {
      .top_fd = fd,
      .rules = &pass->policy->rules,
      .state = state,
      .threads = dirwalk_processors (DIRWALK_THREADS_MAX),
      .visit = work_dir,
      .data = &work,
  };

  return dirwalk_run (&walk, err);
}

static int unify_all (struct pass *pass, struct err *err)
{
  autorulesstate struct rules_state state = {0};
  int has_news = look (pass, err);

  if (has_news <= 0)
    return has_news;
  if (pass_load (pass, err) < 0)
    return -err->code;
  rules_start (&pass->policy->rules, FOLD_SHARED, &state);
  if (work_below (pass, pass->tree_fd, "", &state, err) < 0)
    return -err->code;
  pass->whole = true;
  return 0;
}

int unify_tree (struct store *store, const struct policy *policy, int tree_fd, int base_fd,
                int temp_fd, bool dry_run, struct unify_report *report, struct err *err)
{
  struct pass pass;

  pass_start (&pass, store, policy, tree_fd, base_fd, temp_fd, report);
  pass.dry_run = dry_run;
  return pass_end (&pass, unify_all (&pass, err), err);
}

/* @name, which the fold put into the directory @dir_path. */
static int unify_put (struct pass *pass, int dir_fd, const char *dir_path, const char *name,
                      struct err *err)
{
  autostrbuf struct strbuf path = STRBUF_INIT (1 << 26);
  autorulesstate struct rules_state parent = {0}, state = {0};
  struct dirread_entry entry = {.name = name};
  struct stat st;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat /%s/%s of the tree", dir_path, name);
  entry.ino = st.st_ino;
  entry.type = (unsigned char) IFTODT (st.st_mode);
  int known = entry.type == DT_DIR ? 0 : store_has_inode (pass->store, entry.ino, err);
  if (known)
    return known < 0 ? known : 0;
  rules_enter_path (&pass->policy->rules, FOLD_SHARED, dir_path, &parent);
  rules_enter (&pass->policy->rules, &parent, name, &state);
  if (entry.type != DT_DIR && !identity_can_share (&st))
    return 0;
  if (pass_load (pass, err) < 0)
    return -err->code;
  if (entry.type != DT_DIR)
    return pass_file (pass, 0, dir_fd, dir_path, &entry, state.verdict, err);
  autoclose int fd = fd_open_dir (dir_fd, name);
  if (fd < 0)
    return err_errno (err, "open the directory /%s/%s", dir_path, name);
  strbuf_adds (&path, dir_path);
  strbuf_push_name (&path, name);
  return work_below (pass, fd, strbuf_str (&path), &state, err);
}

static int visit_put (void *data, int dir_fd, const char *dir_path, const char *name,
                      struct err *err)
{
  return interrupt_check (err) < 0 ? -err->code : unify_put (data, dir_fd, dir_path, name, err);
}

int unify_folded (struct store *store, const struct policy *policy, int guest_fd,
                  struct unify_report *report, struct err *err)
{
  autoclose int temp_fd = -1;
  autoclose int txn_fd = fd_open_dir (guest_fd, "txn");
  autolower struct lower layers = LOWER_NONE;
  struct pass pass;

  if (lower_open (guest_fd, /* with_private= */ false, &layers, err) < 0)
    return -err->code;
  if (txn_fd < 0 || (temp_fd = fd_make_dir (txn_fd, "temp", 0700)) < 0)
    return err_errno (err, "open txn/temp");
  pass_start (&pass, store, policy, layers.tree, layers.base, temp_fd, report);
  return pass_end (&pass, fold_each_put (guest_fd, visit_put, &pass, err), err);
}
