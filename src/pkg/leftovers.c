/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "leftovers.h"
#include "tree/lower.h"
#include "util/dirread.h"
#include "util/fd.h"

struct search {
  const struct pkg_driver *driver;
  const struct timespec *since;
  const struct lower *over; /* the layers of a thin guest whose base is searched; else NULL */
  struct strbuf path;
  struct names *found;
};

static bool has_suffix (const struct search *search, const char *name)
{
  size_t len = strlen (name);

  for (const char *const *suffix = search->driver->conffile_suffixes; *suffix; suffix++)
    if (len > strlen (*suffix) && strcmp (name + len - strlen (*suffix), *suffix) == 0)
      return true;
  return false;
}

static bool is_new (const struct stat *st, const struct timespec *since)
{
  if (!since)
    return true;
  return st->st_ctim.tv_sec > since->tv_sec ||
         (st->st_ctim.tv_sec == since->tv_sec && st->st_ctim.tv_nsec >= since->tv_nsec);
}

/* Paths are for people: names that are no clean text are told as they can be. */
static void add_path (struct search *search)
{
  autofree char *path = xasprintf ("/%s", strbuf_str (&search->path));

  for (char *p = path; *p; p++)
    if ((unsigned char) *p < ' ' || *p == 0x7f)
      *p = '?';
  names_add (search->found, path);
}

/* Does the guest show the file of the base, whose path is in @search? Returns 1, 0 or negative. */
static int is_shown (const struct search *search, const char *name, struct err *err)
{
  const char *path = strbuf_str (&search->path);
  autofree char *directory = xstrndup (path, strlen (path) - strlen (name));
  autolower struct lower found = LOWER_NONE;

  if (!search->over)
    return 1;
  if (lower_lookup (search->over, directory, &found, err) < 0)
    return -err->code;
  return found.base >= 0 && lower_find_file (&found, name) == found.base;
}

static int search_directory (struct search *search, int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count && search->found->count < LEFTOVERS_MAX; i++) {
    const struct dirread_entry *entry = &list.items[i];
    size_t before = strbuf_push_name (&search->path, entry->name);
    struct stat st;

    if (entry->type == DT_DIR) {
      autoclose int child = fd_open_dir (fd, entry->name);

      if (child < 0 && errno != ENOENT)
        return err_errno (err, "open the directory %s", strbuf_str (&search->path));
      if (child >= 0 && search_directory (search, child, err) < 0)
        return -err->code;
    } else if (entry->type == DT_REG && has_suffix (search, entry->name) &&
               fstatat (fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               is_new (&st, search->since)) {
      int shown = is_shown (search, entry->name, err);

      if (shown < 0)
        return shown;
      if (shown)
        add_path (search);
    }
    strbuf_truncate (&search->path, before);
  }
  return 0;
}

int leftovers_conffiles (struct guest *guest, const struct pkg_driver *driver, const char *layer,
                         const struct timespec *since, struct names *ret_paths, struct err *err)
{
  struct search search = {
      .driver = driver, .since = since, .path = STRBUF_INIT (1 << 20), .found = ret_paths};
  bool of_base = strcmp (layer, LOWER_BASE) == 0;
  autolower struct lower layers = LOWER_NONE;
  autoclose int fd = -1;

  if (of_base && lower_open (guest->fd, /* with_private= */ true, &layers, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  if (of_base && layers.base < 0)
    return 0;
  search.over = of_base ? &layers : NULL;
  fd = of_base ? fd_open_dir (layers.base, ".") : fd_open_dir_beneath (guest->fd, layer);
  if (fd < 0)
    return err_errno (err, "open %s of guest %s", layer, guest->name);
  int ret = driver->conffile_suffixes ? search_directory (&search, fd, err) : 0;
  strbuf_release (&search.path);
  return ret < 0 ? err_wrap (err, "guest %s: %s", guest->name, layer) : 0;
}

/* Mappings of what is no file, or was deleted from the start, as shared memory is. */
static bool is_file_path (const char *path)
{
  static const char *const others[] = {"/dev/", "/memfd:", "/SYSV",  "/run/",
                                       "/tmp/", "/var/",   "/[aio]", NULL};

  for (const char *const *other = others; *other; other++)
    if (pkg_starts_with (path, *other))
      return false;
  return *path == '/';
}

/* Has the process a mapping of a file that is gone? Only what can be executed counts. */
static bool uses_old_files (const char *pid)
{
  autofree char *path = xasprintf ("/proc/%s/maps", pid);
  autofree char *line = NULL;
  size_t size = 0;
  ssize_t len;
  bool found = false;
  FILE *file = fopen (path, "re");

  while (file && !found && (len = getline (&line, &size, file)) > 0) {
    static const char mark[] = " (deleted)\n";
    size_t end = sizeof mark - 1;
    const char *name = strchr (line, '/');
    const char *mode = strchr (line, ' ');

    found = name && mode && strlen (mode) > 3 && mode[3] == 'x' && (size_t) len > end &&
            strcmp (line + len - end, mark) == 0 && is_file_path (name);
  }
  if (file)
    fclose (file);
  return found;
}

static void add_program (const char *pid, struct names *programs)
{
  autofree char *path = xasprintf ("/proc/%s/comm", pid), *name = NULL;
  autoerr struct err err = {0};

  if (fd_read_file (AT_FDCWD, path, 4096, &name, NULL, &err) < 0)
    return;
  for (char *p = name; *p; p++)
    if ((unsigned char) *p < ' ' || *p == 0x7f)
      *p = p[1] ? '?' : '\0';
  names_add (programs, name);
}

int leftovers_restart (pid_t init_pid, struct names *ret_programs, struct err *err)
{
  autofree char *own = xasprintf ("/proc/%ld/ns/pid", (long) init_pid);
  autodirlist struct dirlist list = {0};
  autoclose int proc_fd = open ("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat want, st;

  if (proc_fd < 0)
    return err_errno (err, "open /proc");
  if (stat (own, &want) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s", own);
  if (dirread_all (proc_fd, &list, err) < 0)
    return err_wrap (err, "/proc");
  for (size_t i = 0; i < list.count; i++) {
    const char *pid = list.items[i].name;
    autofree char *path = xasprintf ("%s/ns/pid", pid);

    if (*pid < '0' || *pid > '9' || fstatat (proc_fd, path, &st, 0) < 0 ||
        st.st_ino != want.st_ino || st.st_dev != want.st_dev)
      continue;
    if (uses_old_files (pid))
      add_program (pid, ret_programs);
  }
  names_sort_unique (ret_programs);
  return 0;
}
