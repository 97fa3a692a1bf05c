/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_overlay.h"
#include "image_resolve.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "writer_internal.h"

void overlaying_release (struct overlaying *overlaying)
{
  u64table_release (&overlaying->made);
  path_release (&overlaying->path);
}

enum whiteout whiteout_kind (const char *name, const char **ret_name)
{
  static const char prefix[] = ".wh.", note[] = ".wh..wh.", opaque[] = ".wh..wh..opq";

  if (strncmp (name, prefix, strlen (prefix)) != 0)
    return WHITEOUT_NONE;
  if (strcmp (name, opaque) == 0)
    return WHITEOUT_OPAQUE;
  if (strncmp (name, note, strlen (note)) == 0)
    return WHITEOUT_NOTE;
  name += strlen (prefix);
  if (!*name || strcmp (name, ".") == 0 || strcmp (name, "..") == 0)
    return WHITEOUT_BAD;
  *ret_name = name;
  return WHITEOUT_NAME;
}

/* FNV-1a of the components. Who makes two names of a layer collide spares one of them from its own
 * whiteouts, and no more. */
static uint64_t hash_name (uint64_t hash, const char *name)
{
  for (const char *p = name;; p++) {
    hash = (hash ^ (unsigned char) *p) * UINT64_C (0x100000001b3);
    if (!*p)
      return hash;
  }
}

static uint64_t hash_parts (char *const *parts, size_t count)
{
  uint64_t hash = UINT64_C (0xcbf29ce484222325);

  for (size_t i = 0; i < count; i++)
    hash = hash_name (hash, parts[i]);
  return hash;
}

static void note_made (struct overlaying *overlaying)
{
  const struct path *path = &overlaying->writer->path;

  *u64table_put (&overlaying->made, hash_parts (path->parts, path->count), NULL) = 1;
}

static int remove_lower (struct overlaying *overlaying, int dir_fd, const char *name,
                         uint64_t parent, bool *ret_gone, struct err *err);

/* Removes what this layer has not made below the directory, whose name has the hash @hash. */
static int remove_lower_in (struct overlaying *overlaying, int fd, uint64_t hash, bool *ret_empty,
                            struct err *err)
{
  autodirlist struct dirlist list = {0};

  *ret_empty = true;
  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    bool gone = false;

    if (interrupt_check (err) < 0)
      return -err->code;
    if (remove_lower (overlaying, fd, list.items[i].name, hash, &gone, err) < 0)
      return -err->code;
    *ret_empty &= gone;
  }
  return 0;
}

/* Removes @name, unless this layer has made it or something below it. */
static int remove_lower (struct overlaying *overlaying, int dir_fd, const char *name,
                         uint64_t parent, bool *ret_gone, struct err *err)
{
  uint64_t hash = hash_name (parent, name);
  bool made = u64table_has (&overlaying->made, hash), empty = false;
  struct stat st;

  *ret_gone = false;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat what a whiteout removes");
  if (S_ISDIR (st.st_mode)) {
    autoclose int fd = fd_open_dir (dir_fd, name);

    if (fd < 0)
      return err_errno (err, "open the directory that a whiteout removes");
    if (remove_lower_in (overlaying, fd, hash, &empty, err) < 0)
      return -err->code;
    if (made || !empty)
      return 0;
  } else if (made) {
    return 0;
  }
  *ret_gone = true;
  return writer_remove_old (overlaying->writer, dir_fd, name, err);
}

/* The directory of the first @count components: 1; 0 when there is none. */
static int enter (struct overlaying *overlaying, const struct path *path, size_t count, int *ret_fd,
                  struct err *err)
{
  if (dirstack_enter (&overlaying->writer->stack, path->parts, count, /* make= */ false, ret_fd,
                      NULL) == 0)
    return 1;
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
    return 0;
  return err_errno (err, "open the directory of a whiteout");
}

/* Notes the whiteout of @name in the directory with the hash @parent, or with NULL of all in it.
 * One that comes again has nothing left to remove, and would be looked for among all that was made.
 */
static bool was_applied (struct overlaying *overlaying, uint64_t parent, const char *name)
{
  /* No entry can have this name, so that nothing made is taken for it. */
  uint64_t hash = hash_name (parent, name ? ".wh." : ".wh..wh..opq");
  bool is_new = false;

  *u64table_put (&overlaying->made, name ? hash_name (hash, name) : hash, &is_new) = 1;
  return !is_new;
}

