/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "entries.h"
#include "store_internal.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <inttypes.h>
#include <sys/random.h>

#define NEW_NAME "new"

enum { DIGITS = 14 };

/* "/ab/" and digits, as they are in an entry. */
static void choose_place (char *place)
{
  uint64_t r[2];

  while (getrandom (r, sizeof r, 0) != (ssize_t) sizeof r)
    ;
  snprintf (place, METAENTRY_PLACE_SIZE, "/%02x/%014" PRIu64, (unsigned) (r[0] & 0xff),
            r[1] % UINT64_C (100000000000000));
}

static char *place_path (const char *place)
{
  return xasprintf (METAENTRY_DATA "%s", place);
}

/* A place that nobody has, in a directory that is there. */
static int find_place (struct store *store, int data_fd, char *place, struct err *err)
{
  for (;;) {
    char fan[3] = "";

    choose_place (place);
    memcpy (fan, place + 1, 2);
    if (mkdirat (data_fd, fan, 0700) < 0 && errno != EEXIST)
      return err_errno (err, "make the directory store/" METAENTRY_DATA "/%s", fan);
    autofree char *path = place_path (place);
    if (faccessat (store->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      continue;
    return errno == ENOENT ? 0 : err_errno (err, "look for store/%s", path);
  }
}

/* An empty file with all metadata of the other one. */
static int make_sparse (int new_fd, const char *name, const struct entries_request *request,
                        const char *place, struct err *err)
{
  autoclose int like = fd_open (request->like_dir, request->like, O_RDONLY | O_NONBLOCK, 0);
  autoclose int fd = fd_open (new_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
  autoxattrs struct xattrs xattrs = {0};
  struct stat st;

  if (like < 0 || fstat (like, &st) < 0)
    return err_errno (err, "open %s to make an entry like it", request->like);
  if (fd < 0 || ftruncate (fd, st.st_size) < 0)
    return err_errno (err, "make an entry like %s", request->like);
  const struct timespec times[2] = {st.st_atim, st.st_mtim};
  /* chown clears set-id bits and capabilities: it comes first. */
  if (fchown (fd, st.st_uid, st.st_gid) < 0)
    return err_errno (err, "set the owner of an entry");
  if (xattrs_read (like, -1, NULL, /* with_overlay= */ false, &xattrs, err) < 0 ||
      xattrs_apply (fd, -1, NULL, &xattrs, err) < 0)
    return -err->code;
  if (fchmod (fd, st.st_mode & 07777) < 0 || metaentry_mark (fd, place) < 0 ||
      futimens (fd, times) < 0)
    return err_errno (err, "set the metadata of an entry");
  return 0;
}

/* Makes the entry @name of data/new, with its link. 1; 0 when it would take as much as the whole
 * file. */
static int make_entry (struct store *store, int data_fd, int new_fd, const char *name,
                       const struct entries_request *request, struct err *err)
{
  char place[METAENTRY_PLACE_SIZE];
  struct stat st, like;

  if (find_place (store, data_fd, place, err) < 0)
    return -err->code;
  autofree char *path = place_path (place);
  if (make_sparse (new_fd, name, request, place, err) < 0) {
    unlinkat (new_fd, name, 0);
    return -err->code;
  }
  if (fstatat (new_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      fstatat (request->like_dir, request->like, &like, AT_SYMLINK_NOFOLLOW) < 0)
    err_errno (err, "stat an entry");
  /* Whoever thinks that there are no entries looks only at files with holes. */
  else if (st.st_blocks >= like.st_blocks || st.st_blocks * 512 >= st.st_size)
    return unlinkat (new_fd, name, 0) < 0 ? err_errno (err, "remove an entry") : 0;
  else if (linkat (request->data_dir, request->data, store->fd, path, 0) < 0)
    err_errno (err, "link %s to store/%s", request->data, path);
  else
    return 1;
  unlinkat (new_fd, name, 0);
  return -err->code;
}

/* Does the object in the slot stand for the file? */
static int is_fit (const struct entries_request *request, int fan, const char *object,
                   const struct stat *st, struct err *err)
{
  unsigned flags = request->flags & IDENTITY_ANY_MTIME;
  autoclose int fd = -1, data = -1;
  struct stat data_st = {0};

  if (st->st_nlink >= STORE_LINKS_MAX || request->taken (request->fn_data, st->st_ino))
    return 0;
  fd = fd_open (fan, object, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
  if (fd < 0)
    return err_errno (err, "open it");
  int is_entry = metaentry_contents (fd, st, &data);
  /* A damaged one is left to fsck. */
  if (is_entry < 0)
    return errno == EUCLEAN ? 0 : err_errno (err, "open its contents");
  if (is_entry && fstat (data, &data_st) < 0)
    return err_errno (err, "stat its contents");
  if (is_entry && request->equal (request->fn_data, data_st.st_ino))
    flags |= IDENTITY_SAME_CONTENTS;
  return identity_same (request->like_dir, request->like, fan, object, flags, err);
}

/* The first slot whose object fits: 1; 0 and the first empty one. */
static int find_slot (struct store *store, const struct entries_request *request,
                      unsigned *ret_slot, struct stat *ret_st, struct err *err)
{
  int fan = store_fan (store, request->id, err);
  unsigned empty = 0;
  bool has_empty = false;

  if (fan < 0)
    return fan;
  for (unsigned slot = 0, gap = 0; gap < STORE_GAP_MAX; slot++) {
    char object[SLOT_NAME_SIZE];
    int has = store_stat_slot (store, request->id, slot, ret_st, err);

    if (has < 0)
      return has;
    gap = has ? 0 : gap + 1;
    if (!has && !has_empty) {
      has_empty = true;
      empty = slot;
    }
    slot_name (request->id, slot, object);
    int fit = has ? is_fit (request, fan, object, ret_st, err) : 0;
    if (fit < 0)
      return err_wrap (err, "store/%02x/%s", request->id->bytes[0], object);
    *ret_slot = slot;
    if (fit)
      return 1;
  }
  *ret_slot = empty;
  return 0;
}

int entries_make (struct store *store, const struct entries_request *request, unsigned *ret_slot,
                  struct stat *ret_st, struct err *err)
{
  char name[FD_TEMP_NAME_SIZE], object[SLOT_NAME_SIZE];
  int found = find_slot (store, request, ret_slot, ret_st, err);

  if (found)
    return found;
  autoclose int data_fd = fd_make_dir (store->fd, METAENTRY_DATA, 0700);
  autoclose int new_fd = data_fd < 0 ? -1 : fd_make_dir (data_fd, NEW_NAME, 0700);
  int fan = store_fan (store, request->id, err);
  if (fan < 0)
    return fan;
  if (new_fd < 0)
    return err_errno (err, "make the directory store/" METAENTRY_DATA "/" NEW_NAME);
  fd_temp_name (name);
  int made = make_entry (store, data_fd, new_fd, name, request, err);
  if (made <= 0)
    return made;
  slot_name (request->id, *ret_slot, object);
  if (linkat (new_fd, name, fan, object, 0) < 0 ||
      fstatat (fan, object, ret_st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "publish an entry as store/%02x/%s", request->id->bytes[0], object);
  store_note (store, ret_st, /* hashed= */ false);
  return 1;
}

int entries_remove (struct store *store, int dir_fd, const char *name, struct err *err)
{
  char place[METAENTRY_PLACE_SIZE];
  struct stat st;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s", name);
  int is_entry = metaentry_read (-1, dir_fd, name, &st, place);
  /* One whose place is none has no link. */
  if (is_entry < 0 && errno != EUCLEAN)
    return err_errno (err, "read the attributes of %s", name);
  if (is_entry > 0) {
    autofree char *path = place_path (place);
    int there = fstatat (store->fd, path, &st, AT_SYMLINK_NOFOLLOW);

    if (there < 0 && errno != ENOENT && errno != ENOTDIR)
      return err_errno (err, "stat store/%s", path);
    /* The contents are an object as well, or the root was copied without its hard links: then a
     * copy of this entry may be somewhere that has no others. */
    if (there == 0 && st.st_nlink > 1 && unlinkat (store->fd, path, 0) < 0 && errno != ENOENT)
      return err_errno (err, "remove store/%s", path);
  }
  if (unlinkat (dir_fd, name, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", name);
  return is_entry > 0;
}

int entries_sweep (struct store *store, struct err *err)
{
  autoclose int new_fd = fd_open_dir_beneath (store->fd, METAENTRY_DATA "/" NEW_NAME);
  autodirlist struct dirlist list = {0};

  if (new_fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open store/" METAENTRY_DATA "/" NEW_NAME);
  if (dirread_all (new_fd, &list, err) < 0)
    return err_wrap (err, "store/" METAENTRY_DATA "/" NEW_NAME);
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    struct stat st;

    if (fstatat (new_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat store/" METAENTRY_DATA "/" NEW_NAME "/%s", name);
    /* One that was published is an object by now. */
    if (st.st_nlink > 1 && unlinkat (new_fd, name, 0) < 0)
      return err_errno (err, "remove store/" METAENTRY_DATA "/" NEW_NAME "/%s", name);
    if (st.st_nlink == 1 && entries_remove (store, new_fd, name, err) < 0)
      return -err->code;
  }
  return 0;
}

/* Directories that are not empty stay. */
static int remove_empty (int dir_fd, const char *name, struct err *err)
{
  if (unlinkat (dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != EEXIST &&
      errno != ENOENT && errno != ENOTDIR)
    return err_errno (err, "remove the directory %s", name);
  return 0;
}

int entries_tidy (struct store *store, struct err *err)
{
  autoclose int data_fd = fd_open_dir (store->fd, METAENTRY_DATA);
  autodirlist struct dirlist list = {0};

  if (data_fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open store/" METAENTRY_DATA);
  if (entries_sweep (store, err) < 0 || dirread_all (data_fd, &list, err) < 0)
    return err_wrap (err, "store/" METAENTRY_DATA);
  for (size_t i = 0; i < list.count; i++)
    if (remove_empty (data_fd, list.items[i].name, err) < 0)
      return err_wrap (err, "store/" METAENTRY_DATA);
  return remove_empty (store->fd, METAENTRY_DATA, err);
}

int entries_used (struct store *store, struct err *err)
{
  if (faccessat (store->fd, METAENTRY_DATA, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return 1;
  return errno == ENOENT ? 0 : err_errno (err, "look for store/" METAENTRY_DATA);
}
