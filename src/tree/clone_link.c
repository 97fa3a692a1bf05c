/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clones by links: what is placed is the source's inode, unless it is full or cannot be linked. */
#include "clone_internal.h"
#include "layer.h"
#include "util/copy.h"
#include "util/dirwalk.h"
#include "util/inodes.h"
#include <inttypes.h>

enum {
  THREADS_MAX = 4, /* more only wait for one another */
};

/* The inode of the source has as many links as the file system allows. */
static int place_full (struct cloner *cloner, struct clone_place *place, int from_dir,
                       const struct dirread_entry *entry, int to_dir, struct err *err)
{
  struct share *share = place->target->share;
  int ret = 0;

  pthread_mutex_lock (&cloner->full_mutex);
  if (!place->noted) {
    const int layers[] = {cloner->from_fd, cloner->beside_fd};

    for (size_t i = 0; ret == 0 && i < 2 && layers[i] >= 0; i++)
      ret = inodes_note (layers[i], share->inodes, err);
    place->noted = ret == 0;
  }
  if (ret == 0) {
    u64table_add (&place->full, entry->ino);
    ret = store_clone_full (share, from_dir, entry->name, to_dir, entry->name, err);
  }
  pthread_mutex_unlock (&cloner->full_mutex);
  return ret;
}

static int link_name (int from_dir, const char *from, int to_dir, const char *to, struct err *err)
{
  if (linkat (from_dir, from, to_dir, to, 0) < 0)
    return err_errno (err, "link %s", to);
  return 0;
}

/* A copy has the name @name in the directory of temporary links: other names of the inode that were
 * linked all the same, or are in the other layer of a thin guest, join it. */
static int note_apart (struct cloner *cloner, struct clone_place *place, uint64_t ino, int to_dir,
                       const char *name, const char *partner, bool same_device, struct err *err)
{
  int temp_fd = place->target->share->temp_fd;

  if (linkat (to_dir, name, temp_fd, partner, 0) < 0) {
    if (errno == EPERM || errno == EOPNOTSUPP)
      return 0; /* no links at all here: what was a partner cannot be one */
    if (errno != EEXIST)
      return err_errno (err, "link %s", partner);
    /* Another thread had another name of it. */
    if (unlinkat (to_dir, name, 0) < 0)
      return err_errno (err, "remove %s", name);
    return link_name (temp_fd, partner, to_dir, name, err);
  }
  if (!same_device)
    return 0; /* nothing was linked, and the number is another inode's there */
  pthread_mutex_lock (&cloner->full_mutex);
  u64table_add (&place->full, ino);
  pthread_mutex_unlock (&cloner->full_mutex);
  return 0;
}

/* A link was refused: a copy, to which the other names of the inode are linked, by way of one in
 * the temporary directory. */
