/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze.h"
#include "tree/clone.h"
#include "unify/unify.h"
#include "util/dirread.h"
#include "util/fd.h"

static int merge (int from_fd, int to_fd, struct err *err);

/* Moves the entry @name; a directory that both have is merged. */
static int merge_entry (int from_fd, const char *name, unsigned char type, int to_fd,
                        struct err *err)
{
  if (fd_rename (from_fd, name, to_fd, name, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EEXIST)
    return err_errno (err, "move %s", name);
  autoclose int to_child = type == DT_DIR ? fd_open_dir (to_fd, name) : -1;
  if (to_child >= 0) {
    autoclose int child = fd_open_dir (from_fd, name);

    if (child < 0)
      return err_errno (err, "open the directory %s", name);
    return merge (child, to_child, err) < 0 ? err_wrap (err, "%s", name) : 0;
  }
  /* It hides what the tree has there. */
  if (fd_remove_tree (to_fd, name, err) < 0)
    return err_wrap (err, "remove %s", name);
  if (fd_rename (from_fd, name, to_fd, name, RENAME_NOREPLACE) < 0)
    return err_errno (err, "move %s", name);
  return 0;
}

/* Moves all that is in the directory @from_fd, a copy of a private layer, to @to_fd, which gets its
 * metadata as well. */
static int merge (int from_fd, int to_fd, struct err *err)
{
  autodirlist struct dirlist list = {0};
  struct stat st;

  if (fstat (from_fd, &st) < 0)
    return err_errno (err, "stat a directory of the layer");
  if (dirread_all (from_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++)
    if (merge_entry (from_fd, list.items[i].name, list.items[i].type, to_fd, err) < 0)
      return -err->code;
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (clone_directory_metadata (from_fd, to_fd, err) < 0)
    return -err->code;
  if (futimens (to_fd, times) < 0)
    return err_errno (err, "set the times of a directory");
  return 0;
}

static int link_tree (struct import *import, int tree_fd, const struct rules *rules,
                      struct err *err)
{
  autoclose int temp_fd = fd_make_dir (import->temp_fd, "links", 0700);
  struct u64table inodes = {0};
  struct share share = {.store = import->root->store, .inodes = &inodes, .temp_fd = temp_fd};
  struct clone_counts counts = {0};

  if (temp_fd < 0)
    return err_errno (err, "make a directory for temporary links");
  int ret = clone_tree (tree_fd, import->tree_fd, rules, &share, &counts, err);
  share_release (&share);
  u64table_release (&inodes);
  return ret;
}

static int add_private (struct import *import, int private_fd, const struct rules *rules,
                        struct err *err)
{
  autoclose int copy_fd = fd_make_dir (import->temp_fd, "private", 0700);
  struct clone_counts counts = {0};

  if (copy_fd < 0)
    return err_errno (err, "make a directory in staging");
  if (clone_copy_tree (private_fd, copy_fd, rules, &counts, err) < 0)
    return -err->code;
  return merge (copy_fd, import->tree_fd, err);
}

/* Makes objects of what is none yet. */
static int publish (struct import *import, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  struct writer_report *total = &import->writer.report;
  autoclose int temp_fd = fd_make_dir (import->temp_fd, "unify", 0700);
  const struct policy exact = {0};

  if (temp_fd < 0)
    return err_errno (err, "make a directory for temporary links");
  if (unify_tree (import->root->store, &exact, import->tree_fd, temp_fd, /* dry_run= */ false,
                  &report, err) < 0)
    return -err->code;
  total->published += report.published;
  total->linked += report.linked;
  total->apart += report.failed;
  if (!total->first_error)
    total->first_error = steal_ptr (&report.first_error);
  return 0;
}

/* The writer sets the metadata of the top directory in the end: to what it is now. */
static int keep_top (struct import *import, struct err *err)
{
  autoentry struct entry entry = {0};
  struct stat st;

  if (fstat (import->tree_fd, &st) < 0)
    return err_errno (err, "stat the new tree");
  if (entry_read (import->tree_fd, -1, NULL, &st, &entry, err) < 0)
    return -err->code;
  return writer_directory (&import->writer, "", &entry, err);
}

int freeze_layers (struct import *import, const struct layers *layers, const struct rules *rules,
                   struct err *err)
{
  if (link_tree (import, layers->tree_fd, rules, err) < 0)
    return err_wrap (err, "link the files of the tree");
  if (layers->private_fd >= 0 && add_private (import, layers->private_fd, rules, err) < 0)
    return err_wrap (err, "copy the private layer");
  if (publish (import, err) < 0)
    return err_wrap (err, "publish the private layer");
  if (keep_top (import, err) < 0)
    return -err->code;
  /* The writer made none of it: it has to count. */
  import->writer.replaced = true;
  return 0;
}
