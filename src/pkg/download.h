/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cache of packages: every file once for all guests and runs.
 *
 *   cache/packages/                  0755, below the state root
 *     lock                           held shared by who uses the cache, exclusive by who prunes
 *     by-uri/                        what is fetched and has no strong digest yet
 *     ab/KIND-HEX                    a file, 0644, named by its digest (ab: the first two digits)
 *     ab/KIND-HEX.part               what is being fetched: see util/fetch.h
 *
 * A file lies there under a strong digest only, that it was seen to have: one that came with MD5 or
 * SHA-1, or with none, and was allowed to, is named by the SHA-256 that was computed on the way; so
 * it is fetched anew by the next run, which cannot know that name.
 *
 * A cached file is read again and compared with its name when it is used and something may have
 * happened to it since the last time: its size, mtime, ctime or inode is not what was written down
 * (in trusted.vguest.verified) after everything had been synced, or the last time is longer ago
 * than PKGCACHE_RECHECK_S, which is the answer to disks that rot. One that fails is removed and
 * fetched again. Making and removing links to it changes its ctime: pkgcache_link writes that down,
 * the end of a layer with such a link does not, and costs one reading. Changes within
 * PKGCACHE_SETTLE_MS of a check may go unseen: clocks of file systems are no finer.
 *
 * A guest never gets a writable path to it: hand out directories of links as read-only lower layers
 * only. URIs come out of guests: http, https and ftp only, and nothing of this host's files. */
#ifndef VG_PKG_DOWNLOAD_H
#define VG_PKG_DOWNLOAD_H

#include "guest/root.h"
#include "util/fetch.h"

enum { PKGCACHE_RECHECK_S = 7 * 24 * 3600, PKGCACHE_SETTLE_MS = 20 };

/* No package is larger. */
#define PKGCACHE_FILE_MAX (UINT64_C (16) << 30)

struct pkgcache;

/* Opens, and makes, the cache of @root, which stays. Waits while somebody prunes it (ERR_LOCKED
 * under root->no_wait). */
int pkgcache_open (struct vroot *root, struct pkgcache **ret_cache, struct err *err);
void pkgcache_close (struct pkgcache *cache);
static inline void cleanup_pkgcache (struct pkgcache **cache)
{
  if (*cache)
    pkgcache_close (*cache);
}
#define autopkgcache __attribute__ ((cleanup (cleanup_pkgcache)))

enum pkg_file_state {
  PKG_FILE_NONE,    /* not asked for yet */
  PKG_FILE_CACHED,  /* was there */
  PKG_FILE_FETCHED, /* came over the network, now */
  PKG_FILE_FAILED,  /* see error */
};

/* What is wanted; borrowed, but for what pkgcache_fetch fills in. */
struct pkgcache_file {
  const char *uri;            /* NULL: it can only be there already */
  const char *const *mirrors; /* more of them, NULL-terminated; may be NULL */
  const char *name;           /* what it is called; for messages and pkgcache_link's callers */
  uint64_t size;              /* FETCH_SIZE_UNKNOWN */
  const char *hash_kind;      /* "SHA256", …; NULL: none is known */
  const char *hash;           /* hex digits */

  enum pkg_file_state state;
  enum fetch_outcome outcome; /* when it failed; FETCH_NETWORK: another run may help */
  struct checksum digest;     /* under which it lies */
  char *error;                /* owned; why it failed: one line with the URI */
  uint64_t received;          /* bytes over the network; 0 for what shares another one's file */
};
void pkgcache_files_release (struct pkgcache_file *files, size_t count);

/* What may go in besides files with SHA-224 and better. */
enum pkgcache_trust { PKGCACHE_STRONG, PKGCACHE_WEAK, PKGCACHE_ANY };

struct pkgcache_options {
  enum pkgcache_trust trust;
  struct fetch_config fetch; /* its schemes are set by the cache */
  bool cached_only;          /* fetch nothing: what is not there fails */
};

struct pkgcache_report {
  size_t cached;     /* files that were there; equal files count once */
  size_t read_again; /* of them, in full */
  size_t damaged;    /* were there, and no longer what their names say: removed */
  size_t fetched;
  size_t failed;     /* entries of the list */
  uint64_t received; /* bytes over the network */
};

/* Sees to it that all files are in the cache. The failure of one is in its entry, and others go on;
 * entries with the same digest are one file, fetched from the URI that most of them name, or else
 * from the others; without a strong digest, those with the same URI and digest are. Negative for
 * what concerns all: ERR_INTERRUPTED, and errors of the cache itself. */
int pkgcache_fetch (struct pkgcache *cache, struct pkgcache_file *files, size_t count,
                    const struct pkgcache_options *options, struct pkgcache_report *ret_report,
                    struct err *err);

/* Makes a hard link to the cached file of @file, whose state is CACHED or FETCHED, at @name in
 * @dir_fd; a copy where the file has as many links as it can, or on another file system. A @name
 * that is there is EEXIST. ESTALE when the file is gone, or is not what it was. */
int pkgcache_link (struct pkgcache *cache, const struct pkgcache_file *file, int dir_fd,
                   const char *name, struct err *err);

/* Opens the cached file for reading. */
int pkgcache_open_file (struct pkgcache *cache, const struct pkgcache_file *file, int *ret_fd,
                        struct err *err);

struct pkgcache_pruned {
  size_t files;
  uint64_t bytes; /* by blocks; of files with other links nothing */
};

/* Removes files that no pkgcache_fetch wanted for @days days (0: all), and abandoned parts. Does
 * nothing and returns 0 when somebody uses the cache, else 1. @cache must be closed by then. */
int pkgcache_prune (struct vroot *root, unsigned days, bool dry_run,
                    struct pkgcache_pruned *ret_pruned, struct err *err);

#endif
