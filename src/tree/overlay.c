/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <signal.h>

/* mount(2) takes one page of options. */
enum { OPTIONS_MAX = 4095 };

/* An upper that overlayfs finds unfit gives a read-only mount and no error. Mostly it could not
 * write there, and then nobody can. */
static int tell_read_only (const struct overlay *overlay, const char *target, struct err *err)
{
  char name[FD_TEMP_NAME_SIZE];

  fd_temp_name (name);
  if (mkdirat (overlay->work_fd, name, 0700) < 0)
    return err_errno (err, "the overlay on %s came up read-only: make a directory for its work",
                      target);
  if (unlinkat (overlay->work_fd, name, AT_REMOVEDIR) < 0)
    return err_errno (err, "remove a directory that was tried for the overlay on %s", target);
  return err_code (err, EROFS, "the overlay on %s came up read-only; see the kernel's log", target);
}

int overlay_mount (const struct overlay *overlay, const char *target, struct err *err)
{
  autostrbuf struct strbuf options = STRBUF_INIT (OPTIONS_MAX);
  struct statvfs vfs;

  strbuf_adds (&options, "lowerdir=");
  for (size_t i = 0; i < overlay->lower_count; i++)
    strbuf_addf (&options, "%s/proc/self/fd/%d", i ? ":" : "", overlay->lower_fds[i]);
  strbuf_addf (&options,
               ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d"
               ",index=off,nfs_export=off,metacopy=on,redirect_dir=on,xino=auto%s",
               overlay->upper_fd, overlay->work_fd, overlay->volatile_mode ? ",volatile" : "");
  if (options.failed)
    return err_code (err, E2BIG, "the overlay on %s has too many layers", target);
  if (mount ("overlay", target, "overlay", overlay->nodev ? MS_NODEV : 0, strbuf_str (&options)) <
      0) {
    if (errno == ENODEV)
      return err_errno (err, "mount an overlay on %s (is the module overlay loaded?)", target);
    return err_errno (err, "mount an overlay on %s", target);
  }
  if (statvfs (target, &vfs) < 0)
    err_errno (err, "stat the overlay on %s", target);
  else if (vfs.f_flag & ST_RDONLY)
    tell_read_only (overlay, target, err);
  else
    return 0;
  umount2 (target, MNT_DETACH);
  return -err->code;
}

