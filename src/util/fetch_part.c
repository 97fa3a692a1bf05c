/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch_internal.h"
#include "fd.h"
#include <sys/file.h>
#include <sys/xattr.h>

/* The validator of what is in a part, after the SHA-256 of the URL that it came from. */
#define VALIDATOR "user.vguest.validator"
enum { VALIDATOR_MAX = 1024 };

static char *part_name (const struct transfer *transfer)
{
  return xasprintf ("%s.part", transfer->request->name);
}

static void hash_url (const char *url, char text[static CHECKSUM_TEXT_SIZE])
{
  autochecksummer struct checksummer *sum = NULL;
  autoerr struct err err = {0};
  struct checksum checksum = {0};

  if (checksummer_new (CHECKSUM_SHA256, CHECKSUM_NONE, &sum, &err) == 0) {
    checksummer_add (sum, url, strlen (url));
    checksummer_end (sum, &checksum, NULL);
  }
  checksum_hex (&checksum, text);
}

void fetch_part_note_validator (struct transfer *transfer)
{
  char hash[CHECKSUM_TEXT_SIZE];

  if (transfer->part_fd < 0)
    return;
  if (!transfer->validator || strlen (transfer->validator) > VALIDATOR_MAX / 2) {
    (void) fremovexattr (transfer->part_fd, VALIDATOR);
    return;
  }
  hash_url (transfer->places[transfer->validator_at].url, hash);
  autofree char *value = xasprintf ("%s %s", hash, transfer->validator);
  /* Where there are no attributes, a part without a digest is begun anew by the next run. */
  (void) fsetxattr (transfer->part_fd, VALIDATOR, value, strlen (value), 0);
}

/* Whose part is it? Sets validator and validator_at. */
static void read_validator (struct transfer *transfer)
{
  char value[VALIDATOR_MAX + 1], hash[CHECKSUM_TEXT_SIZE];
  ssize_t len = fgetxattr (transfer->part_fd, VALIDATOR, value, VALIDATOR_MAX);

  if (len <= 0)
    return;
  value[len] = '\0';
  for (size_t i = 0; i < transfer->place_count; i++) {
    const struct fetch_place *place = &transfer->places[i];

    if (place->dead)
      continue;
    hash_url (place->url, hash);
    size_t hash_len = strlen (hash);
    if (!hash_len || strncmp (value, hash, hash_len) != 0 || value[hash_len] != ' ' ||
        !fetch_header_safe (value + hash_len + 1))
      continue;
    transfer->validator = xstrdup (value + hash_len + 1);
    transfer->validator_at = i;
    return;
  }
}

/* Opens the part and locks it. 1; 0: somebody else has it; negative. */
static int open_locked (struct transfer *transfer, const char *part, struct stat *ret_st,
                        struct err *err)
{
  const struct fetch_request *request = transfer->request;

