/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "quarantine.h"
#include "store_internal.h"
#include "util/dirread.h"
#include "util/dirwalk.h"
#include "util/metaentry.h"
#include "util/fd.h"
#include "util/strbuf.h"

/* Of a name: digits of the digest, which has two more in that of the directory; of the slot. */
enum { SLOT_DIGITS = 62, SLOT_NUMBER_MAX = 9 };

int store_open (int root_fd, struct store **ret_store, struct err *err)
{
  autoclose int fd = fd_make_dir (root_fd, "store", 0700);

  if (fd < 0)
    return err_errno (err, "open the directory store");
  struct store *store = xcalloc (1, sizeof *store);
  store->fd = steal_fd (&fd);
  for (size_t i = 0; i < 256; i++)
    store->fan_fds[i] = -1;
  store->locks = xcalloc (1, sizeof *store->locks);
  for (size_t i = 0; i < STORE_STRIPES; i++)
    pthread_mutex_init (&store->locks->stripes[i], NULL);
  pthread_rwlock_init (&store->locks->tables, NULL);
  store->hasher = hasher_new ();
  metaentry_use_store (store->fd);
  *ret_store = store;
  return 0;
}

void store_close (struct store *store)
{
  int saved = errno;

  for (size_t i = 0; i < 256; i++)
    if (store->fan_fds[i] >= 0)
      close (store->fan_fds[i]);
  metaentry_forget_store (store->fd);
  close (store->fd);
  hasher_free (store->hasher);
  for (size_t i = 0; i < STORE_STRIPES; i++)
    pthread_mutex_destroy (&store->locks->stripes[i]);
  pthread_rwlock_destroy (&store->locks->tables);
  free (store->locks);
  u64set_release (&store->inodes);
  u64set_release (&store->hashed);
  u64set_release (&store->sizes);
  free (store);
  errno = saved;
}

void slot_name (const struct digest *id, unsigned slot, char *name)
{
  char text[DIGEST_TEXT_SIZE];

  digest_format (id, text);
  snprintf (name, SLOT_NAME_SIZE, "%s-%u", text + 2, slot);
}

bool fan_is_name (const char *name)
{
  return strlen (name) == 2 && hex_digit (name[0]) >= 0 && hex_digit (name[1]) >= 0;
}

bool slot_parse (const char *fan, const char *name, struct digest *ret_id, unsigned *ret_slot)
{
  char text[DIGEST_TEXT_SIZE];
  size_t len = strlen (name);
  const char *number = name + SLOT_DIGITS + 1;

  if (!fan_is_name (fan) || len <= SLOT_DIGITS + 1 || name[SLOT_DIGITS] != '-')
    return false;
  size_t digits = strspn (number, "0123456789");
  if (number[digits] || digits > SLOT_NUMBER_MAX || (number[0] == '0' && digits > 1))
    return false;
  memcpy (text, fan, 2);
  memcpy (text + 2, name, SLOT_DIGITS);
  text[sizeof text - 1] = '\0';
  *ret_slot = (unsigned) strtoul (number, NULL, 10);
  return digest_parse (text, ret_id);
}

int store_fan (struct store *store, const struct digest *id, struct err *err)
{
  int *place = &store->fan_fds[id->bytes[0]];
  char name[3];

  pthread_rwlock_rdlock (&store->locks->tables);
  int fd = *place;
  pthread_rwlock_unlock (&store->locks->tables);
  if (fd >= 0)
    return fd;
  snprintf (name, sizeof name, "%02x", id->bytes[0]);
  pthread_rwlock_wrlock (&store->locks->tables);
  if (*place < 0)
    *place = fd_make_dir (store->fd, name, 0700);
  fd = *place;
  if (fd < 0)
    err_errno (err, "open the directory store/%s", name);
  pthread_rwlock_unlock (&store->locks->tables);
  return fd < 0 ? -err->code : fd;
}

int store_stat_slot (struct store *store, const struct digest *id, unsigned slot,
                     struct stat *ret_st, struct err *err)
{
  char name[SLOT_NAME_SIZE];
  int fan = store_fan (store, id, err);

  if (fan < 0)
    return fan;
  slot_name (id, slot, name);
  if (fstatat (fan, name, ret_st, AT_SYMLINK_NOFOLLOW) == 0)
    return 1;
  if (errno == ENOENT)
    return 0;
  return err_errno (err, "stat the object store/%02x/%s", id->bytes[0], name);
}

int store_has (struct store *store, const struct digest *id, struct err *err)
{
  struct stat st;

  for (unsigned slot = 0; slot < STORE_GAP_MAX; slot++) {
    int ret = store_stat_slot (store, id, slot, &st, err);

    if (ret)
      return ret;
  }
  return 0;
}

