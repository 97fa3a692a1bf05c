/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "own.h"
#include "guest/names.h"
#include "guest/private_file.h"
#include "util/copy.h"
#include "util/fd.h"
#include <fnmatch.h>

int own_add_rule (struct rules *own, const char *pattern, struct err *err)
{
  if (pattern[0] != '/' || strstr (pattern, "**"))
    return err_code (err, ERR_USAGE, "\"own\" wants a path from \"/\" without \"**\", not \"%s\"",
                     pattern);
  return rules_add (own, pattern, 1, 1, err);
}

static int collect (const struct lower *at, const char *path, const struct rule *rule, size_t part,
                    struct names *files, struct err *err);

/* The entry @name of the directory at @path, which the rule's part before @part matched. */
static int collect_name (const struct lower *at, const char *path, const char *name,
                         const struct rule *rule, size_t part, struct names *files, struct err *err)
{
  autofree char *whole = xasprintf ("%s%s%s", path, *path ? "/" : "", name);
  autolower struct lower child = LOWER_NONE;
  struct stat st;

  if (lower_child (at, name, &child, err) < 0)
    return -err->code;
  if (lower_top (&child) >= 0)
    return collect (&child, whole, rule, part, files, err);
  int dir_fd = lower_find_file (at, name);
  if (part < rule->count || dir_fd < 0 || dir_fd == at->priv)
    return 0;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat /%s", whole);
  if (S_ISREG (st.st_mode))
    names_add (files, whole);
  return 0;
}

/* The files below the directory at @path that @rule matches from @part on; all of them, when the
 * whole rule led here. */
static int collect (const struct lower *at, const char *path, const struct rule *rule, size_t part,
                    struct names *files, struct err *err)
{
  autolowerlists struct lower_lists lists = {0};
  const char *pattern = part < rule->count ? rule->parts[part] : "*";
  size_t next = part < rule->count ? part + 1 : part;

  if (part < rule->count && rule->literal[part])
    return collect_name (at, path, pattern, rule, next, files, err);
  if (lower_read (at, &lists, err) < 0)
    return err_wrap (err, "/%s", path);
  const struct dirlist *const all[] = {&lists.priv, &lists.tree, &lists.base};
  for (size_t i = 0; i < 3; i++)
    for (size_t k = 0; k < all[i]->count; k++)
      if (fnmatch (pattern, all[i]->items[k].name, 0) == 0 &&
          collect_name (at, path, all[i]->items[k].name, rule, next, files, err) < 0)
        return -err->code;
  return 0;
}

/* Takes @name out of a tree that the private layer now hides it of, which would else count as the
 * guest's. With a base it is left: what is below would show through once the private one is gone.
 */
static int drop_shared (const struct lower *at, const char *name, struct err *err)
{
  struct stat st;

  if (fstat (at->tree, &st) < 0)
    return err_errno (err, "stat a directory of the tree");
  const struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (unlinkat (at->tree, name, 0) < 0)
    return err_errno (err, "remove %s from the tree", name);
  if (futimens (at->tree, times) < 0)
    return err_errno (err, "set the times of a directory of the tree");
  return 0;
}

static int copy (void *data, const struct lower *at, const char *name, struct err *err)
{
  const struct lower *clone = data;
  int from = lower_find_file (at, name);
  struct stat st;

  if (from < 0 || from == at->priv)
    return 0; /* two rules match */
  if (fstatat (from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  if (copy_inode (from, name, &st, -1, NULL, at->priv, name, err) < 0)
    return -err->code;
  return clone->base < 0 ? drop_shared (at, name, err) : 0;
}

int own_copy (const struct lower *clone, const struct rules *own, struct err *err)
{
  autonames struct names files = {0};
  struct lower layers = *clone;

  for (size_t i = 0; i < own->count; i++)
    if (collect (clone, "", &own->items[i], 0, &files, err) < 0)
      return -err->code;
  for (size_t i = 0; i < files.count; i++)
    if (private_file_put (clone, files.items[i], copy, &layers, err) < 0)
      return -err->code;
  return 0;
}
