/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unify.h"
#include "dirtimes.h"
#include "groups.h"
#include "tree/lower.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include "util/strbuf.h"
#include <inttypes.h>

struct pass {
  struct store *store;         /* borrowed */
  const struct policy *policy; /* borrowed */
  int tree_fd;                 /* borrowed */
  int base_fd;                 /* borrowed; -1: the tree is whole */
  int temp_fd;                 /* borrowed */
  bool dry_run;
  struct unify_report *report; /* borrowed */
  struct share share;          /* owned */
  struct u64table inodes;      /* owned: of the tree, with what of its base is seen; filled before
                                  the first file is shared */
  struct u64table of_base;     /* owned: those of the base alone */
  bool loaded;
  struct u64table groups; /* owned: old inode of a hard-link group -> 1: temp_fd has a link */
};

static void pass_release (struct pass *pass)
{
  u64table_release (&pass->inodes);
  u64table_release (&pass->of_base);
  u64table_release (&pass->groups);
  share_release (&pass->share);
}

/* Reads the tree once, before the first name of it is replaced: its inodes, for the choice of
 * slots, and the times of the directories that will change, which are put back by dirtimes_restore.
 */
static int load_dir (struct pass *pass, int fd, struct strbuf *path, struct dirtimes *times,
                     struct err *err)
{
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  bool has_news = false;
  int ret;

  dirread_start (fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    if (entry.type != DT_DIR) {
      int known = store_has_inode (pass->store, entry.ino, err);

      if (known < 0)
        return known;
      has_news |= !known;
      u64table_put (&pass->inodes, entry.ino, NULL);
      continue;
    }
    autoclose int child = fd_open_dir (fd, entry.name);
    if (child < 0)
      return err_errno (err, "open the directory %s", entry.name);
    size_t before = strbuf_push_name (path, entry.name);
    int child_ret = load_dir (pass, child, path, times, err);
    strbuf_truncate (path, before);
    if (child_ret < 0)
      return err_wrap (err, "%s", entry.name);
  }
  return ret < 0 || !has_news ? ret : dirtimes_note (times, fd, strbuf_str (path), err);
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
        u64table_put (&pass->inodes, entry->ino, NULL);
        u64table_put (&pass->of_base, entry->ino, NULL);
        continue;
      }
      if (lower_child (lower, entry->name, &child, err) < 0)
        return -err->code;
      if (child.base >= 0 && load_base (pass, &child, err) < 0)
        return err_wrap (err, "%s", entry->name);
    }
  return 0;
}

static int load_tree (struct pass *pass, struct err *err)
{
  if (pass->loaded)
    return 0;
  autostrbuf struct strbuf path = STRBUF_INIT (1 << 26);
  autodirtimes struct dirtimes times;
  dirtimes_start (&times);
  const struct lower whole = {.priv = -1, .tree = pass->tree_fd, .base = pass->base_fd};
  if (load_dir (pass, pass->tree_fd, &path, &times, err) < 0 ||
      (pass->base_fd >= 0 && load_base (pass, &whole, err) < 0))
    return -err->code;
  if (!pass->dry_run && dirtimes_write (&times, pass->temp_fd, err) < 0)
    return -err->code;
  pass->loaded = true;
  return 0;
}

/* What a file that has its identity would do; for -n. */
static int pretend (struct pass *pass, const struct stat *st, const struct digest *id,
                    struct err *err)
{
  int has = store_has (pass->store, id, err);

  if (has < 0)
    return has;
  if (has) {
    pass->report->linked++;
    pass->report->linked_bytes += st->st_nlink == 1 ? (uint64_t) st->st_blocks * 512 : 0;
  } else {
    pass->report->published++;
  }
  return 0;
}

static int share_file (struct pass *pass, int dir_fd, const char *name, unsigned verdict,
                       const struct stat *st, struct err *err)
{
  unsigned flags = verdict & FOLD_ANY_MTIME ? IDENTITY_ANY_MTIME : 0;
  enum share_outcome outcome = SHARE_ALREADY;
  struct unify_report *report = pass->report;
  uint64_t ino = 0;
  struct digest id;

  char link[GROUP_NAME_SIZE];

  if (load_tree (pass, err) < 0)
    return -err->code;
  /* Its hard-link partners are in the base, where no name is ever replaced. */
  if (u64table_has (&pass->of_base, st->st_ino))
    return 0;
  if (identity_of (pass->store->hasher, dir_fd, name, flags, &id, NULL, err) < 0)
    return -err->code;
  if (S_ISREG (st->st_mode))
    report->bytes += (uint64_t) st->st_size;
  if (pass->dry_run)
    return pretend (pass, st, &id, err);
  /* The names of a hard-link group must go to one inode together, also when we are killed in
   * between: the link that store_share keeps says where. */
  if (st->st_nlink > 1 && group_name (pass->temp_fd, st->st_ino, link, err) < 0)
    return -err->code;
  pass->share.keep_link = st->st_nlink > 1 ? link : NULL;
  int ret = store_share (&pass->share, dir_fd, name, &id, flags, /* trusted= */ false, &outcome,
                         &ino, err);
  pass->share.keep_link = NULL;
  if (ret < 0)
    return ret;
  if (outcome == SHARE_PUBLISHED)
    report->published++;
  if (outcome != SHARE_LINKED)
    return 0;
  report->linked++;
  if (st->st_nlink == 1)
    report->linked_bytes += (uint64_t) st->st_blocks * 512;
  else
    *u64table_put (&pass->groups, st->st_ino, NULL) = 1;
  return 0;
}

