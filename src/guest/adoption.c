/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "adoption.h"
#include "util/dirread.h"
#include "util/fd.h"

int adoption_record (int guest_fd, const char *source, struct err *err)
{
  autojson json_object *record = json_object_new_object ();
  struct stat st;

  if (fstatat (guest_fd, "private", &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat the new private layer");
  json_set_string (record, "source", source);
  json_set_int (record, "placeholder", (int64_t) st.st_ino);
  return json_create_file (guest_fd, ADOPTION_RECORD, record, err);
}

/* Nobody else knows of the guest's private layer, and nothing is in it. */
static int undo (struct vroot *root, struct guest *guest, struct err *err)
{
  autostaging struct staging staging = {.fd = -1};

  if (staging_make (root, "undo", &staging, err) < 0)
    return -err->code;
  if (fd_rename (root->guests_fd, guest->name, staging.fd, guest->name, RENAME_NOREPLACE) < 0)
    return err_errno (err, "move %s/guests/%s to staging", root->path, guest->name);
  return staging_remove (&staging, err);
}

static int remove_record (struct guest *guest, struct err *err)
{
  if (unlinkat (guest->fd, ADOPTION_RECORD, 0) < 0 || fsync (guest->fd) < 0)
    return err_errno (err, "remove " ADOPTION_RECORD " of guest %s", guest->name);
  return 0;
}

static int exchange (struct guest *guest, int parent_fd, const char *name,
                     const struct stat *expected, struct err *err)
{
  struct stat st;

  if (fd_rename (parent_fd, name, guest->fd, "private", RENAME_EXCHANGE) < 0)
    return err_errno (err, "exchange %s with the private layer of guest %s", name, guest->name);
  if (fstatat (guest->fd, "private", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
      st.st_ino == expected->st_ino && st.st_dev == expected->st_dev)
    return 0;
  if (fd_rename (parent_fd, name, guest->fd, "private", RENAME_EXCHANGE) < 0)
    return err_errno (err, "%s is another directory by now; move it back from guests/%s/private",
                      name, guest->name);
  return err_code (err, ESTALE, "%s is another directory by now", name);
}

int adoption_carry_out (struct vroot *root, struct guest *guest, int parent_fd, const char *name,
                        const struct stat *expected, struct err *err)
{
  if (exchange (guest, parent_fd, name, expected, err) < 0) {
    autoerr struct err undo_err = {0};

    /* What cannot be undone now is undone by the next command that opens the guest. */
    if (undo (root, guest, &undo_err) < 0)
      err_wrap (err, "%s", err_text (&undo_err));
    return -err->code;
  }
  if (fsync (guest->fd) < 0 || fsync (parent_fd) < 0)
    return err_errno (err, "sync guest %s and what is above %s", guest->name, name);
  if (unlinkat (parent_fd, name, AT_REMOVEDIR) < 0)
    return err_errno (err, "remove the empty directory that is left at %s", name);
  return remove_record (guest, err);
}

static int is_empty (struct guest *guest, struct err *err)
{
  autoclose int fd = fd_open_dir (guest->fd, "private");
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;

  if (fd < 0)
    return err_errno (err, "open private of guest %s", guest->name);
  dirread_start (fd, &dirread);
  int ret = dirread_next (&dirread, &entry, err);
  return ret < 0 ? ret : !ret;
}

/* The directory that took the tree's place, if it is still that. */
static void remove_placeholder (const char *source, int64_t inode)
{
  struct stat st;

  if (lstat (source, &st) == 0 && S_ISDIR (st.st_mode) && st.st_ino == (ino_t) inode)
    (void) rmdir (source);
}

int adoption_recover (struct vroot *root, struct guest *guest, struct err *err)
{
  autojson json_object *record = NULL;
  const char *source;
  int64_t placeholder;

  if (faccessat (guest->fd, ADOPTION_RECORD, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT
               ? 0
               : err_errno (err, "look for " ADOPTION_RECORD " of guest %s", guest->name);
  if (json_read_file (guest->fd, ADOPTION_RECORD, ADOPTION_RECORD, &record, err) < 0 ||
      json_get_string (record, "source", "", &source, err) < 0 ||
      json_get_int (record, "placeholder", 0, &placeholder, err) < 0)
    return err_wrap (err, "finish the adoption of guest %s", guest->name);
  int empty = is_empty (guest, err);
  if (empty < 0)
    return empty;
  if (empty) {
    if (undo (root, guest, err) < 0)
      return err_wrap (err, "undo the adoption of %s", source);
    return err_code (err, ERR_NO_GUEST,
                     "its adoption was interrupted and is undone: %s is as it was", source);
  }
  remove_placeholder (source, placeholder);
  return remove_record (guest, err);
}
