/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transaction.h"
#include "settle.h"
#include "tree/clone.h"
#include "tree/lower.h"
#include "tree/overlay.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <sys/mount.h>

int transaction_prepare_query (struct vroot *root, struct guest *guest, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  autopolicy struct policy policy = {0};

  if (guest_refuse_used (root, guest, err) < 0 || policy_load (guest->fd, &policy, err) < 0)
    return -err->code;
  return guest_settle (root, guest, &policy, NULL, &report, err);
}

int transaction_begin (struct vroot *root, struct guest *guest, struct err *err)
{
  if (transaction_prepare_query (root, guest, err) < 0)
    return -err->code;
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");
  if (txn_fd < 0)
    return err_errno (err, "open txn of guest %s", guest->name);
  autoclose int upper = fd_make_dir (txn_fd, "upper", 0700);
  autoclose int work = fd_make_dir (txn_fd, "work", 0700);
  autoclose int private = fd_open_dir (guest->fd, "private");
  if (upper < 0 || work < 0 || private < 0)
    return err_errno (err, "make the layers of a transaction in guest %s", guest->name);
  /* The root of the merged view has the metadata of its upper. */
  return clone_directory_metadata (private, upper, err);
}

/* Below @upper: private, tree, the base of a thin guest, and above them the layers @over. */
static int mount_layers (struct guest *guest, const int *over, size_t over_count, int upper,
                         int work, const char *target, struct err *err)
{
  autolower struct lower layers = LOWER_NONE;
  struct overlay overlay = {.data_fd = -1};

  if (lower_open (AT_FDCWD, /* with_private= */ true, &layers, err) < 0 ||
      overlay_open_data (AT_FDCWD, &overlay, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  autoclose int data_fd = overlay.data_fd;
  autofree int *lower = xcalloc (over_count + 3, sizeof *lower);
  for (size_t i = 0; i < over_count; i++)
    lower[i] = over[i];
  lower[over_count] = layers.priv;
  lower[over_count + 1] = layers.tree;
  lower[over_count + 2] = layers.base;
  overlay = (struct overlay){
      .lower_fds = lower,
      .lower_count = over_count + (layers.base >= 0 ? 3 : 2),
      .data_fd = data_fd,
      .has_data = overlay.has_data,
      .upper_fd = upper,
      .work_fd = work,
      .volatile_mode = true,
      .nodev = true,
  };
  return overlay_mount (&overlay, target, err);
}

int transaction_mount_over (struct guest *guest, const int *over, size_t over_count,
                            const char *target, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (AT_FDCWD, "txn");
  autoclose int upper = txn_fd < 0 ? -1 : fd_open_dir (txn_fd, "upper");
  autoclose int work = txn_fd < 0 ? -1 : fd_open_dir (txn_fd, "work");

  if (upper < 0 || work < 0)
    return err_errno (err, "open the layer of a transaction in guest %s", guest->name);
  return mount_layers (guest, over, over_count, upper, work, target, err);
}

/* txn/layer: -1 without an error when it is not there. */
static int open_layer (struct guest *guest, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (AT_FDCWD, "txn");
  int fd = txn_fd < 0 ? -1 : fd_open_dir (txn_fd, "layer");

  if (fd < 0 && (txn_fd < 0 || errno != ENOENT))
    return err_errno (err, "open the layers of guest %s", guest->name);
  return fd;
}

int transaction_mount (struct guest *guest, const char *target, struct err *err)
{
  autoclose int layer = open_layer (guest, err);

  if (layer < 0 && err->code)
    return layer;
  return transaction_mount_over (guest, &layer, layer >= 0, target, err);
}

int transaction_mount_query (struct guest *guest, const char *target, struct err *err)
{
  autoclose int private = fd_open_dir (AT_FDCWD, "private");
  autoclose int layer = open_layer (guest, err);

  if (layer < 0 && err->code)
    return layer;
  /* The overlay is mounted on the mount that its upper is in, which is hidden then. */
  if (mount ("vguest", target, "tmpfs", MS_NODEV, "mode=0700") < 0)
    return err_errno (err, "mount a tmpfs on %s", target);
  autoclose int memory = open (target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autoclose int upper = memory < 0 ? -1 : fd_make_dir (memory, "upper", 0700);
  autoclose int work = memory < 0 ? -1 : fd_make_dir (memory, "work", 0700);
  if (private < 0 || upper < 0 || work < 0)
    return err_errno (err, "make a layer in memory for guest %s", guest->name);
  if (clone_directory_metadata (private, upper, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  return mount_layers (guest, &layer, layer >= 0, upper, work, target, err);
}

/* txn/entry is there, or not to be. */
static int commit_prepared (struct vroot *root, struct guest *guest, const struct u64table *as_is,
                            struct unify_report *report, bool *ret_changed, struct err *err)
{
  autotwins struct twins twins = {.store = root->store, .report = report};
  autopolicy struct policy policy = {0};
  struct fold_counts counts = {0};

  if (policy_load (guest->fd, &policy, err) < 0)
    return -err->code;
  struct fold_options options = {
      .guest_fd = guest->fd,
      .commit = true,
      .rules = &policy.rules,
      .twin = twins_find,
      .twin_data = &twins,
      .as_is = as_is,
  };
  int planned = fold_plan (&options, &counts, err);
  if (planned < 0)
    return err_wrap (err, "commit to guest %s", guest->name);
  *ret_changed = planned;
  if (!planned)
    return transaction_abort (root, guest, err);
  report->moved += counts.moved;
  report->dropped += counts.dropped;
  return guest_finish_fold (root, guest, &policy, report, err);
}

int transaction_commit (struct vroot *root, struct guest *guest,
                        const struct commit_options *options, struct unify_report *report,
                        uint64_t *ret_id, struct err *err)
{
  uint64_t id = 0;
  bool changed = false;

  if (options->note && history_prepare (guest, options->note, &id, err) < 0)
    return err_wrap (err, "commit to guest %s", guest->name);
  if (commit_prepared (root, guest, options->as_is, report, &changed, err) < 0)
    return -err->code;
  *ret_id = changed ? id : 0;
  return 0;
}

int transaction_abort (struct vroot *root, struct guest *guest, struct err *err)
{
  (void) root;
  if (transaction_unmark (guest, err) < 0)
    return -err->code;
  if (fold_clear (guest->fd, err) < 0)
    return err_wrap (err, "throw away the transaction of guest %s", guest->name);
  return 0;
}

/* Removes what a commit that did not get to its journal left beside the layer. */
static int clear_plan (struct guest *guest, struct err *err)
{
  static const char *const kept[] = {"upper", "work", "kept", "accepted", "entry", NULL};
  autodirlist struct dirlist list = {0};
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");

  if (txn_fd < 0)
    return err_errno (err, "open txn of guest %s", guest->name);
  if (dirread_all (txn_fd, &list, err) < 0)
    return err_wrap (err, "txn of guest %s", guest->name);
  for (size_t i = 0; i < list.count; i++) {
    bool keep = false;

    for (const char *const *name = kept; *name; name++)
      keep |= strcmp (list.items[i].name, *name) == 0;
    if (!keep && fd_remove_tree (txn_fd, list.items[i].name, err) < 0)
      return err_wrap (err, "txn of guest %s", guest->name);
  }
  return 0;
}

int transaction_commit_accepted (struct vroot *root, struct guest *guest,
                                 struct unify_report *report, struct err *err)
{
  int accepted = transaction_accepted (guest, err);
  bool changed = false;

  if (accepted <= 0)
    return accepted;
  if (clear_plan (guest, err) < 0)
    return -err->code;
  return commit_prepared (root, guest, NULL, report, &changed, err);
}

static int has_mark (struct guest *guest, const char *path, struct err *err)
{
  if (faccessat (guest->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return 1;
  return errno == ENOENT ? 0 : err_errno (err, "look for %s of guest %s", path, guest->name);
}

static int make_mark (int txn_fd, const char *name, struct err *err)
{
  autoclose int fd = fd_open (txn_fd, name, O_WRONLY | O_CREAT, 0600);

  if (fd < 0 || fsync (txn_fd) < 0)
    return err_errno (err, "make txn/%s", name);
  return 0;
}

int transaction_keep (struct guest *guest, const struct history_note *note, uint64_t *ret_id,
                      struct err *err)
{
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");

  if (txn_fd < 0)
    return err_errno (err, "open txn of guest %s", guest->name);
  if (note && history_prepare (guest, note, ret_id, err) < 0)
    return -err->code;
  if (fd_sync_fs (txn_fd, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  /* The old one refuses another mount, as it was volatile. */
  if (fd_remove_tree (txn_fd, "work", err) < 0)
    return err_wrap (err, "txn of guest %s", guest->name);
  autoclose int work = fd_make_dir (txn_fd, "work", 0700);
  if (work < 0)
    return err_errno (err, "make txn/work of guest %s", guest->name);
  return make_mark (txn_fd, "kept", err);
}

int transaction_accept (struct guest *guest, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");

  if (txn_fd < 0)
    return err_errno (err, "open txn of guest %s", guest->name);
  return make_mark (txn_fd, "accepted", err);
}

int transaction_kept (struct guest *guest, struct err *err)
{
  return has_mark (guest, "txn/kept", err);
}

int transaction_accepted (struct guest *guest, struct err *err)
{
  return has_mark (guest, "txn/accepted", err);
}

int transaction_unmark (struct guest *guest, struct err *err)
{
  if (unlinkat (guest->fd, "txn/accepted", 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove txn/accepted of guest %s", guest->name);
  return 0;
}
