/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "path.h"
#include "util/strbuf.h"
#include <limits.h>

enum { QUOTE_MAX = 300 };

static int add_part (struct path *path, char *part, const char *text, struct err *err)
{
  if (strcmp (part, "..") == 0) {
    autofree char *quoted = path_quote (text);

    return err_code (err, EINVAL, "refused: \"..\" in the name %s", quoted);
  }
  if (strlen (part) > NAME_MAX || path->count == PATH_DEPTH_MAX) {
    autofree char *quoted = path_quote (text);

    if (path->count == PATH_DEPTH_MAX)
      return err_code (err, ENAMETOOLONG, "%s is deeper than %d directories", quoted,
                       PATH_DEPTH_MAX);
    return err_code (err, ENAMETOOLONG, "%s has a name of more than %d bytes", quoted, NAME_MAX);
  }
  if (path->count == path->parts_size) {
    path->parts_size = path->parts_size ? path->parts_size * 2 : 16;
    path->parts = xreallocarray (path->parts, path->parts_size, sizeof *path->parts);
  }
  path->parts[path->count++] = part;
  return 0;
}

int path_split (struct path *path, const char *text, struct err *err)
{
  size_t len = strlen (text) + 1;

  if (len > path->text_size) {
    path->text = xreallocarray (path->text, len, 2);
    path->text_size = len * 2;
  }
  memcpy (path->text, text, len);
  path->count = 0;
  path->absolute = text[0] == '/';
  for (char *p = path->text; *p;) {
    char *end = strchrnul (p, '/');
    bool last = !*end;

    *end = '\0';
    if (*p && strcmp (p, ".") != 0 && add_part (path, p, text, err) < 0)
      return -err->code;
    if (last)
      break;
    p = end + 1;
  }
  return 0;
}

void path_release (struct path *path)
{
  int saved = errno;

  free (path->text);
  free (path->parts);
  *path = (struct path){0};
  errno = saved;
}

bool path_equal (const struct path *a, const struct path *b)
{
  if (a->count != b->count)
    return false;
  for (size_t i = a->count; i-- > 0;)
    if (strcmp (a->parts[i], b->parts[i]) != 0)
      return false;
  return true;
}

char *path_quote (const char *text)
{
  autostrbuf struct strbuf quoted = STRBUF_INIT (QUOTE_MAX + 16);

  strbuf_adds (&quoted, "\"");
  for (const char *p = text; *p; p++) {
    unsigned char c = (unsigned char) *p;

    if (quoted.len > QUOTE_MAX) {
      strbuf_adds (&quoted, "...");
      break;
    }
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
      strbuf_addf (&quoted, "\\%03o", c);
    else
      strbuf_add (&quoted, p, 1);
  }
  strbuf_adds (&quoted, "\"");
  return strbuf_steal (&quoted);
}
