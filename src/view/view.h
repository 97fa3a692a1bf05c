/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest shows, read layer by layer without a mount: private over tree, and in a thin guest
 * over its base (tree/lower.h). Private is read as an upper layer with all its forms
 * (tree/layer.h), so that a guest that runs is read as well. No lock is taken: what goes away
 * meanwhile is left out.
 *
 * Names are only ever used beside the descriptor of their directory. */
#ifndef VG_VIEW_VIEW_H
#define VG_VIEW_VIEW_H

#include "tree/layer.h"
#include "tree/lower.h"

enum view_layer { VIEW_PRIVATE, VIEW_TREE, VIEW_BASE };

/* One directory. */
struct view_dir {
  int priv; /* owned; -1: private has none here */
  bool x_whiteouts;
  struct lower lower; /* owned; what merges below private */
};
#define VIEW_DIR_NONE ((struct view_dir){-1, false, LOWER_NONE})
void view_dir_close (struct view_dir *dir);
#define autoviewdir __attribute__ ((cleanup (view_dir_close)))

/* One name in it. */
struct view_entry {
  const char *name; /* borrowed from the list */
  enum view_layer layer;
  int dir_fd;              /* borrowed from the directory: that of the topmost layer that has it */
  unsigned char type;      /* DT_… */
  uint64_t ino;            /* in that layer */
  struct layer_entry form; /* owned; only of entries in private */
};

struct view_list {
  struct view_entry *items; /* owned; sorted by name, in byte order */
  size_t count;
  struct dirlist priv;      /* owned; what items borrow from */
  struct lower_lists lists; /* owned */
};
void view_list_release (struct view_list *list);
#define autoviewlist __attribute__ ((cleanup (view_list_release)))

/* The top of the guest whose directory is open at @guest_fd. */
int view_open (int guest_fd, struct view_dir *ret_top, struct err *err);

/* The top of a template's tree, which is open at @tree_fd. */
int view_open_tree (int tree_fd, struct view_dir *ret_top, struct err *err);

int view_read (const struct view_dir *dir, struct view_list *ret_list, struct err *err);

/* The entry called @name, or NULL. */
const struct view_entry *view_find (const struct view_list *list, const char *name);

/* Opens the directory that @entry of @dir is. @top is what redirects start from. */
int view_child (const struct view_dir *top, const struct view_dir *dir,
                const struct view_entry *entry, struct view_dir *ret_child, struct err *err);

/* Where the data of the regular file @entry lies: not where its metadata is when it is a metacopy
 * in private. */
struct view_data {
  enum view_layer layer;
  int dir_fd;         /* borrowed from @dir or from `at` */
  char *name;         /* owned */
  struct view_dir at; /* owned; a directory elsewhere */
};
void view_data_release (struct view_data *data);
#define autoviewdata __attribute__ ((cleanup (view_data_release)))
int view_find_data (const struct view_dir *top, const struct view_dir *dir,
                    const struct view_entry *entry, struct view_data *ret_data, struct err *err);

/* One path, such as "/usr/bin/perl": its directory, and what is in it. */
struct view_place {
  struct view_dir dir;            /* owned; all -1 for "/" itself */
  struct view_list list;          /* owned */
  const struct view_entry *entry; /* borrowed from list; NULL for "/" itself */
};
void view_place_release (struct view_place *place);
#define autoviewplace __attribute__ ((cleanup (view_place_release)))

/* Finds @path below @top; symbolic links are not followed. ENOENT, ENOTDIR with the path; ERR_USAGE
 * when it has a ".." in it. */
int view_lookup (const struct view_dir *top, const char *path, struct view_place *ret_place,
                 struct err *err);

/* The topmost directory: its metadata is what the guest sees. Borrowed. */
int view_dir_fd (const struct view_dir *dir);

/* "private", "tree", "template". */
const char *view_layer_name (enum view_layer layer);

#endif
