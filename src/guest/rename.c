/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rename.h"
#include "guest/identity.h"
#include "util/dirread.h"
#include "util/fd.h"

static void unlock_all (struct renaming *renaming)
{
  for (size_t i = 0; i < renaming->dependent_count; i++)
    guest_close (renaming->dependents[i]);
  cleanup_free (&renaming->dependents);
  renaming->dependent_count = 0;
  if (renaming->guest)
    guest_close (steal_ptr (&renaming->guest));
}

void renaming_release (struct renaming *renaming)
{
  int saved = errno;

  unlock_all (renaming);
  free (renaming->from);
  free (renaming->to);
  free (renaming->old_hostname);
  free (renaming->hostname);
  names_release (&renaming->told);
  names_release (&renaming->commented);
  *renaming = (struct renaming){0};
  errno = saved;
}

/* Is @name in the "depends" of @config? 1, 0 or negative. */
static int depends_on (json_object *config, const char *name, struct err *err)
{
  json_object *depends;

  if (json_get_strings (config, "depends", &depends, err) < 0)
    return -err->code;
  for (size_t i = 0; depends && i < json_object_array_length (depends); i++)
    if (strcmp (json_object_get_string (json_object_array_get_idx (depends, i)), name) == 0)
      return 1;
  return 0;
}

/* Adds the guests that depend on @name. Those that cannot be read can have nothing replaced. */
static int find_dependents (struct vroot *root, const char *name, struct names *dependents,
                            struct err *err)
{
  autonames struct names all = {0};

  if (guest_list (root, &all, err) < 0)
    return -err->code;
  for (size_t i = 0; i < all.count; i++) {
    autoguest struct guest *guest = NULL;
    autoerr struct err ignored = {0};

    if (guest_open (root, all.items[i], GUEST_PEEK, &guest, &ignored) == 0 &&
        depends_on (guest->config, name, &ignored) > 0)
      names_add (dependents, all.items[i]);
  }
  return 0;
}

/* Replaces the name in what @dependent, locked, depends on; @to takes one place only. Returns 1,
 * or 0 when the old one is not there. */
static int update_dependent (struct guest *dependent, const char *from, const char *to,
                             bool *ret_commented, struct err *err)
{
  autojson json_object *config = NULL;
  json_object *depends;

  int running = guest_running (dependent, err);
  if (running < 0 || (!running && guest_sweep (dependent, err) < 0))
    return -err->code;
  if (json_read_file (dependent->fd, "config.json", "config.json", &config, err) < 0)
    return err_wrap (err, "guest %s", dependent->name);
  int found = depends_on (config, from, err);
  if (found <= 0)
    return found < 0 ? err_wrap (err, "guest %s", dependent->name) : 0;
  bool has_new = depends_on (config, to, err) > 0;
  if (json_get_strings (config, "depends", &depends, err) < 0)
    return -err->code;
  json_object *replaced = json_object_new_array ();
  for (size_t i = 0; i < json_object_array_length (depends); i++) {
    const char *word = json_object_get_string (json_object_array_get_idx (depends, i));

    if (strcmp (word, from) != 0)
      json_object_array_add (replaced, json_object_new_string (word));
    else if (!has_new)
      json_object_array_add (replaced, json_object_new_string (to));
  }
  json_object_object_add (config, "depends", replaced);
  if (guest_save_config (dependent, config, ret_commented, err) < 0)
    return -err->code;
  return 1;
}

/* The host name in the guest's files, then in its settings. A name that was changed meanwhile
 * stays. */
