/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store: one inode, an object, per distinct file, named by its identity.
 *
 *   store/ab/<62 hex digits>-<slot>
 *   store/quarantine/   what was found damaged: store/quarantine.h
 *   store/contents      what fsck notes of objects: store/contents.h
 *
 * Every use of an object in a tree is a hard link. Invariants: an object's inode is never written,
 * chmod-ed, chowned or re-timed; in one tree two names are on one inode only when they are hard
 * links of one another there, so equal but unrelated files of one tree use slots 0, 1, 2, … of the
 * object, and a slot that is full (STORE_LINKS_MAX) opens the next one.
 *
 * A store is opened under the root lock, shared. An object without other links may be taken away by
 * a collector at any moment (gc.h): who finds it gone looks again, or publishes anew. */
#ifndef VG_STORE_STORE_H
#define VG_STORE_STORE_H

#include "store/identity.h"
#include "util/u64set.h"
#include <stdatomic.h>

enum { STORE_LINKS_MAX = 60000 }; /* ext4 stops at 65000 */

/* "verity" of vguest.conf: store/verity.h. */
enum verity_mode { VERITY_OFF, VERITY_AUTO, VERITY_REQUIRE };

/* Room for 62 digits, a dash, a number and NUL. */
#define SLOT_NAME_SIZE 80

/* The file name of an object below its fan-out directory. */
void slot_name (const struct digest *id, unsigned slot, char *name);

/* What the name of an object says; @fan is that of its directory. False for other names. */
bool slot_parse (const char *fan, const char *name, struct digest *ret_id, unsigned *ret_slot);

/* Is it the name of a fan-out directory? */
bool fan_is_name (const char *name);

struct store {
  int fd;                /* owned: store/ */
  struct hasher *hasher; /* owned; for one thread at a time */

  /* Several threads may call store_share, store_has, store_stat_slot, store_has_inode and
   * store_lock_inodes. */
  struct store_locks *locks; /* owned; for what follows, and for the tables of each struct share */
  int fan_fds[256];          /* owned; -1 until used: store/ab/ */
  struct u64set inodes;      /* owned: objects' inode numbers, once they were asked for */
  struct u64set hashed;      /* owned: those of them whose contents this process hashed, or compared
                                with what it hashed: no need to compare them again */
  struct u64set sizes;       /* owned: objects' sizes, once store_has_size was asked */
  bool inodes_loaded;
  bool sizes_loaded;

  enum verity_mode verity;    /* set by who opened it, before there are threads */
  atomic_bool verity_missing; /* a file was tried: the file system has none */

  /* What was found damaged and moved to quarantine in passing: how many, and who is told, in one
   * line; may be NULL. */
  uint64_t damaged;
  void (*on_damage) (const char *text);
};

/* Opens, or makes, the store in the directory @root_fd. @ret_store is the caller's. */
int store_open (int root_fd, struct store **ret_store, struct err *err);
void store_close (struct store *store);
static inline void cleanup_store (struct store **store)
{
  if (*store)
    store_close (*store);
}
#define autostore __attribute__ ((cleanup (cleanup_store)))

/* The stat of one slot. Returns 1, 0 when there is no such slot, negative on errors. */
int store_stat_slot (struct store *store, const struct digest *id, unsigned slot,
                     struct stat *ret_st, struct err *err);

/* Is there any slot of @id? Slot 0 can be missing while others are there; up to 8 missing slots in
 * a row are looked over. Returns 1, 0 or negative. */
int store_has (struct store *store, const struct digest *id, struct err *err);

/* Opens the first slot of @id that is there for reading; a regular file. Returns the fd, the
 * caller's, or negative. */
int store_open_object (struct store *store, const struct digest *id, struct err *err);

/* Makes the file @name of @dir_fd, which is in no tree and whose identity is @id, the object's slot
 * 0 by a link; 0 as well when that slot is there already. */
