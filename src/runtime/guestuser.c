/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guestuser.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include "util/utf8.h"
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <sys/vfs.h>

enum { FIELDS_MAX = 7, PASSWD_FIELDS = 7, GROUP_FIELDS = 4 };

struct field {
  const char *text;
  size_t len;
};

void guestuser_release (struct guestuser *user)
{
  free (user->groups);
  free (user->name);
  free (user->home);
  free (user->shell);
  *user = (struct guestuser){0};
}

static bool is (const struct field *field, const char *word, size_t len)
{
  return field->len == len && memcmp (field->text, word, len) == 0;
}

/* Moves on to the next line that has exactly @count fields. */
static bool next_line (const char **text, size_t *len, struct field *fields, size_t count)
{
  while (*len) {
    const char *line = *text, *end = memchr (line, '\n', *len);
    size_t left = end ? (size_t) (end - line) : *len, n = 0;

    *text += end ? left + 1 : left;
    *len -= end ? left + 1 : left;
    if (memchr (line, '\0', left))
      continue;
    for (;;) {
      const char *colon = memchr (line, ':', left);
      size_t width = colon ? (size_t) (colon - line) : left;

      if (n == count)
        break;
      fields[n++] = (struct field){line, width};
      if (!colon) {
        if (n == count && fields[0].len)
          return true;
        break;
      }
      line += width + 1;
      left -= width + 1;
    }
  }
  return false;
}

/* A decimal number below 2^32 - 1, which means "none" to the kernel. */
static bool number (const struct field *field, uint32_t *ret_number)
{
  uint64_t value = 0;

  if (!field->len || field->len > 10)
    return false;
  for (size_t i = 0; i < field->len; i++) {
    if (field->text[i] < '0' || field->text[i] > '9')
      return false;
    value = value * 10 + (uint64_t) (field->text[i] - '0');
  }
  if (value >= UINT32_MAX)
    return false;
  *ret_number = (uint32_t) value;
  return true;
}

/* An absolute path that can be handed to a runtime, or @fallback. */
static char *path_or (const struct field *field, const char *fallback)
{
  autofree char *path = xstrndup (field->text, field->len);

  if (path[0] != '/' || field->len >= PATH_MAX || !utf8_valid (path))
    return xstrdup (fallback);
  return steal_ptr (&path);
}

/* Finds the line of the user @name, or the first with the number @uid when @name is NULL. */
static bool find_user (const char *passwd, size_t len, const struct field *name, uint32_t uid,
                       struct guestuser *user)
{
  struct field fields[FIELDS_MAX];

  while (next_line (&passwd, &len, fields, PASSWD_FIELDS)) {
    uint32_t line_uid, gid;

    if (!number (&fields[2], &line_uid) || !number (&fields[3], &gid) ||
        (name ? !is (&fields[0], name->text, name->len) : line_uid != uid))
      continue;
    user->uid = line_uid;
    user->gid = gid;
    user->name = xstrndup (fields[0].text, fields[0].len);
    user->home = path_or (&fields[5], "/");
    user->shell = path_or (&fields[6], "/bin/sh");
    if (!utf8_valid (user->name)) {
      free (user->name);
      user->name = NULL;
    }
    return true;
  }
  return false;
}

static bool find_group (const char *group, size_t len, const struct field *name, gid_t *ret_gid)
{
  struct field fields[FIELDS_MAX];

  while (next_line (&group, &len, fields, GROUP_FIELDS)) {
    uint32_t gid;

    if (number (&fields[2], &gid) && is (&fields[0], name->text, name->len)) {
      *ret_gid = gid;
      return true;
    }
  }
  return false;
}

static bool has_member (const struct field *list, const char *name, size_t name_len)
{
  struct field left = *list;

  for (;;) {
    const char *comma = memchr (left.text, ',', left.len);
    struct field member = {left.text, comma ? (size_t) (comma - left.text) : left.len};

    if (is (&member, name, name_len))
      return true;
    if (!comma)
      return false;
    left.text += member.len + 1;
    left.len -= member.len + 1;
  }
}

static int compare_gids (const void *a, const void *b)
{
  gid_t left = *(const gid_t *) a, right = *(const gid_t *) b;

  return left < right ? -1 : left > right;
}

