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

void import_note_verified (struct import *import, enum import_vouch vouch, const char *what,
                           const char *how, const char *by)
{
  json_object *entry = json_object_new_object ();

  json_set_string (entry, "what", what);
  json_set_string (entry, "how", how);
  json_set_string (entry, "by", by);
  json_append (import->verified, entry);
  import->vouched |= vouch == IMPORT_VOUCH_SIGNATURE;
}

void import_note_version (struct import *import, const char *key, const char *value)
{
  if (value)
    json_set_string (import->version, key, value);
}

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
  import->verified = json_object_new_array ();
  import->version = json_object_new_object ();
  import->guest = json_object_new_object ();
}

int import_begin (struct vroot *root, const char *name, const char *source, struct import *import,
                  struct err *err)
{
  static const struct import_options defaults;

  import->root = root;
  import->name = name;
  import->options = &defaults;
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

/* A list or an object that is not empty. */
static void put_if_any (json_object *info, const char *key, json_object *value)
{
  size_t count = json_object_is_type (value, json_type_array)
                     ? json_object_array_length (value)
                     : (size_t) json_object_object_length (value);

  if (count)
    json_put (info, key, json_object_get (value));
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
  put_if_any (import->info, "verified", import->verified);
  put_if_any (import->info, "version", import->version);
  put_if_any (import->info, "guest", import->guest);
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
  json_object *objects[] = {import->info, import->verified, import->version, import->guest};
  bool unfinished = import->staging.root != NULL;

  writer_release (&import->writer);
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (fds[i] >= 0)
      close (fds[i]);
  for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
    if (objects[i])
      json_object_put (objects[i]);
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
