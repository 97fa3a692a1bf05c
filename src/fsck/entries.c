/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries (util/metaentry.h) that are no objects, and links in store/data that no entry has. Those
 * that are objects are looked at as all objects are. */
#include "internal.h"
#include "store/quarantine.h"
#include "util/fd.h"
#include <inttypes.h>

static int note_quarantined (struct fsck *fsck, struct err *err)
{
  struct store *store = fsck->root->store;
  autoquarantine struct quarantine quarantine = {0};
  autoclose int fd = -1;

  if (quarantine_open (store, &fd, err) < 0 || quarantine_read (store, &quarantine, err) < 0)
    return -err->code;
  for (size_t i = 0; i < quarantine.count; i++) {
    autoerr struct err ignored = {0};
    struct stat st;

    /* Those are told as damaged objects. */
    if (fstatat (fd, quarantine.items[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0)
      entries_map_add (&fsck->entries, fd, quarantine.items[i].name, &st, &ignored);
  }
  return 0;
}

int fsck_load_entries (struct fsck *fsck, struct err *err)
{
  if (entries_map_load (fsck->root->store, &fsck->entries, err) < 0)
    return -err->code;
  return fsck->entries.count ? note_quarantined (fsck, err) : 0;
}

int fsck_note_entry (struct fsck *fsck, const char *where, int dir_fd, const char *name,
                     const struct stat *st, struct err *err)
{
  if (entries_map_add (&fsck->entries, dir_fd, name, st, err) >= 0)
    return 0;
  if (err->code != EUCLEAN)
    return -err->code;
  fsck_add (fsck, FSCK_FORM, true, where,
            "it shares contents with another file, and they are lost");
  err_release (err);
  return 0;
}

/* A place that could not be read may have the entry. */
static bool is_all_known (const struct fsck *fsck)
{
  for (size_t i = 0; i < fsck->finding_count; i++)
    if (fsck->findings[i].class == FSCK_UNREADABLE)
      return false;
  return true;
}

int fsck_check_entries (struct fsck *fsck, bool repair, struct err *err)
{
  const struct entries_map *map = &fsck->entries;
  uint64_t unused = 0;

  if (!is_all_known (fsck))
    return 0;
  for (size_t i = 0; i < map->count; i++) {
    autofree char *path = xasprintf (METAENTRY_DATA "%s", map->links[i].place);

    if (map->links[i].used)
      continue;
    unused++;
    if (repair && unlinkat (fsck->root->store->fd, path, 0) < 0 && errno != ENOENT)
      return err_errno (err, "remove store/%s", path);
  }
  if (!unused)
    return 0;
  fsck_add (fsck, FSCK_LEFTOVER, false, "store/" METAENTRY_DATA,
            "%" PRIu64 " links are of no file any more, and keep contents from being collected%s",
            unused, repair ? ": removed" : ": `vstore fsck --repair` removes them");
  fsck->findings[fsck->finding_count - 1].corrected = repair;
  return 0;
}
