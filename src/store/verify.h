/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is each object what its name says?
 *
 * In full: contents are read, each inode once, in parallel; what was not in the page cache before
 * is dropped from it again. What is in the cache is not read from the disk. Quick: only metadata
 * are read, and compared by way of store/contents; contents that changed while size, times and all
 * other metadata stayed are not seen.
 *
 * The name is one hash over everything, so what of it is not as it was cannot be read from it, but
 * metadata can be tried: the ones noted in store/contents, owners that come out of the ways to lose
 * them, any mode. When the name fits then, the contents are right, and what the rest was is known.
 */
#ifndef VG_STORE_VERIFY_H
#define VG_STORE_VERIFY_H

#include "store/contents.h"

enum damage_kind {
  DAMAGE_UNKNOWN,    /* contents or metadata are not what the name says */
  DAMAGE_CONTENTS,   /* the contents are not: those that were noted were others */
  DAMAGE_METADATA,   /* contents are right and metadata are not; what they were is in right */
  DAMAGE_OWNER,      /* the same, and it is the owner, with the set-id bits that go with a chown */
  DAMAGE_ATTRIBUTES, /* extended attributes are not, and nothing else */
  DAMAGE_FORMS,      /* it has attributes of an overlay */
  DAMAGE_READ,       /* it cannot be read */
};

/* One damaged object. */
struct damage {
  struct digest id;
  unsigned slot;
  uint64_t ino;
  uint64_t links;
  enum damage_kind kind;
  struct stat now;   /* all 0 with DAMAGE_READ when that failed already */
  struct stat right; /* DAMAGE_METADATA, DAMAGE_OWNER: mode, owner and mtime as they were */
  bool noted;        /* what follows is known */
  struct contents_note note;
  char *detail;      /* owned: "the mode was 04755 and is 0755" */
  char *quarantined; /* owned: its name in store/quarantine; or NULL */
};

void damage_release (struct damage *damage);

/* What of metadata differs, in words: "the owner was 0:0 and is 7:7, the mode was …". The caller's.
 */
char *damage_describe (const struct stat *right, const struct stat *now);

struct verify_options {
  unsigned threads; /* at least 1 */
  bool quick;
  bool add_verity; /* enable it on good objects without, where the store requires it */
};

struct verify {
  struct damage *damages; /* owned; by name */
  size_t damage_count;
  char **aliens; /* owned; "ab/name": names that are no object's, from store/ */
  size_t alien_count;
  char **doubles; /* owned; "ab/name": a second name of an object that has another one as well */
  size_t double_count;
  uint64_t objects;
  uint64_t bytes_read;
  uint64_t orphans; /* that no tree uses: one link */
  uint64_t orphan_bytes;
  uint64_t unnoted;        /* quick: not in store/contents, so not looked at */
  time_t noted;            /* when store/contents was written; 0: there was none */
  uint64_t place;          /* see struct contents */
  uint64_t verity_missing; /* objects without, where the store requires it */
  uint64_t verity_added;   /* others, that have it now */
  char *verity_error;      /* owned: why it could not be added to one of the first, or NULL */
  char *note_error;        /* owned: why store/contents could not be written, or NULL */
};

void verify_release (struct verify *verify);
#define autoverify __attribute__ ((cleanup (verify_release)))

/* Looks at all objects. In full, and when it came to its end, writes store/contents anew. The
 * caller holds the root lock in some mode. ERR_INTERRUPTED. */
int store_verify (struct store *store, const struct verify_options *options,
                  struct verify *ret_verify, struct err *err);

/* Looks at one of the damages again, by reading it: 1 when the object is still that inode and still
 * damaged, 0 when not, or negative. */
int store_verify_again (struct store *store, const struct damage *damage, struct err *err);

/* Says of a file that was the object @id, what is wrong with it, and whether it is in
 * store/contents.
 */
int store_diagnose (struct store *store, int dir_fd, const char *name, const struct digest *id,
                    unsigned slot, struct damage *ret_damage, struct err *err);

/* Is the file the object @id? With any flags, and without attributes of an overlay. 1, 0, negative.
 */
int store_is_object (struct hasher *hasher, int dir_fd, const char *name, const struct digest *id,
                     struct err *err);

#endif
