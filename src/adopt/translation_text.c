/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the formats have in common: lines, numbers, paths, mounts. */
#include "translation.h"
#include "util/strbuf.h"
#include <ctype.h>

enum { OPTIONS_MAX = 64 << 10, PATH_LENGTH_MAX = 4096 };

char *translation_trim (char *text)
{
  while (isspace ((unsigned char) *text))
    text++;
  size_t len = strlen (text);
  while (len && isspace ((unsigned char) text[len - 1]))
    text[--len] = '\0';
  return text;
}

bool translation_true (const char *text)
{
  static const char *const words[] = {"1", "yes", "y", "true", "t", "on", NULL};

  for (size_t i = 0; words[i]; i++)
    if (strcasecmp (words[i], text) == 0)
      return true;
  return false;
}

bool translation_is_init (const char *path)
{
  static const char *const names[] = {
      "/sbin/init",           "/usr/sbin/init",           "/bin/init",     "/init",
      "/lib/systemd/systemd", "/usr/lib/systemd/systemd", "/usr/bin/init", NULL};

  for (size_t i = 0; names[i]; i++)
    if (strcmp (names[i], path) == 0)
      return true;
  return false;
}

int64_t translation_number (const char *text)
{
  static const char units[] = "KMGT";
  size_t digits = strspn (text, "0123456789");

  if (!digits || digits > 18)
    return -1;
  int64_t number = strtoll (text, NULL, 10);
  text += digits;
  if (!*text)
    return number;
  const char *unit = strchr (units, toupper ((unsigned char) *text));
  int shift = unit ? 10 * (int) (unit - units + 1) : 0;
  if (!unit || (text[1] && strcasecmp (text + 1, "B") != 0 && strcasecmp (text + 1, "iB") != 0) ||
      number > INT64_MAX >> shift)
    return -1;
  return number << shift;
}

char *translation_clean_path (const char *path)
{
  autostrbuf struct strbuf clean = STRBUF_INIT (PATH_LENGTH_MAX);

  while (*path) {
    size_t len = strcspn (path, "/");

    if (len == 2 && path[0] == '.' && path[1] == '.')
      return NULL;
    if (len && !(len == 1 && path[0] == '.')) {
      strbuf_adds (&clean, "/");
      strbuf_add (&clean, path, len);
    }
    path += len + (path[len] == '/');
  }
  if (clean.failed)
    return NULL;
  return clean.len ? strbuf_steal (&clean) : xstrdup ("/");
}

void translation_lines (struct translation *translation, const char *text, const char *comments,
                        void (*take) (struct translation *translation, char *line, void *data),
                        void *data)
{
  while (*text) {
    size_t len = strcspn (text, "\n");
    autofree char *copy = xstrndup (text, len);
    char *line = translation_trim (copy);

    text += len + (text[len] == '\n');
    if (!*line || strchr (comments, *line))
      continue;
    if (translation->lines++ >= TRANSLATION_LINES_MAX) {
      translation_leave (translation, "…", line, "the configuration has too many lines to go on");
      return;
    }
    take (translation, line, data);
  }
}

static bool is_one_of (const char *word, const char *const *list)
{
  while (*list && strcmp (*list, word) != 0)
    list++;
  return *list != NULL;
}

/* The options that @options has for a guest's mount go to @out, each behind a comma; others to
 * @unknown. */
static void sort_options (const char *options, bool tmpfs, struct strbuf *out,
                          struct strbuf *unknown)
{
  /* The guest's way already, or of no meaning there. */
  static const char *const silent[] = {
      "defaults", "rw",      "bind",      "create=dir", "create=file", "relative", "nosuid",
      "nodev",    "noauto",  "auto",      "nofail",     "idmap",       "noidmap",  "dev",
      "suid",     "rbind",   "exec",      "async",      "z",           "Z",        "rprivate",
      "private",  "norbind", "rootidmap", NULL};
  static const char *const kept[] = {"ro",       "optional",    "noexec",     "noatime",
                                     "relatime", "strictatime", "nodiratime", "sync",
                                     "rslave",   "slave",       NULL};