int store_publish (struct store *store, const struct digest *id, int dir_fd, const char *name,
                   struct err *err);

/* Is @ino the inode of an object, or of one in quarantine, which must not become one again? The
 * first call reads the directories of the store (no stat); what this process publishes is added.
 * Objects that others publish meanwhile may be missed, which costs only work. Returns 1, 0 or
 * negative. */
int store_has_inode (struct store *store, uint64_t ino, struct err *err);

/* Forgets what is known of inodes: others may have changed the store. Before there are threads. */
void store_forget (struct store *store);

/* The same for many: the set of inode numbers, which nobody changes until store_unlock_inodes.
 * NULL on errors. */
const struct u64set *store_lock_inodes (struct store *store, struct err *err);
void store_unlock_inodes (struct store *store);

/* Has any object the size @size? So that unique data is not even hashed. The first call stats the
 * objects. Returns 1, 0 or negative. */
int store_has_size (struct store *store, uint64_t size, struct err *err);

/* Calls @visit for each object, with the fan-out directory and the name there. A negative return
 * ends the walk and is passed on. */
int store_each (struct store *store,
                int (*visit) (void *data, int fan_fd, const char *name, uint64_t ino,
                              struct err *err),
                void *data, struct err *err);

/* What one tree needs to choose slots: the inodes it uses. Filled by the tree room's walk, or left
 * empty for a tree that is being made from nothing. */
struct share {
  struct store *store;   /* borrowed */
  struct u64set *inodes; /* borrowed: inode numbers in the tree; kept up to date */
  struct u64table
      next_slot; /* owned: digest_key -> the first slot worth trying, when that is far */
  int temp_fd;   /* borrowed: directory for temporary links, on the same file system,
                    swept when the guest is recovered */
};

void share_release (struct share *share);
#define autoshare __attribute__ ((cleanup (share_release)))

enum share_outcome {
  SHARE_PUBLISHED, /* the file's own inode became a new slot of the object */
  SHARE_LINKED,    /* the name is now a link to an object that was there */
  SHARE_ALREADY,   /* the file was an object already */
};

/* A file of the tree, which this process has hashed. */
struct share_file {
  int dir_fd;
  const char *name;
  const struct stat *st; /* NULL: it is asked for */
  const struct digest *id;
  unsigned flags;        /* of the identity */
  const char *keep_link; /* NULL, or a name in temp_fd: before the name is replaced, the object that
                            was chosen is linked there, so that what follows can be finished */
};

/* Makes the file share its inode with the object. Contents are compared with those of an object
 * that this process does not know to be equal by its own hashing. @ret_ino is the inode that the
 * name is on now. On errors the file is as it was. An object that proves not to be what its name
 * says is never linked to: it goes to quarantine, store->on_damage is told, and another one takes
 * its place. Errors: ESTALE when the file is not what @id says, and those of linkat and renameat.
 */
int store_share (struct share *share, const struct share_file *file,
                 enum share_outcome *ret_outcome, uint64_t *ret_ino, struct err *err);

/* Links one more name of a hard-link group to the inode that another name of it, @from of
 * @from_dir, is on. Replaces @name atomically. */
int store_join (struct share *share, int from_dir, const char *from, int dir_fd, const char *name,
                struct err *err);

/* Before the inode number in the name of a link in a clone's temporary directory: what stands for
 * that inode of the source in the clone. */
#define STORE_PARTNER "clone-"

/* Links the file @from of another tree as the new name @name of a tree that is being cloned, after
 * linkat itself said EMLINK: the inode is full, so an equal one is taken from a slot that is not,
 * or made. share->inodes must hold the inodes of the source. Hard-link partners in the source
 * become partners in the clone, by way of a link in share->temp_fd that is named by the source's
 * inode number: one temporary directory per clone. */
int store_clone_full (struct share *share, int from_dir, const char *from, int dir_fd,
                      const char *name, struct err *err);

#endif
