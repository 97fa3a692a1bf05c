/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "listing.h"
#include <sys/stat.h>

static const char *text_of (json_object *object)
{
  const char *text = json_object_to_json_string_ext (object, JSON_C_TO_STRING_SPACED |
                                                                 JSON_C_TO_STRING_NOSLASHESCAPE);

  if (!text)
    err_out_of_memory ();
  return text;
}

void listing_start (json_object *head, const char *key)
{
  printf ("{");
  json_object_object_foreach (head, name, value)
  {
    autojson json_object *quoted = json_object_new_string (name);

    printf ("%s: ", text_of (quoted));
    printf ("%s,\n ", text_of (value));
  }
  json_object_put (head);
  printf ("\"%s\": [", key);
}

void listing_add (json_object *entry, bool first)
{
  printf ("%s\n  %s", first ? "" : ",", text_of (entry));
  json_object_put (entry);
}

void listing_end (void)
{
  printf ("\n ]}\n");
}

const char *listing_type (unsigned mode)
{
  switch (mode & S_IFMT) {
  case S_IFREG:
    return "file";
  case S_IFDIR:
    return "directory";
  case S_IFLNK:
    return "symlink";
  case S_IFCHR:
    return "character device";
  case S_IFBLK:
    return "block device";
  case S_IFIFO:
    return "fifo";
  default:
    return "socket";
  }
}
