/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "identity.h"
#include "util/metaentry.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include <endian.h>
#include "util/libcrypto.h"
#include <sys/uio.h>

enum { READ_SIZE = 64 << 10, TICK_SIZE = 16 << 20 };

/* An eighth of the files that were read of late came from a disk that lets one wait: not the few
 * that the kernel dropped from memory, or had not written yet. */
enum { LATE_FILES = 128, WAITED_PART = 8, WAITED_MIN = 8 };

struct hasher {
  bool ready; /* libcrypto was loaded */
  SHA256_CTX sha;
  uint8_t *buffer; /* READ_SIZE bytes for file contents */
  int (*tick) (void *data, size_t bytes, struct err *err);
  void *tick_data;
  unsigned late;   /* files that were read of late */
  unsigned waited; /* those of them that were not in memory */
};

struct hasher *hasher_new (void)
{
  struct hasher *hasher = xcalloc (1, sizeof *hasher);

  hasher->buffer = xmalloc (READ_SIZE);
  return hasher;
}

void hasher_free (struct hasher *hasher)
{
  if (!hasher)
    return;
  free (hasher->buffer);
  free (hasher);
}

void hasher_on_read (struct hasher *hasher, int (*tick) (void *data, size_t bytes, struct err *err),
                     void *data)
{
  hasher->tick = tick;
  hasher->tick_data = data;
}

bool hasher_waits (const struct hasher *hasher)
{
  return hasher->waited >= WAITED_MIN && hasher->waited >= hasher->late / WAITED_PART;
}

static void note_wait (struct hasher *hasher, bool waited)
{
  if (hasher->late == LATE_FILES) {
    hasher->late /= 2;
    hasher->waited /= 2;
  }
  hasher->late++;
  hasher->waited += waited;
}

/* The calls below fail only with a broken library; a wrong hash must never be used, so that ends
 * the program. */
static void require (int ok)
{
  if (!ok)
    err_out_of_memory ();
}

/* Only now: most commands have a hasher, and few of them hash something, while OpenSSL takes longer
 * to begin than all else in those that do not. Its digests by name, EVP, take 2 MB and 8 ms more
 * for the same code, as they begin with configuration and providers. */
static void prepare (struct hasher *hasher)
{
  autoerr struct err err = {0};

  if (libcrypto_load (&err) < 0)
    err_stop (&err);
  hasher->ready = true;
}

void hasher_start (struct hasher *hasher)
{
  if (!hasher->ready)
    prepare (hasher);
  require (libcrypto.SHA256_Init (&hasher->sha));
}

void hasher_add (struct hasher *hasher, const void *data, size_t len)
{
  require (libcrypto.SHA256_Update (&hasher->sha, data, len));
}

void hasher_end (struct hasher *hasher, struct digest *ret_digest)
{
  require (libcrypto.SHA256_Final (ret_digest->bytes, &hasher->sha));
}

bool identity_can_share (const struct stat *st)
{
  if (S_ISREG (st->st_mode))
    return st->st_size > 0;
  /* A device 0/0 is a whiteout: it says something about its layer, and stands for no file. */
  if (S_ISCHR (st->st_mode))
    return st->st_rdev != 0;
  return S_ISLNK (st->st_mode) || S_ISBLK (st->st_mode) || S_ISFIFO (st->st_mode);
}

static void add_u64 (struct hasher *hasher, uint64_t value)
{
  uint64_t le = htole64 (value);

  hasher_add (hasher, &le, sizeof le);
}

