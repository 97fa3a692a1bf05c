/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading the forms of an overlay's upper layer.
 *
 * Sources: Documentation/filesystems/overlayfs.rst and fs/overlayfs/ of Linux. A name in an upper
 * layer is a whiteout (character device 0/0, or in a directory marked opaque "x" a regular file
 * with trusted.overlay.whiteout); a directory that hides what is below it (opaque "y"), that merges
 * with a directory of another name below (redirect) or of its own name; a file whose data is below
 * (metacopy, perhaps with a redirect); or plain. */
#ifndef VG_TREE_LAYER_H
#define VG_TREE_LAYER_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <sys/stat.h>

struct layer_entry {
  struct stat st;
  bool whiteout;
  bool opaque;      /* a directory that hides what is below */
  bool x_whiteouts; /* a directory whose whiteouts are regular files */
  bool metacopy;    /* the data is below */
  bool protattr;    /* immutable or append-only for the guest */
  bool has_forms;   /* some trusted.overlay.* attribute is there */
  char *redirect;   /* owned; "/path" from the root of the layers below, or a name; or NULL */
};

void layer_entry_release (struct layer_entry *entry);
#define autolayerentry __attribute__ ((cleanup (layer_entry_release)))

/* Reads @name of @dir_fd in an upper layer. @x_whiteouts: its directory has that mark. */
int layer_read (int dir_fd, const char *name, bool x_whiteouts, struct layer_entry *ret_entry,
                struct err *err);

/* The attribute that has the immutable and append-only flags: the one overlay attribute that is a
 * guest's own. It may be in a private layer, never in a tree. */
#define LAYER_PROTATTR XATTR_OVERLAY "protattr"

/* Removes all trusted.overlay.* attributes but those of an entry (util/metaentry.h) from the
 * directory @fd, or with -1 from the file or directory @name of @dir_fd, but with @keep_flags that
 * of the protection flags; from a plain file without flags that is no change to what a guest sees,
 * from a directory it is. */
int layer_strip (int fd, int dir_fd, const char *name, bool keep_flags, struct err *err);

/* Gives the file or directory @to the protection flags of @from, where it has them. By descriptor
 * when @from_fd and @to_fd are not -1, else by name. */
int layer_copy_protattr (int from_fd, int from_dir, const char *from, int to_fd, int to_dir,
                         const char *to, struct err *err);

/* A character device 0/0? */
bool layer_is_whiteout (const struct stat *st);

/* Does the directory open at @dir_fd hide what is below ("y")? Returns 1, 0 or negative. */
int layer_is_opaque (int dir_fd, struct err *err);

/* Marks the directory as one that hides what is below. */
int layer_set_opaque (int dir_fd, struct err *err);

/* Makes the whiteout @to: a link to the one at @from, or a new one when there is none (@from_fd -1)
 * or it is full. */
int layer_whiteout (int from_fd, const char *from, int to_fd, const char *to, struct err *err);

#endif
