/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Styles of init: what the first process of a running guest is, what it needs, how it is stopped.
 *
 * | style    | process 1                   | stopped by             | besides |
 * |----------|-----------------------------|------------------------|------------------------------|
 * | systemd  | /sbin/init                  | SIGRTMIN+3 (halt)      | writable own cgroup | |
 * sysvinit | /sbin/init                  | /sbin/init 0 in it     |                              |
 * | openrc   | /sbin/init, an openrc-init  | openrc-shutdown in it  | | | busybox  | /sbin/init, a
 * busybox       | SIGUSR2 (power off)    |                              | | plain    | catatonit of
 * the host, over | SIGTERM                | no terminal, no CAP_SYS_BOOT | |          | "command"
 * |                        |                              | | none     | catatonit -P | SIGTERM |
 * the same                     |
 *
 * The guest's own inits get a terminal as /dev/console, container=… in their environment, and
 * CAP_SYS_BOOT with reboot(2): in a pid namespace the kernel ends its first process with SIGHUP for
 * a restart and with SIGINT for all else, and nothing happens to the host (reboot_pid_ns). They get
 * no CAP_SYS_ADMIN, which without a user namespace is as good as root on the host: systemd does
 * without, as below podman --systemd, and leaves out the sandboxing of services that needs it. */
#ifndef VG_RUNTIME_INIT_H
#define VG_RUNTIME_INIT_H

#include "guest/settings.h"

struct init_spec {
  enum init_style style;
  const char *const *args; /* NULL: the settings' command */
  const char *container;   /* "container=…", or NULL */
  bool of_guest;           /* the guest's own: terminal, CAP_SYS_BOOT */
  bool own_cgroup;         /* writable, with its own tree */
  int stop_signal;         /* 0: stop_command is run in the guest */
  const char *const *stop_command;
};

/* What to run in the guest whose root is mounted at @root_fd; the constant is borrowed. ERR_USAGE
 * when the settings contradict themselves, or /sbin/init is of no kind that is known. */
int init_choose (const struct settings *settings, int root_fd, const struct init_spec **ret_spec,
                 struct err *err);

#endif
