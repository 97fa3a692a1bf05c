/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists that one guest has fetched, for the apt-get update of another one.
 *
 * apt-get reads the InRelease file that it had before to know which index files it has: it verifies
 * neither these files against it, nor, where the server's file is older than that one by its date,
 * the signature of the old one, which stays then. So no guest gets an InRelease file of another
 * one. It gets one that is made here, which says of files that were verified what they are, and no
 * more: without a signature; as old as the guest's own one, or as can be; of the year 1970 for the
 * server, which sends its own in any case. apt-get verifies that, and keeps an index file when the
 * new one has the same digest for it as the old one has. Behind it nothing may be left that is not
 * so. */
#include "apt.h"
#include "apt_release.h"
#include "layer.h"
#include "output.h"
#include "util/copy.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"

/* What is verified of one guest: a hostile one must not keep the host busy. */
enum { RELEASES_MAX = 256 };
static const uint64_t bytes_max = UINT64_C (1) << 30;

static const char suffix[] = "_InRelease";
static const char epoch[] = "Thu, 01 Jan 1970 00:00:00 +0000";

/* An InRelease file in a directory of lists. */
struct inrelease {
  char *text; /* owned; what the rest points into */
  struct apt_release release;
  bool is_there;
};
#define autoinrelease __attribute__ ((cleanup (inrelease_release)))

static void inrelease_release (struct inrelease *inrelease)
{
  apt_release_release (&inrelease->release);
  free (inrelease->text);
  *inrelease = (struct inrelease){0};
}

/* EINVAL when it is none. */
static int read_inrelease (int dir_fd, const char *name, struct inrelease *ret_inrelease,
                           struct err *err)
{
  struct stat st;
  size_t len;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s", name);
  if (!S_ISREG (st.st_mode) || st.st_size > APT_RELEASE_MAX)
    return err_code (err, EINVAL, "%s is no Release file", name);
  if (fd_read_file (dir_fd, name, APT_RELEASE_MAX, &ret_inrelease->text, &len, err) < 0)
    return -err->code;
  if (apt_release_parse (ret_inrelease->text, len, &ret_inrelease->release, err) < 0)
    return err_wrap (err, "%s", name);
  ret_inrelease->is_there = true;
  return 0;
}

static char *list_name (const char *inrelease, const struct apt_release_file *file)
{
  return apt_release_list_name (inrelease, strlen (inrelease) - strlen ("InRelease"), &file->path);
}

/* Is the file open at @fd what the Release file says? 1, 0 or negative. */
static int is_same (int fd, const struct apt_release_file *file, struct err *err)
{
  autochecksummer struct checksummer *summer = NULL;
  struct checksum sum;
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat a list");
  if (!S_ISREG (st.st_mode) || (uint64_t) st.st_size != file->size)
    return 0;
  if (checksummer_new (CHECKSUM_SHA256, CHECKSUM_NONE, &summer, err) < 0 ||
      checksummer_add_file (summer, fd, 0, file->size, err) < 0)
    return -err->code;
  checksummer_end (summer, &sum, NULL);
  return checksum_equal (&sum, &file->sum);
}

struct sharing {
  int from_fd, to_fd;
  struct dirlist list; /* owned; of from_fd */
  size_t releases;
  uint64_t bytes; /* that were read */
  size_t count;   /* lists that are shared */
};

/* A verified file, as it is, but for what the guest gave it beside contents. 1, 0 when it is left
 * out, or negative. */
static int share_file (struct sharing *sharing, const char *inrelease,
                       const struct apt_release_file *file, struct err *err)
{
  autofree char *name = list_name (inrelease, file);
  const struct dirread_entry *entry = dirlist_find (&sharing->list, name);

  if (!entry || entry->type != DT_REG || file->size > bytes_max - sharing->bytes)
    return 0;
  autoclose int fd = fd_open (sharing->from_fd, name, O_RDONLY | O_NONBLOCK, 0);
  if (fd < 0)
    return err_errno (err, "open %s", name);
  sharing->bytes += file->size;
  int same = is_same (fd, file, err);
  if (same <= 0)
    return same < 0 ? err_wrap (err, "%s", name) : 0;
  if (pkg_layer_make_plain (fd, err) < 0)
    return err_wrap (err, "%s", name);
  if (linkat (fd, "", sharing->to_fd, name, AT_EMPTY_PATH) < 0 && errno != EEXIST)
    return err_errno (err, "link %s", name);
  sharing->count++;
  return 1;
}

