/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Carrying out the journal. Every step looks at what is there first, as it may have been done by an
 * earlier try: a name that is on the planned inode is put already, a missing one is removed. */
#include "fold.h"
#include "journal.h"
#include "layer.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/xattr.h"
#include <sys/xattr.h>
#include <inttypes.h>
#include <linux/fs.h>

struct apply {
  int txn_fd;   /* borrowed */
  int stage_fd; /* owned */
  int roots[3]; /* owned: tree, private, upper */
  int dirs[3];  /* owned: the current directory in each; -1 until used */
  char *path;   /* owned: the current directory */
};

enum { TREE, PRIVATE, UPPER };

static int layer_index (char layer)
{
  return layer == 't' ? TREE : layer == 'p' ? PRIVATE : UPPER;
}

static void leave_dir (struct apply *apply)
{
  for (int i = 0; i < 3; i++) {
    if (apply->dirs[i] >= 0)
      close (apply->dirs[i]);
    apply->dirs[i] = -1;
  }
}

static void apply_release (struct apply *apply)
{
  leave_dir (apply);
  for (int i = 0; i < 3; i++)
    if (apply->roots[i] >= 0)
      close (apply->roots[i]);
  if (apply->stage_fd >= 0)
    close (apply->stage_fd);
  free (apply->path);
}

/* The current directory in a layer. Returns the fd, -ENOENT when the layer does not have it, or
 * another negative number with @err set. */
static int current_dir (struct apply *apply, int layer, struct err *err)
{
  if (apply->dirs[layer] >= 0)
    return apply->dirs[layer];
  apply->dirs[layer] = fd_open_dir_beneath (apply->roots[layer], apply->path ? apply->path : "");
  if (apply->dirs[layer] < 0)
    return errno == ENOENT ? -ENOENT : err_errno (err, "open the directory /%s", apply->path);
  return apply->dirs[layer];
}

static int put (struct apply *apply, const struct journal_step *step, struct err *err)
{
  char stage[24];
  struct stat st;
  int dir = current_dir (apply, layer_index (step->layer), err);

  if (dir == -ENOENT)
    return err_code (err, EUCLEAN, "the directory /%s is missing", apply->path);
  if (dir < 0)
    return dir;
  snprintf (stage, sizeof stage, "%" PRIu64, step->number);
  if (fstatat (dir, step->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    if (st.st_ino == step->ino)
      return 0;
    /* One call changes what the name stands for, whatever the types are: there is no moment
     * without the name, and the old file waits in txn/fold for the sweep. */
    if (fd_rename (apply->stage_fd, stage, dir, step->name, RENAME_EXCHANGE) < 0)
      return err_errno (err, "exchange txn/fold/%s with /%s/%s", stage, apply->path, step->name);
    return 0;
  }
  if (errno != ENOENT)
    return err_errno (err, "stat /%s/%s", apply->path, step->name);
  if (fd_rename (apply->stage_fd, stage, dir, step->name, RENAME_NOREPLACE) < 0)
    return err_errno (err, "rename txn/fold/%s to /%s/%s", stage, apply->path, step->name);
  return 0;
}

static int take_away (struct apply *apply, const struct journal_step *step, struct err *err)
{
  char temp[FD_TEMP_NAME_SIZE];
  int dir = current_dir (apply, layer_index (step->layer), err);

  if (dir == -ENOENT)
    return 0;
  if (dir < 0)
    return dir;
  fd_temp_name (temp);
  if (fd_rename (dir, step->name, apply->stage_fd, temp, RENAME_NOREPLACE) < 0 && errno != ENOENT)
    return err_errno (err, "remove /%s/%s", apply->path, step->name);
  return 0;
}

static int set_metadata (struct apply *apply, const struct journal_step *step, struct err *err)
{
  int layer = layer_index (step->layer);
  int dir = current_dir (apply, layer, err);
  struct stat st;

  if (dir == -ENOENT && layer == UPPER)
    return 0;
  if (dir < 0)
    return dir == -ENOENT ? err_code (err, EUCLEAN, "the directory /%s is missing", apply->path)
                          : dir;
  if (layer != UPPER) {
    autoxattrs struct xattrs xattrs = {0};
    int upper = current_dir (apply, UPPER, err);

    /* In place, the upper's directory may be gone: then this step was done before. */
    if (upper < 0 && upper != -ENOENT)
      return upper;
    if (upper >= 0 && (xattrs_read (upper, -1, NULL, /* with_overlay= */ false, &xattrs, err) < 0 ||
                       xattrs_apply (dir, -1, NULL, &xattrs, err) < 0))
      return err_wrap (err, "/%s", apply->path);
    if (upper >= 0 && layer == PRIVATE &&
        layer_copy_protattr (upper, -1, NULL, dir, -1, NULL, err) < 0)
      return err_wrap (err, "/%s", apply->path);
  }
  if (fstat (dir, &st) < 0)
    return err_errno (err, "stat /%s", apply->path);
  if ((st.st_uid != step->uid || st.st_gid != step->gid) && fchown (dir, step->uid, step->gid) < 0)
    return err_errno (err, "set the owner of /%s", apply->path);
  if (fchmod (dir, step->mode) < 0)
    return err_errno (err, "set the mode of /%s", apply->path);
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, step->mtime};
  if (futimens (dir, times) < 0)
    return err_errno (err, "set the times of /%s", apply->path);
  return 0;
}

