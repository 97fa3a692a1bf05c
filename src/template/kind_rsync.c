/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A copy by rsync as a source: "from", a directory of this host or, by ssh, of another one
 * ("[USER@]HOST:/DIR"), and "exclude", a list of patterns for rsync. Only the file system of the
 * directory is copied, so that the root of a host that runs can be named.
 *
 * ssh asks nothing: its keys, agent and known hosts are the caller's. */
#include "template/hostprogram.h"
#include "template/kind.h"

struct rsync_source {
  char *from;           /* owned */
  struct names exclude; /* owned */
};

/* HOST:/DIR, and no option; an rsync daemon ("HOST::MODULE", "rsync://") has no owners and no
 * encryption. */
static bool is_remote (const char *from)
{
  const char *colon = strchr (from, ':');

  if (!colon || colon == from || colon[1] != '/' || colon[2] == '/' || from[0] == '-')
    return false;
  for (const char *p = from; p < colon; p++)
    if (!strchr ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@", *p))
      return false;
  return true;
}

static void *parse (struct check *check, json_object *source)
{
  struct rsync_source *rsync = xcalloc (1, sizeof *rsync);
  const char *from = check_string (check, source, "from", true);
  json_object *exclude = check_strings (check, source, "exclude");

  if (from && from[0] != '/' && !is_remote (from))
    check_add (check, "from", "must be an absolute path, or [USER@]HOST:/DIR");
  rsync->from = from ? xstrdup (from) : NULL;
  for (size_t i = 0; exclude && i < json_object_array_length (exclude); i++)
    names_add (&rsync->exclude, json_object_get_string (json_object_array_get_idx (exclude, i)));
  return rsync;
}

static void release (void *data)
{
  struct rsync_source *rsync = data;

  free (rsync->from);
  names_release (&rsync->exclude);
  free (rsync);
}

static char *describe (const void *data)
{
  const struct rsync_source *rsync = data;

  return xasprintf ("rsync of %s", rsync->from);
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  const struct rsync_source *rsync = data;
  autohostprogram struct hostprogram program = {.package = "rsync", .callers = true};
  autofree char *target = NULL;
  autoclose int fd = -1;

  if (hostprogram_target (import, "rsync", &target, &fd, err) < 0)
    return -err->code;
  /* The window: else a time of the very second in which the copy was made would stay. */
  hostprogram_add (&program, "rsync", "-aHAXS", "--numeric-ids", "--one-file-system",
                   "--modify-window=-1");
  if (rsync->from[0] != '/')
    hostprogram_add (&program, "--rsh=ssh -o BatchMode=yes");
  for (size_t i = 0; i < rsync->exclude.count; i++)
    hostprogram_addf (&program, "--exclude=%s", rsync->exclude.items[i]);
  hostprogram_add (&program, "--");
  hostprogram_addf (&program, "%s/", rsync->from);
  hostprogram_addf (&program, "%s/", target);
  if (hostprogram_run (&program, import, err) < 0)
    return -err->code;
  return import_fill (import, fd, err);
}

static const char *const keys[] = {"from", "exclude", NULL};
const struct source_kind kind_rsync = {
    .name = "rsync",
    .summary = "a copy of a directory, here or on another host",
    .keys = keys,
    .local = true,
    .parse = parse,
    .release = release,
    .describe = describe,
    .fetch = fetch,
};
