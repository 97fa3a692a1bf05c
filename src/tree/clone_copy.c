/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clones of private layers: every inode is copied. */
#include "clone_internal.h"
#include "layer.h"
#include "util/copy.h"
#include <inttypes.h>

static int open_partners (struct clone_place *place, struct err *err)
{
  if (place->partners_fd >= 0)
    return place->partners_fd;
  fd_temp_name (place->partners_name);
  if (mkdirat (place->target->to_fd, place->partners_name, 0700) < 0)
    return err_errno (err, "make a directory for hard links");
  place->partners_fd = fd_open_dir (place->target->to_fd, place->partners_name);
  if (place->partners_fd < 0)
    return err_errno (err, "open the directory for hard links");
  return place->partners_fd;
}

/* With the flags that protect it, where those are wanted. */
static int copy_protected (const struct cloner *cloner, int from_dir, const char *name,
                           const struct stat *st, int to_dir, struct err *err)
{
  if (copy_inode (from_dir, name, st, -1, NULL, to_dir, name, err) < 0)
    return -err->code;
  return cloner->flags ? layer_copy_protattr (-1, from_dir, name, -1, to_dir, name, err) : 0;
}

static int place_copy (struct cloner *cloner, struct clone_place *place, int from_dir,
                       const struct dirread_entry *entry, int to_dir, struct err *err)
{
  char partner[24];
  struct stat st;

  if (fstatat (from_dir, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", entry->name);
  if (S_ISCHR (st.st_mode) && st.st_rdev == 0)
    return err_code (err, EBUSY, "%s is a whiteout: the private layer was not folded", entry->name);
  if (clone_refuse_forms (from_dir, entry->name, err) < 0)
    return -err->code;
  if (st.st_nlink < 2)
    return copy_protected (cloner, from_dir, entry->name, &st, to_dir, err);
  int partners_fd = open_partners (place, err);
  if (partners_fd < 0)
    return partners_fd;
  snprintf (partner, sizeof partner, "%" PRIu64, (uint64_t) st.st_ino);
  if (linkat (partners_fd, partner, to_dir, entry->name, 0) == 0)
    return 0;
  if (errno != ENOENT)
    return err_errno (err, "link %s", entry->name);
  if (copy_protected (cloner, from_dir, entry->name, &st, to_dir, err) < 0)
    return -err->code;
  if (linkat (to_dir, entry->name, partners_fd, partner, 0) < 0)
    return err_errno (err, "link %s", entry->name);
  return 0;
}

static int finish (struct cloner *cloner, struct clone_place *place, struct err *err)
{
  struct clone_target *target = place->target;

  if (target->err.code) {
    err_release (err);
    *err = target->err;
    target->err = (struct err){0};
    return -err->code;
  }
  if (place->partners_fd >= 0 &&
      (fd_remove_tree (target->to_fd, place->partners_name, err) < 0 ||
       clone_directory_metadata (cloner->from_fd, target->to_fd, err) < 0))
    return -err->code;
  return 0;
}

int clone_copy_tree (int from_fd, int to_fd, const struct rules *rules, bool keep_flags,
                     struct clone_counts *ret_counts, struct err *err)
{
  struct clone_target target = {.to_fd = to_fd};
  struct cloner cloner;

  cloner_start (&cloner, from_fd, rules, &target, 1);
  cloner.place = place_copy;
  cloner.layer = true;
  cloner.flags = keep_flags;
  /* Partners are found one after the other. */
  int ret = cloner_run (&cloner, 1, err);
  if (ret == 0)
    ret = finish (&cloner, &cloner.places[0], err);
  if (ret == 0)
    *ret_counts = target.counts;
  err_release (&target.err);
  cloner_release (&cloner);
  return ret;
}