static int place_apart (struct cloner *cloner, struct clone_place *place, int from_dir,
                        const struct dirread_entry *entry, int to_dir, struct err *err)
{
  int temp_fd = place->target->share->temp_fd;
  char partner[40];
  struct stat st, top;

  pthread_mutex_lock (&cloner->mutex);
  place->target->counts.copied++;
  pthread_mutex_unlock (&cloner->mutex);
  if (fstatat (from_dir, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", entry->name);
  if (fstat (to_dir, &top) < 0)
    return err_errno (err, "stat a directory");
  bool same_device = st.st_dev == top.st_dev;
  snprintf (partner, sizeof partner, "%s%" PRIu64, same_device ? STORE_PARTNER : "copy-",
            entry->ino);
  if (linkat (temp_fd, partner, to_dir, entry->name, 0) == 0)
    return 0;
  if (copy_inode (from_dir, entry->name, &st, -1, NULL, to_dir, entry->name, err) < 0)
    return -err->code;
  if (st.st_nlink < 2)
    return 0;
  return note_apart (cloner, place, entry->ino, to_dir, entry->name, partner, same_device, err);
}

static int place_link (struct cloner *cloner, struct clone_place *place, int from_dir,
                       const struct dirread_entry *entry, int to_dir, struct err *err)
{
  if (linkat (from_dir, entry->name, to_dir, entry->name, 0) == 0)
    return 0;
  switch (errno) {
  case EMLINK:
    return place_full (cloner, place, from_dir, entry, to_dir, err);
  case EXDEV: /* also between projects with quotas on one file system */
  case EPERM:
  case EOPNOTSUPP:
    return place_apart (cloner, place, from_dir, entry, to_dir, err);
  default:
    return err_errno (err, "link %s", entry->name);
  }
}

/* Guests have whiteouts of their own: as links to one inode they would be too many some day. */
static int place_thin (struct cloner *cloner, struct clone_place *place, int from_dir,
                       const struct dirread_entry *entry, int to_dir, struct err *err)
{
  struct stat st;

  if (entry->type != DT_CHR)
    return place_link (cloner, place, from_dir, entry, to_dir, err);
  if (fstatat (from_dir, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", entry->name);
  return layer_is_whiteout (&st) ? layer_whiteout (-1, NULL, to_dir, entry->name, err)
                                 : place_link (cloner, place, from_dir, entry, to_dir, err);
}

/* A name that got one of the last links of an inode, whose partners did not: it joins them. */
static int join_partner (struct clone_place *place, int dir_fd, const struct dirread_entry *entry,
                         struct err *err)
{
  struct share *share = place->target->share;
  char temp[FD_TEMP_NAME_SIZE];
  struct stat st;

  if (fstat (dir_fd, &st) < 0)
    return err_errno (err, "stat a directory");
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  fd_temp_name (temp);
  if (store_clone_full (share, dir_fd, entry->name, share->temp_fd, temp, err) < 0 ||
      store_join (share, share->temp_fd, temp, dir_fd, entry->name, err) < 0)
    return -err->code;
  if (unlinkat (share->temp_fd, temp, 0) < 0)
    return err_errno (err, "remove a temporary link");
  if (futimens (dir_fd, times) < 0)
    return err_errno (err, "set the times of a directory");
  return 0;
}

static int join_partners (void *data, struct dirwalk_turn *turn, struct err *err)
{
  struct clone_place *place = data;
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  int ret;

  dirread_start (turn->fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    if (entry.type == DT_DIR)
      dirwalk_enter (turn, entry.name, NULL);
    else if (u64table_has (&place->full, entry.ino) &&
             join_partner (place, turn->fd, &entry, err) < 0)
      return err_wrap (err, "/%s", turn->path);
  }
  return ret;
}

static int clone_links (int from_fd, int beside_fd, bool thin, const struct rules *rules,
                        struct clone_target *targets, size_t count, struct err *err)
{
  struct cloner cloner;

  cloner_start (&cloner, from_fd, rules, targets, count);
  cloner.beside_fd = beside_fd;
  cloner.thin = thin;
  cloner.place = thin ? place_thin : place_link;
  int ret = cloner_run (&cloner, dirwalk_processors (THREADS_MAX), err);
  for (size_t i = 0; ret == 0 && i < count; i++) {
    struct clone_place *place = &cloner.places[i];
    struct dirwalk walk = {
        .top_fd = targets[i].to_fd, .threads = 1, .visit = join_partners, .data = place};

    if (place->full.count && !targets[i].err.code && dirwalk_run (&walk, &targets[i].err) < 0)
      continue;
  }
  cloner_release (&cloner);
  return ret;
}

int clone_trees (int from_fd, const struct rules *rules, struct clone_target *targets, size_t count,
                 struct err *err)
{
  return clone_links (from_fd, -1, /* thin= */ false, rules, targets, count, err);
}

int clone_thin_tree (int from_fd, int beside_fd, bool own, int to_fd, const struct rules *rules,
                     struct share *share, struct clone_counts *ret_counts, struct err *err)
{
  struct clone_target target = {.to_fd = to_fd, .share = share};
  int ret = clone_links (from_fd, beside_fd, own, rules, &target, 1, err);

  if (ret == 0 && target.err.code) {
    err_release (err);
    *err = target.err;
    return -err->code;
  }
  err_release (&target.err);
  if (ret == 0)
    *ret_counts = target.counts;
  return ret;
}

int clone_tree (int from_fd, int to_fd, const struct rules *rules, struct share *share,
                struct clone_counts *ret_counts, struct err *err)
{
  return clone_thin_tree (from_fd, -1, /* own= */ false, to_fd, rules, share, ret_counts, err);
}