int store_each (struct store *store,
                int (*visit) (void *data, int fan_fd, const char *name, uint64_t ino,
                              struct err *err),
                void *data, struct err *err)
{
  autodirlist struct dirlist fans = {0};

  if (dirread_all (store->fd, &fans, err) < 0)
    return err_wrap (err, "store");
  for (size_t i = 0; i < fans.count; i++) {
    const char *fan = fans.items[i].name;
    autodirread struct dirread dirread = {0};
    struct dirread_entry entry;
    int ret;

    if (fans.items[i].type != DT_DIR || !fan_is_name (fan))
      continue;
    autoclose int fan_fd = fd_open_dir (store->fd, fan);
    if (fan_fd < 0)
      return err_errno (err, "open the directory store/%s", fan);
    dirread_start (fan_fd, &dirread);
    while ((ret = dirread_next (&dirread, &entry, err)) > 0)
      if ((ret = visit (data, fan_fd, entry.name, entry.ino, err)) < 0)
        return ret;
    if (ret < 0)
      return err_wrap (err, "store/%s", fan);
  }
  return 0;
}

enum { LOAD_THREADS_MAX = 4 };

/* One directory of the store; the top has nothing but them. */
static int load_fan (void *data, struct dirwalk_turn *turn, struct err *err)
{
  struct store *store = data;
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  int ret;

  dirread_start (turn->fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    if (entry.type == DT_DIR && !*turn->path && strlen (entry.name) == 2)
      dirwalk_enter (turn, entry.name, NULL);
    if (entry.type == DT_DIR || !*turn->path)
      continue;
    pthread_rwlock_wrlock (&store->locks->tables);
    u64set_add (&store->inodes, entry.ino);
    while (dirread_buffered (&dirread) && dirread_next (&dirread, &entry, err) > 0)
      u64set_add (&store->inodes, entry.ino);
    pthread_rwlock_unlock (&store->locks->tables);
  }
  return ret < 0 ? err_wrap (err, "store/%s", turn->path) : 0;
}

/* Once. Asking how many processors there are reads a file. */
static int load_fans (struct store *store, struct err *err)
{
  struct dirwalk walk = {
      .top_fd = store->fd,
      .threads = dirwalk_processors (LOAD_THREADS_MAX),
      .visit = load_fan,
      .data = store,
  };

  if (dirwalk_run (&walk, err) < 0)
    return -err->code;
  return quarantine_note_inodes (store, &store->inodes, err);
}

/* Before there are other threads, or by the first of them. */
static int load_inodes (struct store *store, struct err *err)
{
  static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
  int ret = 0;

  pthread_mutex_lock (&once);
  if (!store->inodes_loaded)
    ret = load_fans (store, err);
  if (ret == 0)
    store->inodes_loaded = true;
  pthread_mutex_unlock (&once);
  return ret;
}

void store_forget (struct store *store)
{
  u64set_release (&store->inodes);
  u64set_release (&store->hashed);
  store->inodes_loaded = false;
}

const struct u64set *store_lock_inodes (struct store *store, struct err *err)
{
  if (load_inodes (store, err) < 0)
    return NULL;
  pthread_rwlock_rdlock (&store->locks->tables);
  return &store->inodes;
}

void store_unlock_inodes (struct store *store)
{
  pthread_rwlock_unlock (&store->locks->tables);
}

int store_has_inode (struct store *store, uint64_t ino, struct err *err)
{
  const struct u64set *inodes = store_lock_inodes (store, err);

  if (!inodes)
    return -err->code;
  bool has = u64set_has (inodes, ino);
  store_unlock_inodes (store);
  return has;
}

void store_note (struct store *store, const struct stat *st, bool hashed)
{
  pthread_rwlock_wrlock (&store->locks->tables);
  u64set_add (&store->inodes, st->st_ino);
  if (store->sizes_loaded)
    u64set_add (&store->sizes, (uint64_t) st->st_size);
  if (hashed)
    u64set_add (&store->hashed, st->st_ino);
  pthread_rwlock_unlock (&store->locks->tables);
}

static int note_size (void *data, int fan_fd, const char *name, uint64_t ino, struct err *err)
{
  struct stat st;

  (void) ino;
  if (fstatat (fan_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat the object %s", name);
  u64set_add (data, (uint64_t) st.st_size);
  return 0;
}

int store_has_size (struct store *store, uint64_t size, struct err *err)
{
  if (!store->sizes_loaded) {
    if (store_each (store, note_size, &store->sizes, err) < 0)
      return -err->code;
    store->sizes_loaded = true;
  }
  return u64set_has (&store->sizes, size);
}
