/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "root.h"
#include "collect.h"
#include "store/verity.h"
#include "tree/overlay.h"
#include "util/conf.h"
#include "util/fd.h"
#include <inttypes.h>
#include <sys/random.h>
#include <sys/xattr.h>

static int choose_path (const char *option, char **ret_path, struct err *err)
{
  const char *env = getenv ("VGUEST_ROOT");
  autofree char *path = NULL;

  if (option)
    path = xstrdup (option);
  else if (env && *env)
    path = xstrdup (env);
  else if (conf_string ("root", &path, err) < 0)
    return -err->code;
  else if (!path)
    path = xstrdup (ROOT_DEFAULT);
  if (path[0] != '/' || !path[1])
    return err_code (err, ERR_USAGE, "the state root \"%s\" must be an absolute path other than /",
                     path);
  *ret_path = steal_ptr (&path);
  return 0;
}

/* mkdir -p, 0755 for what leads to it and 0700 for the root itself. */
static int make_path (const char *path, struct err *err)
{
  autofree char *copy = xstrdup (path);

  for (char *p = copy + 1;; p++) {
    if (*p && *p != '/')
      continue;
    bool last = !*p;
    *p = '\0';
    if (mkdir (copy, last ? 0700 : 0755) < 0 && errno != EEXIST)
      return err_errno (err, "make the directory %s", copy);
    if (last)
      return 0;
    *p = '/';
  }
}

/* What the file system must be able to do, tried in the new root itself. */
static int probe (const char *path, int fd, struct err *err)
{
  int ret = 0;

  autoclose int file = fd_open (fd, ".probe", O_RDWR | O_CREAT, 0600);
  if (file < 0)
    return err_errno (err, "create a file in %s", path);
  unlinkat (fd, ".probe-link", 0);
  if (linkat (fd, ".probe", fd, ".probe-link", 0) < 0)
    ret = err_errno (err, "the file system of %s has no hard links: choose another --root", path);
  else if (fsetxattr (file, "trusted.vguest-probe", "1", 1, 0) < 0)
    ret = err_errno (err,
                     "the file system of %s takes no trusted.* extended attributes, which overlays "
                     "need: choose another --root",
                     path);
  else if (overlay_probe (fd, err) < 0)
    ret = err_wrap (err, "overlayfs does not work in %s: choose another --root, or see overlay(5)",
                    path);
  unlinkat (fd, ".probe-link", 0);
  unlinkat (fd, ".probe", 0);
  return ret;
}

static int make_format (const char *path, int fd, struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  uint64_t random;
  char id[20];

  if (getrandom (&random, sizeof random, 0) != (ssize_t) sizeof random)
    return err_errno (err, "get a random number");
  snprintf (id, sizeof id, "%016" PRIx64, random);
  json_set_int (object, "format", ROOT_FORMAT);
  json_set_string (object, "id", id);
  if (probe (path, fd, err) < 0)
    return -err->code;
  return json_write_file (fd, "root.json", object, err);
}

static int read_format (struct vroot *root, struct err *err)
{
  static const char *const keys[] = {"format", "id", NULL};
  autojson json_object *object = NULL;
  int64_t format = 0;
  const char *id = NULL;

  if (json_read_file (root->fd, "root.json", "root.json", &object, err) < 0 ||
      json_get_int (object, "format", 0, &format, err) < 0)
    return err_wrap (err, "%s", root->path);
  if (format > ROOT_FORMAT)
    return err_code (err, ERR_USAGE,
                     "%s has format %" PRId64
                     ", newer than this vguest knows (%d): use a newer one",
                     root->path, format, ROOT_FORMAT);
  if (json_check_keys (object, keys, "root.json", err) < 0 ||
      json_get_string (object, "id", NULL, &id, err) < 0)
    return err_wrap (err, "%s", root->path);
  if (format < 1 || !id || strlen (id) != 16 || strspn (id, "0123456789abcdef") != 16)
    return err_code (err, EINVAL, "%s/root.json is damaged", root->path);
  root->id = xstrdup (id);
  return 0;
}

static int open_part (struct vroot *root, const char *name, dev_t dev, int *ret_fd, struct err *err)
{
  struct stat st;

  *ret_fd = fd_make_dir (root->fd, name, 0700);
  if (*ret_fd < 0 || fstat (*ret_fd, &st) < 0)
    return err_errno (err, "open %s/%s", root->path, name);
  if (st.st_dev != dev)
    return err_code (err, EXDEV,
                     "%s/%s is on another file system than %s: everything below the state root "
                     "must be on one, as hard links cannot cross",
                     root->path, name, root->path);
  return 0;
}

