/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A directory tree from elsewhere becomes the private layer of a new guest, by a rename.
 *
 *   guests/NAME/adoption.json   {"source", "placeholder"}: there from before the guest is published
 *
 * The guest is published with an empty private layer first, and then that is exchanged with the
 * tree: so the data never lies where a sweep could take it. The exchange decides. Recovery of a
 * guest whose private layer is still empty removes the guest; of one that has the tree it removes
 * the empty directory that is left in the tree's place, and the record. */
#ifndef VG_GUEST_ADOPTION_H
#define VG_GUEST_ADOPTION_H

#include "guest/guest.h"

#define ADOPTION_RECORD "adoption.json"

/* Writes the record into the directory @guest_fd of a guest that is being built in staging.
 * @source: the absolute path of the tree. */
int adoption_record (int guest_fd, const char *source, struct err *err);

/* Exchanges the directory @name of @parent_fd, which is @expected, with the private layer of
 * @guest, which is published and locked exclusively, and removes what is left in its place. When
 * this fails before the exchange the guest is removed again. EXDEV when both are not in one mount;
 * ESTALE when the directory is another one by now. */
int adoption_carry_out (struct vroot *root, struct guest *guest, int parent_fd, const char *name,
                        const struct stat *expected, struct err *err);

/* Finishes or undoes an interrupted adoption; when it was undone the guest is gone: ERR_NO_GUEST.
 * The caller holds the guest's lock exclusively. */
int adoption_recover (struct vroot *root, struct guest *guest, struct err *err);

#endif