/* For the server it is older than any file of its own. */
static int write_inrelease (int dir_fd, const char *name, const struct strbuf *text,
                            struct err *err)
{
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};

  if (text->failed)
    return err_code (err, E2BIG, "%s would be too large", name);
  if (unlinkat (dir_fd, name, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", name);
  autoclose int fd = fd_open (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (fd < 0 || fd_write_all (fd, text->data, text->len) < 0 || fchmod (fd, 0644) < 0 ||
      futimens (fd, times) < 0)
    return err_errno (err, "write %s", name);
  return 0;
}

static int share_inrelease (struct sharing *sharing, const char *name, struct err *err)
{
  autoinrelease struct inrelease inrelease = {0};
  struct apt_release *release = &inrelease.release;
  autostrbuf struct strbuf text = STRBUF_INIT (APT_RELEASE_MAX);
  autoerr struct err nonsense = {0};
  size_t before = sharing->count;

  if (read_inrelease (sharing->from_fd, name, &inrelease, &nonsense) < 0)
    return 0;
  release->fields[APT_RELEASE_DATE] = (struct apt_release_word){epoch, strlen (epoch)};
  apt_release_add_fields (release, &text);
  apt_release_add_files (&text);
  for (size_t i = 0; i < release->count; i++) {
    int shared = share_file (sharing, name, &release->files[i], err);

    if (shared < 0 || interrupt_check (err) < 0)
      return -err->code;
    if (shared)
      apt_release_add_file (&release->files[i], &text);
  }
  return sharing->count == before ? 0 : write_inrelease (sharing->to_fd, name, &text, err);
}

int apt_share_lists (int from_fd, int to_fd, size_t *ret_count, struct err *err)
{
  struct sharing sharing = {.from_fd = from_fd, .to_fd = to_fd};
  int ret = dirread_all (from_fd, &sharing.list, err);

  for (size_t i = 0; ret == 0 && i < sharing.list.count; i++)
    if (sharing.list.items[i].type == DT_REG &&
        pkg_ends_with (sharing.list.items[i].name, suffix) && sharing.releases++ < RELEASES_MAX)
      ret = share_inrelease (&sharing, sharing.list.items[i].name, err);
  dirlist_release (&sharing.list);
  if (ret == 0)
    *ret_count = sharing.count;
  return ret;
}

/* Does the guest have all of it already? */
static bool has_all (int lists_fd, const char *name, const struct apt_release *shared,
                     const struct apt_release *own)
{
  struct stat st;

  for (size_t i = 0; i < shared->count; i++) {
    const struct apt_release_file *file = &shared->files[i];
    const struct apt_release_file *mine = apt_release_find (own, &file->path);
    autofree char *list = list_name (name, file);

    if (!mine || !checksum_equal (&mine->sum, &file->sum) ||
        fstatat (lists_fd, list, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return false;
  }
  return true;
}

static int copy_file (int from_fd, int to_fd, const char *name, struct err *err)
{
  struct stat st;

  if (fstatat (from_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  if (unlinkat (to_fd, name, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", name);
  return copy_inode (from_fd, name, &st, -1, NULL, to_fd, name, err);
}

/* What the guest knows itself stays; of files that it gets it knows what is shared. */
static int start_inrelease (int shared_fd, int lists_fd, const char *name, struct err *err)
{
  autoinrelease struct inrelease shared = {0}, own = {0};
  autostrbuf struct strbuf text = STRBUF_INIT (2 * APT_RELEASE_MAX);

  if (read_inrelease (shared_fd, name, &shared, err) < 0 ||
      read_inrelease (lists_fd, name, &own, err) < 0)
    return -err->code;
  if (own.is_there && has_all (lists_fd, name, &shared.release, &own.release))
    return 0;
  apt_release_add_fields (own.is_there ? &own.release : &shared.release, &text);
  apt_release_add_files (&text);
  for (size_t i = 0; i < own.release.count; i++)
    if (!apt_release_find (&shared.release, &own.release.files[i].path))
      apt_release_add_file (&own.release.files[i], &text);
  for (size_t i = 0; i < shared.release.count; i++) {
    autofree char *list = list_name (name, &shared.release.files[i]);

    if (copy_file (shared_fd, lists_fd, list, err) < 0)
      return -err->code;
    apt_release_add_file (&shared.release.files[i], &text);
  }
  return write_inrelease (lists_fd, name, &text, err);
}

/* What a new InRelease file says of it, or nothing at all, decides about a list that is there. */
static int end_file (int lists_fd, const char *name, const struct apt_release_file *file,
                     const struct apt_release *release, struct err *err)
{
  autofree char *list = list_name (name, file);
  const struct apt_release_file *now = apt_release_find (release, &file->path);
  autoclose int fd = fd_open (lists_fd, list, O_RDONLY | O_NONBLOCK, 0);
  int same = 0;

  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open %s", list);
  /* What the guest got for this was verified before. */
  if (now && checksum_equal (&now->sum, &file->sum))
    return 0;
  if (now && (same = is_same (fd, now, err)) < 0)
    return -err->code;
  return same ? 0 : err_code (err, EBADMSG, "%s is not what its InRelease says", list);
}

static int end_inrelease (int shared_fd, int lists_fd, const char *name, struct err *err)
{
  static const char begin[] = "-----BEGIN PGP SIGNED MESSAGE-----";
  autoinrelease struct inrelease shared = {0}, now = {0};

  if (read_inrelease (shared_fd, name, &shared, err) < 0 ||
      read_inrelease (lists_fd, name, &now, err) < 0)
    return -err->code;
  if (now.is_there && !pkg_starts_with (now.text, begin))
    return err_code (err, EBADMSG, "%s was not fetched", name);
  for (size_t i = 0; i < shared.release.count; i++)
    if (end_file (lists_fd, name, &shared.release.files[i], &now.release, err) < 0)
      return -err->code;
  return 0;
}

/* Calls @visit for each InRelease file that is shared. */
static int each_inrelease (int shared_fd, int lists_fd,
                           int (*visit) (int shared_fd, int lists_fd, const char *name,
                                         struct err *err),
                           struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (shared_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++)
    if (pkg_ends_with (list.items[i].name, suffix) &&
        (visit (shared_fd, lists_fd, list.items[i].name, err) < 0 || interrupt_check (err) < 0))
      return -err->code;
  return 0;
}

int apt_start_lists (int shared_fd, int lists_fd, struct err *err)
{
  return each_inrelease (shared_fd, lists_fd, start_inrelease, err);
}

int apt_end_lists (int shared_fd, int lists_fd, struct err *err)
{
  return each_inrelease (shared_fd, lists_fd, end_inrelease, err);
}
