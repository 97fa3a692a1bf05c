/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model of a host with a few guests, for tests that try to make fold and unify lose something.
 *
 * Random trees are made, a real overlay is mounted over them, random operations are done in it, and
 * what the guest sees is recorded before and after fold and unify. Everything follows from a seed.
 * The model keeps its own copies of simple things (cloning, copying a root) on purpose: it must not
 * agree with the program for the reason that both are wrong in the same way. */
#ifndef VG_TESTS_MODEL_H
#define VG_TESTS_MODEL_H

#include "lib/layers.h"
#include "lib/manifest.h"
#include "store/store.h"
#include "tree/fold.h"
#include "unify/policy.h"

/* Random numbers. */
struct rng {
  uint64_t state;
  bool raw; /* what is made goes to a layer itself and not through a mount: see change_xattrs */
};

uint64_t rng_next (struct rng *rng);
/* 0 … @below - 1 */
unsigned rng_below (struct rng *rng, unsigned below);
/* True @percent times of a hundred. */
bool rng_chance (struct rng *rng, unsigned percent);

/* Making things. Errors of the file system end up as false with errno; some are expected. */

/* A name, with frequent collisions and any bytes, into @name[256]. */
void make_name (struct rng *rng, char *name);
/* One of a few files that are equal wherever they are made, metadata included, like packages'. */
bool make_package_file (struct rng *rng, int dir_fd, const char *name);
/* A new file, with any contents and metadata. */
bool make_file (struct rng *rng, int dir_fd, const char *name);
bool make_symlink (struct rng *rng, int dir_fd, const char *name);
bool make_special (struct rng *rng, int dir_fd, const char *name);
/* Random changes of metadata. */
bool change_mode (struct rng *rng, int dir_fd, const char *name);
bool change_owner (struct rng *rng, int dir_fd, const char *name);
bool change_xattrs (struct rng *rng, int dir_fd, const char *name);
bool change_times (struct rng *rng, int dir_fd, const char *name);
void fill (struct rng *rng, char *data, size_t len);

/* Fills the directory with about @entries random things, to @depth levels. With @like, which may
 * be -1, a directory, paths often repeat those of it. */
void grow_tree (struct rng *rng, int dir_fd, int like_fd, unsigned entries, unsigned depth);

/* One random operation below the mounted root. Returns its name. */
const char *random_operation (struct rng *rng, int root_fd);

/* Copies everything below @from into the empty directory @to: inodes, links among all of it,
 * attributes of every kind. */
int copy_all (int from_fd, int to_fd, struct err *err);

/* Copies one file, which is no directory, into another directory. */
int copy_one (int from_fd, const char *name, int to_fd, const struct stat *st, struct err *err);

/* Copies the metadata of the directory @from_fd itself. */
int copy_top (int from_fd, int to_fd, struct err *err);

/* Links everything below @from into the empty directory @to, as a clone. */
int link_all (int from_fd, int to_fd, struct err *err);

/* A state root with guests g0, g1, …, without the program's own way of making one. */
enum { GUESTS = 3 };

struct world {
  char *path; /* owned */
  int fd;
  struct store *store;
  int staging;
  int guests[GUESTS]; /* guests/gN */
  struct policy policy;
};

/* Can this be done here: as root, with overlayfs below $TMPDIR or /var/tmp? Says why not. */
bool world_possible (void);

/* Makes the directory below $TMPDIR or /var/tmp. @ret_world is empty inside. */
int world_make (struct world *ret_world, struct err *err);
/* The world at @path, which copy_all made. */
int world_open (const char *path, struct world *ret_world, struct err *err);
/* The store as another process sees it. */
int world_reopen_store (struct world *world, struct err *err);
/* Closes, and with @remove removes, it. */
void world_release (struct world *world, bool remove);
/* A random policy; with @drops it may have drop rules. */
int world_policy (struct rng *rng, struct world *world, bool drops, struct err *err);
/* Unifies the whole tree of a guest, as vhashify. */
int world_unify (struct world *world, int guest, struct err *err);
/* A tree and clones of it, private layers for all. @publish: the tree is unified before, and some
 * or all clones may be thin. */
int world_grow (struct rng *rng, struct world *world, unsigned entries, bool publish,
                struct err *err);

/* The directory that guests are mounted on, opened in the mount: the caller closes it and calls
 * world_unmount. @commit: with txn/upper, which is made when it is missing; else private is the
 * upper. */
int world_mount (struct world *world, int guest, bool commit, int *ret_fd, struct err *err);
int world_unmount (struct world *world, struct err *err);
/* What the guest sees, by such a mount. @commit as above; a txn/ that this call made goes again. */
int world_view (struct world *world, int guest, bool commit, struct manifest *ret_manifest,
                struct err *err);
/* The raw layer guests/gN/NAME. */
int world_layer (struct world *world, int guest, const char *name, struct manifest *ret_manifest,
                 struct err *err);

/* Which files have a twin. */
enum twin_mode { TWIN_NONE, TWIN_ALL, TWIN_SOME, TWIN_MODES };

struct twin_choice {
  enum twin_mode mode;
  uint64_t salt;
};

fold_twin_fn twin_choose;

/* What the policy of the world @data says of @path: may its mtime differ? is it to be dropped? */
manifest_path_fn world_any_mtime;
manifest_path_fn world_drops;

/* Checks of a guest after a fold. Each complains on stdout and returns the number of complaints. */
size_t world_check_layers (struct world *world, int guest, bool origin_allowed);
size_t world_check_policy (struct world *world, int guest, const struct manifest *tree_before,
                           const struct manifest *private_before, bool commit);
/* Is the guest thin? */
bool world_thin (struct world *world, int guest);
/* Makes it a full one. */
int world_thicken (struct world *world, int guest, struct err *err);
/* What thin guests lie over, as it lies there; nothing in a world without one. */
int world_base (struct world *world, struct manifest *ret_manifest, struct err *err);

/* check-root's checks. */
size_t world_check_root (struct world *world);
/* Objects in @before that are gone or changed. */
size_t world_check_objects (struct world *world, const struct manifest *before);

#endif
