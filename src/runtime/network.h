/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks of running guests, by the standard CNI plugins (CNI specification 1.0.0).
 *
 * The network's configuration list NAME is looked up in CNI_CONF_PATH or /etc/cni/net.d
 * (*.conflist,
 * *.conf by the "name" in them), plugins in CNI_PATH or /usr/lib/cni, /opt/cni/bin. Before ADD a
 * note of everything that DEL needs is written, so that what a crash left is released later: the
 * note goes when DEL is done. */
#ifndef VG_RUNTIME_NETWORK_H
#define VG_RUNTIME_NETWORK_H

#include "guest/settings.h"

/* Makes a network namespace with "lo" up and binds it on the file @path (made when missing), so
 * that it lives as long as that mount: call it in the mount namespace of those who use it. */
int network_make_namespace (const char *path, struct err *err);

/* Checks before anything is started that the network of @settings can be had: the configuration is
 * there and right, and its plugins are. NETWORK_HOST and NETWORK_NONE always can. */
int network_check (const struct settings *settings, struct err *err);

/* ADD: all plugins of the list on the namespace at @netns_path, container id @id. @note_fd is a
 * directory on the host where the note ("network.json") is kept. @ret_result: {"addresses":
 * ["10.0.0.2/24", …], "interfaces": […], "gateway", "dns": {…}}: the caller's. When a plugin fails,
 * those that ran are undone and its message is told. */
int network_add (const struct settings *settings, const char *id, const char *netns_path,
                 int note_fd, json_object **ret_result, struct err *err);

/* DEL by the note in @note_fd, which is removed then; nothing to do without one. @netns_path: NULL
 * when the namespace is gone (DEL must still release addresses and firewall rules). */
int network_delete (int note_fd, const char *netns_path, struct err *err);

#endif
