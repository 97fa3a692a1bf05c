/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of an overlay lies in layers where it must not be. */
#include "internal.h"
#include "tree/layer.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/metaentry.h"
#include "util/xattr.h"
#include <sys/sysmacros.h>

static bool is_whiteout (const struct stat *st)
{
  return S_ISCHR (st->st_mode) && st->st_rdev == makedev (0, 0);
}

static bool is_mark (const struct xattr *x)
{
  return strcmp (x->name, XATTR_OVERLAY "opaque") == 0 && x->len == 1 &&
         *(const char *) x->value == 'y';
}

/* The first attribute of the overlay, or NULL; with @may_hide that is not the mark of an opaque
 * directory. Those of an entry are none. */
static const struct xattr *find_form (const struct xattrs *xattrs, bool may_hide)
{
  bool is_entry = metaentry_is_marked (xattrs);

  for (size_t i = 0; i < xattrs->count; i++)
    if (xattr_is_overlay (xattrs->items[i].name) && !(may_hide && is_mark (&xattrs->items[i])) &&
        !(is_entry && metaentry_has_attribute (xattrs->items[i].name)))
      return &xattrs->items[i];
  return NULL;
}

int fsck_check_tree_directory (struct fsck *fsck, const char *where, int fd, bool may_hide,
                               struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};

  if (xattrs_read (fd, -1, NULL, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  const struct xattr *form = find_form (&xattrs, may_hide);
  if (form)
    fsck_add (fsck, FSCK_FORM, true, where, "a directory of a tree has the attribute %s",
              form->name);
  return 0;
}

int fsck_check_tree_file (struct fsck *fsck, const char *where, int dir_fd, const char *name,
                          const struct stat *st, bool may_hide, struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};

  if (is_whiteout (st) && may_hide)
    return 0;
  if (is_whiteout (st)) {
    fsck_add (fsck, FSCK_FORM, true, where, "a whiteout lies in a tree");
    return 0;
  }
  if (xattrs_read (-1, dir_fd, name, /* with_overlay= */ true, &xattrs, err) < 0) {
    if (err->code != ENOENT)
      return -err->code;
    err_release (err);
    return 0;
  }
  const struct xattr *form = find_form (&xattrs, false);
  if (form)
    fsck_add (fsck, FSCK_FORM, true, where, "a file of a tree has the attribute %s", form->name);
  return 0;
}

struct private_walk {
  struct fsck *fsck;
  const struct fsck_place *place;
  bool clean;
  struct strbuf path; /* owned */
};

static void add (struct private_walk *walk, enum fsck_class class, const char *name,
                 const char *text)
{
  autofree char *where =
      xasprintf ("%s/private/%s%s%s", walk->place->path, strbuf_str (&walk->path),
                 walk->path.len && *name ? "/" : "", name);

  fsck_add (walk->fsck, class, true, where, "%s", text);
}

static bool is_opaque_value (const struct xattr *x)
{
  const char *value = x->value;

  return x->len == 1 && (*value == 'y' || *value == 'x');
}

/* Attributes that no overlay of ours makes, or whose values we do not know. */
static int check_forms (struct private_walk *walk, int dir_fd, const char *name, struct err *err)
{
  static const char *const known[] = {"opaque", "redirect", "metacopy", "origin",   "impure",
                                      "nlink",  "uuid",     "protattr", "whiteout", NULL};
  autoxattrs struct xattrs xattrs = {0};

  if (xattrs_read (-1, dir_fd, name, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  for (size_t i = 0; i < xattrs.count; i++) {
    const struct xattr *x = &xattrs.items[i];
    const char *const *k = known;

    if (!xattr_is_overlay (x->name))
      continue;
    while (*k && strcmp (*k, x->name + strlen (XATTR_OVERLAY)) != 0)
      k++;
    if (!*k) {
      autofree char *text = xasprintf ("the attribute %s is not one that fold knows", x->name);
      add (walk, FSCK_PRIVATE_FORM, name, text);
    } else if (strcmp (*k, "opaque") == 0 && !is_opaque_value (x)) {
      add (walk, FSCK_PRIVATE_FORM, name, "an opaque mark that fold does not know");
    }
  }
  return 0;
}

static void check_clean (struct private_walk *walk, const char *name,
                         const struct layer_entry *entry)
{
  if (!walk->clean)
    return;
  if (entry->whiteout)
    add (walk, FSCK_PRIVATE_FORM, name, "a whiteout lies in a private layer that is folded");
  else if (entry->opaque || entry->x_whiteouts || entry->redirect)
    add (walk, FSCK_PRIVATE_FORM, name,
         "a directory of a private layer that is folded is opaque or redirected");
  else if (entry->metacopy)
    add (walk, FSCK_PRIVATE_FORM, name,
         "a file of a private layer that is folded has its data elsewhere");
}

static int check_dir (struct private_walk *walk, int fd, bool x_whiteouts, struct err *err);

static int check_entry (struct private_walk *walk, int dir_fd, const struct dirread_entry *item,
                        bool x_whiteouts, struct err *err)
{
  autolayerentry struct layer_entry entry = {0};

  if (item->type != DT_DIR && u64set_has (&walk->fsck->root->store->inodes, item->ino))
    add (walk, FSCK_PRIVATE_SHARED, item->name,
         "a file that the guest can write is an object of the store");
  if (layer_read (dir_fd, item->name, x_whiteouts, &entry, err) < 0) {
    if (err->code == EUCLEAN)
      add (walk, FSCK_PRIVATE_FORM, item->name, err_text (err));
    else if (err->code != ENOENT)
      return -err->code;
    err_release (err);
    return 0;
  }
  if (entry.has_forms && check_forms (walk, dir_fd, item->name, err) < 0)
    return -err->code;
  check_clean (walk, item->name, &entry);
  if (item->type != DT_DIR)
    return 0;
  autoclose int child = fd_open (dir_fd, item->name, O_RDONLY | O_DIRECTORY | O_NOATIME, 0);
  if (child < 0)
    return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
               ? 0
               : err_errno (err, "open the directory %s of private", item->name);
  size_t before = strbuf_push_name (&walk->path, item->name);
  int ret = check_dir (walk, child, entry.x_whiteouts, err);
  strbuf_truncate (&walk->path, before);
  return ret;
}

static int check_dir (struct private_walk *walk, int fd, bool x_whiteouts, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (interrupt_check (err) < 0 || dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++)
    if (check_entry (walk, fd, &list.items[i], x_whiteouts, err) < 0)
      return -err->code;
  return 0;
}

int fsck_check_private (struct fsck *fsck, const struct fsck_place *place, int fd, bool clean,
                        struct err *err)
{
  struct private_walk walk = {
      .fsck = fsck, .place = place, .clean = clean, .path = STRBUF_INIT (FSCK_PATH_MAX)};

  int ret = check_dir (&walk, fd, /* x_whiteouts= */ false, err);
  strbuf_release (&walk.path);
  return ret;
}
