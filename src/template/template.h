/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Templates: read-only trees that guests are cloned from.
 *
 *   templates/NAME/lock      shared by those who use a generation, exclusive to remove any
 *   templates/NAME/updating  held by the one who makes the next generation
 *   templates/NAME/deleted   the template is not there any more, but thin guests lie over what is
 *                            left of it
 *   templates/NAME/<generation>/{template.json,tree/}
 *
 * A template is made in staging and renamed into place as a whole, so one that can be seen is
 * complete. Its files are objects of the store; nothing writes below tree/ afterwards. What is
 * newer than it becomes the next generation, beside those before; see generation.h.
 *
 * template.json: format, name, generation, created, source, files (names that are not directories),
 * directories, bytes (apparent, each inode once), and, where the tree tells, os and architecture.
 */
#ifndef VG_TEMPLATE_TEMPLATE_H
#define VG_TEMPLATE_TEMPLATE_H

#include "guest/names.h"
#include "guest/root.h"
#include "store/gc.h"
#include "util/lock.h"

enum { TEMPLATE_FORMAT = 1 };

struct template
{
  char *name; /* owned */
  unsigned generation;
  int fd;            /* owned: templates/NAME/<generation> */
  int tree_fd;       /* owned: its tree/ */
  int lock_fd;       /* owned: shared as long as it is open, so that it is not deleted; or -1 */
  json_object *info; /* owned: template.json */
};

/* Opens @generation of the template @name, 0 for the newest. ERR_NO_GUEST with the nearest names;
 * ERR_LOCKED under root->no_wait while it is being deleted. */
int template_open (struct vroot *root, const char *name, unsigned generation,
                   struct template **ret_template, struct err *err);

/* The same without a lock, for who only looks: it may be deleted at any moment. lock_fd is -1. */
int template_peek (struct vroot *root, const char *name, unsigned generation,
                   struct template **ret_template, struct err *err);
void template_close (struct template *template);
static inline void cleanup_template (struct template **template)
{
  if (*template)
    template_close (*template);
}
#define autotemplate __attribute__ ((cleanup (cleanup_template)))

/* Takes "NAME" or "NAME@GENERATION" apart; the generation is 0 when none is said. @ret_name is the
 * caller's. ERR_USAGE. */
int template_split (const char *text, char **ret_name, unsigned *ret_generation, struct err *err);

/* The numbers of the generations that are there, ascending. */
struct generations {
  unsigned *items; /* owned */
  size_t count;
};
void generations_release (struct generations *generations);
#define autogenerations __attribute__ ((cleanup (generations_release)))

/* @name_fd is templates/NAME. */
int template_generations (int name_fd, struct generations *ret_generations, struct err *err);

/* The files of these generations together, as template.json counts them: no more objects than that
 * are theirs alone. */
uint64_t template_files (int name_fd, const struct generations *generations);

/* Opens templates/NAME and locks it. Both descriptors are the caller's. ERR_NO_GUEST, ERR_LOCKED as
 * with template_open. */
int template_lock (struct vroot *root, const char *name, enum lock_mode mode, int *ret_fd,
                   int *ret_lock_fd, struct err *err);

/* The same for what is left of a deleted template as well. */
int template_lock_any (struct vroot *root, const char *name, enum lock_mode mode, int *ret_fd,
                       int *ret_lock_fd, struct err *err);

/* Is the template open at @name_fd deleted? 1, 0 or negative. */
#define TEMPLATE_DELETED "deleted"
int template_is_deleted (int name_fd, struct err *err);

/* The names of all templates, sorted; with those of deleted ones in @ret_deleted, if not NULL. */
int template_list (struct vroot *root, struct names *ret_names, struct names *ret_deleted,
                   struct err *err);

/* Fails when @name is no name for a new template: EEXIST when there is one already. */
int template_check_new (struct vroot *root, const char *name, struct err *err);

#endif
