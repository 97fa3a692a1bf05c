/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze.h"
#include "tree/merge.h"
#include "tree/thin.h"
#include "unify/unify.h"
#include "util/fd.h"

static int link_tree (struct import *import, const struct lower *layers, const struct rules *rules,
                      struct err *err)
{
  autoclose int temp_fd = fd_make_dir (import->temp_fd, "links", 0700);
  autoclose int own_fd = fd_make_dir (import->temp_fd, "own", 0700);
  struct u64set inodes = {0};
  struct share share = {.store = import->root->store, .inodes = &inodes, .temp_fd = temp_fd};
  struct clone_counts counts = {0};

  if (temp_fd < 0 || own_fd < 0)
    return err_errno (err, "make a directory for temporary links");
  int ret = thin_clone_whole (layers, import->tree_fd, own_fd, rules, &share, &counts, err);
  share_release (&share);
  u64set_release (&inodes);
  return ret;
}

static int add_private (struct import *import, int private_fd, const struct rules *rules,
                        struct err *err)
{
  autoclose int copy_fd = fd_make_dir (import->temp_fd, "private", 0700);
  struct clone_counts counts = {0};

  if (copy_fd < 0)
    return err_errno (err, "make a directory in staging");
  if (clone_copy_tree (private_fd, copy_fd, rules, /* keep_flags= */ false, &counts, err) < 0)
    return -err->code;
  return merge_layer (copy_fd, import->tree_fd, err);
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
  if (unify_tree (import->root->store, &exact, import->tree_fd, /* base_fd= */ -1, temp_fd,
                  /* dry_run= */ false, &report, err) < 0)
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

int freeze_layers (struct import *import, const struct lower *layers, const struct rules *rules,
                   struct err *err)
{
  if (link_tree (import, layers, rules, err) < 0)
    return err_wrap (err, "link the files of the tree");
  if (layers->priv >= 0 && add_private (import, layers->priv, rules, err) < 0)
    return err_wrap (err, "copy the private layer");
  if (publish (import, err) < 0)
    return err_wrap (err, "publish the private layer");
  if (keep_top (import, err) < 0)
    return -err->code;
  /* The writer made none of it: it has to count. */
  import->writer.replaced = true;
  return 0;
}
