/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manifest.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/metaentry.h"
#include "util/strbuf.h"
#include "util/xattr.h"
#include <openssl/evp.h>
#include <sys/sysmacros.h>

enum { TEXT_MAX = 1 << 24 };

void manifest_release (struct manifest *manifest)
{
  int saved = errno;

  for (size_t i = 0; i < manifest->count; i++) {
    free (manifest->items[i].path);
    free (manifest->items[i].text);
  }
  free (manifest->items);
  *manifest = (struct manifest){0};
  errno = saved;
}

static void add_printable (struct strbuf *sb, const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char) text[i];

    if (c > ' ' && c < 0x7f && c != '\\')
      strbuf_add (sb, text + i, 1);
    else
      strbuf_addf (sb, "\\x%02x", c);
  }
}

char *printable (const char *text, size_t len)
{
  autostrbuf struct strbuf sb = STRBUF_INIT (TEXT_MAX);

  strbuf_adds (&sb, "");
  add_printable (&sb, text, len);
  return strbuf_steal (&sb);
}

/* The hash of a file's contents, in hex. */
static int add_contents (struct strbuf *sb, int dir_fd, const char *name, off_t size,
                         struct err *err)
{
  static char buffer[128 << 10];
  autoclose int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK, 0);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  off_t total = 0;
  struct stat st;
  ssize_t n;

  /* In a view, which is a mount, no file is an entry. */
  if (fd < 0 || fstat (fd, &st) < 0 || metaentry_follow (&fd, &st) < 0)
    return err_errno (err, "open %s", name);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new ();
  if (!ctx || !EVP_DigestInit_ex (ctx, EVP_sha256 (), NULL))
    err_out_of_memory ();
  while ((n = fd_read_full (fd, buffer, sizeof buffer)) > 0) {
    EVP_DigestUpdate (ctx, buffer, (size_t) n);
    total += n;
  }
  EVP_DigestFinal_ex (ctx, digest, &len);
  EVP_MD_CTX_free (ctx);
  if (n < 0)
    return err_errno (err, "read %s", name);
  if (total != size)
    return err_code (err, EIO, "%s has %lld bytes and stat says %lld", name, (long long) total,
                     (long long) size);
  strbuf_adds (sb, " sha256=");
  for (unsigned i = 0; i < len; i++)
    strbuf_addf (sb, "%02x", digest[i]);
  return 0;
}

static int add_target (struct strbuf *sb, int dir_fd, const char *name, struct err *err)
{
  char target[8192];
  ssize_t n = readlinkat (dir_fd, name, target, sizeof target);

  if (n < 0)
    return err_errno (err, "read the symlink %s", name);
  strbuf_adds (sb, " ->");
  add_printable (sb, target, (size_t) n);
  return 0;
}

static char type_letter (mode_t mode)
{
  switch (mode & S_IFMT) {
  case S_IFREG:
    return 'f';
  case S_IFDIR:
    return 'd';
  case S_IFLNK:
    return 'l';
  case S_IFCHR:
    return 'c';
  case S_IFBLK:
    return 'b';
  case S_IFIFO:
    return 'p';
  case S_IFSOCK:
    return 's';
  default:
    return '?';
  }
}

/* @name is "." for the top. */
static int describe (int dir_fd, const char *name, const struct stat *st, char **ret_text,
                     struct err *err)
{
  autostrbuf struct strbuf sb = STRBUF_INIT (TEXT_MAX);
  autoxattrs struct xattrs xattrs = {0};