void identity_combine (struct hasher *hasher, const struct stat *st, const struct xattrs *xattrs,
                       const struct digest *contents, unsigned flags, struct digest *ret_id)
{
  bool any_mtime = flags & IDENTITY_ANY_MTIME;
  bool device = S_ISCHR (st->st_mode) || S_ISBLK (st->st_mode);

  hasher_start (hasher);
  hasher_add (hasher, "vgobj", 5);
  add_u64 (hasher, IDENTITY_VERSION);
  add_u64 (hasher, flags);
  add_u64 (hasher, st->st_mode & S_IFMT);
  add_u64 (hasher, st->st_mode & 07777);
  add_u64 (hasher, st->st_uid);
  add_u64 (hasher, st->st_gid);
  add_u64 (hasher, S_ISREG (st->st_mode) || S_ISLNK (st->st_mode) ? (uint64_t) st->st_size : 0);
  add_u64 (hasher, any_mtime ? 0 : (uint64_t) st->st_mtim.tv_sec);
  add_u64 (hasher, any_mtime ? 0 : (uint64_t) st->st_mtim.tv_nsec);
  add_u64 (hasher, device ? (uint64_t) st->st_rdev : 0);
  add_u64 (hasher, xattrs->count);
  for (size_t i = 0; i < xattrs->count; i++) {
    const struct xattr *x = &xattrs->items[i];

    add_u64 (hasher, strlen (x->name));
    hasher_add (hasher, x->name, strlen (x->name));
    add_u64 (hasher, x->len);
    hasher_add (hasher, x->value, x->len);
  }
  hasher_add (hasher, contents->bytes, sizeof contents->bytes);
  hasher_end (hasher, ret_id);
}

static bool stat_changed (const struct stat *a, const struct stat *b)
{
  return a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
         a->st_mtim.tv_nsec != b->st_mtim.tv_nsec || a->st_mode != b->st_mode ||
         a->st_uid != b->st_uid || a->st_gid != b->st_gid;
}

void identity_parts_release (struct identity_parts *parts)
{
  xattrs_release (&parts->xattrs);
}

/* How a file is read: what is in the page cache first, without waiting for the disk. */
struct reading {
  int fd;
  off_t at;
  off_t cold;   /* from here on it came from the disk; -1: not known to */
  bool waiting; /* read from the disk if need be */
};

/* Returns the count, 0 at the end, or -1 with errno. */
static ssize_t read_piece (struct reading *reading, void *buffer)
{
  struct iovec iov = {.iov_base = buffer, .iov_len = READ_SIZE};
  ssize_t n;

  if (!reading->waiting) {
    n = preadv2 (reading->fd, &iov, 1, reading->at, RWF_NOWAIT);
    if (n >= 0 || (errno != EAGAIN && errno != EOPNOTSUPP && errno != ENOSYS))
      return n;
    reading->waiting = true;
    if (errno == EAGAIN) {
      reading->cold = reading->at;
      posix_fadvise (reading->fd, reading->at, 0, POSIX_FADV_SEQUENTIAL);
    }
  }
  do
    n = pread (reading->fd, buffer, READ_SIZE, reading->at);
  while (n < 0 && errno == EINTR);
  return n;
}

/* The SHA-256 of the first @size bytes, or of less where the file ends: *@ret_size. */
static int hash_contents (struct hasher *hasher, int fd, off_t size, struct digest *ret_contents,
                          off_t *ret_size, struct err *err)
{
  struct reading reading = {.fd = fd, .cold = -1};
  size_t since = 0;

  hasher_start (hasher);
  do {
    ssize_t n = read_piece (&reading, hasher->buffer);

    if (n < 0)
      return err_errno (err, "read a file to hash it");
    if (n == 0)
      break;
    hasher_add (hasher, hasher->buffer, (size_t) n);
    reading.at += n;
    since += (size_t) n;
    if (since >= TICK_SIZE && hasher->tick) {
      if (hasher->tick (hasher->tick_data, since, err) < 0)
        return -err->code;
      since = 0;
    }
  } while (reading.at < size);
  hasher_end (hasher, ret_contents);
  note_wait (hasher, reading.waiting);
  /* Nobody had it in memory, and hashing is no reason to push out what others use. */
  if (reading.cold >= 0)
    posix_fadvise (fd, reading.cold, 0, POSIX_FADV_DONTNEED);
  *ret_size = reading.at;
  return 0;
}

/* What an identity is made of, for the file whose stat is parts->st. */
static int read_parts (struct hasher *hasher, int fd, struct identity_parts *parts, struct err *err)
{
  autoclose int data = -1;
  struct stat after;
  off_t size = 0;

  if (metaentry_contents (fd, &parts->st, &data) < 0)
    return err_errno (err, "open the contents of an entry to hash them");
  if (hash_contents (hasher, data < 0 ? fd : data, parts->st.st_size, &parts->contents, &size,
                     err) < 0 ||
      xattrs_read (fd, -1, NULL, /* with_overlay= */ false, &parts->xattrs, err) < 0)
    return -err->code;
  if (fstat (fd, &after) < 0)
    return err_errno (err, "stat a file that was hashed");
  if (size != parts->st.st_size || stat_changed (&parts->st, &after))
    return err_code (err, ESTALE, "the file changed while it was read");
  return 0;
}

