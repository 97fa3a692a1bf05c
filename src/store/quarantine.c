/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "quarantine.h"
#include "store_internal.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <inttypes.h>

enum { NAMES_MAX = 10000 }; /* of one object */

int quarantine_open (struct store *store, int *ret_fd, struct err *err)
{
  *ret_fd = fd_open_dir (store->fd, QUARANTINE_NAME);
  if (*ret_fd < 0 && errno != ENOENT)
    return err_errno (err, "open the directory store/" QUARANTINE_NAME);
  return 0;
}

/* Moves to the first free name that begins with @base. */
static int move (struct store *store, int dir_fd, const char *name, const char *base,
                 char **ret_name, struct err *err)
{
  autoclose int fd = fd_make_dir (store->fd, QUARANTINE_NAME, 0700);

  if (fd < 0)
    return err_errno (err, "make the directory store/" QUARANTINE_NAME);
  for (unsigned n = 1; n < NAMES_MAX; n++) {
    autofree char *to = n == 1 ? xstrdup (base) : xasprintf ("%s.%u", base, n);

    if (fd_rename (dir_fd, name, fd, to, RENAME_NOREPLACE) == 0) {
      *ret_name = steal_ptr (&to);
      return 0;
    }
    if (errno != EEXIST)
      break;
  }
  return err_errno (err, "move %s to store/" QUARANTINE_NAME, name);
}

/* Is @name of store/quarantine that inode? Else, as somebody put another object into its slot in
 * between, it goes back. */
static int settle (struct store *store, int fan, const char *object, const char *name, uint64_t ino,
                   struct err *err)
{
  autoclose int fd = -1;
  struct stat st;

  if (quarantine_open (store, &fd, err) < 0)
    return -err->code;
  if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat store/" QUARANTINE_NAME "/%s", name);
  if (st.st_ino == ino)
    return 1;
  if (fd_rename (fd, name, fan, object, RENAME_NOREPLACE) < 0 && errno != EEXIST)
    return err_errno (err, "move store/" QUARANTINE_NAME "/%s back", name);
  return 0;
}

int quarantine_object (struct store *store, const struct digest *id, unsigned slot, uint64_t ino,
                       char **ret_name, struct err *err)
{
  char object[SLOT_NAME_SIZE], text[DIGEST_TEXT_SIZE];
  autofree char *base = NULL, *name = NULL;
  struct stat st;
  int fan = store_fan (store, id, err);

  if (fan < 0)
    return fan;
  slot_name (id, slot, object);
  digest_format (id, text);
  if (fstatat (fan, object, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat store/%.2s/%s", text, object);
  if (st.st_ino != ino)
    return 0;
  base = xasprintf ("%s-%u", text, slot);
  if (move (store, fan, object, base, &name, err) < 0) {
    if (err->code != ENOENT)
      return -err->code;
    err_release (err); /* somebody else was faster */
    return 0;
  }
  int ret = settle (store, fan, object, name, ino, err);
  if (ret > 0)
    *ret_name = steal_ptr (&name);
  return ret;
}

int quarantine_alien (struct store *store, int dir_fd, const char *name, char **ret_name,
                      struct err *err)
{
  struct stat st;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  autofree char *base = xasprintf ("alien-%" PRIu64, (uint64_t) st.st_ino);
  return move (store, dir_fd, name, base, ret_name, err);
}

void quarantine_release (struct quarantine *quarantine)
{
  for (size_t i = 0; i < quarantine->count; i++)
    free (quarantine->items[i].name);
  free (quarantine->items);
  *quarantine = (struct quarantine){0};
}

/* "<64 digits>-<slot>", perhaps with ".N" behind it. */
static bool parse (const char *name, struct quarantined *ret_item)
{
  autofree char *object = xstrndup (name, strcspn (name, "."));
  char fan[3] = {0};

  if (strlen (object) < 3)
    return false;
  memcpy (fan, object, 2);
  return slot_parse (fan, object + 2, &ret_item->id, &ret_item->slot);
}

int quarantine_read (struct store *store, struct quarantine *ret_quarantine, struct err *err)
{
  autoclose int fd = -1;
  autodirlist struct dirlist list = {0};
  struct quarantine quarantine = {0};

  if (quarantine_open (store, &fd, err) < 0 || (fd >= 0 && dirread_all (fd, &list, err) < 0))
    return -err->code;
  quarantine.items = xcalloc (list.count, sizeof *quarantine.items);
  for (size_t i = 0; i < list.count; i++) {
    struct quarantined *item = &quarantine.items[quarantine.count++];

    item->name = xstrdup (list.items[i].name);
    item->ino = list.items[i].ino;
    item->object = parse (item->name, item);
  }
  *ret_quarantine = quarantine;
  return 0;
}

int quarantine_note_inodes (struct store *store, struct u64set *inodes, struct err *err)
{
  autoquarantine struct quarantine quarantine = {0};

  if (quarantine_read (store, &quarantine, err) < 0)
    return -err->code;
  for (size_t i = 0; i < quarantine.count; i++)
    u64set_add (inodes, quarantine.items[i].ino);
  return 0;
}