  while (*options) {
    size_t len = strcspn (options, ",");
    autofree char *word = xstrndup (options, len);
    bool value = tmpfs && (strncmp (word, "size=", 5) == 0 || strncmp (word, "mode=", 5) == 0 ||
                           strncmp (word, "uid=", 4) == 0 || strncmp (word, "gid=", 4) == 0 ||
                           strncmp (word, "nr_inodes=", 10) == 0);
    /* Set-id programs and devices on mounts of the host are off unless somebody says otherwise. */
    bool wanted = strcmp (word, "dev") == 0 || strcmp (word, "suid") == 0;
    bool both = tmpfs && (strcmp (word, "optional") == 0 || strstr (word, "slave") != NULL);

    options += len + (options[len] == ',');
    if (!len)
      continue;
    if ((!tmpfs && (strcmp (word, "rbind") == 0 || wanted)) || value ||
        (is_one_of (word, kept) && !both))
      strbuf_addf (out, ",%s", word);
    else if (both || is_one_of (word, silent))
      continue;
    else
      strbuf_addf (unknown, "%s%s", unknown->len ? "," : "", word);
  }
}

void translation_mount (struct translation *translation, const char *key, const char *value,
                        const char *source, const char *target, const char *options)
{
  autostrbuf struct strbuf kept = STRBUF_INIT (OPTIONS_MAX);
  autostrbuf struct strbuf unknown = STRBUF_INIT (OPTIONS_MAX);
  autofree char *from = source ? translation_clean_path (source) : NULL;
  autofree char *to = translation_clean_path (target);

  if (!to || (source && !from)) {
    translation_leave (translation, key, value, "a path with \"..\" is no place of a mount");
    return;
  }
  sort_options (options, !source, &kept, &unknown);
  /* The text form of a mount has no place for these. */
  if (strpbrk (to, ":") || (from && strpbrk (from, ":"))) {
    translation_leave (translation, key, value, "a path with \":\"; set mounts+= as JSON");
    return;
  }
  if (translation_set (translation, key, value, "mounts+=%s:%s%s%s", from ? from : "tmpfs", to,
                       kept.len ? ":" : "", kept.len ? strbuf_str (&kept) + 1 : "") &&
      unknown.len)
    translation_leave (translation, key, strbuf_str (&unknown),
                       "the mount is there without these options");
}

/* The next field of fstab(5), in which \040 stands for a blank; "" at the end. */
static char *next_field (char **line)
{
  char *field = *line + strspn (*line, " \t");
  char *end = field + strcspn (field, " \t");
  char *to = field;

  *line = *end ? end + 1 : end;
  *end = '\0';
  for (const char *from = field; *from; to++) {
    if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
        from[3] >= '0' && from[3] <= '7') {
      *to = (char) ((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
      from += 4;
    } else {
      *to = *from++;
    }
  }
  *to = '\0';
  return field;
}

static bool has_option (const char *options, const char *wanted)
{
  size_t len = strlen (wanted);

  for (; *options; options += strcspn (options, ","), options += *options == ',')
    if (strncmp (options, wanted, len) == 0 && (!options[len] || options[len] == ','))
      return true;
  return false;
}

void translation_fstab_line (struct translation *translation, const char *key, const char *line)
{
  static const char *const own[] = {"proc",     "sysfs",      "devpts",  "mqueue",
                                    "devtmpfs", "cgroup",     "cgroup2", "binfmt_misc",
                                    "debugfs",  "securityfs", NULL};
  autofree char *copy = xstrdup (line);
  char *rest = copy;
  const char *source = next_field (&rest), *target = next_field (&rest);
  const char *type = next_field (&rest), *options = next_field (&rest);

  if (!*target) {
    translation_leave (translation, key, line, "it is no line of fstab(5)");
  } else if (strcmp (type, "swap") == 0) {
    translation_leave (translation, key, line, "a guest has no swap space of its own: set swap");
  } else if (is_one_of (type, own) || strcmp (target, "/") == 0 ||
             ((strcmp (target, "/dev/shm") == 0 || strcmp (target, "/run") == 0) &&
              strcmp (type, "tmpfs") == 0)) {
    return; /* every guest has these */
  } else if (strcmp (type, "tmpfs") == 0) {
    translation_mount (translation, key, line, NULL, target, options);
  } else if (strcmp (type, "bind") == 0 || has_option (options, "bind") ||
             has_option (options, "rbind")) {
    if (*source != '/')
      translation_leave (translation, key, line, "its source is no absolute path of the host");
    else
      translation_mount (translation, key, line, source, target, options);
  } else {
    translation_leave (translation, key, line,
                       "guests mount no file systems: mount it on the host, and set mounts+=");
  }
}
