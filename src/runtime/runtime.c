/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "runtime.h"
#include "container.h"
#include "util/conf.h"
#include "util/fd.h"
#include <sys/mount.h>

#define CACHE_NAME ".runtime.json"
#define PROGRAM_DIRS "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { CACHE_FORMAT = 1 };

/* The path of @name in the directories of $PATH and the usual ones; NULL when it is not there. */
static char *find_program (const char *name)
{
  const char *env = getenv ("PATH");
  autofree char *dirs = xasprintf ("%s:%s", env ? env : "", PROGRAM_DIRS);

  if (name[0] == '/')
    return access (name, X_OK) == 0 ? xstrdup (name) : NULL;
  for (const char *dir = dirs; *dir;) {
    size_t len = strcspn (dir, ":");
    autofree char *path = xasprintf ("%.*s/%s", (int) len, dir, name);

    if (path[0] == '/' && len && access (path, X_OK) == 0)
      return steal_ptr (&path);
    dir += len;
    if (*dir)
      dir++;
  }
  return NULL;
}

char *runtime_find_init (void)
{
  static const char *const paths[] = {"/usr/bin/catatonit", "/usr/libexec/catatonit/catatonit",
                                      "/usr/libexec/podman/catatonit", NULL};

  for (const char *const *path = paths; *path; path++)
    if (access (*path, X_OK) == 0)
      return xstrdup (*path);
  return NULL;
}

char *runtime_mount_point (struct vroot *root, struct err *err)
{
  const char *run_dir = root_run_dir (root, err);

  if (!run_dir)
    return NULL;
  autofree char *path = xasprintf ("%s/.bundle", run_dir);
  if (mkdir (path, 0700) < 0 && errno != EEXIST) {
    err_errno (err, "make the directory %s", path);
    return NULL;
  }
  return steal_ptr (&path);
}

static int mount_host (void *data, const char *target, struct err *err)
{
  (void) data;
  if (mount ("/", target, NULL, MS_BIND, NULL) < 0)
    return err_errno (err, "bind / on %s", target);
  return 0;
}

/* What a runtime says beyond its log is of no use here. */
static void ignore_output (void *data, size_t command, int stream, const char *bytes, size_t len)
{
  (void) data;
  (void) command;
  (void) stream;
  (void) bytes;
  (void) len;
}

static int probe (struct vroot *root, const char *path, struct err *err)
{
  static const char *const args[] = {"true", NULL};
  static const char *const env[] = {"PATH=" PROGRAM_DIRS, NULL};
  struct bundle_command command = {.args = args, .env = env, .cwd = "/"};
  autofree char *name = xasprintf ("probe-%ld", (long) getpid ());
  autofree char *id = guest_container_id (root, name);
  autofree char *mount_on = runtime_mount_point (root, err);
  struct container container = {
      .runtime = path,
      .mount_on = mount_on,
      .id = id,
      .read_only = true,
      .commands = &command,
      .command_count = 1,
      .dir_fd = root->fd,
      .mount = mount_host,
      .stdin_fd = -1,
      .output = ignore_output,
  };
  struct container_result result = {0};

  if (!mount_on || container_run (&container, &result, err) < 0)
    return -err->code;
  if (result.status)
    return err_code (err, EIO, "a container of it ended with exit status %d", result.status);
  return 0;
}

/* The cache's record of the program at @path as it is now, or NULL. */
static json_object *find_record (json_object *cache, const char *path, const struct stat *st)
{
  json_object *records = NULL;

  if (!json_object_object_get_ex (cache, "programs", &records) ||
      !json_object_is_type (records, json_type_array))
    return NULL;
  for (size_t i = 0; i < json_object_array_length (records); i++) {
    json_object *record = json_object_array_get_idx (records, i);
    autoerr struct err ignored = {0};
    const char *its_path = NULL;
    int64_t size = -1, seconds = -1, ns = -1;

    if (json_object_is_type (record, json_type_object) &&
        json_get_string (record, "path", "", &its_path, &ignored) == 0 &&
        json_get_int (record, "size", -1, &size, &ignored) == 0 &&
        json_get_int (record, "mtime", -1, &seconds, &ignored) == 0 &&
        json_get_int (record, "mtime_ns", -1, &ns, &ignored) == 0 && strcmp (its_path, path) == 0 &&
        size == st->st_size && seconds == st->st_mtim.tv_sec && ns == st->st_mtim.tv_nsec)
      return record;
  }
  return NULL;
}

/* What earlier runs found out; an empty object when there is nothing that can be read. */
static json_object *read_cache (int dir_fd)
{
  autoerr struct err ignored = {0};
  json_object *cache = NULL;
  int64_t format = 0;

  if (json_read_file (dir_fd, CACHE_NAME, CACHE_NAME, &cache, &ignored) == 0 &&
      json_get_int (cache, "format", 0, &format, &ignored) == 0 && format == CACHE_FORMAT)
    return cache;
  if (cache)
    json_object_put (cache);
  cache = json_object_new_object ();
  json_set_int (cache, "format", CACHE_FORMAT);
  json_object_object_add (cache, "programs", json_object_new_array ());
  return cache;
}