static int open_parts (struct vroot *root, struct err *err)
{
  struct stat st;
  autoclose int cache = -1;

  if (fstat (root->fd, &st) < 0)
    return err_errno (err, "stat %s", root->path);
  if (open_part (root, "templates", st.st_dev, &root->templates_fd, err) < 0 ||
      open_part (root, "guests", st.st_dev, &root->guests_fd, err) < 0 ||
      open_part (root, "staging", st.st_dev, &root->staging_fd, err) < 0 ||
      open_part (root, "aside", st.st_dev, &root->aside_fd, err) < 0 ||
      open_part (root, "cache", st.st_dev, &cache, err) < 0 ||
      store_open (root->fd, &root->store, err) < 0)
    return -err->code;
  struct stat store_st;
  if (fstat (root->store->fd, &store_st) < 0)
    return err_errno (err, "stat %s/store", root->path);
  if (store_st.st_dev != st.st_dev)
    return err_code (err, EXDEV, "%s/store is on another file system than %s", root->path,
                     root->path);
  autofree char *verity = NULL;
  if (conf_string ("verity", &verity, err) < 0)
    return -err->code;
  return verity_parse (verity, &root->store->verity, err) < 0 ? conf_wrap (err) : 0;
}

int root_open (const struct vroot_options *options, struct vroot **ret_root, struct err *err)
{
  autoroot struct vroot *root = xcalloc (1, sizeof *root);

  *root = (struct vroot){
      .fd = -1,
      .lock_fd = -1,
      .templates_fd = -1,
      .guests_fd = -1,
      .staging_fd = -1,
      .aside_fd = -1,
      .no_wait = options->no_wait,
      .wait_seconds = options->wait_seconds,
      .on_wait = options->on_wait,
      .on_warning = options->on_warning,
  };
  if (choose_path (options->path, &root->path, err) < 0 ||
      (!options->existing && make_path (root->path, err) < 0))
    return -err->code;
  root->fd = open (root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root->fd < 0)
    return err_errno (err, "open the state root %s", root->path);
  if (faccessat (root->fd, "root.json", F_OK, 0) < 0) {
    /* Two first commands at once: the second one waits here and finds the work done. */
    const struct lock_how how = {
        .rank = LOCK_RANK_ROOT, .mode = LOCK_EXCLUSIVE, .on_wait = options->on_wait};
    autoclose int lock = -1;

    if (errno != ENOENT || options->existing)
      return err_errno (err, "look for %s/root.json", root->path);
    if (lock_acquire (root->fd, "lock", &how, root->path, &lock, err) < 0)
      return -err->code;
    if (faccessat (root->fd, "root.json", F_OK, 0) < 0 &&
        make_format (root->path, root->fd, err) < 0)
      return -err->code;
  }
  if (read_format (root, err) < 0 || open_parts (root, err) < 0)
    return -err->code;
  if (options->write) {
    const struct collect_options when_wanted = {0};
    struct gc_result result;

    if (root_lock (root, err) < 0 || root_collect (root, &when_wanted, &result, err) < 0)
      return -err->code;
  }
  *ret_root = steal_ptr (&root);
  return 0;
}

int root_lock (struct vroot *root, struct err *err)
{
  const struct lock_how how = root_lock_how (root, LOCK_RANK_ROOT, LOCK_SHARED);

  if (lock_acquire (root->fd, "lock", &how, root->path, &root->lock_fd, err) < 0)
    return -err->code;
  return staging_sweep (root, err);
}

void root_close (struct vroot *root)
{
  int saved = errno;
  int fds[] = {root->templates_fd, root->guests_fd, root->staging_fd,
               root->aside_fd,     root->lock_fd,   root->fd};

  if (root->store)
    store_close (root->store);
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (fds[i] >= 0)
      close (fds[i]);
  free (root->path);
  free (root->run_path);
  free (root->id);
  free (root);
  errno = saved;
}

const char *root_run_dir (struct vroot *root, struct err *err)
{
  if (root->run_path)
    return root->run_path;
  autofree char *path = strcmp (root->path, ROOT_DEFAULT) == 0
                            ? xstrdup ("/run/vguest")
                            : xasprintf ("/run/vguest/@%s", root->id);
  if ((mkdir ("/run/vguest", 0711) < 0 && errno != EEXIST) ||
      (mkdir (path, 0711) < 0 && errno != EEXIST)) {
    err_errno (err, "make the directory %s", path);
    return NULL;
  }
  return root->run_path = steal_ptr (&path);
}
