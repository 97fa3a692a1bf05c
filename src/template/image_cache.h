/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cache of images: layers, configs, manifests and indexes by their digest, for all templates.
 *
 *   cache/images/             0700, below the state root
 *     lock                    held shared by who uses the cache, exclusive by who prunes
 *     ab/KIND-HEX             a blob, 0600 (ab: the first two digits)
 *     ab/KIND-HEX.part        what is being fetched: see util/fetch.h
 *
 * Nothing is believed because it lies here: a blob is verified whenever it is read. Its mtime is
 * when it was wanted last. */
#ifndef VG_TEMPLATE_IMAGE_CACHE_H
#define VG_TEMPLATE_IMAGE_CACHE_H

#include "guest/root.h"
#include "template/image_document.h"

enum { IMAGE_CACHE_SHARDS = 256 };

struct image_cache {
  int fd;                         /* owned */
  int lock_fd;                    /* owned */
  int shards[IMAGE_CACHE_SHARDS]; /* owned; -1 until they are needed */
};

/* Opens, and makes, the cache of @root. Waits while somebody prunes it (ERR_LOCKED under
 * root->no_wait). */
int image_cache_open (struct vroot *root, struct image_cache *ret_cache, struct err *err);
void image_cache_close (struct image_cache *cache);
#define autoimagecache __attribute__ ((cleanup (image_cache_close)))
#define IMAGE_CACHE_INIT                                                                           \
  {                                                                                                \
    .fd = -1, .lock_fd = -1                                                                        \
  }

/* The directory, borrowed, and the name of the blob with that digest. */
int image_cache_place (struct image_cache *cache, const struct checksum *digest, int *ret_dir_fd,
                       char name[static CHECKSUM_TEXT_SIZE], struct err *err);

/* Opens a blob for reading, and notes that it was wanted: the caller's. -1 with errno ENOENT, and 0
 * in @err->code, when it is not there. */
int image_cache_blob (struct image_cache *cache, const struct checksum *digest, struct err *err);

/* A document that is there and verifies: 1 and the text, the caller's, NUL-terminated; else 0. */
int image_cache_get (struct image_cache *cache, const struct checksum *digest, char **ret_text,
                     size_t *ret_len, struct err *err);

/* Puts a document there. */
int image_cache_put (struct image_cache *cache, const struct checksum *digest, const char *text,
                     size_t len, struct err *err);

struct image_cache_pruned {
  size_t files;
  uint64_t bytes; /* by blocks */
};

/* Removes what nobody wanted for @days days (0: all), parts included. Does nothing and returns 0
 * when somebody uses the cache, else 1. */
int image_cache_prune (struct vroot *root, unsigned days, bool dry_run,
                       struct image_cache_pruned *ret_pruned, struct err *err);

#endif
