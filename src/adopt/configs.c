/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "configs.h"
#include "adopt/inspect.h"
#include "adopt/lxc.h"
#include "adopt/nspawn.h"
#include "adopt/vserver.h"
#include "guest/names.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/strbuf.h"

#define LXC_SHARE "/usr/share/lxc"
#define MACHINES_WANTS "/etc/systemd/system/machines.target.wants"

static int read_path (const char *path, size_t maximum, char **ret_text, size_t *ret_len,
                      struct err *err)
{
  autofree char *real = realpath (path, NULL);

  if (!real)
    return err_errno (err, "find %s", path);
  return fd_read_file (AT_FDCWD, real, maximum, ret_text, ret_len, err);
}

/* All *.conf of the directory, one after the other. */
static int read_all (int fd, struct strbuf *text, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    size_t len = strlen (name);
    autofree char *part = NULL;

    if (list.items[i].type != DT_REG || len < 5 || strcmp (name + len - 5, ".conf") != 0)
      continue;
    if (fd_read_file (fd, name, TRANSLATION_TEXT_MAX, &part, NULL, err) < 0)
      return -err->code;
    strbuf_adds (text, part);
    strbuf_adds (text, "\n");
  }
  return text->failed ? err_code (err, EFBIG, "the files are too large") : 0;
}

/* The file, or the files of the directory, at @path below @directory; its parts are no symlinks. */
static int read_beneath (const char *directory, const char *path, char **ret_text, struct err *err)
{
  autoclose int top = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const char *slash = strrchr (path, '/');
  autofree char *above = xstrndup (path, slash ? (size_t) (slash - path) : 0);
  const char *name = slash ? slash + 1 : path;
  autoclose int above_fd = top < 0 ? -1 : fd_open_dir_beneath (top, above);

  if (above_fd < 0)
    return err_errno (err, "open %s/%s", directory, above);
  autoclose int fd = fd_open_dir (above_fd, *name ? name : ".");
  if (fd < 0 && errno == ENOTDIR)
    return fd_read_file (above_fd, name, TRANSLATION_TEXT_MAX, ret_text, NULL, err);
  if (fd < 0)
    return err_errno (err, "open %s/%s", directory, path);
  autostrbuf struct strbuf text = STRBUF_INIT (TRANSLATION_TEXT_MAX);
  if (read_all (fd, &text, err) < 0)
    return -err->code;
  *ret_text = text.len ? strbuf_steal (&text) : xstrdup ("");
  return 0;
}

/* For struct lxc_files; @data is the container's directory. */
static int read_included (void *data, const char *path, char **ret_text)
{
  const char *const places[] = {LXC_SHARE, data};
  autofree char *clean = *path == '/' ? translation_clean_path (path) : NULL;

  for (size_t i = 0; clean && i < sizeof places / sizeof places[0]; i++) {
    size_t len = strlen (places[i]);
    autoerr struct err err = {0};

    if (strncmp (clean, places[i], len) == 0 && clean[len] == '/')
      return read_beneath (places[i], clean + len + 1, ret_text, &err) < 0 ? -1 : 0;
  }
  return -1;
}

int configs_read_lxc (const char *path, struct translation *translation, struct err *err)
{
  autofree char *text = NULL;
  autofree char *directory = xstrdup (path);

  if (read_path (path, TRANSLATION_TEXT_MAX, &text, NULL, err) < 0)
    return -err->code;
  *strrchr (directory, '/') = '\0';
  const struct lxc_files files = {read_included, directory};
  lxc_translate (translation, text, &files);
  return 0;
}

int configs_read_nspawn (const char *path, const char *machine, struct translation *translation,
                         struct err *err)
{
  autofree char *text = NULL;
  autofree char *unit = xasprintf (MACHINES_WANTS "/systemd-nspawn@%s.service", machine);

  if (path && read_path (path, TRANSLATION_TEXT_MAX, &text, NULL, err) < 0)
    return -err->code;
  nspawn_translate (translation, text ? text : "");
  if (faccessat (AT_FDCWD, unit, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    translation_set (translation, unit, "", "autostart=true");
  return 0;
}

int configs_read_inspect (const char *path, struct translation *translation, struct err *err)
{
  autofree char *text = NULL;
  size_t len = 0;

  if (read_path (path, 4 * TRANSLATION_TEXT_MAX, &text, &len, err) < 0)
    return -err->code;
  if (inspect_translate (translation, text, len, err) < 0)
    return err_wrap (err, "%s", path);
  return 0;
}

struct vserver_walk {
  struct vserver *vserver;
  struct strbuf path; /* owned */
  size_t depth;
};

/* One file; of a symlink that leads to no file, where it leads. */
static int take_file (struct vserver_walk *walk, int dir_fd, const char *name, struct err *err)
{
  autofree char *text = NULL;
  struct stat st;
  autoclose int fd = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

  if (fd >= 0 && fstat (fd, &st) == 0 && S_ISREG (st.st_mode)) {
    size_t size = 64 << 10;
    text = xmalloc (size + 1);
    ssize_t n = fd_read_full (fd, text, size);

    if (n < 0)
      return err_errno (err, "read %s", strbuf_str (&walk->path));
    text[n] = '\0';
  } else {
    text = xcalloc (1, 4096);
    if (readlinkat (dir_fd, name, text, 4095) < 0)
      *text = '\0';
  }
  vserver_take (walk->vserver, strbuf_str (&walk->path), text);
  return 0;
}

static int walk_vserver (struct vserver_walk *walk, int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (fd, &list, err) < 0)
    return err_wrap (err, "%s", strbuf_str (&walk->path));
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    size_t before;
    int ret = 0;

    if (*name == '.')
      continue;
    before = strbuf_push_name (&walk->path, name);
    if (list.items[i].type != DT_DIR) {
      ret = take_file (walk, fd, name, err);
    } else if (walk->depth < VSERVER_DEPTH_MAX) {
      autoclose int child = fd_open_dir (fd, name);

      walk->depth++;
      ret = child < 0 ? err_errno (err, "open %s", strbuf_str (&walk->path))
                      : walk_vserver (walk, child, err);
      walk->depth--;
    }
    strbuf_truncate (&walk->path, before);
    if (ret < 0)
      return ret;
  }
  return 0;
}

int configs_read_vserver (const char *path, struct translation *translation, struct err *err)
{
  struct vserver_walk walk = {.path = STRBUF_INIT (1 << 20)};
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0)
    return err_errno (err, "open %s", path);
  walk.vserver = vserver_begin (translation, sysconf (_SC_PAGESIZE));
  int ret = walk_vserver (&walk, fd, err);
  vserver_end (walk.vserver);
  strbuf_release (&walk.path);
  return ret;
}

void configs_read_hostname (int tree_fd, struct translation *translation)
{
  autoclose int fd = fd_open_in_root (tree_fd, "etc/hostname", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  autoerr struct err err = {0};
  char text[256];
  struct stat st;

  if (json_object_object_get_ex (translation->settings, "hostname", NULL) || fd < 0 ||
      fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return;
  ssize_t n = fd_read_full (fd, text, sizeof text - 1);
  if (n <= 0)
    return;
  text[n] = '\0';
  text[strcspn (text, "\n")] = '\0';
  const char *name = translation_trim (text);
  if (*name && hostname_check (name, &err) == 0)
    translation_set (translation, "/etc/hostname", name, "hostname=%s", name);
}
