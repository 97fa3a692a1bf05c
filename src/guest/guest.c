/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest.h"
#include "tree/overlay.h"
#include "util/cgroup.h"
#include "util/dirread.h"
#include "util/fd.h"

enum { GONE_TIMEOUT_MS = 30000 };

int guest_list (struct vroot *root, struct names *ret_names, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (root->guests_fd, &list, err) < 0)
    return err_wrap (err, "%s/guests", root->path);
  for (size_t i = 0; i < list.count; i++)
    if (list.items[i].type == DT_DIR)
      names_add (ret_names, list.items[i].name);
  return 0;
}

/* A selection of one: for its message with the nearest name. */
static int no_such_guest (struct vroot *root, const char *name, struct err *err)
{
  autonames struct names existing = {0}, none = {0};
  autoselection struct selection selection = {0};

  if (guest_list (root, &existing, err) < 0)
    return -err->code;
  names_add (&selection.patterns, name);
  if (selection_resolve (&selection, &existing, &none, err) < 0)
    return -err->code;
  return err_code (err, ERR_NO_GUEST, "no guest is called \"%s\"", name);
}

/* Opens and locks guests/NAME. The guest may be renamed or deleted while we wait for its lock: then
 * the name leads elsewhere, and we begin again. */
static int open_locked (struct vroot *root, const char *name, enum guest_access access,
                        struct guest *guest, struct err *err)
{
  autofree char *what = xasprintf ("guest %s", name);

  for (;;) {
    struct stat by_fd, by_name;
    autoclose int fd = fd_open_dir (root->guests_fd, name);
    autoclose int lock_fd = -1;

    if (fd < 0 && errno == ENOENT)
      return no_such_guest (root, name, err);
    if (fd < 0)
      return err_errno (err, "open %s/guests/%s", root->path, name);
    if (access != GUEST_PEEK) {
      const struct lock_how how = root_lock_how (
          root, LOCK_RANK_GUEST, access == GUEST_SHARED ? LOCK_SHARED : LOCK_EXCLUSIVE);

      if (lock_acquire (fd, "lock", &how, what, &lock_fd, err) < 0)
        return -err->code;
      if (fstat (fd, &by_fd) < 0)
        return err_errno (err, "stat %s/guests/%s", root->path, name);
      if (fstatat (root->guests_fd, name, &by_name, AT_SYMLINK_NOFOLLOW) < 0 ||
          by_fd.st_ino != by_name.st_ino)
        continue;
    }
    guest->fd = steal_fd (&fd);
    guest->lock_fd = steal_fd (&lock_fd);
    return 0;
  }
}

