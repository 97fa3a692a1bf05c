/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "identities.h"
#include "util/fd.h"
#include "util/xattr.h"
#include <endian.h>
#include <openssl/evp.h>

enum { DIGEST_SIZE = 32 };

static void add_u64 (EVP_MD_CTX *ctx, uint64_t value)
{
  uint64_t le = htole64 (value);

  EVP_DigestUpdate (ctx, &le, sizeof le);
}

static int hash_contents (EVP_MD_CTX *ctx, int dir_fd, const char *name, const struct stat *st,
                          int data_fd, unsigned char *ret_digest, struct err *err)
{
  static char buffer[128 << 10];
  ssize_t n;

  memset (ret_digest, 0, DIGEST_SIZE);
  if (!S_ISREG (st->st_mode) && !S_ISLNK (st->st_mode))
    return 0;
  EVP_DigestInit_ex (ctx, EVP_sha256 (), NULL);
  if (S_ISLNK (st->st_mode)) {
    n = readlinkat (dir_fd, name, buffer, sizeof buffer);
    if (n < 0)
      return err_errno (err, "read the symlink %s", name);
    EVP_DigestUpdate (ctx, buffer, (size_t) n);
  } else {
    autoclose int fd =
        data_fd >= 0 ? fcntl (data_fd, F_DUPFD_CLOEXEC, 3) : fd_open (dir_fd, name, O_RDONLY, 0);

    if (fd < 0)
      return err_errno (err, "open %s", name);
    while ((n = fd_read_full (fd, buffer, sizeof buffer)) > 0)
      EVP_DigestUpdate (ctx, buffer, (size_t) n);
    if (n < 0)
      return err_errno (err, "read %s", name);
  }
  EVP_DigestFinal_ex (ctx, ret_digest, NULL);
  return 0;
}

int identities (int dir_fd, const char *name, const struct stat *st, int data_fd,
                char text[IDENTITIES][65], struct err *err)
{
  unsigned char contents[DIGEST_SIZE], digest[EVP_MAX_MD_SIZE];
  autoxattrs struct xattrs xattrs = {0};
  bool device = S_ISCHR (st->st_mode) || S_ISBLK (st->st_mode);
  bool sized = S_ISREG (st->st_mode) || S_ISLNK (st->st_mode);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new ();

  if (!ctx)
    err_out_of_memory ();
  if (hash_contents (ctx, dir_fd, name, st, data_fd, contents, err) < 0 ||
      xattrs_read (-1, dir_fd, name, /* with_overlay= */ false, &xattrs, err) < 0) {
    EVP_MD_CTX_free (ctx);
    return -err->code;
  }
  for (int flags = 0; flags < IDENTITIES; flags++) {
    bool any_mtime = flags & 1;

    EVP_DigestInit_ex (ctx, EVP_sha256 (), NULL);
    EVP_DigestUpdate (ctx, "vgobj", 5);
    add_u64 (ctx, 1);
    add_u64 (ctx, (uint64_t) flags);
    add_u64 (ctx, st->st_mode & S_IFMT);
    add_u64 (ctx, st->st_mode & 07777);
    add_u64 (ctx, st->st_uid);
    add_u64 (ctx, st->st_gid);
    add_u64 (ctx, sized ? (uint64_t) st->st_size : 0);
    add_u64 (ctx, any_mtime ? 0 : (uint64_t) st->st_mtim.tv_sec);
    add_u64 (ctx, any_mtime ? 0 : (uint64_t) st->st_mtim.tv_nsec);
    add_u64 (ctx, device ? st->st_rdev : 0);
    add_u64 (ctx, xattrs.count);
    for (size_t i = 0; i < xattrs.count; i++) {
      add_u64 (ctx, strlen (xattrs.items[i].name));
      EVP_DigestUpdate (ctx, xattrs.items[i].name, strlen (xattrs.items[i].name));
      add_u64 (ctx, xattrs.items[i].len);
      EVP_DigestUpdate (ctx, xattrs.items[i].value, xattrs.items[i].len);
    }
    EVP_DigestUpdate (ctx, contents, sizeof contents);
    EVP_DigestFinal_ex (ctx, digest, NULL);
    for (int i = 0; i < DIGEST_SIZE; i++)
      snprintf (text[flags] + 2 * i, 3, "%02x", digest[i]);
  }
  EVP_MD_CTX_free (ctx);
  return 0;
}
