/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the store room share among themselves. */
#ifndef VG_STORE_INTERNAL_H
#define VG_STORE_INTERNAL_H

#include "store/store.h"
#include <pthread.h>

enum { STORE_STRIPES = 64 };

struct store_locks {
  pthread_mutex_t stripes[STORE_STRIPES]; /* the slots of an object, by its identity */
  pthread_rwlock_t tables;                /* innermost */
};

/* gc leaves gaps among the slots of an object: so many missing ones in a row are looked over. */
enum { STORE_GAP_MAX = 8 };

/* Room for 62 digits, a dash, a number and NUL. */
#define SLOT_NAME_SIZE 80

/* The file name of an object below its fan-out directory. */
void slot_name (const struct digest *id, unsigned slot, char *name);

/* What the name of an object says; @fan is that of its directory. False for other names. */
bool slot_parse (const char *fan, const char *name, struct digest *ret_id, unsigned *ret_slot);

/* Is it the name of a fan-out directory? */
bool fan_is_name (const char *name);

/* The descriptor of the fan-out directory of @id, made when missing. Borrowed. Negative on
 * errors. */
int store_fan (struct store *store, const struct digest *id, struct err *err);

/* @st is that of an object now. @hashed: this process hashed it, and the name is right. */
void store_note (struct store *store, const struct stat *st, bool hashed);

#endif