/* One name of the tree that is not a directory. */
static int unify_file (struct pass *pass, int dir_fd, const char *name, uint64_t ino,
                       unsigned verdict, struct err *err)
{
  struct stat st;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  if (!identity_can_share (&st))
    return 0;
  pass->report->files++;
  /* The other names of a group follow its first one at the end of the pass. */
  if (u64table_has (&pass->groups, ino)) {
    pass->report->linked++;
    return 0;
  }
  return share_file (pass, dir_fd, name, verdict, &st, err);
}

/* Counts the failure of one file, by its path; the pass goes on. */
static void fail_file (struct pass *pass, const struct strbuf *path, const char *name,
                       struct err *err)
{
  err_wrap (err, "/%s%s%s", strbuf_str (path), path->len ? "/" : "", name);
  unify_report_fail (pass->report, err);
}

static int unify_dir (struct pass *pass, int fd, const struct rules_state *state,
                      struct strbuf *path, struct err *err);

static int unify_entry (struct pass *pass, int dir_fd, const struct dirread_entry *entry,
                        const struct rules_state *state, struct strbuf *path, struct err *err)
{
  autorulesstate struct rules_state child = {0};

  /* What is shared already needs no more than its inode number. */
  if (entry->type != DT_DIR) {
    int known = store_has_inode (pass->store, entry->ino, err);

    if (known != 0)
      return known < 0 ? known : 0;
  }
  rules_enter (&pass->policy->rules, state, entry->name, &child);
  if (entry->type != DT_DIR) {
    if (unify_file (pass, dir_fd, entry->name, entry->ino, child.verdict, err) < 0)
      fail_file (pass, path, entry->name, err);
    return 0;
  }
  autoclose int fd = fd_open_dir (dir_fd, entry->name);
  if (fd < 0)
    return err_errno (err, "open the directory %s", entry->name);
  size_t before = strbuf_push_name (path, entry->name);
  int ret = unify_dir (pass, fd, &child, path, err);
  strbuf_truncate (path, before);
  return ret;
}

static int unify_dir (struct pass *pass, int fd, const struct rules_state *state,
                      struct strbuf *path, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (interrupt_check (err) < 0)
    return -err->code;
  /* Renaming over names while reading could show one twice: the directory is read as a whole. */
  if (dirread_all (fd, &list, err) < 0)
    return err_wrap (err, "/%s", strbuf_str (path));
  for (size_t i = 0; i < list.count; i++)
    if (unify_entry (pass, fd, &list.items[i], state, path, err) < 0)
      return -err->code;
  progress_show ("unify: files read", pass->report->files, 0, "files");
  return 0;
}

static void pass_start (struct pass *pass, struct store *store, const struct policy *policy,
                        int tree_fd, int base_fd, int temp_fd, struct unify_report *report)
{
  *pass = (struct pass){
      .store = store,
      .policy = policy,
      .tree_fd = tree_fd,
      .base_fd = base_fd,
      .temp_fd = temp_fd,
      .report = report,
  };
  pass->share = (struct share){.store = store, .inodes = &pass->inodes, .temp_fd = temp_fd};
}

/* What the pass leaves is put right also when it failed with @ret. */
static int pass_end (struct pass *pass, int ret, struct err *err)
{
  autoerr struct err end_err = {0};

  if (pass->loaded && !pass->dry_run &&
      ((pass->groups.count && groups_finish (pass->tree_fd, pass->temp_fd, &end_err) < 0) ||
       dirtimes_restore (pass->tree_fd, pass->temp_fd, &end_err) < 0) &&
      ret == 0)
    ret = err_code (err, end_err.code, "%s", err_text (&end_err));
  pass_release (pass);
  return ret;
}

int unify_tree (struct store *store, const struct policy *policy, int tree_fd, int base_fd,
                int temp_fd, bool dry_run, struct unify_report *report, struct err *err)
{
  autostrbuf struct strbuf path = STRBUF_INIT (1 << 26);
  autorulesstate struct rules_state state = {0};
  struct pass pass;

  pass_start (&pass, store, policy, tree_fd, base_fd, temp_fd, report);
  pass.dry_run = dry_run;
  rules_start (&policy->rules, FOLD_SHARED, &state);
  return pass_end (&pass, unify_dir (&pass, tree_fd, &state, &path, err), err);
}

static int visit_put (void *data, int dir_fd, const char *dir_path, const char *name,
                      struct err *err)
{
  struct pass *pass = data;
  autostrbuf struct strbuf path = STRBUF_INIT (1 << 26);
  autorulesstate struct rules_state state = {0};
  struct dirread_entry entry = {.name = name};
  struct stat st;

  strbuf_adds (&path, dir_path);
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat /%s/%s of the tree", dir_path, name);
  entry.ino = st.st_ino;
  entry.type = (unsigned char) IFTODT (st.st_mode);
  rules_enter_path (&pass->policy->rules, FOLD_SHARED, dir_path, &state);
  return unify_entry (pass, dir_fd, &entry, &state, &path, err);
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
