/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's cgroup counts: read by name where each controller is mounted. On hybrid hosts some
 * are in version 1 and others in version 2; what neither has stays unknown. */
#include "live.h"
#include "util/fd.h"

struct reader {
  const char *id;
  struct live_usage usage;
};

/* The contents of a file of the guest's cgroup in the hierarchy mounted at @mount: the caller's; or
 * NULL. */
static char *read_text (const struct reader *reader, const char *mount, const char *file)
{
  autofree char *path = xasprintf ("%s/vguest/%s/%s", mount, reader->id, file);
  autoerr struct err ignored = {0};
  char *text = NULL;

  return fd_read_file (AT_FDCWD, path, 4096, &text, NULL, &ignored) < 0 ? NULL : text;
}

/* -1 when it is none, such as "max". */
static int64_t parse_number (const char *text)
{
  char *end;

  if (!text || text[0] < '0' || text[0] > '9')
    return -1;
  errno = 0;
  long long value = strtoll (text, &end, 10);
  return errno || (*end && *end != '\n') ? -1 : value;
}

static void read_number (const struct reader *reader, const char *mount, const char *file,
                         int64_t *value)
{
  autofree char *text = *value < 0 ? read_text (reader, mount, file) : NULL;

  if (text)
    *value = parse_number (text);
}

static void read_unified (struct reader *reader, const char *mount)
{
  struct live_usage *usage = &reader->usage;

  read_number (reader, mount, "pids.current", &usage->processes);
  read_number (reader, mount, "memory.current", &usage->memory_bytes);
  read_number (reader, mount, "memory.max", &usage->memory_limit_bytes);
  /* There without the controller as well; on a hybrid host version 1 has been asked or will be. */
  autofree char *stat = usage->cpu_us < 0 ? read_text (reader, mount, "cpu.stat") : NULL;
  static const char key[] = "usage_usec ";
  if (!stat || strncmp (stat, key, sizeof key - 1) != 0)
    return;
  char *number = stat + sizeof key - 1;
  number[strcspn (number, "\n")] = '\0';
  usage->cpu_us = parse_number (number);
}

/* Is @word among the comma-separated @options? */
static bool has_option (const char *options, const char *word)
{
  size_t len = strlen (word);

  for (const char *p = options; p; p = strchr (p, ','), p += p != NULL)
    if (strncmp (p, word, len) == 0 && (p[len] == ',' || p[len] == '\n' || !p[len]))
      return true;
  return false;
}

static void read_version_1 (struct reader *reader, const char *mount, const char *options)
{
  struct live_usage *usage = &reader->usage;

  if (has_option (options, "pids"))
    read_number (reader, mount, "pids.current", &usage->processes);
  if (has_option (options, "memory")) {
    read_number (reader, mount, "memory.usage_in_bytes", &usage->memory_bytes);
    read_number (reader, mount, "memory.limit_in_bytes", &usage->memory_limit_bytes);
    /* Without a limit it is the largest multiple of a page. */
    if (usage->memory_limit_bytes > INT64_MAX / 2)
      usage->memory_limit_bytes = -1;
  }
  if (has_option (options, "cpuacct")) {
    int64_t ns = -1;

    read_number (reader, mount, "cpuacct.usage", &ns);
    if (ns >= 0)
      usage->cpu_us = ns / 1000;
  }
}

/* A line of mountinfo(5): the mount point is the fifth word, the options of the file system are the
 * last one. */
static void read_hierarchy (struct reader *reader, char *line)
{
  char *dash = strstr (line, " - "), *save = NULL, *mount = NULL;

  if (!dash || strncmp (dash + 3, "cgroup", 6) != 0)
    return;
  bool unified = strncmp (dash + 3, "cgroup2 ", 8) == 0;
  const char *options = strrchr (dash, ' ') + 1;
  for (int i = 0; i < 5; i++)
    mount = strtok_r (i ? NULL : line, " ", &save);
  if (mount && unified)
    read_unified (reader, mount);
  else if (mount)
    read_version_1 (reader, mount, options);
}

int live_usage_read (const struct live_info *info, struct live_usage *ret_usage, struct err *err)
{
  struct reader reader = {.id = info->id, .usage = {-1, -1, -1, -1}};
  FILE *file = fopen ("/proc/self/mountinfo", "re");
  autofree char *line = NULL;
  size_t size = 0;

  if (!file)
    return err_errno (err, "open /proc/self/mountinfo");
  while (info->id && getline (&line, &size, file) > 0)
    read_hierarchy (&reader, line);
  fclose (file);
  *ret_usage = reader.usage;
  return 0;
}