/* As many as the kernel takes; those beyond are left out. */
static void find_memberships (const char *group, size_t len, struct guestuser *user)
{
  struct field fields[FIELDS_MAX];
  size_t name_len = strlen (user->name), size = 0, unique = 0;

  while (user->group_count < NGROUPS_MAX && next_line (&group, &len, fields, GROUP_FIELDS)) {
    uint32_t gid;

    if (!number (&fields[2], &gid) || gid == user->gid ||
        !has_member (&fields[3], user->name, name_len))
      continue;
    if (user->group_count == size) {
      size = size ? size * 2 : 16;
      user->groups = xreallocarray (user->groups, size, sizeof *user->groups);
    }
    user->groups[user->group_count++] = gid;
  }
  if (!user->group_count)
    return;
  qsort (user->groups, user->group_count, sizeof *user->groups, compare_gids);
  for (size_t i = 1; i < user->group_count; i++)
    if (user->groups[i] != user->groups[unique])
      user->groups[++unique] = user->groups[i];
  user->group_count = unique + 1;
}

static int resolve_user (const char *passwd, size_t len, const struct field *name,
                         struct guestuser *user, struct err *err)
{
  uint32_t uid = 0;
  bool is_number = number (name, &uid);

  if (find_user (passwd, len, name, 0, user) ||
      (is_number && find_user (passwd, len, NULL, uid, user)))
    return 0;
  bool root = is (name, "root", 4) || (is_number && uid == 0);
  if (!is_number && !root)
    return err_code (err, ERR_USAGE, "the guest has no user \"%.*s\"", (int) name->len, name->text);
  user->uid = uid;
  user->gid = uid;
  user->name = root ? xstrdup ("root") : NULL;
  user->home = xstrdup (root ? "/root" : "/");
  user->shell = xstrdup ("/bin/sh");
  return 0;
}

int guestuser_parse (const char *passwd, size_t passwd_len, const char *group, size_t group_len,
                     const char *spec, struct guestuser *ret_user, struct err *err)
{
  autoguestuser struct guestuser user = {0};
  const char *colon = strchr (spec, ':');
  struct field name = {spec, colon ? (size_t) (colon - spec) : strlen (spec)};

  if (!name.len || name.len > INT_MAX)
    return err_code (err, ERR_USAGE, "bad user \"%s\": USER or USER:GROUP is expected", spec);
  if (resolve_user (passwd, passwd_len, &name, &user, err) < 0)
    return -err->code;
  if (colon) {
    struct field wanted = {colon + 1, strlen (colon + 1)};
    uint32_t gid = 0;

    if (!find_group (group, group_len, &wanted, &user.gid)) {
      if (!number (&wanted, &gid))
        return err_code (err, ERR_USAGE, "the guest has no group \"%s\"", wanted.text);
      user.gid = gid;
    }
  } else if (user.name) {
    find_memberships (group, group_len, &user);
  }
  *ret_user = user;
  user = (struct guestuser){0};
  return 0;
}

/* A device or a FIFO is never opened, nor a file of a kernel's own file system, where there are
 * those like /proc/kmsg: it may block, or do something. */
static int read_file (int root_fd, const char *path, char **ret_text, size_t *ret_len,
                      struct err *err)
{
  autoclose int fd = fd_open_in_root (root_fd, path, O_PATH, 0);
  struct statfs fs;
  struct stat st;

  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
    *ret_text = xstrdup ("");
    *ret_len = 0;
    return 0;
  }
  if (fd < 0 || fstat (fd, &st) < 0 || fstatfs (fd, &fs) < 0)
    return err_errno (err, "open the guest's %s", path);
  if (!S_ISREG (st.st_mode) || fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC)
    return err_code (err, EINVAL, "the guest's %s is not a file", path);
  autofree char *name = fd_proc_path (fd, NULL);
  if (fd_read_file (AT_FDCWD, name, GUESTUSER_FILE_MAX, ret_text, ret_len, err) < 0)
    return err_wrap (err, "the guest's %s", path);
  return 0;
}

int guestuser_lookup (int root_fd, const char *spec, struct guestuser *ret_user, struct err *err)
{
  autofree char *passwd = NULL, *group = NULL;
  size_t passwd_len = 0, group_len = 0;

  if (read_file (root_fd, "/etc/passwd", &passwd, &passwd_len, err) < 0 ||
      read_file (root_fd, "/etc/group", &group, &group_len, err) < 0)
    return -err->code;
  return guestuser_parse (passwd, passwd_len, group, group_len, spec, ret_user, err);
}
