/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dpkg_status.h"
#include "util/fd.h"
#include <strings.h>

/* A piece of the text. */
struct slice {
  const char *data;
  size_t len;
};

enum field {
  FIELD_PACKAGE,
  FIELD_ARCHITECTURE,
  FIELD_VERSION,
  FIELD_STATUS,
  FIELD_SIZE,
  FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {"Package", "Architecture", "Version", "Status",
                                                     "Installed-Size"};

struct stanza {
  struct slice fields[FIELD_COUNT];
  size_t line; /* of its first line; 0 when empty */
};

static struct slice trim (struct slice s)
{
  while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
    s = (struct slice){s.data + 1, s.len - 1};
  while (s.len &&
         (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t' || s.data[s.len - 1] == '\r'))
    s.len--;
  return s;
}

static bool ends_with (struct slice s, const char *end)
{
  size_t len = strlen (end);

  return s.len >= len && memcmp (s.data + s.len - len, end, len) == 0;
}

/* Installed-Size is in KiB (deb-control(5)). */
static uint64_t size_of (struct slice field)
{
  uint64_t kib = 0;

  for (size_t i = 0; i < field.len && i < 12; i++)
    if (field.data[i] >= '0' && field.data[i] <= '9')
      kib = kib * 10 + (uint64_t) (field.data[i] - '0');
    else
      return 0;
  return kib * 1024;
}

/* Adds the finished stanza. */
static int add_stanza (struct pkg_packages *packages, const struct stanza *stanza, struct err *err)
{
  const struct slice *f = stanza->fields;

  if (!f[FIELD_PACKAGE].len)
    return err_code (err, EINVAL, "line %zu: an entry without a package name", stanza->line);
  if (!f[FIELD_STATUS].len || ends_with (f[FIELD_STATUS], " not-installed"))
    return 0;
  autofree char *key = xasprintf ("%.*s:%.*s", (int) f[FIELD_PACKAGE].len, f[FIELD_PACKAGE].data,
                                  (int) f[FIELD_ARCHITECTURE].len,
                                  f[FIELD_ARCHITECTURE].data ? f[FIELD_ARCHITECTURE].data : "");
  autofree char *state = xstrndup (f[FIELD_STATUS].data, f[FIELD_STATUS].len);
  if (pkg_packages_add (packages, key, strlen (key), f[FIELD_VERSION].data, f[FIELD_VERSION].len,
                        state, size_of (f[FIELD_SIZE]), err) < 0)
    return err_wrap (err, "line %zu", stanza->line);
  packages->items[packages->count - 1].removed = ends_with (f[FIELD_STATUS], " config-files");
  return 0;
}

static int add_line (struct stanza *stanza, struct slice line, size_t number, struct err *err)
{
  const char *colon;

  if (!stanza->line)
    stanza->line = number;
  if (line.data[0] == ' ' || line.data[0] == '\t')
    return 0; /* of a field with several lines, none of which we want */
  colon = memchr (line.data, ':', line.len);
  if (!colon || colon == line.data)
    return err_code (err, EINVAL, "line %zu: \"Field: value\" is expected", number);
  struct slice name = {line.data, (size_t) (colon - line.data)};
  struct slice value = trim ((struct slice){colon + 1, line.len - name.len - 1});
  for (size_t i = 0; i < FIELD_COUNT; i++)
    if (strlen (field_names[i]) == name.len &&
        strncasecmp (name.data, field_names[i], name.len) == 0) {
      if (value.len > PKG_WORD_MAX / 2 || memchr (value.data, '\0', value.len))
        return err_code (err, EINVAL, "line %zu: a bad value of %s", number, field_names[i]);
      stanza->fields[i] = value;
    }
  return 0;
}

static int parse_lines (const char *text, size_t len, struct pkg_packages *packages,
                        struct err *err)
{
  struct stanza stanza = {0};
  size_t number = 0;

  if (len > DPKG_STATUS_MAX)
    return err_code (err, EFBIG, "larger than %d bytes", DPKG_STATUS_MAX);
  while (len) {
    const char *newline = memchr (text, '\n', len);
    struct slice line = {text, newline ? (size_t) (newline - text) : len};

    number++;
    len -= line.len + (newline != NULL);
    text += line.len + (newline != NULL);
    if (trim (line).len) {
      if (add_line (&stanza, line, number, err) < 0)
        return -err->code;
    } else if (stanza.line) {
      if (add_stanza (packages, &stanza, err) < 0)
        return -err->code;
      stanza = (struct stanza){0};
    }
  }
  return stanza.line ? add_stanza (packages, &stanza, err) : 0;
}

int dpkg_status_parse (const char *text, size_t len, struct pkg_packages *ret_packages,
                       struct err *err)
{
  autopkgpackages struct pkg_packages packages = {0};

  if (parse_lines (text, len, &packages, err) < 0)
    return -err->code;
  pkg_packages_sort (&packages);
  *ret_packages = packages;
  packages = (struct pkg_packages){0};
  return 0;
}

int dpkg_status_read (const int *layers, size_t count, struct pkg_packages *ret_packages,
                      struct err *err)
{
  for (size_t i = 0; i < count; i++) {
    autofree char *text = NULL, *name = NULL;
    size_t len = 0;

    autoclose int fd =
        fd_open_in_root (layers[i], "var/lib/dpkg/status", O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
      continue;
    if (fd < 0)
      return err_errno (err, "open var/lib/dpkg/status");
    struct stat st;
    if (fstat (fd, &st) < 0)
      return err_errno (err, "stat var/lib/dpkg/status");
    if (!S_ISREG (st.st_mode))
      return err_code (err, EINVAL, "var/lib/dpkg/status is not a file");
    name = fd_proc_path (fd, NULL);
    if (fd_read_file (AT_FDCWD, name, DPKG_STATUS_MAX, &text, &len, err) < 0 ||
        dpkg_status_parse (text, len, ret_packages, err) < 0)
      return err_wrap (err, "var/lib/dpkg/status");
    return 0;
  }
  *ret_packages = (struct pkg_packages){0};
  return 0;
}