/* The whiteout of @name, or with NULL of all in the directory. */
static int apply_whiteout (struct overlaying *overlaying, const char *text, const char *name,
                           struct err *err)
{
  struct path *path = &overlaying->path;
  autofree char *copy = name ? xstrdup (name) : NULL;
  bool gone = false;
  int fd = -1;

  if (interrupt_check (err) < 0)
    return -err->code;
  if (resolve_parents (overlaying->writer->tree_fd, path, err) < 0)
    return writer_wrap (text, err);
  size_t parents = path->count - 1;
  int ret = enter (overlaying, path, parents, &fd, err);
  if (ret <= 0)
    return ret;
  uint64_t hash = hash_parts (path->parts, parents);
  if (was_applied (overlaying, hash, copy))
    return 0;
  ret = copy ? remove_lower (overlaying, fd, copy, hash, &gone, err)
             : remove_lower_in (overlaying, fd, hash, &gone, err);
  /* The stack of the writer may be in what was removed. */
  dirstack_clear (&overlaying->writer->stack);
  dirstack_clear (&overlaying->writer->targets);
  return ret < 0 ? writer_wrap (text, err) : 0;
}

/* Once more with all names above it and its target resolved. */
static int retry_resolved (struct overlaying *overlaying, struct unpacking *unpacking,
                           struct archive_entry *entry, const char *path, struct err *err)
{
  const char *target = unpack_hardlink (entry);
  autofree char *resolved = NULL, *resolved_target = NULL;
  autoerr struct err first = *err;
  int code = err->code;

  *err = (struct err){0};
  if (resolve_text (overlaying->writer->tree_fd, path, &resolved, err) < 0 ||
      (target && resolve_text (overlaying->writer->tree_fd, target, &resolved_target, err) < 0))
    return writer_wrap (path, err);
  if (!resolved && !resolved_target)
    return err_code (err, code, "%s", err_text (&first));
  if (!resolved)
    resolved = xstrdup (path);
  if (target)
    return writer_link (overlaying->writer, resolved, resolved_target ? resolved_target : target,
                        err);
  return unpack_entry (overlaying->writer, unpacking, entry, resolved, err);
}

static int apply_entry (struct overlaying *overlaying, struct unpacking *unpacking,
                        struct archive_entry *entry, const char *path, struct err *err)
{
  const char *target = unpack_hardlink (entry);
  int ret = target ? writer_link (overlaying->writer, path, target, err)
                   : unpack_entry (overlaying->writer, unpacking, entry, path, err);

  if (ret == -ENOTDIR || (target && ret == -EINVAL))
    ret = retry_resolved (overlaying, unpacking, entry, path, err);
  if (ret < 0)
    return ret;
  note_made (overlaying);
  return 0;
}

/* A directory that is called like a whiteout would be one elsewhere. */
static int check_parents (const struct path *path, struct err *err)
{
  const char *name;

  for (size_t i = 0; i + 1 < path->count; i++) {
    enum whiteout kind = whiteout_kind (path->parts[i], &name);

    if (kind != WHITEOUT_NONE && kind != WHITEOUT_NOTE)
      return err_code (err, EINVAL, "refused: a directory above it is called like a whiteout");
  }
  return 0;
}

static bool is_in_note (const struct path *path)
{
  const char *name;

  for (size_t i = 0; i < path->count; i++)
    if (whiteout_kind (path->parts[i], &name) == WHITEOUT_NOTE)
      return true;
  return false;
}

int overlaying_run (struct overlaying *overlaying, struct unpacking *unpacking, struct err *err)
{
  struct path *path = &overlaying->path;
  struct archive_entry *entry;
  const char *text;
  int ret;

  overlaying->writer->replace_trees = true;
  while ((ret = unpack_next (unpacking, &entry, &text, err)) > 0) {
    const char *name = NULL;
    enum whiteout kind = WHITEOUT_NONE;

    if (path_split (path, text, err) < 0)
      return -err->code;
    if (is_in_note (path))
      continue;
    if (path->count)
      kind = whiteout_kind (path->parts[path->count - 1], &name);
    if (check_parents (path, err) < 0)
      return writer_wrap (text, err);
    if (kind == WHITEOUT_BAD)
      err_code (err, EINVAL, "refused: a whiteout of nothing that could be there");
    if (kind == WHITEOUT_BAD)
      return writer_wrap (text, err);
    if ((kind == WHITEOUT_NONE ? apply_entry (overlaying, unpacking, entry, text, err)
                               : apply_whiteout (overlaying, text, name, err)) < 0)
      return -err->code;
  }
  return ret;
}
