/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init.h"
#include "util/fd.h"
#include <limits.h>
#include <signal.h>

/* SIGRTMIN is no constant in C; the kernel and systemd mean 34. */
enum { PROGRAM_MAX = 4 << 20, INIT_SIGRTMIN_3 = 34 + 3 };

static const char *const own_init[] = {"/sbin/init", NULL};
static const char *const sysvinit_stop[] = {"/sbin/init", "0", NULL};
static const char *const openrc_stop[] = {"/sbin/openrc-shutdown", "--poweroff", "now", NULL};
static const char *const no_args[] = {NULL};

/* OpenRC and the scripts of sysvinit know a container by the word lxc. */
static const struct init_spec specs[] = {
    {INIT_SYSTEMD, own_init, "container=vguest", true, true, INIT_SIGRTMIN_3, NULL},
    {INIT_SYSVINIT, own_init, "container=lxc", true, false, 0, sysvinit_stop},
    {INIT_OPENRC, own_init, "container=lxc", true, false, 0, openrc_stop},
    {INIT_BUSYBOX, own_init, "container=lxc", true, false, SIGUSR2, NULL},
    {INIT_PLAIN, NULL, NULL, false, false, SIGTERM, NULL},
    {INIT_NONE, no_args, NULL, false, false, SIGTERM, NULL},
};

static bool holds (const char *data, size_t len, const char *text)
{
  return memmem (data, len, text, strlen (text)) != NULL;
}

/* By what the program says of itself: a sysvinit, or a busybox without a telling name. */
static int look_inside (int root_fd, enum init_style *ret_style, struct err *err)
{
  autoclose int fd = fd_open_in_root (root_fd, "/sbin/init", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  autofree char *data = xmalloc (PROGRAM_MAX);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0)
    return err_errno (err, "open /sbin/init of the guest");
  ssize_t n = S_ISREG (st.st_mode) ? fd_read_full (fd, data, PROGRAM_MAX) : 0;
  if (n < 0)
    return err_errno (err, "read /sbin/init of the guest");
  size_t len = (size_t) n;
  if (holds (data, len, "BusyBox v"))
    *ret_style = INIT_BUSYBOX;
  else if (holds (data, len, "openrc"))
    *ret_style = INIT_OPENRC;
  else if (holds (data, len, "/etc/inittab") && holds (data, len, "initctl"))
    *ret_style = INIT_SYSVINIT;
  else
    return err_code (err, ERR_USAGE,
                     "its /sbin/init is none that vguest knows (systemd, sysvinit, openrc, "
                     "busybox): set \"init\" to the one that it is like, or \"command\"");
  return 0;
}

static int detect (int root_fd, enum init_style *ret_style, struct err *err)
{
  autoclose int fd = fd_open_in_root (root_fd, "/sbin/init", O_PATH, 0);
  char target[PATH_MAX];

  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
    *ret_style = INIT_NONE;
    return 0;
  }
  if (fd < 0)
    return err_errno (err, "look for /sbin/init of the guest");
  autofree char *path = fd_proc_path (fd, NULL);
  ssize_t len = readlink (path, target, sizeof target - 1);
  if (len < 0)
    return err_errno (err, "ask where /sbin/init of the guest leads");
  target[len] = '\0';
  const char *slash = strrchr (target, '/'), *name = slash ? slash + 1 : target;
  if (strcmp (name, "systemd") == 0)
    *ret_style = INIT_SYSTEMD;
  else if (strcmp (name, "openrc-init") == 0)
    *ret_style = INIT_OPENRC;
  else if (strncmp (name, "busybox", 7) == 0)
    *ret_style = INIT_BUSYBOX;
  else
    return look_inside (root_fd, ret_style, err);
  return 0;
}

int init_choose (const struct settings *settings, int root_fd, const struct init_spec **ret_spec,
                 struct err *err)
{
  enum init_style style = settings->init;

  if (style == INIT_AUTO && settings->command.count)
    style = INIT_PLAIN;
  if (style == INIT_AUTO && detect (root_fd, &style, err) < 0)
    return -err->code;
  if (style == INIT_PLAIN && !settings->command.count)
    return err_code (err, ERR_USAGE, "\"init\" is plain, but there is no \"command\" to run");
  for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++)
    if (specs[i].style == style)
      *ret_spec = &specs[i];
  return 0;
}