  for (;;) {
    autoclose int fd = fd_open (request->dir_fd, part, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
    struct stat there;

    if (fd < 0)
      return err_errno (err, "create %s", part);
    if (flock (fd, LOCK_EX | LOCK_NB) < 0)
      return errno == EWOULDBLOCK ? 0 : err_errno (err, "lock %s", part);
    if (fstat (fd, ret_st) < 0)
      return err_errno (err, "stat %s", part);
    /* It may have been renamed into place, or removed, since it was opened. */
    if (fstatat (request->dir_fd, part, &there, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno == ENOENT)
        continue;
      return err_errno (err, "stat %s", part);
    }
    if (there.st_ino != ret_st->st_ino || there.st_dev != ret_st->st_dev)
      continue;
    if (!S_ISREG (ret_st->st_mode) || ret_st->st_nlink != 1) {
      /* Nothing that we made. */
      if (unlinkat (request->dir_fd, part, 0) < 0)
        return err_errno (err, "remove %s", part);
      continue;
    }
    transfer->part_fd = steal_fd (&fd);
    return 1;
  }
}

/* Is the file there, and the right one? 1, 0, negative. */
static int check_existing (struct transfer *transfer, struct err *err)
{
  const struct fetch_request *request = transfer->request;
  autoclose int fd = fd_open (request->dir_fd, request->name, O_RDONLY | O_NONBLOCK, 0);
  autoerr struct err ignored = {0};
  struct stat st;

  if (fd < 0)
    return errno == ENOENT || errno == ELOOP ? 0 : err_errno (err, "open %s", request->name);
  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat %s", request->name);
  if (!S_ISREG (st.st_mode) || (uint64_t) st.st_size > request->size_max ||
      (request->size != FETCH_SIZE_UNKNOWN && (uint64_t) st.st_size != request->size))
    return 0;
  checksummer_restart (transfer->sum);
  transfer->offset = (uint64_t) st.st_size;
  int ok = checksummer_add_file (transfer->sum, fd, 0, transfer->offset, &ignored) == 0 &&
           fetch_verify (transfer, &ignored) == 0;
  if (!ok) {
    checksummer_restart (transfer->sum);
    transfer->offset = 0;
  }
  return ok;
}

/* Hashes what is in the part, if that may be of use. */
static int take_up (struct transfer *transfer, uint64_t size, struct err *err)
{
  const struct fetch_request *request = transfer->request;

  read_validator (transfer);
  if (!transfer->expected && transfer->validator)
    transfer->at = transfer->validator_at;
  if ((!transfer->expected && !transfer->validator) || size > request->size ||
      size > request->size_max)
    return fetch_part_restart (transfer, err);
  checksummer_restart (transfer->sum);
  if (checksummer_add_file (transfer->sum, transfer->part_fd, 0, size, err) < 0)
    return err_wrap (err, "%s.part", request->name);
  transfer->offset = transfer->furthest = size;
  return 0;
}

int fetch_part_open (struct transfer *transfer, bool *ret_existed, struct err *err)
{
  const struct fetch_request *request = transfer->request;
  autofree char *part = part_name (transfer);
  struct stat st = {0};
  int existed = 0;

  *ret_existed = false;
  int opened = open_locked (transfer, part, &st, err);
  if (opened <= 0) {
    transfer->waited = true;
    return opened;
  }
  if (request->keep || transfer->waited)
    existed = check_existing (transfer, err);
  if (existed < 0)
    return existed;
  if (existed) {
    *ret_existed = true;
    fetch_part_close (transfer, /* remove= */ true);
    return 1;
  }
  if (st.st_size > 0 && take_up (transfer, (uint64_t) st.st_size, err) < 0)
    return -err->code;
  return 1;
}

int fetch_part_write (struct transfer *transfer, const void *data, size_t len, struct err *err)
{
  const char *bytes = data;

  for (size_t done = 0; done < len;) {
    ssize_t n =
        pwrite (transfer->part_fd, bytes + done, len - done, (off_t) (transfer->offset + done));

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return err_errno (err, "write %s", transfer->request->name);
    done += (size_t) n;
  }
  return 0;
}

int fetch_part_restart (struct transfer *transfer, struct err *err)
{
  if (ftruncate (transfer->part_fd, 0) < 0)
    return err_errno (err, "truncate %s.part", transfer->request->name);
  (void) fremovexattr (transfer->part_fd, VALIDATOR);
  return 0;
}

int fetch_part_publish (struct transfer *transfer, struct err *err)
{
  const struct fetch_request *request = transfer->request;
  autofree char *part = part_name (transfer);

  (void) fremovexattr (transfer->part_fd, VALIDATOR);
  if (fchmod (transfer->part_fd, request->mode) < 0)
    return err_errno (err, "set the mode of %s", request->name);
  if (renameat (request->dir_fd, part, request->dir_fd, request->name) < 0)
    return err_errno (err, "rename %s to %s", part, request->name);
  close (steal_fd (&transfer->part_fd));
  return 0;
}

void fetch_part_close (struct transfer *transfer, bool remove)
{
  if (transfer->part_fd < 0)
    return;
  if (remove) {
    autofree char *part = part_name (transfer);

    unlinkat (transfer->request->dir_fd, part, 0);
  }
  close (steal_fd (&transfer->part_fd));
}
