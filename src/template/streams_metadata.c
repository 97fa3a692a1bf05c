/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "streams_metadata.h"
#include "template/path.h"
#include "util/strbuf.h"
#include "template/libarchive.h"

enum { TEMPLATES_MAX = 64, MEMBERS_MAX = 256, TEXT_MAX = 1 << 20 };

void streams_templates_release (struct streams_templates *templates)
{
  for (size_t i = 0; i < templates->count; i++) {
    free (templates->items[i].path);
    free (templates->items[i].file);
  }
  free (templates->items);
  *templates = (struct streams_templates){0};
}

/* "KEY:" or "KEY: VALUE", quoted or not; both are the caller's, the value may be "". */
static bool split_line (const char *line, size_t len, char **ret_key, char **ret_value)
{
  const char *colon = memchr (line, ':', len);

  while (colon && colon + 1 < line + len && colon[1] != ' ')
    colon = memchr (colon + 1, ':', len - (size_t) (colon + 1 - line));
  if (!colon || colon == line)
    return false;
  const char *value = colon + 1, *end = line + len;
  while (value < end && *value == ' ')
    value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\r'))
    end--;
  const char *key_end = colon;
  if (key_end - line >= 2 && (*line == '"' || *line == '\'') && key_end[-1] == *line) {
    line++;
    key_end--;
  }
  if (end - value >= 2 && (*value == '"' || *value == '\'') && end[-1] == *value) {
    value++;
    end--;
  }
  *ret_key = xstrndup (line, (size_t) (key_end - line));
  *ret_value = xstrndup (value, (size_t) (end - value));
  return true;
}

static bool good_path (const char *text)
{
  autopath struct path path = {0};
  autoerr struct err err = {0};

  return path_split (&path, text, &err) == 0 && path.absolute && path.count > 0;
}

static void add (struct streams_templates *templates, char **path, char **file)
{
  bool good = *path && *file && **file && !strchr (*file, '/') && good_path (*path) &&
              templates->count < TEMPLATES_MAX;

  if (good) {
    templates->items =
        xreallocarray (templates->items, templates->count + 1, sizeof *templates->items);
    templates->items[templates->count++] =
        (struct streams_template){.path = steal_ptr (path), .file = steal_ptr (file)};
  }
  cleanup_free (path);
  cleanup_free (file);
  *path = *file = NULL;
}

/* By indentation: "templates:" at the margin, paths below it, their members further in. */
void streams_templates_parse (const char *yaml, struct streams_templates *ret_templates)
{
  struct streams_templates templates = {0};
  char *path = NULL, *file = NULL;
  bool inside = false;
  size_t paths_at = 0;

  for (const char *line = yaml; *line;) {
    size_t len = strcspn (line, "\n"), margin = strspn (line, " ");
    autofree char *key = NULL, *value = NULL;

    if (margin < len && line[margin] != '#' && line[margin] != '-' &&
        split_line (line + margin, len - margin, &key, &value)) {
      if (margin == 0) {
        add (&templates, &path, &file);
        inside = strcmp (key, "templates") == 0;
        paths_at = 0;
      } else if (inside && (!paths_at || margin <= paths_at)) {
        add (&templates, &path, &file);
        paths_at = margin;
        path = steal_ptr (&key);
      } else if (inside && path && !file && strcmp (key, "template") == 0) {
        file = steal_ptr (&value);
      }
    }
    line += len + (line[len] == '\n');
  }
  add (&templates, &path, &file);
  *ret_templates = templates;
}

char *streams_template_fill (const char *text, const char *name)
{
  static const char *const words[] = {"container.name", "instance.name", NULL};
  autostrbuf struct strbuf out = STRBUF_INIT (2 * TEXT_MAX);

  while (*text) {
    size_t plain = strcspn (text, "{");

    if (out.len + plain + strlen (name) > TEXT_MAX)
      return NULL;
    strbuf_add (&out, text, plain);
    text += plain;
    if (!*text)
      break;
    if (text[1] == '%' || text[1] == '#')
      return NULL;
    if (text[1] != '{') {
      strbuf_add (&out, text++, 1);
      continue;
    }
    text += 2 + strspn (text + 2, " ");
    const char *const *word = words;
    while (*word && strncmp (text, *word, strlen (*word)) != 0)
      word++;
    if (!*word)
      return NULL;
    text += strlen (*word);
    text += strspn (text, " ");
    if (strncmp (text, "}}", 2) != 0)
      return NULL;
    text += 2;
    strbuf_adds (&out, name);
  }
  strbuf_adds (&out, "");
  return strbuf_steal (&out);
}

