/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the download*.c files. */
#ifndef VG_PKG_DOWNLOAD_INTERNAL_H
#define VG_PKG_DOWNLOAD_INTERNAL_H

#include "pkg/download.h"

enum { PKGCACHE_SHARDS = 256 };

struct pkgcache {
  struct vroot *root;          /* borrowed */
  int fd;                      /* owned; cache/packages */
  int lock_fd;                 /* owned */
  int by_uri_fd;               /* owned; -1 until it is needed */
  int shards[PKGCACHE_SHARDS]; /* owned; -1 until they are needed */
};

/* Opens, and makes, cache/packages. */
int pkgcache_open_dir (struct vroot *root, int *ret_fd, struct err *err);

/* The directory, borrowed, and the name of the file with that digest: KIND-HEX. */
int pkgcache_place (struct pkgcache *cache, const struct checksum *digest, int *ret_dir_fd,
                    char name[static CHECKSUM_TEXT_SIZE], struct err *err);

enum pkgcache_check {
  PKGCACHE_ABSENT,
  PKGCACHE_GOOD, /* by what was written down */
  PKGCACHE_READ, /* it was read, and is good */
  PKGCACHE_BAD,  /* it is something else, and has been removed */
};

/* download_unit.c: one file for the cache, and the entries of a list that want it. */

struct pkgcache_unit {
  struct pkgcache_file **members; /* borrowed, at least one */
  size_t count;
  struct checksum given;  /* what they say of it; kind CHECKSUM_NONE */
  struct checksum digest; /* under which it lies; of weak ones once it has been fetched */
  const char **urls;      /* owned; NULL-terminated; the most wanted first */
  uint64_t size;          /* FETCH_SIZE_UNKNOWN when they do not agree */

  int dir_fd; /* borrowed */
  char name[CHECKSUM_TEXT_SIZE];
  enum pkgcache_check check;
  bool present;
  struct stat st; /* when it is present */
  bool fetched;
  uint64_t received;
  enum fetch_outcome outcome;
  char *error; /* owned; NULL when it is there */
};

struct pkgcache_units {
  struct pkgcache_unit *items; /* owned */
  size_t count;
  struct pkgcache_file **members; /* owned; what the items' members point into */
};
void pkgcache_units_release (struct pkgcache_units *units);
#define autopkgcacheunits __attribute__ ((cleanup (pkgcache_units_release)))

/* Sorts @files into units. Those that may not go in by @trust have failed, and are in none. */
void pkgcache_units_make (struct pkgcache_file *files, size_t count, enum pkgcache_trust trust,
                          struct pkgcache_units *ret_units);

/* What messages call it: the caller's. */
char *pkg_file_for_people (const struct pkgcache_file *file);

/* Tells the members what became of it. */
void pkgcache_unit_tell (const struct pkgcache_unit *unit);

/* download_record.c: what is known of a file in the cache. */

/* Checks the file. When it is good, *@ret_fd is the caller's, and *@ret_st its stat; else -1. */
int pkgcache_check (int dir_fd, const char *name, const struct checksum *digest,
                    enum pkgcache_check *ret_check, int *ret_fd, struct stat *ret_st,
                    struct err *err);

enum pkgcache_event {
  PKGCACHE_WAS_READ, /* and all of it has been synced */
  PKGCACHE_WAS_USED,
  PKGCACHE_WAS_LINKED,
};

/* Writes down what happened to the file open at @fd, whose stat was @st when it was seen to be
 * good. When it has changed since, or where attributes cannot be written, nothing is written, and
 * it will be read again. */
void pkgcache_record (int fd, const struct stat *st, enum pkgcache_event event);

/* When it was wanted last, in seconds since 1970; its mtime when nothing is known. */
int64_t pkgcache_last_use (int dir_fd, const char *name, const struct stat *st);

#endif
