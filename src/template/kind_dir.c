/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A directory of this host as a source: "path". */
#include "template/kind.h"
#include "util/fd.h"

static int from_text (const char *text, json_object *source, struct err *err)
{
  struct stat st;

  if (stat (text, &st) < 0 || !S_ISDIR (st.st_mode))
    return 0;
  autofree char *path = realpath (text, NULL);
  if (!path)
    return err_errno (err, "find %s", text);
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
  return xstrdup (data);
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  autoclose int fd = open (data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0)
    return err_errno (err, "open it");
  return import_fill (import, fd, err);
}

static const char *const keys[] = {"path", NULL};
const struct source_kind kind_dir = {
    .name = "dir",
    .summary = "a directory of this host",
    .keys = keys,
    .local = true,
    .from_text = from_text,
    .parse = parse,
    .release = free,
    .describe = describe,
    .fetch = fetch,
};
