/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is changed in a system that was just bootstrapped. */
#include "bootstrap.h"
#include "util/fd.h"
#include "util/strbuf.h"

enum { SOURCES_MAX = 1 << 20 };

static int replace_by_empty (int etc_fd, const char *name, mode_t mode, struct err *err)
{
  if (unlinkat (etc_fd, name, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove etc/%s", name);
  autoclose int fd = fd_open (etc_fd, name, O_WRONLY | O_CREAT | O_EXCL, mode);
  if (fd < 0 || fchmod (fd, mode) < 0)
    return err_errno (err, "make etc/%s", name);
  return 0;
}

/* The bootstrap copies the host's files, with whatever modes they have there. */
static int remove_host (int etc_fd, struct err *err)
{
  if (unlinkat (etc_fd, "hostname", 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove etc/hostname");
  if (replace_by_empty (etc_fd, "resolv.conf", 0644, err) < 0)
    return -err->code;
  if (faccessat (etc_fd, "machine-id", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "look for etc/machine-id");
  return replace_by_empty (etc_fd, "machine-id", 0444, err);
}

/* "deb URI SUITE COMPONENTS" of the release itself gives the lines for updates and security, on the
 * same host. */
static void derive_sources (const char *line, const char *suite, struct strbuf *out)
{
  autofree char *copy = xstrdup (line);
  char *saved = NULL;
  const char *type = strtok_r (copy, " \t", &saved);
  const char *uri = strtok_r (NULL, " \t", &saved);
  const char *name = strtok_r (NULL, " \t", &saved);
  const char *components = saved;

  if (!type || strcmp (type, "deb") != 0 || !uri || !name || strcmp (name, suite) != 0)
    return;
  if (!components || !*components)
    components = "main";
  size_t len = strlen (uri);
  while (len && uri[len - 1] == '/')
    len--;
  strbuf_addf (out, "deb %s %s-updates %s\n", uri, suite, components);
  strbuf_addf (out, "deb %.*s-security %s-security %s\n", (int) len, uri, suite, components);
}

char *bootstrap_sources (const char *text, const char *suite)
{
  autostrbuf struct strbuf out = STRBUF_INIT (SOURCES_MAX);
  autostrbuf struct strbuf derived = STRBUF_INIT (SOURCES_MAX);
  bool more = false;

  while (*text) {
    size_t len = strcspn (text, "\n");
    autofree char *line = xstrndup (text, len);
    const char *shown = line;

    if (strncmp (line, BOOTSTRAP_HIDDEN, strlen (BOOTSTRAP_HIDDEN)) == 0)
      shown = line + strlen (BOOTSTRAP_HIDDEN);
    more |= strstr (shown, "-updates ") || strstr (shown, "-security ");
    strbuf_addf (&out, "%s\n", shown);
    derive_sources (shown, suite, &derived);
    text += len;
    if (*text)
      text++;
  }
  /* Rolling suites have neither. */
  if (!more && strcmp (suite, "sid") != 0 && strcmp (suite, "unstable") != 0)
    strbuf_adds (&out, strbuf_str (&derived));
  return strbuf_steal (&out);
}

int bootstrap_tidy_sources (int tree_fd, const char *suite, const struct names *lines,
                            struct err *err)
{
  autoclose int apt_fd = fd_open_in_root (tree_fd, "etc/apt", O_RDONLY | O_DIRECTORY, 0);
  autostrbuf struct strbuf given = STRBUF_INIT (SOURCES_MAX);
  autofree char *text = NULL;

  if (apt_fd < 0)
    return err_errno (err, "open etc/apt of the new system");
  for (size_t i = 0; i < lines->count; i++)
    strbuf_addf (&given, "%s\n", lines->items[i]);
  if (given.len)
    return fd_write_file (apt_fd, "sources.list", strbuf_str (&given), given.len, 0644, err);
  if (fd_read_file (apt_fd, "sources.list", SOURCES_MAX, &text, NULL, err) < 0)
    return err_wrap (err, "etc/apt");
  autofree char *complete = bootstrap_sources (text, suite);
  return fd_write_file (apt_fd, "sources.list", complete, strlen (complete), 0644, err);
}

int bootstrap_tidy (int tree_fd, struct err *err)
{
  autoclose int etc_fd = fd_open_dir (tree_fd, "etc");

  if (etc_fd < 0 && errno == ENOENT)
    return 0;
  if (etc_fd < 0)
    return err_errno (err, "open etc of the new system");
  if (remove_host (etc_fd, err) < 0)
    return err_wrap (err, "tidy the new system");
  return 0;
}
