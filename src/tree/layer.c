/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer.h"
#include "util/metaentry.h"
#include "util/fd.h"
#include "util/xattr.h"
#include <limits.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define OPAQUE XATTR_OVERLAY "opaque"

void layer_entry_release (struct layer_entry *entry)
{
  int saved = errno;

  free (entry->redirect);
  entry->redirect = NULL;
  errno = saved;
}

static bool value_is (const struct xattr *x, const char *value)
{
  return x && x->len == strlen (value) && memcmp (x->value, value, x->len) == 0;
}

/* A redirect is an absolute path without "..", or one name. */
static int check_redirect (const char *name, const char *redirect, size_t len, struct err *err)
{
  bool absolute = redirect[0] == '/';

  if (len == 0 || len >= PATH_MAX || strlen (redirect) != len ||
      (!absolute && (strchr (redirect, '/') || strcmp (redirect, "..") == 0)))
    return err_code (err, EUCLEAN, "%s has a malformed overlay redirect", name);
  for (const char *p = redirect; absolute && (p = strstr (p, "/..")) != NULL; p += 3)
    if (p[3] == '/' || !p[3])
      return err_code (err, EUCLEAN, "%s has an overlay redirect with \"..\"", name);
  return 0;
}

static int read_forms (const char *name, const struct xattrs *xattrs, struct layer_entry *entry,
                       struct err *err)
{
  const struct xattr *opaque = xattrs_find (xattrs, OPAQUE);
  const struct xattr *redirect = xattrs_find (xattrs, XATTR_OVERLAY "redirect");
  bool is_dir = S_ISDIR (entry->st.st_mode);
  /* For all that is done with layers it is a file as any other. */
  bool is_entry = S_ISREG (entry->st.st_mode) && metaentry_is_marked (xattrs);

  for (size_t i = 0; i < xattrs->count; i++)
    entry->has_forms |= xattr_is_overlay (xattrs->items[i].name) &&
                        !(is_entry && metaentry_has_attribute (xattrs->items[i].name));
  entry->opaque = is_dir && value_is (opaque, "y");
  entry->x_whiteouts = is_dir && value_is (opaque, "x");
  entry->metacopy =
      S_ISREG (entry->st.st_mode) && !is_entry && xattrs_find (xattrs, XATTR_OVERLAY "metacopy");
  entry->protattr = xattrs_find (xattrs, LAYER_PROTATTR) != NULL;
  if (redirect && (is_dir || entry->metacopy)) {
    autofree char *text = xstrndup (redirect->value, redirect->len);

    if (check_redirect (name, text, redirect->len, err) < 0)
      return -err->code;
    entry->redirect = steal_ptr (&text);
  }
  return 0;
}

int layer_read (int dir_fd, const char *name, bool x_whiteouts, struct layer_entry *ret_entry,
                struct err *err)
{
  autolayerentry struct layer_entry entry = {0};
  autoxattrs struct xattrs xattrs = {0};

  if (fstatat (dir_fd, name, &entry.st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  if (layer_is_whiteout (&entry.st)) {
    entry.whiteout = true;
  } else {
    if (xattrs_read (-1, dir_fd, name, /* with_overlay= */ true, &xattrs, err) < 0)
      return -err->code;
    if (xattrs.count && read_forms (name, &xattrs, &entry, err) < 0)
      return -err->code;
    entry.whiteout = x_whiteouts && S_ISREG (entry.st.st_mode) &&
                     xattrs_find (&xattrs, XATTR_OVERLAY "whiteout");
  }
  *ret_entry = entry;
  entry.redirect = NULL;
  return 0;
}

int layer_strip (int fd, int dir_fd, const char *name, bool keep_flags, struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};

  if (xattrs_read (fd, dir_fd, name, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  autofree char *path = fd < 0 && xattrs.count ? fd_proc_path (dir_fd, name) : NULL;
  bool is_entry = metaentry_is_marked (&xattrs);
  for (size_t i = 0; i < xattrs.count; i++) {
    const char *attribute = xattrs.items[i].name;

    if (!xattr_is_overlay (attribute) || (keep_flags && strcmp (attribute, LAYER_PROTATTR) == 0) ||
        (is_entry && metaentry_has_attribute (attribute)))
      continue;
    if ((path ? lremovexattr (path, attribute) : fremovexattr (fd, attribute)) < 0 &&
        errno != ENODATA)
      return path ? err_errno (err, "remove %s from %s", attribute, name)
                  : err_errno (err, "remove %s", attribute);
  }
  return 0;
}

int layer_copy_protattr (int from_fd, int from_dir, const char *from, int to_fd, int to_dir,
                         const char *to, struct err *err)
{
  autofree char *source =
      fd_proc_path (from_fd >= 0 ? from_fd : from_dir, from_fd >= 0 ? NULL : from);
  autofree char *target = fd_proc_path (to_fd >= 0 ? to_fd : to_dir, to_fd >= 0 ? NULL : to);
  char value[64];
  ssize_t len = from_fd >= 0 ? fgetxattr (from_fd, LAYER_PROTATTR, value, sizeof value)
                             : lgetxattr (source, LAYER_PROTATTR, value, sizeof value);

  if (len < 0)
    return errno == ENODATA ? 0 : err_errno (err, "read the protection flags of a file");
  int ret = to_fd >= 0 ? fsetxattr (to_fd, LAYER_PROTATTR, value, (size_t) len, 0)
                       : lsetxattr (target, LAYER_PROTATTR, value, (size_t) len, 0);
  return ret < 0 ? err_errno (err, "set the protection flags of a file") : 0;
}

bool layer_is_whiteout (const struct stat *st)
{
  return S_ISCHR (st->st_mode) && st->st_rdev == makedev (0, 0);
}

int layer_is_opaque (int dir_fd, struct err *err)
{
  char value[2];
  ssize_t len = fgetxattr (dir_fd, OPAQUE, value, sizeof value);

  if (len < 0 && errno != ENODATA && errno != ERANGE)
    return err_errno (err, "read whether a directory is opaque");
  return len == 1 && value[0] == 'y';
}

int layer_set_opaque (int dir_fd, struct err *err)
{
  if (fsetxattr (dir_fd, OPAQUE, "y", 1, 0) < 0)
    return err_errno (err, "mark a directory as opaque");
  return 0;
}

int layer_whiteout (int from_fd, const char *from, int to_fd, const char *to, struct err *err)
{
  if (from_fd >= 0 && linkat (from_fd, from, to_fd, to, 0) == 0)
    return 0;
  if (from_fd >= 0 && errno != ENOENT && errno != EMLINK)
    return err_errno (err, "link the whiteout %s", to);
  if (mknodat (to_fd, to, S_IFCHR, makedev (0, 0)) < 0)
    return err_errno (err, "make the whiteout %s", to);
  return 0;
}
