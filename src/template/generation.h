/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Generations: what became of a template when its source had something newer, or its packages were
 * upgraded. A guest is made from one of them and keeps its files, whatever becomes of that one.
 *
 * The newest generation is the one that new guests are made from. An older one is kept as long as
 * some guest was made from it (state.json says so), so that it can be told apart, and cloned again.
 */
#ifndef VG_TEMPLATE_GENERATION_H
#define VG_TEMPLATE_GENERATION_H

#include "template/template.h"

/* How many guests there are of which generation. */
struct template_uses {
  struct template_use {
    char *template; /* owned */
    int64_t generation;
    size_t guests;
  } * items; /* owned */
  size_t count;
  char *unknown; /* owned; a guest whose state.json cannot be read, or NULL */
};
void template_uses_release (struct template_uses *uses);
#define autotemplateuses __attribute__ ((cleanup (template_uses_release)))

/* Looks at all guests, without locks. */
int template_uses_read (struct vroot *root, struct template_uses *ret_uses, struct err *err);

size_t template_uses_count (const struct template_uses *uses, const char *name,
                            unsigned generation);

/* Removes the generations of @name that are older than the newest and have no guests; with
 * @dry_run only tells which. They are gone at once, by a rename to staging; a note for gc stays.
 * Waits until nobody uses the template. Nothing is removed (EBUSY) while a guest's state cannot be
 * read. @ret_removed is the caller's. */
int generations_collect (struct vroot *root, const char *name, bool dry_run,
                         struct generations *ret_removed, struct err *err);

#endif