static int read_json (struct vroot *root, struct guest *guest, const char *name,
                      json_object **ret_object, struct err *err)
{
  int64_t format = 0;

  if (json_read_file (guest->fd, name, name, ret_object, err) < 0 ||
      json_get_int (*ret_object, "format", 0, &format, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  if (format < 1 || format > GUEST_FORMAT)
    return err_code (err, ERR_USAGE, "%s/guests/%s/%s has a format that this vguest does not know",
                     root->path, guest->name, name);
  return 0;
}

int guest_open (struct vroot *root, const char *name, enum guest_access access,
                struct guest **ret_guest, struct err *err)
{
  autoguest struct guest *guest = xcalloc (1, sizeof *guest);

  *guest = (struct guest){.name = xstrdup (name), .fd = -1, .lock_fd = -1};
  if (name_check (name, "guest", err) < 0 || open_locked (root, name, access, guest, err) < 0)
    return -err->code;
  if (access != GUEST_TAKEN && (read_json (root, guest, "config.json", &guest->config, err) < 0 ||
                                read_json (root, guest, "state.json", &guest->state, err) < 0))
    return -err->code;
  if (access == GUEST_LOCKED && guest_recover (root, guest, err) < 0)
    return err_wrap (err, "recover guest %s", name);
  *ret_guest = steal_ptr (&guest);
  return 0;
}

void guest_close (struct guest *guest)
{
  int saved = errno;

  if (guest->config)
    json_object_put (guest->config);
  if (guest->state)
    json_object_put (guest->state);
  if (guest->lock_fd >= 0)
    close (guest->lock_fd);
  if (guest->fd >= 0)
    close (guest->fd);
  free (guest->name);
  free (guest);
  errno = saved;
}

int guest_make_parts (int fd, json_object *config, json_object *state, struct err *err)
{
  static const char *const parts[] = {"tree", "private", "work", "txn", "log", NULL};

  for (const char *const *part = parts; *part; part++)
    if (mkdirat (fd, *part, 0700) < 0)
      return err_errno (err, "make the directory %s", *part);
  autoclose int lock = fd_open (fd, "lock", O_WRONLY | O_CREAT, 0600);
  if (lock < 0)
    return err_errno (err, "create the file lock");
  json_set_int (config, "format", GUEST_FORMAT);
  json_set_int (state, "format", GUEST_FORMAT);
  /* In staging: what publishes the guest syncs it as a whole. */
  if (json_create_file (fd, "config.json", config, err) < 0 ||
      json_create_file (fd, "state.json", state, err) < 0)
    return -err->code;
  return 0;
}

int guest_save_state (struct guest *guest, struct err *err)
{
  if (json_write_file (guest->fd, "state.json", guest->state, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  return 0;
}

int guest_running (struct guest *guest, struct err *err)
{
  /* The monitor's is a write lock; those who wait for its end have read locks. */
  struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
  autoclose int fd = fd_open (guest->fd, "running", O_RDWR, 0);

  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open guests/%s/running", guest->name);
  if (fcntl (fd, F_OFD_GETLK, &lock) < 0)
    return err_errno (err, "ask for the lock of guests/%s/running", guest->name);
  return lock.l_type != F_UNLCK;
}

char *guest_container_id (const struct vroot *root, const char *name)
{
  return xasprintf ("%s-%.8s", name, root->id);
}

int guest_wait_gone (struct vroot *root, const char *name, struct err *err)
{
  autofree char *id = guest_container_id (root, name);
  autofree char *monitor = xasprintf ("%s" GUEST_MONITOR_SUFFIX, id);

  if (cgroup_sweep (monitor, GONE_TIMEOUT_MS, err) < 0 ||
      cgroup_sweep (id, GONE_TIMEOUT_MS, err) < 0)
    return err_wrap (err, "wait for the end of guest %s", name);
  return 0;
}

int guest_mark_ran (struct guest *guest, struct err *err)
{
  autoclose int fd = fd_open (guest->fd, GUEST_RAN, O_WRONLY | O_CREAT, 0600);

  if (fd < 0)
    return err_errno (err, "create guests/%s/" GUEST_RAN, guest->name);
  if (fsync (guest->fd) < 0)
    return err_errno (err, "sync guests/%s", guest->name);
  return 0;
}

int guest_has_run (struct guest *guest, struct err *err)
{
  if (faccessat (guest->fd, GUEST_RAN, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return 1;
  return errno == ENOENT ? 0 : err_errno (err, "look for guests/%s/" GUEST_RAN, guest->name);
}

int guest_refuse_used (struct vroot *root, struct guest *guest, struct err *err)
{
  autofree char *path = xasprintf ("%s/guests/%s", root->path, guest->name);
  autofree char *where = NULL;
  int running = guest_running (guest, err);
  int mounted = running ? running : overlay_in_use (path, &where, err);

  if (mounted < 0)
    return mounted;
  if (running)
    return err_code (err, EBUSY, "guest %s is running: stop it first (vguest %s stop)", guest->name,
                     guest->name);
  if (mounted)
    return err_code (err, EBUSY, "guest %s is mounted on %s: unmount it first", guest->name, where);
  int ran = guest_has_run (guest, err);
  return ran <= 0 ? ran : guest_wait_gone (root, guest->name, err);
}

const char *guest_state_name (struct vroot *root, struct guest *guest, struct err *err)
{
  autofree char *path = xasprintf ("%s/guests/%s", root->path, guest->name);
  autofree char *where = NULL;
  int running = guest_running (guest, err);
  int mounted = running ? running : overlay_in_use (path, &where, err);

  if (mounted < 0)
    return NULL;
  if (running)
    return "running";
  return mounted ? "mounted" : "stopped";
}
