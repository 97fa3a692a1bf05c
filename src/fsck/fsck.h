/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking over a whole state root, and mending it: what vstore fsck does.
 *
 * A check takes the root lock shared and changes nothing but store/contents: commands go on beside
 * it, and guests that one of them holds are looked at for what they use and not judged. A repair
 * looks over the objects in the same way, then waits for the root lock, lets the guests that do not
 * run finish or undo what a killed command left, and looks at the rest again while it holds the
 * lock; what only reads goes on all the time. Every step can be repeated: a repair that was killed
 * is done again by the next one.
 *
 * Places are the generations of templates, guests, and guests that were put aside. One that runs or
 * is mounted is never changed, nor is a generation that a thin guest of that kind lies over. */
#ifndef VG_FSCK_FSCK_H
#define VG_FSCK_FSCK_H

#include "guest/guest.h"
#include "store/entriesmap.h"
#include "store/verify.h"

enum fsck_kind { FSCK_TEMPLATE, FSCK_GUEST, FSCK_ASIDE };

struct fsck_place {
  enum fsck_kind kind;
  char *name;          /* owned */
  unsigned generation; /* of a template */
  char *path;          /* owned; from the state root: "guests/web1" */
  const char *state;   /* "stopped", "running", "mounted", or "busy": somebody holds its lock */
  bool thin;           /* a guest whose tree lies over the generation of a template: */
  size_t base;         /* the index of that place */
  uint64_t names;      /* in its tree; no directories */
  uint64_t unshared;   /* of them: could be objects and are none */
  uint64_t unshared_bytes;
  uint64_t uses; /* of damaged objects */
};

/* A name that is on a damaged inode. */
struct fsck_use {
  size_t place;  /* index */
  char *layer;   /* owned: "tree", "history/3/undo/layer" */
  char *path;    /* owned: in the layer, "usr/bin/tool" */
  bool repaired; /* it has a good file now */
  bool waits;    /* a good one is at hand, but the guest is in use */
  char *package; /* owned: of the guest, which has the file; or NULL */
};

struct fsck_object {
  struct damage damage;
  bool earlier;          /* it was in quarantine when we came */
  bool cured;            /* is not damaged any more, or was none when looked at again */
  const char *source;    /* where a good one came from: "slot", "metadata", …; NULL: nowhere */
  uint64_t use_count;    /* also when the uses were not noted */
  struct fsck_use *uses; /* owned */
  size_t noted_uses;
};

enum fsck_class {
  FSCK_ALIEN,          /* store/ has something that is no object */
  FSCK_DOUBLE,         /* an object has two names */
  FSCK_FORM,           /* a tree has what only upper layers have */
  FSCK_PRIVATE_FORM,   /* a private layer has what fold does not understand, or should have done */
  FSCK_PRIVATE_SHARED, /* a private layer shares an inode with the store */
  FSCK_FILE,           /* a file of vguest's own cannot be read */
  FSCK_PART,           /* a part is missing */
  FSCK_LEFTOVER,       /* of a killed command */
  FSCK_STORE_LOST,     /* the store has nothing, and trees have */
  FSCK_LINKS_LOST,     /* most of what trees have is not in the store */
  FSCK_OWNERS,         /* most objects have another owner */
  FSCK_WIDESPREAD,     /* most objects are damaged */
  FSCK_MOVED,          /* the state root is elsewhere than at the last full check */
  FSCK_CLOCK,          /* something is from times to come */
  FSCK_VERITY,         /* objects have no fs-verity, and should */
  FSCK_MERGED,         /* names may be one inode that should not be */
  FSCK_NOTES,          /* store/contents could not be written */
  FSCK_UNREADABLE,     /* a place could not be read */
};

struct fsck_finding {
  enum fsck_class class;
  bool error;     /* else it is told and changes no exit status */
  bool corrected; /* by this repair */
  char *where;    /* owned */
  char *text;     /* owned: one line */
};

struct fsck_options {
  unsigned jobs; /* threads */
  bool quick;
  bool repair;
};

struct fsck {
  struct vroot *root; /* borrowed; opened for reading: the lock is taken here */
  struct fsck_options options;
  struct verify verify;        /* owned; its damages went to objects */
  struct fsck_object *objects; /* owned */
  size_t object_count;
  bool widespread; /* so many are damaged that uses are counted only, and nothing is repaired */
  struct fsck_place *places; /* owned */
  size_t place_count;
  struct fsck_finding *findings; /* owned */
  size_t finding_count;
  struct entries_map entries; /* owned */
};

/* "guest web1", "template small@2": the caller's. */
char *fsck_place_name (const struct fsck_place *place);

/* "alien", "double", …: in JSON. */
const char *fsck_class_name (enum fsck_class class);

/* "contents", "metadata", …: in JSON. */
const char *fsck_damage_name (enum damage_kind kind);

/* Does it all. @fsck, zero at first but for root and options, is the caller's to release, also
 * after an error. ERR_LOCKED under root->no_wait, ERR_INTERRUPTED. */
int fsck_run (struct fsck *fsck, struct err *err);
void fsck_release (struct fsck *fsck);
#define autofsck __attribute__ ((cleanup (fsck_release)))

/* Errors that were found, and those of them that are still there. A damaged object is one. */
uint64_t fsck_errors (const struct fsck *fsck);
uint64_t fsck_errors_left (const struct fsck *fsck);

/* Bits of the exit status, as of fsck(8). */
enum {
  FSCK_EXIT_CORRECTED = 1,
  FSCK_EXIT_LEFT = 4,
  FSCK_EXIT_OPERATION = 8,
  FSCK_EXIT_USAGE = 16,
  FSCK_EXIT_CANCELLED = 32,
};
int fsck_exit_status (const struct fsck *fsck);

#endif
