/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits. Those of rlimits/ hold for the whole guest: of these memory and processes are limits of a
 * guest here too; others are per process. Memory is counted in pages. */
#include "vserver_internal.h"
#include <ctype.h>
#include <inttypes.h>

static struct vserver_limit *find_limit (struct vserver *vserver, const char *name, size_t len)
{
  for (size_t i = 0; i < vserver->limit_count; i++)
    if (strlen (vserver->limits[i].name) == len &&
        strncasecmp (vserver->limits[i].name, name, len) == 0)
      return &vserver->limits[i];
  if (vserver->limit_count == VSERVER_LIMITS_MAX)
    return NULL;
  struct vserver_limit *limit = &vserver->limits[vserver->limit_count++];
  limit->name = xstrndup (name, len);
  for (char *p = limit->name; *p; p++)
    *p = (char) tolower ((unsigned char) *p);
  return limit;
}

/* rlimits/NAME, the hard and the soft one, or one of the two with its suffix. */
void vserver_take_rlimit (struct vserver *vserver, const char *path, char *text)
{
  const char *name = path + strcspn (path, "/") + 1;
  size_t len = strcspn (name, ".");
  struct vserver_limit *limit = find_limit (vserver, name, len);
  const char *suffix = name + len;
  char **place = NULL;

  if (limit)
    place = !*suffix                        ? &limit->both
            : strcmp (suffix, ".hard") == 0 ? &limit->hard
            : strcmp (suffix, ".soft") == 0 ? &limit->soft
                                            : NULL;
  if (!place || strchr (suffix, '/')) {
    translation_leave (vserver->translation, path, text, "there is no such limit here");
    return;
  }
  free (*place);
  *place = xstrdup (text);
}

/* A number, or "inf": INT64_MAX. -1 when it is neither. */
static int64_t limit_number (const char *text, int64_t unit)
{
  if (strncasecmp (text, "inf", 3) == 0 || strcmp (text, "~0") == 0)
    return INT64_MAX;
  int64_t number = translation_number (text);
  return number > INT64_MAX / unit ? -1 : number < 0 ? -1 : number * unit;
}

static char *limit_text (int64_t number)
{
  return number == INT64_MAX ? xstrdup ("unlimited") : xasprintf ("%" PRId64, number);
}

static void set_limit (struct vserver *vserver, const struct vserver_limit *limit)
{
  struct translation *translation = vserver->translation;
  static const char *const pages[] = {"as", "rss", "memlock", "anon", "shmem", NULL};
  int64_t unit = 1;
  const char *hard_text = limit->hard ? limit->hard : limit->both ? limit->both : limit->soft;
  const char *soft_text = limit->soft ? limit->soft : limit->both ? limit->both : limit->hard;
  autofree char *key = xasprintf ("rlimits/%s", limit->name);

  if (!hard_text || !soft_text)
    return; /* only a suffix that is not known, which was told */
  for (size_t i = 0; pages[i]; i++)
    if (strcmp (pages[i], limit->name) == 0)
      unit = vserver->page_size;
  int64_t hard = limit_number (hard_text, unit), soft = limit_number (soft_text, unit);
  if (hard < 0 || soft < 0) {
    translation_leave (translation, key, hard < 0 ? hard_text : soft_text, "it is no limit");
    return;
  }
  if (strcmp (limit->name, "rss") == 0) {
    if (hard != INT64_MAX)
      translation_set (translation, key, hard_text, "memory=%" PRId64, hard);
    return;
  }
  if (strcmp (limit->name, "nproc") == 0) {
    if (hard != INT64_MAX)
      translation_set (translation, key, hard_text, "pids=%" PRId64, hard);
    return;
  }
  if (strcmp (limit->name, "as") == 0 || strcmp (limit->name, "anon") == 0 ||
      strcmp (limit->name, "shmem") == 0 || strcmp (limit->name, "nsock") == 0 ||
      strcmp (limit->name, "openfd") == 0 || strcmp (limit->name, "dentry") == 0) {
    translation_leave (translation, key, hard_text,
                       "it limited the whole guest, and there is no such limit: set memory, pids, "
                       "or rlimits for each process");
    return;
  }
  autofree char *from = limit_text (soft < hard ? soft : hard), *to = limit_text (hard);
  translation_set (translation, key, hard_text, "rlimits.%s=%s:%s", limit->name, from, to);
}

/* dlimits/NAME/…: for a directory, in KiB. It becomes the limit that warns: whether the file system
 * can have a hard one is not known to who only reads texts. */
void vserver_take_disk_limit (struct vserver *vserver, const char *path, char *text)
{
  struct translation *translation = vserver->translation;
  const char *name = strrchr (path, '/') + 1;
  int64_t number = limit_number (text, 1024);

  if (strcmp (name, "directory") == 0 || number == INT64_MAX)
    return;
  if (strcmp (name, "space_total") != 0)
    translation_leave (translation, path, text, "there is no such limit here");
  else if (number < 0)
    translation_leave (translation, path, text, "it is no limit");
  else if (translation_set (translation, path, text, "disk.soft_limit=%" PRId64, number))
    translation_leave (translation, path, text,
                       "it only warns now: set disk.hard_limit where the file system has project "
                       "quotas");
}

void vserver_take_cgroup (struct vserver *vserver, const char *path, char *text)
{
  struct translation *translation = vserver->translation;
  const char *name = path + strlen ("cgroup/");
  int64_t number = translation_number (text);

  if (strcmp (name, "memory.limit_in_bytes") == 0 || strcmp (name, "memory.max") == 0)
    translation_set (translation, path, text, "memory=%" PRId64, number);
  else if (strcmp (name, "cpu.shares") == 0 && number >= 0 && number < 1000000)
    translation_set (translation, path, text, "cpu_weight=%" PRId64,
                     number < 11 ? 1 : number * 100 / 1024);
  else if (strcmp (name, "cpu.weight") == 0)
    translation_set (translation, path, text, "cpu_weight=%s", text);
  else if (strcmp (name, "pids.max") == 0)
    translation_set (translation, path, text, "pids=%s", text);
  else if (strcmp (name, "memory.memsw.limit_in_bytes") == 0)
    translation_leave (translation, path, text, "set swap to what is beyond memory");
  else if (strncmp (name, "cpuset", 6) == 0)
    translation_leave (translation, path, text,
                       "guests are not bound to processors: set cpus or cpu_weight");
  else
    translation_leave (translation, path, text, "there is no setting for this");
}

void vserver_take_scheduler (struct vserver *vserver, const char *path, char *text)
{
  translation_leave (vserver->translation, path, text,
                     "the token buckets of its scheduler are no more: set cpus (fill-rate / "
                     "interval) and cpu_weight");
}

void vserver_finish_limits (struct vserver *vserver)
{
  for (size_t i = 0; i < vserver->limit_count; i++) {
    struct vserver_limit *limit = &vserver->limits[i];

    set_limit (vserver, limit);
    free (limit->name);
    free (limit->both);
    free (limit->hard);
    free (limit->soft);
  }
}
