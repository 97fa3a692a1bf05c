/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks of running guests, by the standard CNI plugins (CNI specification 1.0.0).
 *
 * The network's configuration is looked up in CNI_CONF_PATH or /etc/cni/net.d (*.conflist, then
 * *.conf and *.json, by the "name" in them), plugins in CNI_PATH or /usr/lib/cni, /opt/cni/bin,
 * /usr/libexec/cni. Before ADD a note of everything that DEL needs is written, so that what a crash
 * left is released later: the note goes when DEL is done. */
#ifndef VG_RUNTIME_NETWORK_H
#define VG_RUNTIME_NETWORK_H

#include "guest/settings.h"

/* Makes a network namespace with "lo" up and binds it on the file @path (made when missing), so
 * that it lives as long as that mount: call it in the mount namespace of those who use it. /proc
 * must be of the caller's pid namespace. */
int network_make_namespace (const char *path, struct err *err);

/* Checks before anything is started that the network of @settings can be had: the configuration is
 * there and right, its plugins are, and take the addresses and ports that are set. NETWORK_HOST
 * and NETWORK_NONE always can. */
int network_check (const struct settings *settings, struct err *err);

/* ADD: all plugins of the list on the namespace at @netns_path, container id @id. @note_fd is the
 * directory where the note ("network.json") is kept; it must outlive a reboot of the host, as the
 * leases of addresses do: the guest's. @ret_result: {"addresses": ["10.0.0.2/24", …],
 * "interfaces": […], "gateway", "dns": {…}}: the caller's; see cni_result_summary. What an older
 * note names is released first. When a plugin fails, those that ran are undone and its message is
 * told: EREMOTEIO; ETIMEDOUT when it was killed. */
int network_add (const struct settings *settings, const char *id, const char *netns_path,
                 int note_fd, json_object **ret_result, struct err *err);

/* DEL by the note in @note_fd, which is removed then; nothing to do without one. @netns_path: NULL
 * when the namespace is gone (DEL still releases addresses and firewall rules). When a plugin fails
 * the others still run, and the note stays for another try. */
int network_delete (int note_fd, const char *netns_path, struct err *err);

/* Writes the name servers of @result, when it has any, to /etc/resolv.conf below @root_fd, the
 * mounted root of a guest that does not run yet. A link there (to what a resolver of the guest
 * writes) is left alone, and so is a file that says the same already. */
int network_write_resolv (json_object *result, int root_fd, struct err *err);

/* The network of a guest that runs, in the hands of its monitor. */
struct network {
  int note_fd;         /* owned; -1 when there is nothing to leave */
  char *netns_dir;     /* owned; NULL before it was made */
  char *netns_path;    /* owned; NULL: the host's network, or one that the runtime makes */
  json_object *result; /* owned; see network_add; NULL without CNI */
};
#define NETWORK_INIT                                                                               \
  {                                                                                                \
    .note_fd = -1                                                                                  \
  }

struct network_place {
  const char *id;  /* of the container */
  const char *dir; /* RUN/NAME/net: made, and mounted on in this mount namespace, that is not the
                      host's; the namespace is DIR/ns */
  pid_t host_pid;  /* of this process, for others on the host: they find the namespace at the same
                      path, by a link to /proc/PID/root there (the daemon of the dhcp plugin) */
  int guest_fd;    /* guests/NAME */
  int root_fd;     /* the guest's mounted root */
};

/* All of the above. For NETWORK_HOST and NETWORK_NONE there is nothing to do. After an error as
 * well, @network is left by network_leave. */
int network_join (struct network *network, const struct settings *settings,
                  const struct network_place *place, struct err *err);

/* Releases what network_join took, once no process of the guest is left. */
int network_leave (struct network *network, struct err *err);

#endif
