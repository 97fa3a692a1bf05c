/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "remove.h"
#include "guest/collect.h"
#include "guest/usage.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"

/* Moves the guest to @staging. Its lock may go then: nobody finds it by its name any more. */
static int take_away (struct vroot *root, const char *name, struct staging *staging, int *ret_fd,
                      struct err *err)
{
  autoguest struct guest *guest = NULL;
  autofree char *path = xasprintf ("%s/guests/%s", root->path, name);

  if (guest_open (root, name, GUEST_TAKEN, &guest, err) < 0 ||
      guest_refuse_used (root, guest, err) < 0)
    return -err->code;
  if (fd_rename (root->guests_fd, name, staging->fd, name, RENAME_NOREPLACE) < 0)
    return err_errno (err, "move %s to staging", path);
  *ret_fd = steal_fd (&guest->fd);
  return 0;
}

static void close_all (int *fds, size_t count)
{
  for (size_t i = 0; i < count; i++)
    close (fds[i]);
  free (fds);
}

int guests_remove (struct vroot *root, const struct names *names, struct err *errs,
                   struct remove_result *ret_result, struct err *err)
{
  autostaging struct staging staging = {.fd = -1};
  autousagemap struct usage_map map = {0};
  struct usage usage = {0};
  struct gc_result collected;
  size_t count = 0;
  int ret = 0;

  /* The note comes first: objects become unused the moment the guests go. */
  if (staging_make (root, "delete", &staging, err) < 0 || root_want_gc (root, err) < 0)
    return -err->code;
  int *fds = xcalloc (names->count, sizeof *fds);
  for (size_t i = 0; i < names->count && !interrupt_pending (); i++)
    count += take_away (root, names->items[i], &staging, &fds[count], &errs[i]) == 0;
  if (count)
    ret = usage_map_load (root, &map, err) < 0 || usage_scan (&map, fds, count, &usage, err) < 0
              ? -err->code
              : 0;
  close_all (fds, count);
  if (ret < 0)
    return ret;
  if (staging_remove (&staging, err) < 0)
    return err_wrap (err, "remove what the guests used");
  int ran = root_collect_after (root, usage.store_own_objects, &collected, err);
  if (ran < 0)
    return err_wrap (err, "remove the objects that only they used");
  *ret_result = (struct remove_result){
      .freed_bytes = usage.own_bytes - (ran ? 0 : usage.store_own_bytes),
      .collected = ran,
  };
  return interrupt_check (err);
}
