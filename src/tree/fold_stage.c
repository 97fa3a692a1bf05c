/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preparing inodes and directories in txn/fold/ for the steps of the journal. */
#include "fold_plan.h"
#include "clone.h"
#include "util/copy.h"
#include "util/fd.h"
#include <inttypes.h>

/* No file system that vguest runs on stops before. */
enum { WHITEOUT_LINKS_MAX = 30000 };

static void stage_name (uint64_t number, char *name, size_t size)
{
  snprintf (name, size, "%" PRIu64, number);
}

/* The whole copy of a metacopy file: metadata of U's, data of the file below. Its other names in U
 * get links to the same copy. */
static int copy_metacopy (struct plan *plan, struct level *level, const char *name,
                          const struct layer_entry *entry, struct source *source, struct err *err)
{
  uint64_t *number = u64table_put (&plan->copies, entry->st.st_ino, NULL);
  autolower struct lower found = LOWER_NONE;
  const struct lower *below = &level->lower;
  const char *data = name;
  char stage[24];
  struct stat st;

  if (*number) {
    stage_name (*number - 1, stage, sizeof stage);
    source->name = xstrdup (stage);
  } else {
    if (entry->redirect && entry->redirect[0] == '/') {
      const char *slash = strrchr (entry->redirect, '/');
      autofree char *dir = xstrndup (entry->redirect, (size_t) (slash - entry->redirect));

      if (lower_lookup (&plan->root, dir, &found, err) < 0)
        return -err->code;
      below = &found;
      data = slash + 1;
    } else if (entry->redirect) {
      data = entry->redirect;
    }
    int data_dir = lower_find_file (below, data);
    if (data_dir < 0 || fstatat (data_dir, data, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG (st.st_mode) || st.st_size != entry->st.st_size)
      return err_code (err, EUCLEAN, "the data of %s/%s is not below it, at %s",
                       strbuf_str (&plan->path), name, entry->redirect ? entry->redirect : name);
    stage_name (plan->next_number, stage, sizeof stage);
    if (copy_inode (level->upper, name, &entry->st, data_dir, data, plan->stage_fd, stage, err) <
            0 ||
        layer_copy_protattr (-1, level->upper, name, -1, plan->stage_fd, stage, err) < 0)
      return -err->code;
    *number = ++plan->next_number;
    source->name = xstrdup (stage);
  }
  source->dir_fd = plan->stage_fd;
  if (fstatat (plan->stage_fd, source->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat txn/fold/%s", source->name);
  source->ino = st.st_ino;
  return 0;
}

int plan_source (struct plan *plan, struct level *level, const char *name,
                 const struct layer_entry *entry, struct source *ret_source, struct err *err)
{
  struct source source = {.dir_fd = level->upper, .ino = entry->st.st_ino};

  if (entry->metacopy) {
    if (copy_metacopy (plan, level, name, entry, &source, err) < 0)
      return -err->code;
  } else {
    source.name = xstrdup (name);
    /* origin and the like say nothing about what the guest sees. The protection flags do, and only
     * a private layer can keep them. */
    if (entry->has_forms && !plan_is_as_is (plan, entry->st.st_ino) &&
        layer_strip (-1, level->upper, name, /* keep_flags= */ entry->protattr, err) < 0) {
      free (source.name);
      return -err->code;
    }
  }
  *ret_source = source;
  return 0;
}

int plan_put (struct plan *plan, const struct sink *sink, char layer, const struct source *source,
              const char *name, struct err *err)
{
  char stage[24];

  if (!sink->in_place) {
    if (linkat (source->dir_fd, source->name, sink->stage_fd, name, 0) < 0)
      return err_errno (err, "link %s/%s into txn/fold", strbuf_str (&plan->path), name);
    return 0;
  }
  stage_name (plan->next_number, stage, sizeof stage);
  if (linkat (source->dir_fd, source->name, plan->stage_fd, stage, 0) < 0)
    return err_errno (err, "link %s/%s to txn/fold/%s", strbuf_str (&plan->path), name, stage);
  journal_add (&plan->journal, /* list= */ layer == 'u', strbuf_str (&plan->path),
               &(struct journal_step){
                   .op = 'P',
                   .layer = layer,
                   .number = plan->next_number++,
                   .ino = source->ino,
                   .name = (char *) name,
               });
  return 0;
}

/* A whiteout of @name in the sink, which merges with the base: the base has that name. */
static int put_whiteout (struct plan *plan, const struct sink *sink, char layer, int lower_fd,
                         const char *name, struct err *err)
{
  struct source source = {.dir_fd = plan->stage_fd};
  char stage[24];
  struct stat st;

  if (sink->in_place && fstatat (lower_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
      layer_is_whiteout (&st))
    return 0;
  /* All of a plan are links to its first one. */
  if (!plan->whiteout) {
    stage_name (plan->next_number, stage, sizeof stage);
    if (layer_whiteout (-1, NULL, plan->stage_fd, stage, err) < 0)
      return err_wrap (err, "txn/fold");
    plan->whiteout = ++plan->next_number;
  }
  stage_name (plan->whiteout - 1, stage, sizeof stage);
  if (!sink->in_place)
    return layer_whiteout (plan->stage_fd, stage, sink->stage_fd, name, err);
  if (fstatat (plan->stage_fd, stage, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat txn/fold/%s", stage);
  /* A full one: from here on another. */
  if (st.st_nlink >= WHITEOUT_LINKS_MAX) {
    plan->whiteout = 0;
    return put_whiteout (plan, sink, layer, lower_fd, name, err);
  }
  source.name = stage;
  source.ino = st.st_ino;
  return plan_put (plan, sink, layer, &source, name, err);
}

int plan_remove (struct plan *plan, const struct sink *sink, char layer, int lower_fd,
                 const char *name, struct err *err)
{
  if (sink->base_fd >= 0) {
    if (faccessat (sink->base_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return put_whiteout (plan, sink, layer, lower_fd, name, err);
    if (errno != ENOENT)
      return err_errno (err, "look for %s/%s in the base", strbuf_str (&plan->path), name);
  }
  if (!sink->exists || !sink->in_place || lower_fd < 0)
    return 0;
  if (faccessat (lower_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "look for %s/%s", strbuf_str (&plan->path), name);
  journal_add (&plan->journal, 0, strbuf_str (&plan->path),
               &(struct journal_step){.op = 'R', .layer = layer, .name = (char *) name});
  return 0;
}

/* Where the copy of a directory below goes. */
struct copy {
  struct plan *plan;       /* borrowed */
  const struct sink *tree; /* borrowed */
  const struct sink *priv; /* borrowed */
  bool *ret_tree_has;      /* borrowed */
  bool *ret_priv_has;      /* borrowed */
};

static int copy_lower_dir (const struct copy *copy, const struct lower *lower, const char *name,
                           struct err *err);

/* The entries of one layer below that neither U nor a layer above hides. */
static int copy_lower_list (const struct copy *copy, const struct lower *lower, int from_fd,
                            const struct dirlist *list, const struct dirlist *upper_names,
                            struct err *err)
{
  bool is_private = from_fd == lower->priv;
  const struct sink *sink = is_private ? copy->priv : copy->tree;

  for (size_t i = 0; i < list->count; i++) {
    const char *name = list->items[i].name;

    if (upper_names && dirlist_find (upper_names, name))
      continue;
    if (list->items[i].type == DT_DIR) {
      if (copy_lower_dir (copy, lower, name, err) < 0)
        return -err->code;
      continue;
    }
    if (linkat (from_fd, name, sink->stage_fd, name, 0) < 0)
      return err_errno (err, "link %s into txn/fold", name);
    *(is_private ? copy->ret_priv_has : copy->ret_tree_has) = true;
  }
  return 0;
}

int plan_copy_lower (struct plan *plan, const struct lower *lower,
                     const struct dirlist *upper_names, const struct sink *tree,
                     const struct sink *priv, bool *ret_tree_has, bool *ret_priv_has,
                     struct err *err)
{
  const struct copy copy = {plan, tree, priv, ret_tree_has, ret_priv_has};
  bool from_priv = lower->priv >= 0 && priv->exists && !priv->in_place;
  bool from_tree = lower_shared_top (lower) >= 0 && !tree->in_place && !tree->merges;
  autolowerlists struct lower_lists lists = {0};

  if (!from_priv && !from_tree)
    return 0;
  if (lower_read (lower, &lists, err) < 0)
    return -err->code;
  if (from_priv && copy_lower_list (&copy, lower, lower->priv, &lists.priv, upper_names, err) < 0)
    return -err->code;
  if (from_tree &&
      (copy_lower_list (&copy, lower, lower->tree, &lists.tree, upper_names, err) < 0 ||
       copy_lower_list (&copy, lower, lower->base, &lists.base, upper_names, err) < 0))
    return -err->code;
  return 0;
}

static int copy_lower_dir (const struct copy *copy, const struct lower *lower, const char *name,
                           struct err *err)
{
  autolower struct lower child = LOWER_NONE;
  autoclose int tree_fd = -1, priv_fd = -1;

  if (lower_child (lower, name, &child, err) < 0)
    return -err->code;
  int shared = lower_shared_top (&child);
  if (shared >= 0 && (tree_fd = fd_make_dir (copy->tree->stage_fd, name, 0700)) < 0)
    return err_errno (err, "make the directory %s in txn/fold", name);
  if (child.priv >= 0 && (priv_fd = fd_make_dir (copy->priv->stage_fd, name, 0700)) < 0)
    return err_errno (err, "make the directory %s in txn/fold", name);
  struct sink child_tree = {.exists = true, .stage_fd = tree_fd, .base_fd = -1};
  struct sink child_priv = {.exists = copy->priv->exists, .stage_fd = priv_fd, .base_fd = -1};
  bool ignored_tree = false, ignored_priv = false;
  if (plan_copy_lower (copy->plan, &child, NULL, &child_tree, &child_priv, &ignored_tree,
                       &ignored_priv, err) < 0)
    return -err->code;
  if (shared >= 0 && clone_directory_metadata (shared, tree_fd, err) < 0)
    return err_wrap (err, "%s", name);
  if (child.priv >= 0 && clone_directory_metadata (child.priv, priv_fd, err) < 0)
    return err_wrap (err, "%s", name);
  *copy->ret_tree_has |= shared >= 0;
  *copy->ret_priv_has |= child.priv >= 0;
  return 0;
}