  strbuf_addf (&sb, "%c %04o %u:%u", type_letter (st->st_mode), st->st_mode & 07777, st->st_uid,
               st->st_gid);
  if (S_ISREG (st->st_mode)) {
    strbuf_addf (&sb, " size=%lld", (long long) st->st_size);
    if (add_contents (&sb, dir_fd, name, st->st_size, err) < 0)
      return -err->code;
  } else if (S_ISLNK (st->st_mode)) {
    if (add_target (&sb, dir_fd, name, err) < 0)
      return -err->code;
  } else if (S_ISCHR (st->st_mode) || S_ISBLK (st->st_mode)) {
    strbuf_addf (&sb, " dev=%u:%u", major (st->st_rdev), minor (st->st_rdev));
  }
  if (xattrs_read (-1, dir_fd, name, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  bool is_entry = metaentry_is_marked (&xattrs);
  for (size_t i = 0; i < xattrs.count; i++) {
    if (is_entry && metaentry_has_attribute (xattrs.items[i].name))
      continue;
    strbuf_adds (&sb, " ");
    add_printable (&sb, xattrs.items[i].name, strlen (xattrs.items[i].name));
    strbuf_adds (&sb, "=");
    add_printable (&sb, xattrs.items[i].value, xattrs.items[i].len);
  }
  if (sb.failed)
    return err_code (err, E2BIG, "%s has too much metadata", name);
  *ret_text = strbuf_steal (&sb);
  return 0;
}

static int add_entry (struct manifest *manifest, size_t *size, int dir_fd, const char *name,
                      const char *path, mode_t *ret_mode, struct err *err)
{
  struct manifest_entry entry = {0};

  if (fstatat (dir_fd, name, &entry.st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", path);
  if (describe (dir_fd, name, &entry.st, &entry.text, err) < 0)
    return err_wrap (err, "%s", path);
  entry.path = xstrdup (path);
  if (manifest->count == *size) {
    *size = *size ? *size * 2 : 64;
    manifest->items = xreallocarray (manifest->items, *size, sizeof *manifest->items);
  }
  manifest->items[manifest->count++] = entry;
  *ret_mode = entry.st.st_mode;
  return 0;
}

static int read_below (struct manifest *manifest, size_t *size, int dir_fd, struct strbuf *path,
                       struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (dir_fd, &list, err) < 0)
    return err_wrap (err, "%s", strbuf_str (path));
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    size_t old = strbuf_push_name (path, name);
    mode_t mode = 0;

    if (add_entry (manifest, size, dir_fd, name, strbuf_str (path), &mode, err) < 0)
      return -err->code;
    if (S_ISDIR (mode)) {
      autoclose int fd = fd_open_dir (dir_fd, name);

      if (fd < 0)
        return err_errno (err, "open %s", strbuf_str (path));
      if (read_below (manifest, size, fd, path, err) < 0)
        return -err->code;
    }
    strbuf_truncate (path, old);
  }
  return 0;
}

static int compare_paths (const void *a, const void *b)
{
  return strcmp (((const struct manifest_entry *) a)->path,
                 ((const struct manifest_entry *) b)->path);
}

struct inode_key {
  dev_t dev;
  ino_t ino;
  size_t index;
};

static int compare_keys (const void *a, const void *b)
{
  const struct inode_key *x = a, *y = b;

  if (x->dev != y->dev)
    return x->dev < y->dev ? -1 : 1;
  if (x->ino != y->ino)
    return x->ino < y->ino ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

static void find_partners (struct manifest *manifest)
{
  autofree struct inode_key *keys = xcalloc (manifest->count, sizeof *keys);

  for (size_t i = 0; i < manifest->count; i++) {
    manifest->items[i].partner = i;
    keys[i] = (struct inode_key){manifest->items[i].st.st_dev, manifest->items[i].st.st_ino, i};
  }
  qsort (keys, manifest->count, sizeof *keys, compare_keys);
  for (size_t i = 1; i < manifest->count; i++) {
    size_t index = keys[i].index, before = keys[i - 1].index;

    if (keys[i].dev == keys[i - 1].dev && keys[i].ino == keys[i - 1].ino &&
        !S_ISDIR (manifest->items[index].st.st_mode))
      manifest->items[index].partner = manifest->items[before].partner;
  }
}

int manifest_read (int dir_fd, struct manifest *ret_manifest, struct err *err)
{
  automanifest struct manifest manifest = {0};
  autostrbuf struct strbuf path = STRBUF_INIT (TEXT_MAX);
  size_t size = 0;
  mode_t mode = 0;

  if (add_entry (&manifest, &size, dir_fd, ".", ".", &mode, err) < 0 ||
      read_below (&manifest, &size, dir_fd, &path, err) < 0)
    return -err->code;
  qsort (manifest.items, manifest.count, sizeof *manifest.items, compare_paths);
  find_partners (&manifest);
  *ret_manifest = manifest;
  manifest = (struct manifest){0};
  return 0;
}

void manifest_filter (struct manifest *manifest, manifest_path_fn *leave_out, void *data)
{
  size_t kept = 0;

  for (size_t i = 0; i < manifest->count; i++) {
    struct manifest_entry *entry = &manifest->items[i];

    if (!S_ISDIR (entry->st.st_mode) && leave_out (data, entry->path)) {
      free (entry->path);
      free (entry->text);
    } else {
      manifest->items[kept++] = *entry;
    }
  }
  manifest->count = kept;
  find_partners (manifest);
}

const struct manifest_entry *manifest_find (const struct manifest *manifest, const char *path)
{
  struct manifest_entry key = {.path = (char *) path};

  if (!manifest->count)
    return NULL;
  return bsearch (&key, manifest->items, manifest->count, sizeof key, compare_paths);
}

/* The line of one entry. The caller's string. */
static char *entry_line (const struct manifest *manifest, size_t index, bool with_mtime)
{
  const struct manifest_entry *entry = &manifest->items[index];
  autostrbuf struct strbuf sb = STRBUF_INIT (TEXT_MAX);
  const char *partner = manifest->items[entry->partner].path;

  add_printable (&sb, entry->path, strlen (entry->path));
  strbuf_addf (&sb, " %s", entry->text);
  if (with_mtime)
    strbuf_addf (&sb, " mtime=%lld.%09ld", (long long) entry->st.st_mtim.tv_sec,
                 entry->st.st_mtim.tv_nsec);
  if (entry->partner != index) {
    strbuf_adds (&sb, " partner=");
    add_printable (&sb, partner, strlen (partner));
  }
  return strbuf_steal (&sb);
}

size_t manifest_compare (const struct manifest *before, const struct manifest *after,
                         const char *what, manifest_path_fn *any_mtime, void *data, FILE *out)
{
  enum { SHOWN_MAX = 20 };
  size_t i = 0, j = 0, differences = 0;

  while (i < before->count || j < after->count) {
    int order = i == before->count  ? 1
                : j == after->count ? -1
                                    : strcmp (before->items[i].path, after->items[j].path);
    const char *path = order <= 0 ? before->items[i].path : after->items[j].path;
    bool with_mtime = !any_mtime || !any_mtime (data, path);
    autofree char *a = order <= 0 ? entry_line (before, i++, with_mtime) : NULL;
    autofree char *b = order >= 0 ? entry_line (after, j++, with_mtime) : NULL;

    if (a && b && strcmp (a, b) == 0)
      continue;
    differences++;
    if (!out || differences > SHOWN_MAX)
      continue;
    if (a)
      fprintf (out, "# %s: was  %s\n", what, a);
    if (b)
      fprintf (out, "# %s: %s  %s\n", what, a ? "is " : "new", b);
    if (!b)
      fprintf (out, "# %s: and is gone\n", what);
  }
  if (out && differences > SHOWN_MAX)
    fprintf (out, "# %s: %zu differences in all\n", what, differences);
  return differences;
}

void manifest_print (const struct manifest *manifest, FILE *out)
{
  for (size_t i = 0; i < manifest->count; i++) {
    autofree char *line = entry_line (manifest, i, /* with_mtime= */ true);

    fprintf (out, "%s\n", line);
  }
}