static void add_record (json_object *cache, const char *path, const struct stat *st, bool works,
                        const char *reason)
{
  json_object *records = json_object_object_get (cache, "programs");
  json_object *record = json_object_new_object ();

  json_set_string (record, "path", path);
  json_set_int (record, "size", st->st_size);
  json_set_int (record, "mtime", st->st_mtim.tv_sec);
  json_set_int (record, "mtime_ns", st->st_mtim.tv_nsec);
  json_set_bool (record, "works", works);
  if (reason)
    json_set_string (record, "reason", reason);
  json_object_array_add (records, record);
}

struct candidates {
  const char *names[3]; /* NULL-terminated */
  json_object *cache;   /* borrowed */
  bool news;            /* the cache has more than its file */
  struct strbuf tried;  /* what failed and why, for the message */
};

/* Tries one. Returns 1 when it works, 0 when not, negative when we were interrupted. */
static int try_one (struct vroot *root, struct candidates *candidates, const char *name,
                    char **ret_path, struct err *err)
{
  autofree char *path = find_program (name);
  autoerr struct err probe_err = {0};
  struct stat st;

  if (!path || stat (path, &st) < 0) {
    strbuf_addf (&candidates->tried, "\n  %s: not installed", name);
    return 0;
  }
  json_object *record = find_record (candidates->cache, path, &st);
  bool works = record && json_object_get_boolean (json_object_object_get (record, "works"));
  if (!record) {
    works = probe (root, path, &probe_err) == 0;
    if (probe_err.code == ERR_INTERRUPTED)
      return err_code (err, ERR_INTERRUPTED, "%s", err_text (&probe_err));
    add_record (candidates->cache, path, &st, works, works ? NULL : err_text (&probe_err));
    candidates->news = true;
    if (!works)
      strbuf_addf (&candidates->tried, "\n  %s: %s", path, err_text (&probe_err));
  }
  if (works)
    *ret_path = steal_ptr (&path);
  return works;
}

static int try_all (struct vroot *root, struct candidates *candidates, char **ret_path,
                    struct err *err)
{
  int works = 0;

  for (const char **name = candidates->names; *name && works == 0; name++)
    works = try_one (root, candidates, *name, ret_path, err);
  return works;
}

static int choose_from (struct vroot *root, int dir_fd, struct candidates *candidates,
                        char **ret_path, struct err *err)
{
  int works = try_all (root, candidates, ret_path, err);

  if (works == 0 && !candidates->news) {
    /* What is on record may have failed for a reason that is gone. */
    json_object_object_add (candidates->cache, "programs", json_object_new_array ());
    strbuf_truncate (&candidates->tried, 0);
    works = try_all (root, candidates, ret_path, err);
  }
  if (works < 0)
    return works;
  if (!works)
    return err_code (err, EOPNOTSUPP,
                     "no OCI runtime works on this host: install crun or runc, or name one as "
                     "\"runtime\" in %s. Tried:%s",
                     conf_path (), strbuf_str (&candidates->tried));
  return candidates->news ? json_write_file (dir_fd, CACHE_NAME, candidates->cache, err) : 0;
}

/* "auto", "crun", "runc" or a path: the caller's string. NULL with @err set. */
static char *configured (struct guest *guest, struct err *err)
{
  autofree char *host = NULL;
  const char *value = NULL;

  if (json_get_string (guest->config, "runtime", NULL, &value, err) < 0) {
    err_wrap (err, "guest %s, config.json", guest->name);
    return NULL;
  }
  if (!value) {
    if (conf_string ("runtime", &host, err) < 0)
      return NULL;
    value = host ? host : "auto";
  }
  if (value[0] != '/' && strcmp (value, "auto") != 0 && strcmp (value, "crun") != 0 &&
      strcmp (value, "runc") != 0) {
    err_code (err, ERR_USAGE,
              "the runtime \"%s\" of guest %s must be auto, crun, runc, or an absolute path", value,
              guest->name);
    return NULL;
  }
  return xstrdup (value);
}

int runtime_choose (struct vroot *root, struct guest *guest, char **ret_path, struct err *err)
{
  const char *run_dir = root_run_dir (root, err);
  autofree char *value = run_dir ? configured (guest, err) : NULL;

  if (!value)
    return -err->code;
  autoclose int dir_fd = fd_open_dir (AT_FDCWD, run_dir);
  if (dir_fd < 0)
    return err_errno (err, "open %s", run_dir);
  autojson json_object *cache = read_cache (dir_fd);
  struct candidates candidates = {
      .names = {value, NULL, NULL},
      .cache = cache,
      .tried = STRBUF_INIT (64 << 10),
  };
  if (strcmp (value, "auto") == 0) {
    candidates.names[0] = "crun";
    candidates.names[1] = "runc";
  }
  int ret = choose_from (root, dir_fd, &candidates, ret_path, err);
  strbuf_release (&candidates.tried);
  return ret;
}
