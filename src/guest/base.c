/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base.h"
#include "tree/layer.h"
#include "tree/lower.h"
#include "util/fd.h"
#include <inttypes.h>

static const char templates[] = "../../templates/";

void guest_base_release (struct guest_base *base)
{
  cleanup_free (&base->template);
}

/* "../../templates/NAME/GENERATION/tree" */
static int parse (const char *target, struct guest_base *ret_base, struct err *err)
{
  size_t start = strlen (templates);
  const char *slash = strncmp (target, templates, start) == 0 ? strchr (target + start, '/') : NULL;
  char *end = NULL;
  bool number = slash && slash[1] >= '1' && slash[1] <= '9';
  unsigned long generation = number ? strtoul (slash + 1, &end, 10) : 0;

  if (!generation || generation > 999999999 || strcmp (end, "/tree") != 0)
    return err_code (err, EUCLEAN, "the link " LOWER_BASE " leads to %s, which is no generation",
                     target);
  autofree char *name = xstrndup (target + start, (size_t) (slash - target) - start);
  if (name_check (name, "template", err) < 0)
    return err_wrap (err, "the link " LOWER_BASE);
  *ret_base = (struct guest_base){steal_ptr (&name), (int64_t) generation};
  return 0;
}

int guest_base_read (int guest_fd, struct guest_base *ret_base, struct err *err)
{
  char target[512];
  ssize_t len = readlinkat (guest_fd, LOWER_BASE, target, sizeof target - 1);

  *ret_base = (struct guest_base){0};
  if (len < 0)
    return errno == ENOENT ? 0 : err_errno (err, "read the link " LOWER_BASE);
  target[len] = '\0';
  autoclose int tree_fd = fd_open_dir (guest_fd, "tree");
  int whole = tree_fd < 0 ? err_errno (err, "open tree") : layer_is_opaque (tree_fd, err);
  if (whole)
    return whole < 0 ? whole : 0;
  return parse (target, ret_base, err);
}

int guest_base_write (int fd, const struct guest_base *base, struct err *err)
{
  autofree char *target =
      xasprintf ("%s%s/%" PRId64 "/tree", templates, base->template, base->generation);

  if (symlinkat (target, fd, LOWER_BASE) < 0)
    return err_errno (err, "make the link " LOWER_BASE);
  return 0;
}

int guest_base_lock (struct vroot *root, const struct guest_base *base, int *ret_fd,
                     struct err *err)
{
  const struct lock_how how = root_lock_how (root, LOCK_RANK_BASE, LOCK_SHARED);
  autofree char *what = xasprintf ("template %s", base->template);
  autoclose int fd = fd_open_dir (root->templates_fd, base->template);

  if (fd < 0)
    return err_errno (err, "open %s/templates/%s, the base of a thin guest", root->path,
                      base->template);
  return lock_acquire (fd, "lock", &how, what, ret_fd, err);
}
