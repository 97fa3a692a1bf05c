/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stage.h"
#include "template/freeze.h"
#include "tree/clone.h"
#include "util/fd.h"

static int clone (struct import *import, int tree_fd, int guest_fd, struct err *err)
{
  autoclose int to_fd = fd_open_dir (guest_fd, "tree");
  autoclose int private_fd = fd_open_dir (guest_fd, "private");
  autoclose int temp_fd = fd_make_dir (import->temp_fd, "stage", 0700);
  struct u64set inodes = {0};
  struct share share = {.store = import->root->store, .inodes = &inodes, .temp_fd = temp_fd};
  struct clone_counts counts = {0};

  if (to_fd < 0 || private_fd < 0 || temp_fd < 0)
    return err_errno (err, "open the new layers");
  int ret = clone_tree (tree_fd, to_fd, NULL, &share, &counts, err);
  share_release (&share);
  u64set_release (&inodes);
  return ret < 0 ? ret : clone_directory_metadata (tree_fd, private_fd, err);
}

int stage_make (struct import *import, int tree_fd, struct guest **ret_guest, struct err *err)
{
  autoguest struct guest *guest = xcalloc (1, sizeof *guest);

  /* "+" is in no guest's name. */
  *guest = (struct guest){
      .name = import->name ? xasprintf ("%s+", import->name) : xstrdup (import->staging.name),
      .fd = fd_make_dir (import->staging.fd, "guest", 0700),
      .lock_fd = -1,
      .config = json_object_new_object (),
      .state = json_object_new_object (),
  };
  json_set_string (guest->config, "hostname", "template");
  if (guest->fd < 0)
    return err_errno (err, "make a directory in staging");
  if (guest_make_parts (guest->fd, guest->config, guest->state, err) < 0 ||
      clone (import, tree_fd, guest->fd, err) < 0)
    return err_wrap (err, "clone the tree to run commands in it");
  *ret_guest = steal_ptr (&guest);
  return 0;
}

/* An empty tree in place of the one there is, and a writer for it. What the old one counted of
 * things left out stays. */
static int renew_tree (struct import *import, struct err *err)
{
  struct writer_report report = import->writer.report;

  report.first_error = steal_ptr (&import->writer.report.first_error);
  writer_release (&import->writer);
  cleanup_close (&import->tree_fd);
  import->tree_fd = -1;
  if (fd_remove_tree (import->generation_fd, "tree", err) < 0) {
    free (report.first_error);
    return -err->code;
  }
  import->tree_fd = fd_make_dir (import->generation_fd, "tree", 0700);
  autoclose int temp_fd = fd_make_dir (import->temp_fd, "frozen", 0700);
  if (import->tree_fd < 0 || temp_fd < 0) {
    free (report.first_error);
    return err_errno (err, "make a directory in staging");
  }
  cleanup_close (&import->temp_fd);
  import->temp_fd = steal_fd (&temp_fd);
  int ret =
      writer_start (import->root->store, import->tree_fd, import->temp_fd, &import->writer, err);
  import->writer.report = report;
  return ret;
}

int stage_take (struct import *import, struct guest *guest, const struct rules *rules,
                struct err *err)
{
  autolower struct lower layers = LOWER_NONE;

  if (lower_open (guest->fd, /* with_private= */ true, &layers, err) < 0)
    return err_wrap (err, "the staged guest");
  if (renew_tree (import, err) < 0)
    return -err->code;
  return freeze_layers (import, &layers, rules, err);
}