static int clear_marks (struct apply *apply, struct err *err)
{
  int dir = current_dir (apply, UPPER, err);

  if (dir < 0)
    return dir == -ENOENT ? 0 : dir;
  return layer_strip (dir, -1, NULL, /* keep_flags= */ true, err) < 0
             ? err_wrap (err, "/%s", apply->path)
             : 0;
}

static int unlink_upper (struct apply *apply, const struct journal_step *step, struct err *err)
{
  int dir = current_dir (apply, UPPER, err);

  if (dir == -ENOENT)
    return 0;
  if (dir < 0)
    return dir;
  if (unlinkat (dir, step->name, 0) == 0 || errno == ENOENT)
    return 0;
  if (errno != EISDIR || unlinkat (dir, step->name, AT_REMOVEDIR) < 0)
    return err_errno (err, "remove /%s/%s from the upper layer", apply->path, step->name);
  return 0;
}

static int apply_step (void *data, const struct journal_step *step, struct err *err)
{
  struct apply *apply = data;

  switch (step->op) {
  case 'D':
    leave_dir (apply);
    free (apply->path);
    apply->path = xstrdup (strcmp (step->name, ".") == 0 ? "" : step->name);
    return 0;
  case 'P':
    return put (apply, step, err);
  case 'R':
    return take_away (apply, step, err);
  case 'M':
    return set_metadata (apply, step, err);
  case 'X':
    return clear_marks (apply, err);
  default:
    return unlink_upper (apply, step, err);
  }
}

static int check_step (void *data, const struct journal_step *step, struct err *err)
{
  (void) data;
  (void) step;
  (void) err;
  return 0;
}

static int apply_journal (struct apply *apply, int guest_fd, struct err *err)
{
  bool commit = false;

  /* Whole before the first step: a journal without its end is not carried out at all. */
  if (journal_read (apply->txn_fd, JOURNAL_NAME, &commit, check_step, NULL, err) < 0)
    return -err->code;
  apply->stage_fd = fd_open_dir (apply->txn_fd, "fold");
  apply->roots[TREE] = fd_open_dir (guest_fd, "tree");
  apply->roots[PRIVATE] = fd_open_dir (guest_fd, "private");
  apply->roots[UPPER] =
      commit ? fd_open_dir (apply->txn_fd, "upper") : fd_open_dir (guest_fd, "private");
  if (apply->stage_fd < 0 || apply->roots[TREE] < 0 || apply->roots[PRIVATE] < 0 ||
      apply->roots[UPPER] < 0)
    return err_errno (err, "open the layers of the guest");
  return journal_read (apply->txn_fd, JOURNAL_NAME, NULL, apply_step, apply, err);
}