int identity_parts_of_fd (struct hasher *hasher, int fd, struct identity_parts *ret_parts,
                          struct err *err)
{
  autoidentityparts struct identity_parts parts = {0};

  if (fstat (fd, &parts.st) < 0)
    return err_errno (err, "stat a file to hash it");
  if (read_parts (hasher, fd, &parts, err) < 0)
    return -err->code;
  *ret_parts = parts;
  parts.xattrs = (struct xattrs){0};
  return 0;
}

int identity_of_open (struct hasher *hasher, int fd, const struct stat *st, unsigned flags,
                      struct digest *ret_id, struct err *err)
{
  autoidentityparts struct identity_parts parts = {.st = *st};

  if (read_parts (hasher, fd, &parts, err) < 0)
    return -err->code;
  identity_combine (hasher, &parts.st, &parts.xattrs, &parts.contents, flags, ret_id);
  return 0;
}

int identity_of_fd (struct hasher *hasher, int fd, unsigned flags, struct digest *ret_id,
                    struct stat *ret_st, struct err *err)
{
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat a file to hash it");
  if (identity_of_open (hasher, fd, &st, flags, ret_id, err) < 0)
    return -err->code;
  if (ret_st)
    *ret_st = st;
  return 0;
}

/* The target of a symlink, in a string that the caller owns. */
static int read_link (int dir_fd, const char *name, char **ret_target, size_t *ret_len,
                      struct err *err)
{
  size_t size = 256;

  for (;;) {
    autofree char *target = xmalloc (size);
    ssize_t n = readlinkat (dir_fd, name, target, size);

    if (n < 0)
      return err_errno (err, "read the symlink %s", name);
    if ((size_t) n < size) {
      *ret_target = steal_ptr (&target);
      *ret_len = (size_t) n;
      return 0;
    }
    size *= 2;
  }
}

int identity_parts_of (struct hasher *hasher, int dir_fd, const char *name,
                       struct identity_parts *ret_parts, struct err *err)
{
  autoidentityparts struct identity_parts parts = {0};

  if (fstatat (dir_fd, name, &parts.st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  if (S_ISREG (parts.st.st_mode)) {
    autoclose int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);

    if (fd < 0)
      return err_errno (err, "open %s to hash it", name);
    if (identity_parts_of_fd (hasher, fd, ret_parts, err) < 0)
      return err_wrap (err, "%s", name);
    return 0;
  }
  if (!identity_can_share (&parts.st))
    return err_code (err, EINVAL, "%s is of a type that cannot be shared", name);
  if (S_ISLNK (parts.st.st_mode)) {
    autofree char *target = NULL;
    size_t len = 0;

    if (read_link (dir_fd, name, &target, &len, err) < 0)
      return -err->code;
    hasher_start (hasher);
    hasher_add (hasher, target, len);
    hasher_end (hasher, &parts.contents);
  }
  if (xattrs_read (-1, dir_fd, name, /* with_overlay= */ false, &parts.xattrs, err) < 0)
    return -err->code;
  *ret_parts = parts;
  parts.xattrs = (struct xattrs){0};
  return 0;
}

int identity_of (struct hasher *hasher, int dir_fd, const char *name, unsigned flags,
                 struct digest *ret_id, struct stat *ret_st, struct err *err)
{
  autoidentityparts struct identity_parts parts = {0};

