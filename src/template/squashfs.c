/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Squashfs images, which libarchive does not read. */
#include "template/archive.h"
#include "template/unpack.h"
#include "util/fd.h"
#include "util/subprocess.h"
#include <signal.h>

static const char tree_name[] = "squashfs";

bool squashfs_is (const void *start, size_t len)
{
  return len >= 4 && memcmp (start, "hsqs", 4) == 0;
}

static int failed (const char *program, int status, struct err *err)
{
  autofree char *how = subprocess_describe (status);

  return err_code (err, EBADMSG, "read the squashfs image: %s failed: %s", program, how);
}

/* sqfs2tar writes a tar archive to a pipe. */
static int by_tar (struct import *import, const char *image, struct err *err)
{
  const char *const argv[] = {"sqfs2tar", "--root-becomes", ".", image, NULL};
  struct subprocess sub = {.argv = argv, .stdin_fd = -1, .stderr_fd = -1};
  int out[2], status = 0;
  pid_t pid = -1;

  if (pipe2 (out, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  autoclose int from = out[0];
  sub.stdout_fd = out[1];
  int ret = subprocess_start (&sub, &pid, err);
  close (out[1]);
  if (ret < 0)
    return ret;
  ret = unpack_archive (&import->writer, from, err);
  if (ret < 0)
    kill (pid, SIGKILL);
  autoerr struct err wait_err = {0};
  if (subprocess_wait (pid, &status, &wait_err) < 0 && ret == 0)
    return err_code (err, wait_err.code, "%s", err_text (&wait_err));
  if (ret == 0 && status != 0)
    return failed (argv[0], status, err);
  return ret;
}

/* unsquashfs writes a directory, which is copied then. */
static int by_directory (struct import *import, const char *image, struct err *err)
{
  autofree char *target =
      xasprintf ("%s/staging/%s/temp/%s", import->root->path, import->staging.name, tree_name);
  const char *const argv[] = {"unsquashfs", "-no-progress", "-quiet", "-dest", target, image, NULL};
  autoclose int null_fd = open ("/dev/null", O_WRONLY | O_CLOEXEC);
  struct subprocess sub = {
      .argv = argv, .stdin_fd = -1, .stdout_fd = null_fd, .stderr_fd = -1, .own_group = true};
  int status = 0;

  if (null_fd < 0)
    return err_errno (err, "open /dev/null");
  if (subprocess_run (&sub, &status, err) < 0)
    return -err->code;
  if (status != 0)
    return failed (argv[0], status, err);
  autoclose int fd = fd_open_dir (import->temp_fd, tree_name);
  if (fd < 0)
    return err_errno (err, "open what unsquashfs wrote");
  if (import_fill (import, fd, err) < 0)
    return -err->code;
  return fd_remove_tree (import->temp_fd, tree_name, err);
}

int squashfs_fill (struct import *import, int fd, struct err *err)
{
  autofree char *image = xasprintf ("/proc/%ld/fd/%d", (long) getpid (), fd);

  if (subprocess_exists ("sqfs2tar"))
    return by_tar (import, image, err);
  if (subprocess_exists ("unsquashfs"))
    return by_directory (import, image, err);
  return err_code (err, ENOENT,
                   "it is a squashfs image: install the package squashfs-tools-ng, which has "
                   "sqfs2tar, or squashfs-tools");
}
