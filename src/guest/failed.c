/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "failed.h"
#include "space.h"
#include "transaction.h"
#include "tree/clone.h"
#include "util/fd.h"

#define FAILED "failed"

/* Builds it in txn/. */
static int make (struct guest *guest, int txn_fd, const struct history_note *note, struct err *err)
{
  autojson json_object *object = history_note_json (note);

  if (fd_remove_tree (txn_fd, FAILED, err) < 0)
    return -err->code;
  autoclose int fd = fd_make_dir (txn_fd, FAILED, 0700);
  if (fd < 0)
    return err_errno (err, "make txn/" FAILED);
  if (json_create_file (fd, "entry.json", object, err) < 0)
    return -err->code;
  if (fd_rename (txn_fd, "upper", fd, "upper", RENAME_NOREPLACE) < 0)
    return err_errno (err, "move the layer to txn/" FAILED);
  if (fd_rename (txn_fd, "layer", fd, "layer", RENAME_NOREPLACE) < 0 && errno != ENOENT)
    return err_errno (err, "move txn/layer to txn/" FAILED);
  /* It was written without a sync. */
  if (fd_sync_fs (fd, err) < 0)
    return -err->code;
  int flags = faccessat (guest->fd, FAILED, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? RENAME_EXCHANGE
                                                                            : RENAME_NOREPLACE;
  if (fd_rename (txn_fd, FAILED, guest->fd, FAILED, (unsigned) flags) < 0)
    return err_errno (err, "keep the layer");
  return 0;
}

int failed_keep (struct guest *guest, const struct history_note *note, struct err *err)
{
  struct history_note failed = *note;
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");

  failed.failed = true;
  if (txn_fd < 0)
    return err_errno (err, "open txn of guest %s", guest->name);
  if (make (guest, txn_fd, &failed, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  return transaction_abort (NULL, guest, err);
}

int failed_read (struct guest *guest, struct history_entry *ret_entry, struct err *err)
{
  autojson json_object *object = NULL;
  autoerr struct err ignored = {0};
  autoclose int fd = fd_open_dir (guest->fd, FAILED);

  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open the failed layer of guest %s", guest->name);
  if (json_read_file (fd, "entry.json", "entry.json", &object, &ignored) < 0)
    object = json_object_new_object ();
  history_entry_parse (object, ret_entry);
  return 1;
}

int failed_drop (struct guest *guest, struct err *err)
{
  if (faccessat (guest->fd, FAILED, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "look for the failed layer of %s", guest->name);
  if (history_discard (guest, guest->fd, FAILED, err) < 0)
    return err_wrap (err, "remove the failed layer of guest %s", guest->name);
  return 1;
}

int failed_begin (struct vroot *root, struct guest *guest, struct err *err)
{
  autoclose int failed_fd = fd_open_dir_beneath (guest->fd, FAILED "/upper");

  if (failed_fd < 0)
    return err_code (err, ENOENT,
                     "no failed layer of guest %s is kept: it is with --keep-failed, until a later "
                     "transaction succeeds",
                     guest->name);
  if (space_check (root, 0, "begin a transaction", err) < 0 ||
      transaction_begin (root, guest, err) < 0)
    return -err->code;
  autoclose int upper_fd = fd_open_dir_beneath (guest->fd, "txn/upper");
  if (upper_fd < 0)
    return err_errno (err, "open txn/upper of guest %s", guest->name);
  return clone_directory_metadata (failed_fd, upper_fd, err);
}

int failed_mount (struct guest *guest, const char *target, struct err *err)
{
  autoclose int upper = fd_open_dir_beneath (AT_FDCWD, FAILED "/upper");
  autoclose int layer = upper < 0 ? -1 : fd_open_dir_beneath (AT_FDCWD, FAILED "/layer");

  if (upper < 0 || (layer < 0 && errno != ENOENT))
    return err_errno (err, "open the failed layer");
  const int over[] = {upper, layer};
  return transaction_mount_over (guest, over, layer < 0 ? 1 : 2, target, err);
}
