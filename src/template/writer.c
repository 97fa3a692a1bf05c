/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "writer_internal.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

/* Zeros are hashed for holes, which takes time that an archive of a few bytes should not cost. */
static const uint64_t holes_hashed_max = UINT64_C (1) << 30;

static const char temp_probe[] = "probe";

/* Does the security module give new files attributes? */
static int probe_labels (struct writer *writer, struct err *err)
{
  autoclose int fd = fd_open (writer->temp_fd, temp_probe, O_WRONLY | O_CREAT | O_EXCL, 0600);
  autoxattrs struct xattrs xattrs = {0};

  if (fd < 0)
    return err_errno (err, "create a file in staging");
  if (xattrs_read (fd, -1, temp_probe, /* with_overlay= */ false, &xattrs, err) < 0)
    return -err->code;
  writer->labels = xattrs.count > 0;
  return 0;
}

static int remove_acl (int fd, const char *name)
{
  if (fremovexattr (fd, name) < 0 && errno != ENODATA && errno != EOPNOTSUPP)
    return -1;
  return 0;
}

/* The state root may have a set-gid bit or a default ACL that new directories inherit. */
static int clear_inherited (int fd, struct err *err)
{
  if (fchown (fd, 0, 0) < 0 || remove_acl (fd, "system.posix_acl_default") < 0 ||
      remove_acl (fd, "system.posix_acl_access") < 0 || fchmod (fd, 0700) < 0)
    return err_errno (err, "prepare a directory in staging");
  return 0;
}

int writer_start (struct store *store, int tree_fd, int temp_fd, struct writer *ret_writer,
                  struct err *err)
{
  struct entry top = {.mode = S_IFDIR | 0755, .mtime.tv_nsec = UTIME_OMIT};

  *ret_writer = (struct writer){
      .tree_fd = tree_fd,
      .temp_fd = temp_fd,
      .hasher = hasher_new (),
      .stack.top_fd = tree_fd,
      .targets.top_fd = tree_fd,
      .old_umask = umask (0),
      .owned = geteuid () == 0 && getegid () == 0,
      .file.fd = -1,
  };
  ret_writer->share =
      (struct share){.store = store, .inodes = &ret_writer->inodes, .temp_fd = temp_fd};
  if (clear_inherited (tree_fd, err) < 0 || clear_inherited (temp_fd, err) < 0 ||
      probe_labels (ret_writer, err) < 0 ||
      dirmeta_start (temp_fd, &ret_writer->dirmeta, err) < 0 ||
      dirmeta_add (&ret_writer->dirmeta, NULL, 0, &top, err) < 0)
    return -err->code;
  return 0;
}

void writer_release (struct writer *writer)
{
  int saved = errno;

  if (!writer->hasher)
    return;
  umask (writer->old_umask);
  if (writer->file.fd >= 0)
    close (writer->file.fd);
  hasher_free (writer->hasher);
  share_release (&writer->share);
  u64set_release (&writer->inodes);
  u64table_release (&writer->moved);
  dirstack_release (&writer->stack);
  dirstack_release (&writer->targets);
  dirmeta_release (&writer->dirmeta);
  path_release (&writer->path);
  path_release (&writer->target);
  free (writer->report.first_error);
  *writer = (struct writer){.file.fd = -1};
  errno = saved;
}

int writer_wrap (const char *path, struct err *err)
{
  autofree char *quoted = path_quote (path);

  return err_wrap (err, "%s", quoted);
}

static int enter_parents (struct writer *writer, size_t count, int *ret_dir_fd, struct err *err)
{
  struct entry implied = {.mode = S_IFDIR | 0755, .mtime.tv_nsec = UTIME_OMIT};
  struct path *path = &writer->path;
  size_t found = count;

  if (dirstack_enter (&writer->stack, path->parts, count, /* make= */ true, ret_dir_fd, &found) <
      0) {
    if (errno == ENOTDIR || errno == ELOOP)
      return err_code (err, ENOTDIR,
                       "refused: a directory above it is something else, such as a symlink");
    return err_errno (err, "open its directory");
  }
  for (; found < count; found++) {
    writer->report.directories++;
    if (dirmeta_add (&writer->dirmeta, path->parts, found + 1, &implied, err) < 0)
      return -err->code;
  }
  return 0;
}

int writer_enter (struct writer *writer, const char *text, int *ret_dir_fd, const char **ret_name,
                  struct err *err)
{
  struct path *path = &writer->path;

  if (interrupt_check (err) < 0 || path_split (path, text, err) < 0)
    return -err->code;
  writer->report.absolute |= path->absolute;
  if (!path->count)
    return err_code (err, EINVAL, "the top of the tree must be a directory");
  if (enter_parents (writer, path->count - 1, ret_dir_fd, err) < 0)
    return writer_wrap (text, err);
  *ret_name = path->parts[path->count - 1];
  return 0;
}

