/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers.h"
#include "util/fd.h"
#include "util/metaentry.h"
#include "util/strbuf.h"
#include <sched.h>
#include <sys/mount.h>

int layers_own_namespace (struct err *err)
{
  if (unshare (CLONE_NEWNS) < 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    return err_errno (err, "make a mount namespace");
  return 0;
}

/* @data_fd is a data-only layer, or -1. */
static int view (const int *layer_fds, size_t count, int data_fd, struct manifest *ret_manifest,
                 struct err *err)
{
  autostrbuf struct strbuf options = STRBUF_INIT (4095);
  char target[] = "/tmp/vg-view-XXXXXX";

  strbuf_adds (&options, "lowerdir=");
  for (size_t i = 0; i < count; i++)
    strbuf_addf (&options, "%s/proc/self/fd/%d", i ? ":" : "", layer_fds[i]);
  if (data_fd >= 0)
    strbuf_addf (&options, "::/proc/self/fd/%d", data_fd);
  strbuf_adds (&options, ",index=off,nfs_export=off,metacopy=on,redirect_dir=on,xino=auto");
  if (!mkdtemp (target))
    return err_errno (err, "make the directory %s", target);
  if (mount ("overlay", target, "overlay", MS_RDONLY, strbuf_str (&options)) < 0) {
    err_errno (err, "mount the layers read-only");
    rmdir (target);
    return -err->code;
  }
  autoclose int fd = open (target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int ret = fd < 0 ? err_errno (err, "open %s", target) : manifest_read (fd, ret_manifest, err);
  if (fd >= 0)
    close (steal_fd (&fd));
  if (umount2 (target, 0) < 0 && ret == 0)
    ret = err_errno (err, "unmount %s", target);
  if (rmdir (target) < 0 && ret == 0)
    ret = err_errno (err, "remove %s", target);
  return ret;
}

int layers_view (const int *layer_fds, size_t count, struct manifest *ret_manifest, struct err *err)
{
  return view (layer_fds, count, -1, ret_manifest, err);
}

/* -1 without an error when the guest is not thin. */
static int open_base (int guest_fd, struct err *err)
{
  int fd = openat (guest_fd, "base", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0 && faccessat (guest_fd, "base", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return err_errno (err, "open the base of a thin guest");
  return fd < 0 ? -1 : fd;
}

int layers_guest_view (int guest_fd, int over_fd, struct manifest *ret_manifest, struct err *err)
{
  autoclose int private_fd = fd_open_dir (guest_fd, "private");
  autoclose int tree_fd = fd_open_dir (guest_fd, "tree");
  autoclose int base_fd = open_base (guest_fd, err);
  autoclose int data_fd = fd_open_dir (guest_fd, "../../store/" METAENTRY_DATA);
  int layers[4];
  size_t count = 0;

  if (private_fd < 0 || tree_fd < 0)
    return err_errno (err, "open the layers of a guest");
  if (err->code)
    return -err->code;
  if (over_fd >= 0)
    layers[count++] = over_fd;
  layers[count++] = private_fd;
  layers[count++] = tree_fd;
  if (base_fd >= 0)
    layers[count++] = base_fd;
  return view (layers, count, data_fd, ret_manifest, err);
}

int layers_base (int guest_fd, struct manifest *ret_manifest, struct err *err)
{
  autoclose int base_fd = open_base (guest_fd, err);

  if (base_fd < 0)
    return -err->code;
  return manifest_read (base_fd, ret_manifest, err) < 0 ? -err->code : 1;
}

static bool has_attribute (const struct manifest_entry *entry, const char *name)
{
  autofree char *word = xasprintf (" trusted.overlay.%s=", name);

  return strstr (entry->text, word) != NULL;
}

bool layers_is_whiteout (const struct manifest_entry *entry)
{
  if (S_ISCHR (entry->st.st_mode) && entry->st.st_rdev == 0)
    return true;
  return has_attribute (entry, "whiteout");
}

/* Does a directory above @path hide what the base has there? */
static bool hidden_above (const struct manifest *manifest, const char *path)
{
  autofree char *above = xstrdup (path);

  for (char *slash; (slash = strrchr (above, '/')) != NULL;) {
    *slash = '\0';
    const struct manifest_entry *entry = manifest_find (manifest, above);
    if (entry && has_attribute (entry, "opaque"))
      return true;
  }
  return false;
}

size_t layers_check_thin (const struct manifest *manifest, const struct manifest *base,
                          const char *what, FILE *out)
{
  static const char *const never[] = {"redirect", "metacopy", "whiteout", "origin", "impure",
                                      "nlink",    "uuid",     "protattr", "upper",  NULL};
  size_t complaints = 0;

  for (size_t i = 0; i < manifest->count; i++) {
    const struct manifest_entry *entry = &manifest->items[i];
    const struct manifest_entry *under = manifest_find (base, entry->path);
    autofree char *path = printable (entry->path, strlen (entry->path));
    bool whiteout = S_ISCHR (entry->st.st_mode) && entry->st.st_rdev == 0;
    bool opaque = has_attribute (entry, "opaque");

    if ((whiteout && !under) || (opaque && (!under || !S_ISDIR (under->st.st_mode))) ||
        ((whiteout || opaque) && hidden_above (manifest, entry->path))) {
      fprintf (out, "# %s: %s hides nothing of the base\n", what, path);
      complaints++;
    }
    for (const char *const *name = never; *name; name++)
      if (has_attribute (entry, *name)) {
        fprintf (out, "# %s: %s has trusted.overlay.%s\n", what, path, *name);
        complaints++;
      }
  }
  return complaints;
}

size_t layers_check_clean (const struct manifest *manifest, const char *what, bool allow_origin,
                           FILE *out)
{
  static const char *const never[] = {"opaque", "redirect", "metacopy", "whiteout", NULL};
  static const char *const harmless[] = {"origin",   "impure", "nlink", "uuid",
                                         "protattr", "upper",  NULL};
  size_t complaints = 0;

  for (size_t i = 0; i < manifest->count; i++) {
    const struct manifest_entry *entry = &manifest->items[i];
    autofree char *path = printable (entry->path, strlen (entry->path));

    if (S_ISCHR (entry->st.st_mode) && entry->st.st_rdev == 0) {
      fprintf (out, "# %s: %s is a whiteout\n", what, path);
      complaints++;
    }
    for (int k = 0; k < 2; k++)
      for (const char *const *name = k ? harmless : never; *name && !(k && allow_origin); name++)
        if (has_attribute (entry, *name)) {
          fprintf (out, "# %s: %s has trusted.overlay.%s\n", what, path, *name);
          complaints++;
        }
  }
  return complaints;
}
