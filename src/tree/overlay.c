/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay.h"
#include "util/metaentry.h"
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
  if (overlay->has_data)
    strbuf_addf (&options, "::/proc/self/fd/%d", overlay->data_fd);
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
    if (errno == EINVAL && overlay->has_data)
      return err_code (err, EOPNOTSUPP,
                       "mount an overlay on %s: files of this state root share contents alone, "
                       "which takes Linux 6.5: boot a newer kernel, or end it with `vhashify "
                       "--no-contents`",
                       target);
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

int overlay_open_data (int guest_fd, struct overlay *overlay, struct err *err)
{
  overlay->data_fd = fd_open_dir (guest_fd, "../../store/" METAENTRY_DATA);
  overlay->has_data = overlay->data_fd >= 0;
  if (overlay->data_fd < 0 && errno != ENOENT)
    return err_errno (err, "open store/" METAENTRY_DATA);
  return 0;
}

/* Mounts the layers of the probe on merged/, in a namespace of its own. */
static int mount_probe (int dir_fd, bool with_data, struct err *err)
{
  if (overlay_enter_namespace (dir_fd, err) < 0)
    return -err->code;
  autoclose int lower = fd_open_dir (AT_FDCWD, "lower");
  autoclose int upper = fd_open_dir (AT_FDCWD, "upper");
  autoclose int work = fd_open_dir (AT_FDCWD, "work");
  autoclose int merged = fd_open_dir (AT_FDCWD, "merged");
  autoclose int data = with_data ? fd_open_dir (AT_FDCWD, "data") : -1;
  if (lower < 0 || upper < 0 || work < 0 || merged < 0 || (with_data && data < 0))
    return err_errno (err, "open the layers of the probe");
  autofree char *target = fd_proc_path (merged, NULL);
  struct overlay overlay = {
      .lower_fds = &lower,
      .lower_count = 1,
      .data_fd = data,
      .has_data = with_data,
      .upper_fd = upper,
      .work_fd = work,
      .volatile_mode = true,
      .nodev = true,
  };
  return overlay_mount (&overlay, target, err);
}

static int probe_in_child (int dir_fd, struct err *err)
{
  return mount_probe (dir_fd, /* with_data= */ false, err);
}

/* What the probe of entries reads, and its place. */
static const char probe_text[] = "contents";
static const char probe_place[] = "/00/00000000000000";

static int make_probe_entry (int dir_fd, struct err *err)
{
  autofree char *place = xasprintf ("data%s", probe_place);

  if (mkdirat (dir_fd, "data/00", 0700) < 0)
    return err_errno (err, "make a directory for the overlay probe");
  autoclose int data = fd_open (dir_fd, place, O_WRONLY | O_CREAT | O_EXCL, 0600);
  autoclose int entry = fd_open (dir_fd, "lower/entry", O_RDWR | O_CREAT | O_EXCL, 0600);
  if (data < 0 || fd_write_all (data, probe_text, sizeof probe_text) < 0 || entry < 0 ||
      ftruncate (entry, sizeof probe_text) < 0 || metaentry_mark (entry, probe_place) < 0)
    return err_errno (err, "make an entry for the overlay probe");
  return 0;
}

static int probe_data_in_child (int dir_fd, struct err *err)
{
  char text[sizeof probe_text] = "";

  if (make_probe_entry (dir_fd, err) < 0 || mount_probe (dir_fd, /* with_data= */ true, err) < 0)
    return -err->code;
  autoclose int entry = open ("merged/entry", O_RDONLY | O_CLOEXEC);
  if (entry < 0 || fd_read_full (entry, text, sizeof text) < 0)
    return err_errno (err, "read a file of the probe");
  if (memcmp (text, probe_text, sizeof text) != 0)
    return err_code (err, EOPNOTSUPP, "the overlay shows other contents than those below it");
  return 0;
}

static int run_probe (int dir_fd, int (*probe) (int dir_fd, struct err *err), struct err *err)
{
  static const char *const parts[] = {"lower", "data", "upper", "work", "merged", NULL};
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
    if (probe (dir_fd, err) == 0)
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

static int probe_below (int dir_fd, int (*probe) (int dir_fd, struct err *err), struct err *err)
{
  autoerr struct err remove_err = {0};

  /* A killed probe leaves a volatile work directory, which refuses the next mount. */
  if (fd_remove_tree (dir_fd, ".overlay-probe", err) < 0)
    return -err->code;
  autoclose int fd = fd_make_dir (dir_fd, ".overlay-probe", 0700);
  if (fd < 0)
    return err_errno (err, "make a directory for the overlay probe");
  int ret = run_probe (fd, probe, err);
  if (fd_remove_tree (dir_fd, ".overlay-probe", &remove_err) < 0 && ret == 0)
    return err_code (err, remove_err.code, "%s", err_text (&remove_err));
  return ret;
}

int overlay_probe (int dir_fd, struct err *err)
{
  return probe_below (dir_fd, probe_in_child, err);
}

int overlay_probe_data (int dir_fd, struct err *err)
{
  return probe_below (dir_fd, probe_data_in_child, err);
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
