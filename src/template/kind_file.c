/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An archive in a file of this host as a source: "path", and the keys of archives. */
#include "template/archive.h"
#include "template/kind.h"
#include "util/fd.h"

struct file_source {
  char *path; /* owned; absolute */
  struct archive_source archive;
};

/* On the command line "-" is standard input. */
static const char standard_input[] = "/dev/stdin";

static int from_text (const char *text, json_object *source, struct err *err)
{
  autofree char *path = strcmp (text, "-") == 0 ? xstrdup (standard_input) : realpath (text, NULL);

  if (!path)
    return err_errno (err, "open %s", text);
  json_set_string (source, "path", path);
  return 1;
}

static void *parse (struct check *check, json_object *source)
{
  struct file_source *file = xcalloc (1, sizeof *file);
  const char *path = check_string (check, source, "path", true);

  if (path && path[0] != '/')
    check_add (check, "path", "must be an absolute path");
  file->path = path ? xstrdup (path) : NULL;
  archive_parse (check, source, /* devices= */ true, &file->archive);
  return file;
}

static void release (void *data)
{
  struct file_source *file = data;

  free (file->path);
  archive_release (&file->archive);
  free (file);
}

static char *describe (const void *data)
{
  const struct file_source *file = data;

  return xstrdup (strcmp (file->path, standard_input) == 0 ? "stdin" : file->path);
}

/* Size and time, which say well enough whether it is the same file. */
static char *stamp_of (const struct stat *st)
{
  return xasprintf ("%lld %lld.%09ld", (long long) st->st_size, (long long) st->st_mtim.tv_sec,
                    st->st_mtim.tv_nsec);
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  const struct file_source *file = data;
  bool is_stdin = strcmp (file->path, standard_input) == 0;
  autoclose int fd =
      is_stdin ? dup (STDIN_FILENO) : open (file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0)
    return err_errno (err, "open it");
  if (is_stdin && isatty (fd))
    return err_code (err, ERR_USAGE, "an archive is expected on stdin, which is a terminal");
  if (S_ISDIR (st.st_mode))
    return err_code (err, EISDIR, "it is a directory: that is the source \"dir\"");
  if (archive_from_file (&file->archive, file->path, fd, import, err) < 0)
    return -err->code;
  if (S_ISREG (st.st_mode)) {
    autofree char *stamp = stamp_of (&st);

    import_note_version (import, "stamp", stamp);
  }
  return 0;
}

static int probe (const void *data, json_object *version, struct freshness *ret_freshness,
                  struct err *err)
{
  const struct file_source *file = data;
  const char *known = NULL;
  struct stat st;

  if (stat (file->path, &st) < 0)
    return err_errno (err, "look at %s", file->path);
  if (version && json_get_string (version, "stamp", NULL, &known, err) < 0)
    return -err->code;
  autofree char *stamp = stamp_of (&st);
  ret_freshness->newer = !known || strcmp (known, stamp) != 0;
  ret_freshness->what = NULL;
  return 0;
}

static const char *const keys[] = {"path", ARCHIVE_KEYS, NULL};
const struct source_kind kind_file = {
    .name = "file",
    .summary = "an archive in a file of this host",
    .keys = keys,
    .from_text = from_text,
    .parse = parse,
    .release = release,
    .describe = describe,
    .fetch = fetch,
    .probe = probe,
};
