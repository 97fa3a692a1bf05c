/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "network.h"
#include "util/fd.h"
#include <sys/mount.h>

/* On the host DIR/ns is a link that leads here; here a tmpfs is over it. */
static int make_place (struct network *network, const struct network_place *place, struct err *err)
{
  autofree char *target = xasprintf ("/proc/%ld/root%s/ns", (long) place->host_pid, place->dir);
  autofree char *path = xasprintf ("%s/ns", place->dir);

  if (mkdir (place->dir, 0700) < 0)
    return err_errno (err, "create %s", place->dir);
  network->netns_dir = xstrdup (place->dir);
  if (symlink (target, path) < 0)
    return err_errno (err, "create %s", path);
  if (mount ("tmpfs", place->dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=0700") <
      0)
    return err_errno (err, "mount a tmpfs on %s", place->dir);
  if (network_make_namespace (path, err) < 0)
    return -err->code;
  network->netns_path = steal_ptr (&path);
  return 0;
}

int network_join (struct network *network, const struct settings *settings,
                  const struct network_place *place, struct err *err)
{
  if (settings->network != NETWORK_CNI)
    return 0;
  network->note_fd = fcntl (place->guest_fd, F_DUPFD_CLOEXEC, 3);
  if (network->note_fd < 0)
    return err_errno (err, "keep the guest's directory open");
  if (make_place (network, place, err) < 0 ||
      network_add (settings, place->id, network->netns_path, network->note_fd, &network->result,
                   err) < 0 ||
      network_write_resolv (network->result, place->root_fd, err) < 0)
    return -err->code;
  return 0;
}

static int remove_place (struct network *network, struct err *err)
{
  autofree char *path = xasprintf ("%s/ns", network->netns_dir);
  int ret = 0;

  if (network->netns_path && umount2 (path, MNT_DETACH) < 0)
    ret = err_errno (err, "unmount the network namespace on %s", path);
  /* Not mounted yet when the start failed there. */
  if (umount2 (network->netns_dir, MNT_DETACH) < 0 && errno != EINVAL && ret == 0)
    ret = err_errno (err, "unmount %s", network->netns_dir);
  if ((unlink (path) < 0 && errno != ENOENT) || rmdir (network->netns_dir) < 0)
    ret = ret < 0 ? ret : err_errno (err, "remove %s", network->netns_dir);
  return ret;
}

int network_leave (struct network *network, struct err *err)
{
  autoerr struct err place_err = {0};
  int ret = 0;

  if (network->note_fd >= 0)
    ret = network_delete (network->note_fd, network->netns_path, err);
  if (network->netns_dir && remove_place (network, &place_err) < 0 && ret == 0)
    ret = err_code (err, place_err.code, "%s", err_text (&place_err));
  cleanup_close (&network->note_fd);
  free (network->netns_dir);
  free (network->netns_path);
  json_object_put (network->result);
  *network = (struct network) NETWORK_INIT;
  return ret;
}