/* Returns 1, 0 or negative. */
static int has_journal (int txn_fd, const char *name, struct err *err)
{
  if (faccessat (txn_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return 1;
  return errno == ENOENT ? 0 : err_errno (err, "look for txn/%s", name);
}

int fold_apply (int guest_fd, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (guest_fd, "txn");
  struct apply apply = {
      .txn_fd = txn_fd,
      .stage_fd = -1,
      .roots = {-1, -1, -1},
      .dirs = {-1, -1, -1},
  };

  if (txn_fd < 0)
    return err_errno (err, "open the directory txn");
  int todo = has_journal (txn_fd, JOURNAL_NAME, err);
  if (todo < 0)
    return todo;
  if (todo) {
    int ret = apply_journal (&apply, guest_fd, err);
    apply_release (&apply);
    if (ret < 0)
      return ret;
    /* From here on the tree's names may change again (unify), so the steps must not be repeated:
     * that is said by the journal's new name, once they are durable. */
    if (fd_sync_fs (txn_fd, err) < 0)
      return -err->code;
    if (renameat (txn_fd, JOURNAL_NAME, txn_fd, JOURNAL_APPLIED) < 0 || fsync (txn_fd) < 0)
      return err_errno (err, "rename txn/" JOURNAL_NAME " to " JOURNAL_APPLIED);
  }
  return fold_clear (guest_fd, err);
}

int fold_pending (int guest_fd, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (guest_fd, "txn");

  if (txn_fd < 0)
    return err_errno (err, "open the directory txn");
  int found = has_journal (txn_fd, JOURNAL_NAME, err);
  return found ? found : has_journal (txn_fd, JOURNAL_APPLIED, err);
}

int fold_clear (int guest_fd, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (guest_fd, "txn");
  autodirlist struct dirlist list = {0};

  if (txn_fd < 0)
    return err_errno (err, "open the directory txn");
  int journal = has_journal (txn_fd, JOURNAL_NAME, err);
  if (journal < 0)
    return journal;
  if (journal)
    return err_code (err, EBUSY, "txn/ has a journal that is still to be carried out");
  if (dirread_all (txn_fd, &list, err) < 0)
    return err_wrap (err, "txn");
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;

    if (strcmp (name, JOURNAL_NAME) != 0 && strcmp (name, JOURNAL_APPLIED) != 0 &&
        fd_remove_tree (txn_fd, name, err) < 0)
      return err_wrap (err, "txn");
  }
  return 0;
}

int fold_finish (int guest_fd, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (guest_fd, "txn");

  if (txn_fd < 0)
    return err_errno (err, "open the directory txn");
  if (unlinkat (txn_fd, JOURNAL_APPLIED, 0) < 0)
    return err_errno (err, "remove txn/" JOURNAL_APPLIED);
  if (fsync (txn_fd) < 0)
    return err_errno (err, "sync the directory txn");
  return fold_clear (guest_fd, err);
}

struct puts_walk {
  int tree_fd;
  int dir_fd; /* owned */
  char *path; /* owned */
  int (*visit) (void *data, int dir_fd, const char *dir_path, const char *name, struct err *err);
  void *data;
};

static int visit_put (void *data, const struct journal_step *step, struct err *err)
{
  struct puts_walk *walk = data;

  if (step->op == 'D') {
    if (walk->dir_fd >= 0)
      close (walk->dir_fd);
    walk->dir_fd = -1;
    free (walk->path);
    walk->path = xstrdup (strcmp (step->name, ".") == 0 ? "" : step->name);
  }
  if (step->op != 'P' || step->layer != 't')
    return 0;
  if (walk->dir_fd < 0) {
    walk->dir_fd = fd_open_dir_beneath (walk->tree_fd, walk->path ? walk->path : "");
    if (walk->dir_fd < 0)
      return err_errno (err, "open the directory /%s of the tree", walk->path);
  }
  return walk->visit (walk->data, walk->dir_fd, walk->path ? walk->path : "", step->name, err);
}

int fold_each_put (int guest_fd,
                   int (*visit) (void *data, int dir_fd, const char *dir_path, const char *name,
                                 struct err *err),
                   void *data, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (guest_fd, "txn");
  autoclose int tree_fd = fd_open_dir (guest_fd, "tree");
  struct puts_walk walk = {.tree_fd = tree_fd, .dir_fd = -1, .visit = visit, .data = data};

  if (txn_fd < 0 || tree_fd < 0)
    return err_errno (err, "open txn and tree");
  int ret = journal_read (txn_fd, JOURNAL_APPLIED, NULL, visit_put, &walk, err);
  if (walk.dir_fd >= 0)
    close (walk.dir_fd);
  free (walk.path);
  return ret;
}
