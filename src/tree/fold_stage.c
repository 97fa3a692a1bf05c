/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preparing inodes and directories in txn/fold/ for the steps of the journal. */
#include "fold_plan.h"
#include "clone.h"
#include "util/copy.h"
#include "util/fd.h"
#include <inttypes.h>

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
  autolower struct lower found = {-1, -1};
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
    if (entry->has_forms && !entry->protattr && !plan_is_as_is (plan, entry->st.st_ino) &&
        layer_strip (level->upper, name, err) < 0) {
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

int plan_remove (struct plan *plan, const struct sink *sink, char layer, int lower_fd,
                 const char *name, struct err *err)
{
  if (!sink->exists || !sink->in_place || lower_fd < 0)
    return 0;
  if (faccessat (lower_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "look for %s/%s", strbuf_str (&plan->path), name);
  journal_add (&plan->journal, 0, strbuf_str (&plan->path),
               &(struct journal_step){.op = 'R', .layer = layer, .name = (char *) name});
  return 0;
}

static int copy_lower_dir (struct plan *plan, const struct lower *lower, const char *name,
                           const struct sink *tree, const struct sink *priv, bool *ret_tree_has,
                           bool *ret_priv_has, struct err *err);

/* One entry of one layer below, which U and the layer above it do not hide. */
static int copy_lower_entry (int from_fd, const char *name, const struct sink *sink, bool *ret_has,
                             struct err *err)
{
  if (linkat (from_fd, name, sink->stage_fd, name, 0) < 0)
    return err_errno (err, "link %s into txn/fold", name);
  *ret_has = true;
  return 0;
}

int plan_copy_lower (struct plan *plan, const struct lower *lower,
                     const struct dirlist *upper_names, const struct sink *tree,
                     const struct sink *priv, bool *ret_tree_has, bool *ret_priv_has,
                     struct err *err)
{
  autodirlist struct dirlist in_priv = {0}, in_tree = {0};
  bool from_priv = lower->priv >= 0 && priv->exists && !priv->in_place;
  bool from_tree = lower->tree >= 0 && !tree->in_place;

  if ((from_priv || (from_tree && lower->priv >= 0)) &&
      dirread_all (lower->priv, &in_priv, err) < 0)
    return -err->code;
  if (from_tree && dirread_all (lower->tree, &in_tree, err) < 0)
    return -err->code;
  for (size_t i = 0; from_priv && i < in_priv.count; i++) {
    const struct dirread_entry *entry = &in_priv.items[i];
    int ret;

    if (upper_names && dirlist_find (upper_names, entry->name))
      continue;
    if (entry->type == DT_DIR)
      ret = copy_lower_dir (plan, lower, entry->name, tree, priv, ret_tree_has, ret_priv_has, err);
    else
      ret = copy_lower_entry (lower->priv, entry->name, priv, ret_priv_has, err);
    if (ret < 0)
      return ret;
  }
  for (size_t i = 0; from_tree && i < in_tree.count; i++) {
    const struct dirread_entry *entry = &in_tree.items[i];
    int ret;

    /* What private has was done above, or hides the tree's. */
    if ((upper_names && dirlist_find (upper_names, entry->name)) ||
        dirlist_find (&in_priv, entry->name))
      continue;
    if (entry->type == DT_DIR)
      ret = copy_lower_dir (plan, lower, entry->name, tree, priv, ret_tree_has, ret_priv_has, err);
    else
      ret = copy_lower_entry (lower->tree, entry->name, tree, ret_tree_has, err);
    if (ret < 0)
      return ret;
  }
  return 0;
}

static int copy_lower_dir (struct plan *plan, const struct lower *lower, const char *name,
                           const struct sink *tree, const struct sink *priv, bool *ret_tree_has,
                           bool *ret_priv_has, struct err *err)
{
  autolower struct lower child = {-1, -1};
  autoclose int tree_fd = -1, priv_fd = -1;

  if (lower_child (lower, name, &child, err) < 0)
    return -err->code;
  if (child.tree >= 0 && (tree_fd = fd_make_dir (tree->stage_fd, name, 0700)) < 0)
    return err_errno (err, "make the directory %s in txn/fold", name);
  if (child.priv >= 0 && (priv_fd = fd_make_dir (priv->stage_fd, name, 0700)) < 0)
    return err_errno (err, "make the directory %s in txn/fold", name);
  struct sink child_tree = {.exists = true, .stage_fd = tree_fd};
  struct sink child_priv = {.exists = priv->exists, .stage_fd = priv_fd};
  bool ignored_tree = false, ignored_priv = false;
  if (plan_copy_lower (plan, &child, NULL, &child_tree, &child_priv, &ignored_tree, &ignored_priv,
                       err) < 0)
    return -err->code;
  if (child.tree >= 0 && clone_directory_metadata (child.tree, tree_fd, err) < 0)
    return err_wrap (err, "%s", name);
  if (child.priv >= 0 && clone_directory_metadata (child.priv, priv_fd, err) < 0)
    return err_wrap (err, "%s", name);
  *ret_tree_has |= child.tree >= 0;
  *ret_priv_has |= child.priv >= 0;
  return 0;
}
