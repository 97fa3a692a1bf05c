/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An archive in a file of this host as a source: "path". */
#include "template/kind.h"
#include "util/fd.h"

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
  const char *path = check_string (check, source, "path", true);

  if (path && path[0] != '/')
    check_add (check, "path", "must be an absolute path");
  return path ? xstrdup (path) : NULL;
}

static char *describe (const void *data)
{
  return xstrdup (strcmp (data, standard_input) == 0 ? "stdin" : data);
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  bool is_stdin = strcmp (data, standard_input) == 0;
  autoclose int fd = is_stdin ? dup (STDIN_FILENO) : open (data, O_RDONLY | O_CLOEXEC | O_NOCTTY);

  if (fd < 0)
    return err_errno (err, "open it");
  if (is_stdin && isatty (fd))
    return err_code (err, ERR_USAGE, "an archive is expected on stdin, which is a terminal");
  return import_fill (import, fd, err);
}

static const char *const keys[] = {"path", NULL};
const struct source_kind kind_file = {
    .name = "file",
    .summary = "an archive in a file of this host",
    .keys = keys,
    .from_text = from_text,
    .parse = parse,
    .release = free,
    .describe = describe,
    .fetch = fetch,
};
