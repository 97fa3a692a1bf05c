/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the store room share among themselves. */
#ifndef VG_STORE_INTERNAL_H
#define VG_STORE_INTERNAL_H

#include "store/store.h"
#include <pthread.h>

enum { STORE_STRIPES = 256 };

struct store_locks {
  pthread_mutex_t stripes[STORE_STRIPES]; /* the slots of an object, by its identity */
  pthread_rwlock_t tables;                /* innermost */
};

/* gc leaves gaps among the slots of an object: so many missing ones in a row are looked over. */
enum { STORE_GAP_MAX = 8 };

/* The descriptor of the fan-out directory of @id, made when missing. Borrowed. Negative on
 * errors. */
int store_fan (struct store *store, const struct digest *id, struct err *err);

/* @st is that of an object now. @hashed: this process hashed it, and the name is right. */
void store_note (struct store *store, const struct stat *st, bool hashed);

#endif
