/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"
#include "template/copytree.h"
#include "template/describe.h"
#include "template/template.h"
#include "template/unpack.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <time.h>

static int make_dir (int dir_fd, const char *name, int *ret_fd, struct err *err)
{
  *ret_fd = fd_make_dir (dir_fd, name, 0700);
  if (*ret_fd < 0)
    return err_errno (err, "make the directory staging/…/%s", name);
  return 0;
}

static void describe (struct import *import, const char *source)
{
  char stamp[32] = "";
  time_t now = time (NULL);
  struct tm tm;

  if (gmtime_r (&now, &tm) && !strftime (stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm))
    stamp[0] = '\0';
  import->info = json_object_new_object ();
  json_set_int (import->info, "format", TEMPLATE_FORMAT);
  json_set_string (import->info, "name", import->name);
  json_set_int (import->info, "generation", 1);
  json_set_string (import->info, "created", stamp);
  json_set_string (import->info, "source", source);
}

int import_begin (struct vroot *root, const char *name, const char *source, struct import *import,
                  struct err *err)
{
  import->root = root;
  import->name = name;
  if (template_check_new (root, name, err) < 0)
    return -err->code;
  interrupt_install ();
  describe (import, source);
  if (staging_make (root, "import", &import->staging, err) < 0 ||
      make_dir (import->staging.fd, "template", &import->template_fd, err) < 0 ||
      make_dir (import->staging.fd, "temp", &import->temp_fd, err) < 0 ||
      make_dir (import->template_fd, "1", &import->generation_fd, err) < 0 ||
      make_dir (import->generation_fd, "tree", &import->tree_fd, err) < 0)
    return -err->code;
  return writer_start (root->store, import->tree_fd, import->temp_fd, &import->writer, err);
}

int import_fill (struct import *import, int fd, struct err *err)
{
  struct stat st, root_st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat the source");
  if (fstat (import->root->fd, &root_st) < 0)
    return err_errno (err, "stat %s", import->root->path);
  if (S_ISDIR (st.st_mode))
    return copytree (&import->writer, fd, root_st.st_dev, root_st.st_ino, err);
  return unpack_archive (&import->writer, fd, err);
}

/* From here on nothing is left to take back. */
static int rename_into_place (struct import *import, struct err *err)
{
  struct vroot *root = import->root;

  if (fd_rename (import->staging.fd, "template", root->templates_fd, import->name,
                 RENAME_NOREPLACE) < 0) {
    if (errno == EEXIST)
      return err_code (err, EEXIST, "the template %s was made by somebody else meanwhile",
                       import->name);
    return err_errno (err, "move the template to templates/%s", import->name);
  }
  if (fsync (root->templates_fd) < 0)
    return err_errno (err, "sync %s/templates", root->path);
  return 0;
}

int import_finish (struct import *import, struct writer_report *ret_report, struct err *err)
{
  struct writer *writer = &import->writer;
  struct writer_report *report = &writer->report;

  if (writer_finish (writer, err) < 0)
    return -err->code;
  if (!report->files)
    return err_code (err, EINVAL, "the source has no files");
  progress_clear ();
  describe_tree (import->tree_fd, import->info);
  json_set_int (import->info, "files", (int64_t) report->files);
  json_set_int (import->info, "directories", (int64_t) report->directories);
  json_set_int (import->info, "bytes", (int64_t) report->bytes);
  autoclose int lock_fd = fd_open (import->template_fd, "lock", O_WRONLY | O_CREAT, 0600);
  if (lock_fd < 0)
    return err_errno (err, "create the lock of the template");
  if (json_write_file (import->generation_fd, "template.json", import->info, err) < 0 ||
      fd_sync_fs (import->tree_fd, err) < 0 || interrupt_check (err) < 0 ||
      rename_into_place (import, err) < 0)
    return -err->code;
  if (writer->replaced && root_want_gc (import->root, err) < 0)
    return -err->code;
  *ret_report = *report;
  report->first_error = NULL;
  writer_release (writer);
  return staging_remove (&import->staging, err);
}

void import_drop (struct import *import)
{
  int saved = errno;
  int fds[] = {import->template_fd, import->generation_fd, import->tree_fd, import->temp_fd};
  bool unfinished = import->staging.root != NULL;

  writer_release (&import->writer);
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (fds[i] >= 0)
      close (fds[i]);
  if (import->info)
    json_object_put (import->info);
  if (unfinished) {
    autoerr struct err err = {0};
    struct gc_result freed;

    /* The note comes first, for the case that others hold the store, or that we are killed. */
    root_want_gc (import->root, &err);
    staging_drop (&import->staging);
    root_collect (import->root, /* force= */ true, &freed, &err);
  }
  *import = (struct import) IMPORT_INIT;
  errno = saved;
}

int import_source (struct vroot *root, const char *name, const char *source,
                   struct writer_report *ret_report, struct err *err)
{
  bool is_stdin = strcmp (source, "-") == 0;
  autoclose int fd = is_stdin ? dup (STDIN_FILENO) : open (source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  autoimport struct import import = IMPORT_INIT;

  if (fd < 0)
    return err_errno (err, "open %s", source);
  if (is_stdin && isatty (fd))
    return err_code (err, ERR_USAGE, "an archive is expected on stdin, which is a terminal");
  if (import_begin (root, name, is_stdin ? "stdin" : source, &import, err) < 0)
    return -err->code;
  if (import_fill (&import, fd, err) < 0)
    return err_wrap (err, "%s", is_stdin ? "stdin" : source);
  return import_finish (&import, ret_report, err);
}
