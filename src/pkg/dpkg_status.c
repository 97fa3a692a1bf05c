/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dpkg_status.h"
#include "util/fd.h"
#include <strings.h>

void dpkg_status_release (struct dpkg_status *status)
{
  int saved = errno;

  for (size_t i = 0; i < status->count; i++) {
    free (status->items[i].key);
    free (status->items[i].value);
  }
  free (status->items);
  *status = (struct dpkg_status){0};
  errno = saved;
}

/* A piece of the text. */
struct slice {
  const char *data;
  size_t len;
};

enum field { FIELD_PACKAGE, FIELD_ARCHITECTURE, FIELD_VERSION, FIELD_STATUS, FIELD_COUNT };

static const char *const field_names[FIELD_COUNT] = {"Package", "Architecture", "Version",
                                                     "Status"};

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

/* Adds the finished stanza. */
static int add_stanza (struct dpkg_status *status, const struct stanza *stanza, struct err *err)
{
  const struct slice *f = stanza->fields;

  if (!f[FIELD_PACKAGE].len)
    return err_code (err, EINVAL, "line %zu: an entry without a package name", stanza->line);
  if (!f[FIELD_STATUS].len || ends_with (f[FIELD_STATUS], " not-installed"))
    return 0;
  if (status->count >= DPKG_PACKAGES_MAX)
    return err_code (err, EFBIG, "line %zu: more than %d packages", stanza->line,
                     DPKG_PACKAGES_MAX);
  /* Doubling at the powers of two keeps adding linear. */
  if ((status->count & (status->count - 1)) == 0)
    status->items = xreallocarray (status->items, status->count ? status->count * 2 : 1,
                                   sizeof status->items[0]);
  status->items[status->count++] = (struct dpkg_package){
      .key = xasprintf ("%.*s:%.*s", (int) f[FIELD_PACKAGE].len, f[FIELD_PACKAGE].data,
                        (int) f[FIELD_ARCHITECTURE].len,
                        f[FIELD_ARCHITECTURE].data ? f[FIELD_ARCHITECTURE].data : ""),
      .value = xasprintf ("%.*s %.*s", (int) f[FIELD_STATUS].len, f[FIELD_STATUS].data,
                          (int) f[FIELD_VERSION].len,
                          f[FIELD_VERSION].data ? f[FIELD_VERSION].data : ""),
  };
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
      if (value.len > DPKG_FIELD_MAX || memchr (value.data, '\0', value.len))
        return err_code (err, EINVAL, "line %zu: a bad value of %s", number, field_names[i]);
      stanza->fields[i] = value;
    }
  return 0;
}

static int compare_packages (const void *a, const void *b)
{
  const struct dpkg_package *x = a, *y = b;
  int order = strcmp (x->key, y->key);

  return order ? order : strcmp (x->value, y->value);
}

static void sort_unique (struct dpkg_status *status)
{
  size_t kept = 0;

  if (status->count < 2)
    return;
  qsort (status->items, status->count, sizeof status->items[0], compare_packages);
  for (size_t i = 0; i < status->count; i++) {
    if (kept && strcmp (status->items[kept - 1].key, status->items[i].key) == 0) {
      free (status->items[i].key);
      free (status->items[i].value);
    } else {
      status->items[kept++] = status->items[i];
    }
  }
  status->count = kept;
}

static int parse_lines (const char *text, size_t len, struct dpkg_status *status, struct err *err)
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
      if (add_stanza (status, &stanza, err) < 0)
        return -err->code;
      stanza = (struct stanza){0};
    }
  }
  return stanza.line ? add_stanza (status, &stanza, err) : 0;
}

int dpkg_status_parse (const char *text, size_t len, struct dpkg_status *ret_status,
                       struct err *err)
{
  autodpkgstatus struct dpkg_status status = {0};

  if (parse_lines (text, len, &status, err) < 0)
    return -err->code;
  sort_unique (&status);
  *ret_status = status;
  status = (struct dpkg_status){0};
  return 0;
}

int dpkg_status_read (int guest_fd, struct dpkg_status *ret_status, struct err *err)
{
  static const char *const layers[] = {"txn/upper", "private", "tree", NULL};

  for (const char *const *layer = layers; *layer; layer++) {
    autofree char *text = NULL, *name = NULL;
    size_t len = 0;

    autoclose int layer_fd = fd_open_dir (guest_fd, *layer);
    if (layer_fd < 0 && errno == ENOENT)
      continue;
    if (layer_fd < 0)
      return err_errno (err, "open %s", *layer);
    autoclose int fd =
        fd_open_in_root (layer_fd, "var/lib/dpkg/status", O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
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
        dpkg_status_parse (text, len, ret_status, err) < 0)
      return err_wrap (err, "var/lib/dpkg/status");
    return 0;
  }
  *ret_status = (struct dpkg_status){0};
  return 0;
}

size_t dpkg_status_changed (const struct dpkg_status *before, const struct dpkg_status *after)
{
  size_t i = 0, j = 0, changed = 0;

  while (i < before->count || j < after->count) {
    int order = i == before->count  ? 1
                : j == after->count ? -1
                                    : strcmp (before->items[i].key, after->items[j].key);

    if (order == 0)
      changed += strcmp (before->items[i].value, after->items[j].value) != 0;
    else
      changed++;
    i += order <= 0;
    j += order >= 0;
  }
  return changed;
}
