/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "apt_release.h"
#include "changes.h"
#include "output.h"

static const char *const field_names[APT_RELEASE_FIELDS] = {
    [APT_RELEASE_ORIGIN] = "Origin",
    [APT_RELEASE_LABEL] = "Label",
    [APT_RELEASE_VERSION] = "Version",
    [APT_RELEASE_SUITE] = "Suite",
    [APT_RELEASE_CODENAME] = "Codename",
    [APT_RELEASE_NOT_AUTOMATIC] = "NotAutomatic",
    [APT_RELEASE_BUT_AUTOMATIC] = "ButAutomaticUpgrades",
    [APT_RELEASE_DATE] = "Date",
};

/* What indented lines belong to; behind an empty line there is to be nothing. */
enum section { SECTION_NONE, SECTION_OTHER, SECTION_SHA256, SECTION_END };

struct reading {
  struct apt_release *release;
  enum section section;
  bool has_files; /* the list of them has begun */
};

void apt_release_release (struct apt_release *release)
{
  free (release->files);
  *release = (struct apt_release){0};
}

static bool is_line (const char *line, size_t len, const char *text)
{
  return pkg_word_is (line, len, text);
}

static bool has_control (const char *line, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (((unsigned char) line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
      return true;
  return false;
}

/* Relative, of printable ASCII, no part of it empty, "." or "..". */
static bool is_path (const char *path, size_t len)
{
  if (!len || len > APT_RELEASE_PATH_MAX)
    return false;
  for (size_t at = 0; at <= len;) {
    const char *part = path + at;
    const char *slash = memchr (part, '/', len - at);
    size_t part_len = slash ? (size_t) (slash - part) : len - at;

    if (!part_len || is_line (part, part_len, ".") || is_line (part, part_len, ".."))
      return false;
    at += part_len + 1;
  }
  for (size_t i = 0; i < len; i++)
    if (path[i] <= ' ' || path[i] > '~')
      return false;
  return true;
}

static int add_file (struct apt_release *release, const char *line, size_t len, struct err *err)
{
  const char *end = line + len, *at = line;
  struct apt_release_word hash, size, more;
  struct apt_release_file file = {0};

  if (!pkg_text_word (&at, end, &hash.text, &hash.len) ||
      !pkg_text_word (&at, end, &size.text, &size.len) ||
      !pkg_text_word (&at, end, &file.path.text, &file.path.len) ||
      pkg_text_word (&at, end, &more.text, &more.len) ||
      hash.len != 2 * checksum_size (CHECKSUM_SHA256) ||
      !pkg_read_number (size.text, size.len, &file.size) ||
      !is_path (file.path.text, file.path.len))
    return err_code (err, EINVAL, "\"SHA256 SIZE PATH\" is expected");
  autofree char *hex = xstrndup (hash.text, hash.len);
  if (checksum_parse ("sha256", hex, &file.sum, err) < 0)
    return err_code (err, EINVAL, "\"SHA256 SIZE PATH\" is expected");
  if (release->count == APT_RELEASE_FILES_MAX)
    return err_code (err, E2BIG, "more than %d files", APT_RELEASE_FILES_MAX);
  /* Doubling at the powers of two keeps adding linear. */
  if ((release->count & (release->count - 1)) == 0)
    release->files = xreallocarray (release->files, release->count ? release->count * 2 : 1,
                                    sizeof release->files[0]);
  release->files[release->count++] = file;
  return 0;
}

static int add_field (struct reading *reading, const char *line, size_t len, struct err *err)
{
  const char *colon = memchr (line, ':', len);
  size_t name_len = colon ? (size_t) (colon - line) : 0;

  if (!name_len || memchr (line, ' ', name_len))
    return err_code (err, EINVAL, "a field is expected");
  struct apt_release_word value = {colon + 1, len - name_len - 1};
  while (value.len && *value.text == ' ') {
    value.text++;
    value.len--;
  }
  reading->section = SECTION_OTHER;
  if (is_line (line, name_len, "SHA256")) {
    if (value.len || reading->has_files)
      return err_code (err, EINVAL, "one list of SHA-256 digests is expected");
    reading->section = SECTION_SHA256;
    reading->has_files = true;
    return 0;
  }
  for (size_t i = 0; i < APT_RELEASE_FIELDS; i++) {
    struct apt_release_word *field = &reading->release->fields[i];

    if (!is_line (line, name_len, field_names[i]))
      continue;
    if (field->text)
      return err_code (err, EINVAL, "%s is there twice", field_names[i]);
    *field = value;
  }
  return 0;
}

static int read_line (struct reading *reading, const char *line, size_t len, struct err *err)
{
  if (has_control (line, len))
    return err_code (err, EINVAL, "it has control characters");
  /* The signature's escape. */
  if (len >= 2 && line[0] == '-' && line[1] == ' ') {
    line += 2;
    len -= 2;
  }
  if (!len) {
    reading->section = SECTION_END;
    return 0;
  }
  if (reading->section == SECTION_END)
    return err_code (err, EINVAL, "the end is expected");
  if (*line != ' ')
    return add_field (reading, line, len, err);
  if (reading->section == SECTION_NONE)
    return err_code (err, EINVAL, "a field is expected");
  return reading->section == SECTION_SHA256 ? add_file (reading->release, line, len, err) : 0;
}

/* Passes over what is before the text that is signed; false when there is none. */
static bool skip_head (struct pkg_text *lines)
{
  struct pkg_text start = *lines;
  const char *line;
  size_t len;

  if (!pkg_text_line (lines, &line, &len) ||
      !is_line (line, len, "-----BEGIN PGP SIGNED MESSAGE-----")) {
    *lines = start;
    return false;
  }
  while (pkg_text_line (lines, &line, &len) && len)
    ;
  return true;
}

static int by_path (const void *a, const void *b)
{
  const struct apt_release_word *left = &((const struct apt_release_file *) a)->path;
  const struct apt_release_word *right = &((const struct apt_release_file *) b)->path;
  int ret = memcmp (left->text, right->text, left->len < right->len ? left->len : right->len);

  return ret ? ret : (left->len > right->len) - (left->len < right->len);
}

static int sort (struct apt_release *release, struct err *err)
{
  if (release->count)
    qsort (release->files, release->count, sizeof release->files[0], by_path);
  for (size_t i = 1; i < release->count; i++)
    if (by_path (&release->files[i - 1], &release->files[i]) == 0)
      return err_code (err, EINVAL, "a Release file has %.*s twice",
                       (int) release->files[i].path.len, release->files[i].path.text);
  return 0;
}

int apt_release_parse (const char *text, size_t len, struct apt_release *ret_release,
                       struct err *err)
{
  autoaptrelease struct apt_release release = {0};
  struct reading reading = {.release = &release};
  struct pkg_text lines;
  const char *line;
  size_t line_len;

  if (len > APT_RELEASE_MAX)
    return err_code (err, E2BIG, "a Release file of %zu bytes", len);
  pkg_text_start (text, len, &lines);
  bool is_signed = skip_head (&lines), ended = !is_signed;
  while (pkg_text_line (&lines, &line, &line_len)) {
    if (is_signed && is_line (line, line_len, "-----BEGIN PGP SIGNATURE-----")) {
      ended = true;
      break;
    }
    if (read_line (&reading, line, line_len, err) < 0)
      return err_wrap (err, "a Release file, line %zu", lines.number);
  }
  if (!ended || !reading.has_files)
    return err_code (err, EINVAL, "a Release file without its %s", ended ? "list" : "signature");
  if (sort (&release, err) < 0)
    return -err->code;
  *ret_release = release;
  release = (struct apt_release){0};
  return 0;
}

const struct apt_release_file *apt_release_find (const struct apt_release *release,
                                                 const struct apt_release_word *path)
{
  const struct apt_release_file key = {.path = *path};

  if (!release->count)
    return NULL;
  return bsearch (&key, release->files, release->count, sizeof key, by_path);
}

char *apt_release_list_name (const char *prefix, size_t prefix_len,
                             const struct apt_release_word *path)
{
  autostrbuf struct strbuf name = STRBUF_INIT (prefix_len + 3 * APT_RELEASE_PATH_MAX);

  strbuf_add (&name, prefix, prefix_len);
  for (size_t i = 0; i < path->len; i++)
    if (path->text[i] == '/')
      strbuf_adds (&name, "_");
    else if (strchr ("\\|{}[]<>\"^~_=!@#$%^&*", path->text[i]))
      strbuf_addf (&name, "%%%02x", (unsigned) path->text[i]);
    else
      strbuf_add (&name, &path->text[i], 1);
  return strbuf_steal (&name);
}

void apt_release_add_fields (const struct apt_release *release, struct strbuf *text)
{
  for (size_t i = 0; i < APT_RELEASE_FIELDS; i++)
    if (release->fields[i].text)
      strbuf_addf (text, "%s: %.*s\n", field_names[i], (int) release->fields[i].len,
                   release->fields[i].text);
}

void apt_release_add_files (struct strbuf *text)
{
  strbuf_adds (text, "SHA256:\n");
}

void apt_release_add_file (const struct apt_release_file *file, struct strbuf *text)
{
  char hex[CHECKSUM_TEXT_SIZE];

  checksum_hex (&file->sum, hex);
  strbuf_addf (text, " %s %llu %.*s\n", hex, (unsigned long long) file->size, (int) file->path.len,
               file->path.text);
}