static int replace_hostname (struct guest *guest, const char *old, const char *hostname,
                             bool *ret_commented, struct err *err)
{
  const char *set;

  *ret_commented = false;
  autolower struct lower layers = LOWER_NONE;
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");
  if (txn_fd < 0)
    return err_errno (err, "open txn of guest %s", guest->name);
  if (lower_open (guest->fd, /* with_private= */ true, &layers, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  if (host_identity_rename (&layers, txn_fd, old, hostname, err) < 0)
    return err_wrap (err, "replace the host name in guest %s", guest->name);
  if (json_get_string (guest->config, "hostname", NULL, &set, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  if (!set || strcmp (set, old) != 0)
    return 0;
  json_set_string (guest->config, "hostname", hostname);
  return guest_save_config (guest, guest->config, ret_commented, err);
}

static int write_record (struct guest *guest, const char *from, const char *to, const char *old,
                         const char *hostname, struct err *err)
{
  autojson json_object *record = json_object_new_object ();

  json_set_string (record, "from", from);
  json_set_string (record, "to", to);
  if (hostname) {
    json_set_string (record, "old_hostname", old);
    json_set_string (record, "hostname", hostname);
  }
  if (json_write_file (guest->fd, RENAME_RECORD, record, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  return 0;
}

static int remove_record (struct guest *guest, struct err *err)
{
  if (unlinkat (guest->fd, RENAME_RECORD, 0) < 0 || fsync (guest->fd) < 0)
    return err_errno (err, "remove " RENAME_RECORD " of guest %s", guest->name);
  return 0;
}

int rename_pending (struct guest *guest, struct err *err)
{
  if (faccessat (guest->fd, RENAME_RECORD, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return 1;
  return errno == ENOENT ? 0
                         : err_errno (err, "look for " RENAME_RECORD " of guest %s", guest->name);
}

/* Returns 1 when all dependents have the new name, 0 when some are locked. Waiting for them here,
 * with a guest's lock, could be against the order of locks. */
static int recover_dependents (struct vroot *root, const struct guest *guest, const char *from,
                               const char *to, struct err *err)
{
  autonames struct names dependents = {0};
  struct vroot impatient = *root; /* borrows all */
  int all = 1;

  impatient.no_wait = true;
  if (find_dependents (root, from, &dependents, err) < 0)
    return -err->code;
  for (size_t i = 0; i < dependents.count; i++) {
    autoguest struct guest *dependent = NULL;
    bool commented;

    if (strcmp (dependents.items[i], guest->name) == 0)
      continue;
    int ret = guest_open (&impatient, dependents.items[i], GUEST_TAKEN, &dependent, err);
    if (ret == -ERR_LOCKED)
      all = 0;
    if (ret == -ERR_LOCKED || ret == -ERR_NO_GUEST) {
      err_release (err);
      continue;
    }
    if (ret < 0 || update_dependent (dependent, from, to, &commented, err) < 0)
      return -err->code;
  }
  return all;
}

int rename_recover (struct vroot *root, struct guest *guest, struct err *err)
{
  autojson json_object *record = NULL;
  const char *from, *to, *old, *hostname;
  bool commented;
  int pending = rename_pending (guest, err);
  int running = pending > 0 ? guest_running (guest, err) : 0;

  if (pending <= 0 || running < 0)
    return pending < 0 ? pending : running;
  if (json_read_file (guest->fd, RENAME_RECORD, RENAME_RECORD, &record, err) < 0 ||
      json_get_string (record, "from", NULL, &from, err) < 0 ||
      json_get_string (record, "to", NULL, &to, err) < 0 ||
      json_get_string (record, "old_hostname", NULL, &old, err) < 0 ||
      json_get_string (record, "hostname", NULL, &hostname, err) < 0)
    return err_wrap (err, "finish the rename of guest %s", guest->name);
  if (!from || !to || strcmp (guest->name, to) != 0)
    return remove_record (guest, err);
  /* Its layers are in use: a guest is not started before this is done, but in doubt stay away. */
  if (running && hostname)
    return 0;
  /* Once, and then never again: it may be set to something else before the dependents are done. */
  if (old && hostname &&
      (replace_hostname (guest, old, hostname, &commented, err) < 0 ||
       write_record (guest, from, to, NULL, NULL, err) < 0))
    return -err->code;
  int all = recover_dependents (root, guest, from, to, err);
  if (all < 0)
    return err_wrap (err, "finish the rename of %s to %s", from, to);
  return all ? remove_record (guest, err) : 0;
}

static int refuse_existing (int dir_fd, const char *directory, const char *name, struct err *err)
{
  if (faccessat (dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return err_code (err, EEXIST, "%s/%s exists: choose another name", directory, name);
  return errno == ENOENT ? 0 : err_errno (err, "look for %s/%s", directory, name);
}

/* Nothing is called @name, and nobody is building a guest of that name, who would fail only at the
 * end of his work. */
static int check_free (struct vroot *root, const char *name, struct err *err)
{
  autodirlist struct dirlist list = {0};
  autofree char *guests = xasprintf ("%s/guests", root->path);
  autofree char *aside = xasprintf ("%s/aside", root->path);

  if (refuse_existing (root->guests_fd, guests, name, err) < 0 ||
      refuse_existing (root->aside_fd, aside, name, err) < 0)
    return -err->code;
  if (dirread_all (root->staging_fd, &list, err) < 0)
    return err_wrap (err, "%s/staging", root->path);
  for (size_t i = 0; i < list.count; i++) {
    autofree char *path = xasprintf ("%s/guests/%s", list.items[i].name, name);

    if (faccessat (root->staging_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return err_code (err, EEXIST, "a guest %s is just being built: choose another name", name);
  }
  return 0;
}

/* The host names, when the guest's is the one that follows from its name. */
static int choose_hostname (struct renaming *renaming, struct err *err)
{
  autoerr struct err ignored = {0};
  autofree char *old = NULL;
  const char *set;

  if (json_get_string (renaming->guest->config, "hostname", NULL, &set, err) < 0)
    return err_wrap (err, "guest %s", renaming->from);
  if (hostname_for_guest (renaming->from, &old, &ignored) < 0 || (set && strcmp (set, old) != 0))
    return 0;
  if (hostname_for_guest (renaming->to, &renaming->hostname, &ignored) < 0)
    return err_code (err, ERR_USAGE,
                     "no host name follows from \"%s\": set one first (vguest %s set hostname=…)",
                     renaming->to, renaming->from);
  if (strcmp (old, renaming->hostname) == 0)
    cleanup_free (&renaming->hostname);
  else
    renaming->old_hostname = steal_ptr (&old);
  return 0;
}

static int try_lock_all (struct vroot *root, struct renaming *renaming, bool *ret_changed,
                         struct err *err)
{
  autonames struct names names = {0};

  *ret_changed = false;
  if (find_dependents (root, renaming->from, &names, err) < 0)
    return -err->code;
  names_add (&names, renaming->from);
  names_sort_unique (&names);
  renaming->dependents = xcalloc (names.count, sizeof *renaming->dependents);
  for (size_t i = 0; i < names.count; i++) {
    bool own = strcmp (names.items[i], renaming->from) == 0;
    struct guest **place =
        own ? &renaming->guest : &renaming->dependents[renaming->dependent_count];
    int ret = guest_open (root, names.items[i], own ? GUEST_LOCKED : GUEST_TAKEN, place, err);

    *ret_changed = !own && ret == -ERR_NO_GUEST;
    if (ret < 0)
      return ret;
    if (!own)
      renaming->dependent_count++;
  }
  return 0;
}

/* Locks the guest and its dependents, in the order of their names; once more when one of those was
 * renamed or deleted meanwhile. */
static int lock_all (struct vroot *root, struct renaming *renaming, struct err *err)
{
  for (;;) {
    bool changed;
    int ret = try_lock_all (root, renaming, &changed, err);

    if (!changed)
      return ret;
    err_release (err);
    unlock_all (renaming);
  }
}

int rename_prepare (struct vroot *root, const char *from, const char *to,
                    struct renaming *ret_renaming, struct err *err)
{
  autorenaming struct renaming renaming = {.from = xstrdup (from), .to = xstrdup (to)};
  autoguest struct guest *first = NULL;

  if (name_check (to, "guest", err) < 0)
    return -err->code;
  if (strcmp (from, to) == 0)
    return err_code (err, ERR_NOTHING, "guest %s is called so already", from);
  /* Alone first: then recovery of an earlier rename finds the dependents unlocked. */
  if (guest_open (root, from, GUEST_LOCKED, &first, err) < 0 ||
      guest_refuse_used (root, first, err) < 0 || check_free (root, to, err) < 0)
    return -err->code;
  guest_close (steal_ptr (&first));
  if (lock_all (root, &renaming, err) < 0 || guest_refuse_used (root, renaming.guest, err) < 0)
    return -err->code;
  int pending = rename_pending (renaming.guest, err);
  if (pending < 0)
    return pending;
  if (pending)
    return err_code (
        err, EBUSY,
        "an interrupted rename of guest %s waits for a guest that depends on it and is "
        "locked: try again",
        from);
  int on_itself = depends_on (renaming.guest->config, to, err);
  if (on_itself < 0)
    return err_wrap (err, "guest %s", from);
  if (on_itself)
    return err_code (err, ERR_USAGE,
                     "guest %s depends on %s, and would depend on itself: change that first "
                     "(vguest %s set depends-=%s)",
                     from, to, from, to);
  if (choose_hostname (&renaming, err) < 0)
    return -err->code;
  *ret_renaming = renaming;
  renaming = (struct renaming){0};
  return 0;
}

static int move_directory (struct vroot *root, const struct renaming *renaming, struct err *err)
{
  autoerr struct err ignored = {0};

  if (fd_rename (root->guests_fd, renaming->from, root->guests_fd, renaming->to,
                 RENAME_NOREPLACE) == 0)
    return 0;
  err_errno (err, "rename %s/guests/%s to %s", root->path, renaming->from, renaming->to);
  /* What cannot be removed now is by the next command. */
  if (remove_record (renaming->guest, &ignored) < 0)
    err_release (&ignored);
  return -err->code;
}

/* What follows the directory's rename. */
static int finish (struct vroot *root, struct renaming *renaming, struct err *err)
{
  struct guest *guest = renaming->guest;
  bool commented = false;

  if (fsync (root->guests_fd) < 0)
    return err_errno (err, "sync %s/guests", root->path);
  if (renaming->hostname &&
      replace_hostname (guest, renaming->old_hostname, renaming->hostname, &commented, err) < 0)
    return -err->code;
  if (commented)
    names_add (&renaming->commented, guest->name);
  for (size_t i = 0; i < renaming->dependent_count; i++) {
    struct guest *dependent = renaming->dependents[i];
    int changed = update_dependent (dependent, renaming->from, renaming->to, &commented, err);

    if (changed < 0)
      return changed;
    if (changed)
      names_add (&renaming->told, dependent->name);
    if (changed && commented)
      names_add (&renaming->commented, dependent->name);
  }
  return remove_record (guest, err);
}

int rename_carry_out (struct vroot *root, struct renaming *renaming, struct err *err)
{
  struct guest *guest = renaming->guest;

  if (write_record (guest, renaming->from, renaming->to, renaming->old_hostname, renaming->hostname,
                    err) < 0 ||
      move_directory (root, renaming, err) < 0)
    return -err->code;
  free (guest->name);
  guest->name = xstrdup (renaming->to);
  if (finish (root, renaming, err) < 0)
    return err_wrap (err,
                     "guest %s is called %s now, but not all is done; the next command for it "
                     "tries again",
                     renaming->from, renaming->to);
  return 0;
}