/* The members of the archive that matter, as text. */
struct members {
  struct {
    char *name; /* owned */
    char *text; /* owned */
  } items[MEMBERS_MAX];
  size_t count;
};

static void members_free (struct members **members)
{
  if (!*members)
    return;
  for (size_t i = 0; i < (*members)->count; i++) {
    free ((*members)->items[i].name);
    free ((*members)->items[i].text);
  }
  free (*members);
}

static const char *find_member (const struct members *members, const char *name)
{
  for (size_t i = 0; i < members->count; i++)
    if (strcmp (members->items[i].name, name) == 0)
      return members->items[i].text;
  return NULL;
}

static int archive_err (struct archive *archive, struct err *err)
{
  const char *text = libarchive.archive_error_string (archive);

  return err_code (err, EBADMSG, "read the metadata of the image: %s",
                   text ? text : "unknown error");
}

static int read_member (struct archive *archive, struct archive_entry *entry,
                        struct members *members, struct err *err)
{
  const char *name = libarchive.archive_entry_pathname (entry);

  if (!name || libarchive.archive_entry_filetype (entry) != AE_IFREG ||
      members->count == MEMBERS_MAX)
    return 0;
  while (strncmp (name, "./", 2) == 0)
    name += 2;
  autofree char *text = xcalloc (1, TEXT_MAX + 1);
  la_ssize_t n, len = 0;
  while ((n = libarchive.archive_read_data (archive, text + len, (size_t) (TEXT_MAX - len))) > 0)
    len += n;
  if (n < 0)
    return archive_err (archive, err);
  if (len == TEXT_MAX)
    return err_code (err, EFBIG, "a file in the metadata of the image is too large");
  members->items[members->count].name = xstrdup (name);
  members->items[members->count++].text = xstrndup (text, (size_t) len);
  return 0;
}

static int read_members (const void *data, size_t len, struct members *members, struct err *err)
{
  struct archive_entry *entry;
  int ret = 0, got;

  if (libarchive_load (err) < 0)
    return -err->code;
  struct archive *archive = libarchive.archive_read_new ();
  if (!archive)
    err_out_of_memory ();
  libarchive.archive_read_support_filter_gzip (archive);
  libarchive.archive_read_support_filter_xz (archive);
  libarchive.archive_read_support_filter_zstd (archive);
  libarchive.archive_read_support_format_tar (archive);
  if (libarchive.archive_read_open_memory (archive, data, len) != ARCHIVE_OK)
    ret = archive_err (archive, err);
  while (ret == 0 && (got = libarchive.archive_read_next_header (archive, &entry)) != ARCHIVE_EOF) {
    if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
      ret = archive_err (archive, err);
    else
      ret = read_member (archive, entry, members, err);
  }
  libarchive.archive_read_free (archive);
  return ret;
}

static int write_file (struct import *import, const char *path, const char *text, struct err *err)
{
  const struct entry entry = {.mode = S_IFREG | 0644, .mtime.tv_nsec = UTIME_OMIT};
  size_t len = strlen (text);

  if (writer_file_begin (&import->writer, path + strspn (path, "/"), &entry, err) < 0 ||
      writer_file_data (&import->writer, text, len, 0, err) < 0 ||
      writer_file_end (&import->writer, len, err) < 0)
    return -err->code;
  return 0;
}

int streams_metadata_apply (struct import *import, const void *data, size_t len, const char *name,
                            struct err *err)
{
  autostreamstemplates struct streams_templates templates = {0};
  __attribute__ ((cleanup (members_free))) struct members *members = xcalloc (1, sizeof *members);

  if (read_members (data, len, members, err) < 0)
    return -err->code;
  const char *yaml = find_member (members, "metadata.yaml");
  if (!yaml)
    return 0;
  streams_templates_parse (yaml, &templates);
  for (size_t i = 0; i < templates.count; i++) {
    autofree char *member = xasprintf ("templates/%s", templates.items[i].file);
    const char *text = find_member (members, member);
    autofree char *filled = text ? streams_template_fill (text, name) : NULL;

    if (filled && write_file (import, templates.items[i].path, filled, err) < 0)
      return -err->code;
  }
  return 0;
}
