/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Generations: what became of a template when its source had something newer, or its packages were
 * upgraded. A guest is made from one of them and keeps its files, whatever becomes of that one.
 *
 * The newest generation is the one that new guests are made from. An older one is kept as long as
 * some guest was made from it (state.json says so), so that it can be told apart, and cloned again.
 *
 * Over one of them thin guests may lie (guest/base.h): that one is held, and stays also when its
 * template is deleted, until the last of them is gone or a full guest. */
#ifndef VG_TEMPLATE_GENERATION_H
#define VG_TEMPLATE_GENERATION_H

#include "template/template.h"

/* How many guests there are of which generation. */
struct template_uses {
  struct template_use {
    char *template; /* owned */
    int64_t generation;
    size_t guests;     /* made from it */
    struct names thin; /* owned; guests that lie over it; "aside/NAME" for those put aside */
  } * items;           /* owned */
  size_t count;
  char *unknown;      /* owned; a guest whose state.json cannot be read, or NULL */
  char *unknown_base; /* owned; one of which it cannot be read whether it is thin, or NULL */
};
void template_uses_release (struct template_uses *uses);
#define autotemplateuses __attribute__ ((cleanup (template_uses_release)))

/* Looks at all guests, without locks. */
int template_uses_read (struct vroot *root, struct template_uses *ret_uses, struct err *err);

size_t template_uses_count (const struct template_uses *uses, const char *name,
                            unsigned generation);

/* The thin guests that lie over it, or NULL. Borrowed. */
const struct names *template_uses_thin (const struct template_uses *uses, const char *name,
                                        unsigned generation);

/* Removes the generations of @name that are older than the newest and have no guests; with
 * @dry_run only tells which. They are gone at once, by a rename to staging; a note for gc stays.
 * Waits until nobody uses the template. Nothing is removed (EBUSY) while a guest's state cannot be
 * read. @ret_removed is the caller's; @ret_files bounds the objects that were theirs alone. */
int generations_collect (struct vroot *root, const char *name, bool dry_run,
                         struct generations *ret_removed, uint64_t *ret_files, struct err *err);

/* Removes the template and the objects that only it used. Waits until nobody has it open. A
 * generation over which thin guests lie stays, under the same name: @ret_holders, the caller's, are
 * those guests, or empty. */
int template_delete (struct vroot *root, const char *name, struct names *ret_holders,
                     struct gc_result *ret_freed, struct err *err);

/* Removes what is left of deleted templates and has no thin guest any more. Those that somebody
 * uses are passed over. @ret_removed counts generations; @ret_files bounds the objects that were
 * theirs alone. */
int templates_collect_deleted (struct vroot *root, size_t *ret_removed, uint64_t *ret_files,
                               struct err *err);

/* The same, with the objects that only they used: for when thin guests went, or became full. */
int templates_free_deleted (struct vroot *root, struct err *err);

#endif
