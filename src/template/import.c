/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"
#include "guest/collect.h"
#include "guest/space.h"
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
  if (import->name)
    json_set_string (import->info, "name", import->name);
  json_set_int (import->info, "generation", import->generation);
  json_set_string (import->info, "created", stamp);
  json_set_string (import->info, "source", source);
  import->verified = json_object_new_array ();
  import->version = json_object_new_object ();
  import->guest = json_object_new_object ();
}

static int start (struct import *import, const char *source, struct err *err)
{
  struct vroot *root = import->root;
  char number[16];

  interrupt_install ();
  snprintf (number, sizeof number, "%u", import->generation);
  describe (import, source);
  if (space_check (root, 0, "make a template", err) < 0 ||
      staging_make (root, "import", &import->staging, err) < 0 ||
      make_dir (import->staging.fd, "template", &import->template_fd, err) < 0 ||
      make_dir (import->staging.fd, "temp", &import->temp_fd, err) < 0 ||
      make_dir (import->template_fd, number, &import->generation_fd, err) < 0 ||
      make_dir (import->generation_fd, "tree", &import->tree_fd, err) < 0)
    return -err->code;
  return writer_start (root->store, import->tree_fd, import->temp_fd, &import->writer, err);
}

static const struct import_options default_options;

static void init (struct import *import, struct vroot *root, const char *name)
{
  import->root = root;
  import->name = name;
  import->generation = 1;
  import->options = &default_options;
}

int import_begin (struct vroot *root, const char *name, const char *source, struct import *import,
                  struct err *err)
{
  init (import, root, name);
  if (template_check_new (root, name, err) < 0)
    return -err->code;
  return start (import, source, err);
}

int import_begin_tree (struct vroot *root, const char *source, struct import *import,
                       struct err *err)
{
  init (import, root, NULL);
  return start (import, source, err);
}

int import_begin_next (struct vroot *root, const char *name, unsigned after, const char *source,
                       struct import *import, struct err *err)
{
  autofree char *what = xasprintf ("the update of the template %s", name);
  autogenerations struct generations generations = {0};
  autoclose int lock_fd = -1;

  init (import, root, name);
  if (name_check (name, "template", err) < 0 ||
      template_lock (root, name, LOCK_SHARED, &import->beside_fd, &lock_fd, err) < 0)
    return -err->code;
  /* Not held while we wait: the one we wait for may want it exclusively. */
  cleanup_close (&lock_fd);
  lock_fd = -1;
  const struct lock_how how = root_lock_how (root, LOCK_RANK_UPDATE, LOCK_EXCLUSIVE);
  if (lock_acquire (import->beside_fd, "updating", &how, what, &import->updating_fd, err) < 0 ||
      template_generations (import->beside_fd, &generations, err) < 0)
    return err_wrap (err, "template %s", name);
  unsigned newest = generations.count ? generations.items[generations.count - 1] : 0;
  if (newest != after)
    return err_code (err, ERR_NOTHING,
                     "the generation %u of the template %s was made by somebody else meanwhile",
                     newest, name);
  import->generation = newest + 1;
  return start (import, source, err);
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

static int publish_new (struct import *import, struct err *err)
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

/* Under a lock, so that the template is not deleted meanwhile. */
static int publish_beside (struct import *import, struct err *err)
{
  autoclose int name_fd = -1, lock_fd = -1;
  struct stat before, now;
  char number[16];

  if (template_lock (import->root, import->name, LOCK_SHARED, &name_fd, &lock_fd, err) < 0)
    return -err->code;
  if (fstat (import->beside_fd, &before) < 0 || fstat (name_fd, &now) < 0)
    return err_errno (err, "stat templates/%s", import->name);
  if (before.st_ino != now.st_ino)
    return err_code (err, ESTALE, "the template %s was deleted, and made anew, meanwhile",
                     import->name);
  snprintf (number, sizeof number, "%u", import->generation);
  if (fd_rename (import->template_fd, number, name_fd, number, RENAME_NOREPLACE) < 0)
    return err_errno (err, "move the generation to templates/%s/%s", import->name, number);
  if (fsync (name_fd) < 0)
    return err_errno (err, "sync templates/%s", import->name);
  return 0;
}

/* From here on nothing is left to take back. */
static int rename_into_place (struct import *import, struct err *err)
{
  return import->beside_fd >= 0 ? publish_beside (import, err) : publish_new (import, err);
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

int import_complete (struct import *import, struct err *err)
{
  if (writer_finish (&import->writer, err) < 0)
    return -err->code;
  progress_clear ();
  return 0;
}

int import_finish (struct import *import, struct writer_report *ret_report, struct err *err)
{
  struct writer *writer = &import->writer;
  struct writer_report *report = &writer->report;

  if (import_complete (import, err) < 0)
    return -err->code;
  if (!report->files)
    return err_code (err, EINVAL, "the source has no files");
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
  int fds[] = {import->template_fd, import->generation_fd, import->tree_fd,
               import->temp_fd,     import->beside_fd,     import->updating_fd};
  json_object *objects[] = {import->info, import->verified, import->version, import->guest};
  bool unfinished = import->staging.root != NULL;
  uint64_t files = import->writer.report.files;

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
    int interrupt = interrupt_set_aside ();
    root_collect_after (import->root, files, &freed, &err);
    interrupt_put_back (interrupt);
  }
  *import = (struct import) IMPORT_INIT;
  errno = saved;
}
