/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dirmeta.h"
#include "util/fd.h"
#include "util/interrupt.h"

/* One record: this, the parts with a NUL behind each, then per attribute two lengths, the name with
 * its NUL, and the value. */
struct record {
  struct entry entry; /* xattrs.items is meaningless in the file */
  size_t parts;
  size_t parts_len;
};

int dirmeta_start (int temp_fd, struct dirmeta *ret_dirmeta, struct err *err)
{
  autoclose int fd = fd_open (temp_fd, "directories", O_RDWR | O_CREAT | O_EXCL, 0600);
  FILE *file = fd >= 0 ? fdopen (fd, "w+") : NULL;

  if (!file)
    return err_errno (err, "create a file for the directories' metadata");
  steal_fd (&fd);
  *ret_dirmeta = (struct dirmeta){.file = file};
  return 0;
}

void dirmeta_release (struct dirmeta *dirmeta)
{
  int saved = errno;

  if (dirmeta->file)
    fclose (dirmeta->file);
  dirmeta->file = NULL;
  errno = saved;
}

static bool put (struct dirmeta *dirmeta, const void *data, size_t len)
{
  return !len || fwrite (data, len, 1, dirmeta->file) == 1;
}

int dirmeta_add (struct dirmeta *dirmeta, char *const *parts, size_t count,
                 const struct entry *entry, struct err *err)
{
  struct record record = {.entry = *entry, .parts = count};
  bool ok;

  for (size_t i = 0; i < count; i++)
    record.parts_len += strlen (parts[i]) + 1;
  ok = put (dirmeta, &record, sizeof record);
  for (size_t i = 0; i < count && ok; i++)
    ok = put (dirmeta, parts[i], strlen (parts[i]) + 1);
  for (size_t i = 0; i < entry->xattrs.count && ok; i++) {
    const struct xattr *x = &entry->xattrs.items[i];
    size_t lens[2] = {strlen (x->name) + 1, x->len};

    ok = put (dirmeta, lens, sizeof lens) && put (dirmeta, x->name, lens[0]) &&
         put (dirmeta, x->value, lens[1]);
  }
  if (!ok)
    return err_errno (err, "note the metadata of a directory");
  dirmeta->count++;
  return 0;
}

static bool get (struct dirmeta *dirmeta, void *data, size_t len)
{
  return !len || fread (data, len, 1, dirmeta->file) == 1;
}

static bool read_xattrs (struct dirmeta *dirmeta, size_t count, struct xattrs *xattrs)
{
  *xattrs = (struct xattrs){0};
  if (!count)
    return true;
  xattrs->items = xcalloc (count, sizeof *xattrs->items);
  while (xattrs->count < count) {
    struct xattr *x = &xattrs->items[xattrs->count];
    size_t lens[2];

    if (!get (dirmeta, lens, sizeof lens))
      return false;
    x->name = xmalloc (lens[0]);
    x->value = xmalloc (lens[1]);
    x->len = lens[1];
    xattrs->count++;
    if (!get (dirmeta, x->name, lens[0]) || !get (dirmeta, x->value, lens[1]))
      return false;
  }
  return true;
}

static int apply_one (struct dirstack *stack, char *const *parts, size_t count,
                      const struct entry *entry, struct err *err)
{
  int fd;

  if (dirstack_enter (stack, parts, count, /* make= */ false, &fd, NULL) < 0) {
    /* A later entry of the archive put something else there. */
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
      return 0;
    return err_errno (err, "open a directory to set its metadata");
  }
  if (entry_apply_directory (entry, fd, err) < 0) {
    autofree char *quoted = path_quote (count ? parts[count - 1] : "/");

    return err_wrap (err, "the directory %s", quoted);
  }
  return 0;
}

static int read_and_apply (struct dirmeta *dirmeta, struct dirstack *stack, struct err *err)
{
  struct record record;
  autoentry struct entry entry = {0};
  autofree char *text = NULL;
  char *parts[PATH_DEPTH_MAX];

  if (!get (dirmeta, &record, sizeof record))
    return err_errno (err, "read the metadata of a directory");
  text = xmalloc (record.parts_len);
  entry = record.entry;
  entry.xattrs = (struct xattrs){0};
  if (!get (dirmeta, text, record.parts_len) ||
      !read_xattrs (dirmeta, record.entry.xattrs.count, &entry.xattrs))
    return err_errno (err, "read the metadata of a directory");
  char *at = text;
  for (size_t i = 0; i < record.parts; i++) {
    parts[i] = at;
    at += strlen (at) + 1;
  }
  return apply_one (stack, parts, record.parts, &entry, err);
}

int dirmeta_apply (struct dirmeta *dirmeta, struct dirstack *stack, struct err *err)
{
  if (fflush (dirmeta->file) != 0 || fseek (dirmeta->file, 0, SEEK_SET) < 0)
    return err_errno (err, "write the metadata of the directories");
  for (uint64_t i = 0; i < dirmeta->count; i++)
    if (read_and_apply (dirmeta, stack, err) < 0 || interrupt_check (err) < 0)
      return -err->code;
  return 0;
}