  if (identity_parts_of (hasher, dir_fd, name, &parts, err) < 0)
    return -err->code;
  identity_combine (hasher, &parts.st, &parts.xattrs, &parts.contents, flags, ret_id);
  if (ret_st)
    *ret_st = parts.st;
  return 0;
}

/* Of files of @size bytes. */
static int same_contents (int a, int b, off_t size, struct err *err)
{
  size_t piece = size < READ_SIZE ? (size_t) size + 1 : READ_SIZE;
  autofree uint8_t *a_buffer = xmalloc (piece), *b_buffer = xmalloc (piece);

  for (;;) {
    ssize_t n = fd_read_full (a, a_buffer, piece);
    ssize_t m = fd_read_full (b, b_buffer, piece);

    if (n < 0 || m < 0)
      return err_errno (err, "read a file to compare it");
    if (n != m || memcmp (a_buffer, b_buffer, (size_t) n) != 0)
      return 0;
    if ((size_t) n < piece)
      return 1;
  }
}

static int same_links (int a_dir, const char *a, int b_dir, const char *b, struct err *err)
{
  autofree char *a_target = NULL, *b_target = NULL;
  size_t a_len = 0, b_len = 0;

  if (read_link (a_dir, a, &a_target, &a_len, err) < 0 ||
      read_link (b_dir, b, &b_target, &b_len, err) < 0)
    return -err->code;
  return a_len == b_len && memcmp (a_target, b_target, a_len) == 0;
}

int identity_same (int a_dir, const char *a, int b_dir, const char *b, unsigned flags,
                   struct err *err)
{
  struct stat as, bs;
  autoxattrs struct xattrs ax = {0}, bx = {0};
  autoclose int a_fd = -1, b_fd = -1, a_data = -1, b_data = -1;

  if (fstatat (a_dir, a, &as, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s to compare it", a);
  if (fstatat (b_dir, b, &bs, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s to compare it", b);
  if (as.st_mode != bs.st_mode || as.st_uid != bs.st_uid || as.st_gid != bs.st_gid ||
      as.st_size != bs.st_size || as.st_rdev != bs.st_rdev)
    return 0;
  if (!(flags & IDENTITY_ANY_MTIME) &&
      (as.st_mtim.tv_sec != bs.st_mtim.tv_sec || as.st_mtim.tv_nsec != bs.st_mtim.tv_nsec))
    return 0;
  if (S_ISREG (as.st_mode)) {
    a_fd = fd_open (a_dir, a, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
    b_fd = fd_open (b_dir, b, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
    if (a_fd < 0 || b_fd < 0)
      return err_errno (err, "open %s to compare it", a_fd < 0 ? a : b);
    if (metaentry_contents (a_fd, &as, &a_data) < 0 || metaentry_contents (b_fd, &bs, &b_data) < 0)
      return err_errno (err, "open the contents of %s or %s to compare them", a, b);
  }
  if (xattrs_read (a_fd, a_dir, a, false, &ax, err) < 0 ||
      xattrs_read (b_fd, b_dir, b, false, &bx, err) < 0)
    return -err->code;
  if (!xattrs_equal (&ax, &bx))
    return 0;
  if (flags & IDENTITY_SAME_CONTENTS)
    return 1;
  if (S_ISREG (as.st_mode))
    return same_contents (a_data < 0 ? a_fd : a_data, b_data < 0 ? b_fd : b_data, as.st_size, err);
  if (S_ISLNK (as.st_mode))
    return same_links (a_dir, a, b_dir, b, err);
  return 1;
}

bool digest_equal (const struct digest *a, const struct digest *b)
{
  return memcmp (a->bytes, b->bytes, sizeof a->bytes) == 0;
}

uint64_t digest_key (const struct digest *digest)
{
  uint64_t key;

  memcpy (&key, digest->bytes, sizeof key);
  return key;
}

void digest_format (const struct digest *digest, char *text)
{
  static const char hex[] = "0123456789abcdef";

  for (size_t i = 0; i < sizeof digest->bytes; i++) {
    *text++ = hex[digest->bytes[i] >> 4];
    *text++ = hex[digest->bytes[i] & 15];
  }
  *text = '\0';
}

bool digest_parse (const char *text, struct digest *ret_digest)
{
  for (size_t i = 0; i < sizeof ret_digest->bytes; i++) {
    int high = hex_digit (text[2 * i]);
    int low = high < 0 ? -1 : hex_digit (text[2 * i + 1]);

    if (low < 0)
      return false;
    ret_digest->bytes[i] = (uint8_t) (high << 4 | low);
  }
  return true;
}
