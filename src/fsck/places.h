/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that has links to objects: see struct fsck_place. */
#ifndef VG_FSCK_PLACES_H
#define VG_FSCK_PLACES_H

#include "fsck/fsck.h"

/* Finds the places, templates first. */
int fsck_find_places (struct fsck *fsck, struct err *err);
/* Opens the directory of a place; the caller's, or negative. ENOENT when it is gone. */
int fsck_open_place (struct fsck *fsck, const struct fsck_place *place, struct err *err);

/* Calls @visit for each layer of a place that has links to inodes of trees: its tree, and undo
 * layers. Missing ones are passed over. */
int fsck_each_layer (int place_fd, enum fsck_kind kind,
                     int (*visit) (void *data, const char *layer, int fd, struct err *err),
                     void *data, struct err *err);

/* Before changes, under the exclusive root lock: what killed commands left in the places is
 * finished or undone. What fails is noted as a finding. */
int fsck_recover (struct fsck *fsck, struct err *err);

/* Takes the root lock anew in @mode. */
int fsck_lock_root (struct fsck *fsck, enum lock_mode mode, struct err *err);

/* Takes it exclusively, for changes: what was known of the store is forgotten, as it may have
 * changed while we waited; now all is as it will be while we look. */
int fsck_lock_alone (struct fsck *fsck, struct err *err);

#endif
