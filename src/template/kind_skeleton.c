/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An empty tree as a source: the directories that every guest needs, and no file. No keys. */
#include "template/kind.h"

static void *parse (struct check *check, json_object *source)
{
  (void) check;
  (void) source;
  return NULL;
}

static void release (void *data)
{
  (void) data;
}

static char *describe (const void *data)
{
  (void) data;
  return xstrdup ("an empty tree");
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  static const struct {
    const char *path;
    mode_t mode;
  } directories[] = {
      {"dev", 0755}, {"etc", 0755},     {"home", 0755},     {"proc", 0555}, {"root", 0700},
      {"run", 0755}, {"srv", 0755},     {"sys", 0555},      {"tmp", 01777}, {"usr", 0755},
      {"var", 0755}, {"var/log", 0755}, {"var/tmp", 01777},
  };

  (void) data;
  for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
    struct entry entry = {.mode = S_IFDIR | directories[i].mode, .mtime.tv_nsec = UTIME_OMIT};

    if (writer_directory (&import->writer, directories[i].path, &entry, err) < 0)
      return -err->code;
  }
  return 0;
}

static const char *const keys[] = {NULL};
const struct source_kind kind_skeleton = {
    .name = "skeleton",
    .summary = "an empty tree",
    .keys = keys,
    .local = true,
    .parse = parse,
    .release = release,
    .describe = describe,
    .fetch = fetch,
};