int writer_remove_old (struct writer *writer, int dir_fd, const char *name, struct err *err)
{
  struct stat st;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat what is to be replaced");
  if (S_ISDIR (st.st_mode)) {
    if (writer->replace_trees && fd_remove_tree (dir_fd, name, err) < 0)
      return -err->code;
    if (!writer->replace_trees && unlinkat (dir_fd, name, AT_REMOVEDIR) < 0)
      return err_errno (err, "refused: it replaces a directory");
    dirstack_clear (&writer->targets);
  } else if (unlinkat (dir_fd, name, 0) < 0) {
    return err_errno (err, "remove what is to be replaced");
  }
  writer->replaced = true;
  return 0;
}

int writer_directory (struct writer *writer, const char *text, const struct entry *entry,
                      struct err *err)
{
  struct path *path = &writer->path;
  const char *name = "";
  int dir_fd = -1;

  if (path_split (path, text, err) < 0)
    return -err->code;
  if (path->count) {
    if (writer_enter (writer, text, &dir_fd, &name, err) < 0)
      return -err->code;
    while (mkdirat (dir_fd, name, 0700) < 0) {
      struct stat st;

      if (errno != EEXIST || fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        err_errno (err, "make the directory");
        return writer_wrap (text, err);
      }
      if (S_ISDIR (st.st_mode)) {
        writer->report.directories--; /* it is counted already */
        break;
      }
      if (writer_remove_old (writer, dir_fd, name, err) < 0)
        return writer_wrap (text, err);
    }
    writer->report.directories++;
  }
  if (dirmeta_add (&writer->dirmeta, path->parts, path->count, entry, err) < 0)
    return writer_wrap (text, err);
  return 0;
}

/* Publishes the file that is complete. One that cannot be shared stays as it is. */
static int publish (struct writer *writer, int dir_fd, const char *name, const struct stat *st,
                    const struct xattrs *xattrs, const struct digest *contents, struct err *err)
{
  enum share_outcome outcome = SHARE_ALREADY;
  struct digest id;
  uint64_t ino = 0;

  if (!identity_can_share (st))
    return 0;
  identity_combine (writer->hasher, st, xattrs, contents, 0, &id);
  int ret =
      store_share (&writer->share, &(struct share_file){.dir_fd = dir_fd, .name = name, .id = &id},
                   &outcome, &ino, err);
  if (ret == -ESTALE) {
    /* A damaged object must not stop every import; "in doubt, keep files apart". */
    if (!writer->report.apart++)
      writer->report.first_error = xstrdup (err_text (err));
    err_release (err);
    return 0;
  }
  if (ret < 0)
    return ret;
  writer->report.published += outcome == SHARE_PUBLISHED;
  writer->report.linked += outcome == SHARE_LINKED;
  return 0;
}

/* The attributes as the file system has them: it may have dropped an ACL that says no more than the
 * mode, or added a label. */
static int read_back (struct writer *writer, const struct entry *entry, int fd, int dir_fd,
                      const char *name, struct xattrs *ret_xattrs, struct err *err)
{
  if (!entry->xattrs.count && !writer->labels)
    return 0;
  return xattrs_read (fd, dir_fd, name, /* with_overlay= */ false, ret_xattrs, err);
}

/* Metadata and identity of a symlink or special that was just made. */
static int finish_node (struct writer *writer, int dir_fd, const char *name,
                        const struct entry *entry, const char *target, struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};
  struct digest contents = {0};
  struct stat st;

  if (entry_apply_file (entry, -1, dir_fd, name, writer->owned, err) < 0 ||
      read_back (writer, entry, -1, dir_fd, name, &xattrs, err) < 0)
    return -err->code;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat it");
  if (target) {
    hasher_start (writer->hasher);
    hasher_add (writer->hasher, target, strlen (target));
    hasher_end (writer->hasher, &contents);
  }
  writer->report.files++;
  return publish (writer, dir_fd, name, &st, &xattrs, &contents, err);
}

int writer_symlink (struct writer *writer, const char *text, const struct entry *entry,
                    const char *target, struct err *err)
{
  const char *name = "";
  int dir_fd = -1;

  if (writer_enter (writer, text, &dir_fd, &name, err) < 0)
    return -err->code;
  while (symlinkat (target, dir_fd, name) < 0) {
    if (errno != EEXIST) {
      err_errno (err, "make the symlink");
      return writer_wrap (text, err);
    }
    if (writer_remove_old (writer, dir_fd, name, err) < 0)
      return writer_wrap (text, err);
  }
  if (finish_node (writer, dir_fd, name, entry, target, err) < 0)
    return writer_wrap (text, err);
  return 0;
}

int writer_special (struct writer *writer, const char *text, const struct entry *entry,
                    struct err *err)
{
  const char *name = "";
  int dir_fd = -1;

