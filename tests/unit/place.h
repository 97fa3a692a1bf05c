/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's directory with layers made by hand, for tests of what reads them. */
#ifndef VG_TESTS_UNIT_PLACE_H
#define VG_TESTS_UNIT_PLACE_H

#include "test.h"
#include "tree/fold.h"

struct place {
  char *path;
  int fd; /* the guest's directory */
  bool commit;
  struct rules rules;
  bool twins;                   /* everything has a twin */
  const struct u64table *as_is; /* see fold.h; or NULL */
};

/* For cmocka: tree/, private/ and txn/ in a directory below $TMPDIR, for a commit also txn/upper.
 */
int setup_commit (void **state);
int setup_in_place (void **state);
int teardown (void **state);

/* Paths are below the guest's directory; "upper/…" is where U is in this mode. What cannot be done
 * fails the test. */
/* The real path; the caller's string. */
char *place_path (const struct place *place, const char *path);
void make_dir (struct place *place, const char *path);
void write_file (struct place *place, const char *path, const char *text);
void make_link (struct place *place, const char *from, const char *to);
void make_whiteout (struct place *place, const char *path);
void set_raw (struct place *place, const char *path, const char *name, const void *value,
              size_t len);
/* An attribute of the overlay. */
void set_form (struct place *place, const char *path, const char *name, const char *value);
/* A file whose metadata was copied up, as the kernel leaves it: right size, no data. */
void make_metacopy (struct place *place, const char *path, off_t size, mode_t mode);
void rule (struct place *place, const char *pattern, unsigned class);

/* fold_plan; and all of it, when there is something to do. */
int plan (struct place *place, struct fold_counts *counts, struct err *err);
void fold (struct place *place);

bool get_stat (struct place *place, const char *path, struct stat *st);
void assert_gone (struct place *place, const char *path);
/* The file has this text, and no attribute of the overlay. */
void assert_file (struct place *place, const char *path, const char *text);
void assert_dir (struct place *place, const char *path);
uint64_t inode_of (struct place *place, const char *path);

#endif