int overlay_enter_namespace (int dir_fd, struct err *err)
{
  if (fchdir (dir_fd) < 0)
    return err_errno (err, "enter a directory");
  /* A slave: what the host unmounts meanwhile is not kept busy here. */
  if (unshare (CLONE_NEWNS) < 0 || mount (NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
    return err_errno (err, "make a mount namespace");
  return 0;
}

static int probe_in_child (int dir_fd, struct err *err)
{
  if (overlay_enter_namespace (dir_fd, err) < 0)
    return -err->code;
  autoclose int lower = fd_open_dir (AT_FDCWD, "lower");
  autoclose int upper = fd_open_dir (AT_FDCWD, "upper");
  autoclose int work = fd_open_dir (AT_FDCWD, "work");
  autoclose int merged = fd_open_dir (AT_FDCWD, "merged");
  if (lower < 0 || upper < 0 || work < 0 || merged < 0)
    return err_errno (err, "open the layers of the probe");
  autofree char *target = fd_proc_path (merged, NULL);
  struct overlay overlay = {
      .lower_fds = &lower,
      .lower_count = 1,
      .upper_fd = upper,
      .work_fd = work,
      .volatile_mode = true,
      .nodev = true,
  };
  return overlay_mount (&overlay, target, err);
}

static int run_probe (int dir_fd, struct err *err)
{
  static const char *const parts[] = {"lower", "upper", "work", "merged", NULL};
  int report[2], status;
  char text[512] = "";

  for (const char *const *part = parts; *part; part++)
    if (mkdirat (dir_fd, *part, 0700) < 0 && errno != EEXIST)
      return err_errno (err, "make a directory for the overlay probe");
  if (pipe2 (report, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  autoclose int from = report[0];
  pid_t pid = fork ();
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (probe_in_child (dir_fd, err) == 0)
      _exit (0);
    const char *message = err_text (err);
    _exit (fd_write_all (report[1], message, strlen (message)) < 0 ? 2 : 1);
  }
  close (report[1]);
  if (pid < 0)
    return err_errno (err, "fork for the overlay probe");
  ssize_t n = fd_read_full (from, text, sizeof text - 1);
  text[n > 0 ? n : 0] = '\0';
  while (waitpid (pid, &status, 0) < 0)
    if (errno != EINTR)
      return err_errno (err, "wait for the overlay probe");
  if (status == 0)
    return 0;
  return err_code (err, EOPNOTSUPP, "%s", *text ? text : "the overlay probe failed");
}

int overlay_probe (int dir_fd, struct err *err)
{
  autoerr struct err remove_err = {0};

  /* A killed probe leaves a volatile work directory, which refuses the next mount. */
  if (fd_remove_tree (dir_fd, ".overlay-probe", err) < 0)
    return -err->code;
  autoclose int fd = fd_make_dir (dir_fd, ".overlay-probe", 0700);
  if (fd < 0)
    return err_errno (err, "make a directory for the overlay probe");
  int ret = run_probe (fd, err);
  if (fd_remove_tree (dir_fd, ".overlay-probe", &remove_err) < 0 && ret == 0)
    return err_code (err, remove_err.code, "%s", err_text (&remove_err));
  return ret;
}

/* mountinfo writes space, tab, newline and backslash as \ooo (proc(5)). In place. */
static void unescape (char *s)
{
  char *out = s;

  while (*s) {
    if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
        s[3] <= '7') {
      *out++ = (char) ((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
      s += 4;
    } else {
      *out++ = *s++;
    }
  }
  *out = '\0';
}

static bool below (const char *path, const char *base)
{
  size_t len = strlen (base);

  return strncmp (path, base, len) == 0 && (path[len] == '/' || !path[len]);
}

/* The value of an overlay option such as lowerdir=A:B: does any of its paths lie below @base? */
static bool option_below (const char *options, const char *key, const char *base)
{
  for (const char *p = options; (p = strstr (p, key)) != NULL; p++) {
    const char *value = p + strlen (key);
    size_t left = strcspn (value, ",");

    while (left) {
      size_t len = strcspn (value, ":,");
      autofree char *path = xstrndup (value, len);

      if (below (path, base))
        return true;
      value += len;
      left -= len;
      if (left) {
        value++;
        left--;
      }
    }
  }
  return false;
}

int overlay_in_use (const char *path, char **ret_where, struct err *err)
{
  autofree char *line = NULL;
  size_t size = 0;
  int found = 0;
  FILE *file = fopen ("/proc/self/mountinfo", "re");

  if (!file)
    return err_errno (err, "open /proc/self/mountinfo");
  while (!found && getline (&line, &size, file) > 0) {
    char *save = NULL, *field = line, *point = NULL;
    const char *dash = strstr (line, " - ");

    for (int i = 0; i < 5 && (field = strtok_r (i ? NULL : line, " ", &save)); i++)
      point = field;
    if (!field || !point)
      continue;
    unescape (point);
    /* strtok_r wrote only before the fifth field's end: the rest is as it was. */
    bool overlay = dash && strncmp (dash + 3, "overlay ", 8) == 0;
    if (below (point, path) || (overlay && (option_below (dash, "lowerdir=", path) ||
                                            option_below (dash, "upperdir=", path)))) {
      *ret_where = xstrdup (point);
      found = 1;
    }
  }
  if (!found && ferror (file))
    found = err_errno (err, "read /proc/self/mountinfo");
  fclose (file);
  return found;
}