  if (entry_check (entry, err) < 0)
    return writer_wrap (text, err);
  if (S_ISSOCK (entry->mode)) {
    writer->report.sockets++;
    return 0;
  }
  if (writer->harmless && !entry_is_harmless (entry)) {
    writer->report.devices++;
    return 0;
  }
  if (writer_enter (writer, text, &dir_fd, &name, err) < 0)
    return -err->code;
  while (mknodat (dir_fd, name, entry->mode & (S_IFMT | 0777), entry->rdev) < 0) {
    if (errno != EEXIST) {
      err_errno (err, "make the special file");
      return writer_wrap (text, err);
    }
    if (writer_remove_old (writer, dir_fd, name, err) < 0)
      return writer_wrap (text, err);
  }
  if (finish_node (writer, dir_fd, name, entry, NULL, err) < 0)
    return writer_wrap (text, err);
  return 0;
}

int writer_file_begin (struct writer *writer, const char *text, const struct entry *entry,
                       struct err *err)
{
  const char *name = "";
  int dir_fd = -1;

  if (writer_enter (writer, text, &dir_fd, &name, err) < 0)
    return -err->code;
  int fd;
  while ((fd = fd_open (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, entry->mode & 0777)) < 0) {
    if (errno != EEXIST) {
      err_errno (err, "create the file");
      return writer_wrap (text, err);
    }
    if (writer_remove_old (writer, dir_fd, name, err) < 0)
      return writer_wrap (text, err);
  }
  writer->file.fd = fd;
  writer->file.dir_fd = dir_fd;
  writer->file.name = name;
  writer->file.entry = entry;
  writer->file.at = 0;
  writer->file.holes = 0;
  writer->file.hashed = true;
  writer->file.cloned = false;
  hasher_start (writer->hasher);
  return 0;
}

void writer_file_clone (struct writer *writer, int from)
{
  writer->file.cloned = ioctl (writer->file.fd, FICLONE, from) == 0;
}

/* Holes read as zeros, and so they are hashed. */
static int skip_hole (struct writer *writer, uint64_t to, struct err *err)
{
  static const char zeros[64 << 10];

  writer->file.holes += to - writer->file.at;
  if (writer->file.holes > holes_hashed_max)
    writer->file.hashed = false;
  while (writer->file.hashed && writer->file.at < to) {
    uint64_t n = to - writer->file.at < sizeof zeros ? to - writer->file.at : sizeof zeros;

    hasher_add (writer->hasher, zeros, n);
    writer->file.at += n;
    if (interrupt_check (err) < 0)
      return -err->code;
  }
  writer->file.at = to;
  return 0;
}

int writer_file_data (struct writer *writer, const void *data, size_t len, uint64_t offset,
                      struct err *err)
{
  const char *p = data;

  if (interrupt_check (err) < 0)
    return -err->code;
  if (offset < writer->file.at || offset > INT64_MAX - len)
    return err_code (err, EINVAL, "refused: its sparse parts are out of order");
  if (offset > writer->file.at && skip_hole (writer, offset, err) < 0)
    return -err->code;
  if (writer->file.hashed)
    hasher_add (writer->hasher, data, len);
  writer->file.at += len;
  while (len && !writer->file.cloned) {
    ssize_t n = pwrite (writer->file.fd, p, len, (off_t) offset);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return err_errno (err, "write the contents");
    p += n;
    len -= (size_t) n;
    offset += (uint64_t) n;
  }
  return 0;
}

int writer_file_end (struct writer *writer, uint64_t size, struct err *err)
{
  autoclose int fd = steal_fd (&writer->file.fd);
  const struct entry *entry = writer->file.entry;
  const char *name = writer->file.name;
  int dir_fd = writer->file.dir_fd;
  autoxattrs struct xattrs xattrs = {0};
  struct digest contents;
  struct stat st;

  if (size > INT64_MAX)
    return err_code (err, EFBIG, "it is too large");
  if (size > writer->file.at) {
    if (ftruncate (fd, (off_t) size) < 0)
      return err_errno (err, "set the size");
    if (skip_hole (writer, size, err) < 0)
      return -err->code;
  }
  hasher_end (writer->hasher, &contents);
  if (entry_apply_file (entry, fd, -1, name, writer->owned, err) < 0 ||
      read_back (writer, entry, fd, -1, name, &xattrs, err) < 0)
    return -err->code;
  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat it");
  if ((uint64_t) st.st_size != writer->file.at)
    return err_code (err, EIO, "it has %lld bytes instead of %llu", (long long) st.st_size,
                     (unsigned long long) writer->file.at);
  writer->report.files++;
  writer->report.bytes += (uint64_t) st.st_size;
  if (!writer->file.hashed)
    return 0;
  return publish (writer, dir_fd, name, &st, &xattrs, &contents, err);
}

int writer_finish (struct writer *writer, struct err *err)
{
  dirstack_clear (&writer->targets);
  dirstack_clear (&writer->stack);
  if (writer_finish_groups (writer, err) < 0)
    return -err->code;
  if (dirmeta_apply (&writer->dirmeta, &writer->stack, err) < 0)
    return -err->code;
  return writer->replaced ? writer_recount (writer, err) : 0;
}
