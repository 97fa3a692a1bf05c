/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "network.h"
#include "util/fd.h"
#include <sys/mount.h>

int network_join (struct network *network, const struct settings *settings, const char *id,
                  const char *netns_path, int guest_fd, int root_fd, struct err *err)
{
  if (settings->network != NETWORK_CNI)
    return 0;
  network->note_fd = fcntl (guest_fd, F_DUPFD_CLOEXEC, 3);
  if (network->note_fd < 0)
    return err_errno (err, "keep the guest's directory open");
  if (network_make_namespace (netns_path, err) < 0)
    return -err->code;
  network->netns_path = xstrdup (netns_path);
  if (network_add (settings, id, netns_path, network->note_fd, &network->result, err) < 0 ||
      network_write_resolv (network->result, root_fd, err) < 0)
    return -err->code;
  return 0;
}

int network_leave (struct network *network, struct err *err)
{
  int ret = 0;

  if (network->note_fd >= 0)
    ret = network_delete (network->note_fd, network->netns_path, err);
  if (network->netns_path && umount2 (network->netns_path, MNT_DETACH) < 0 && ret == 0)
    ret = err_errno (err, "unmount the network namespace");
  cleanup_close (&network->note_fd);
  network->note_fd = -1;
  free (steal_ptr (&network->netns_path));
  json_object_put (steal_ptr (&network->result));
  return ret;
}
