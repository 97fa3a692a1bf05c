/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* store/contents: what a full check found the objects to be, so that a quick one need not read
 * them.
 *
 * An object's name is the hash of its metadata and of the hash of its contents. Who knows the
 * latter can tell from the metadata alone whether they are those of the name. So a note cannot be
 * stale: it holds for its name, whatever inode has that name and on whatever file system, and one
 * that is wrong makes no damaged object look right. It tells as well what metadata were, where they
 * are not any more. What has no note was published since.
 *
 * The file: "vguest-contents 1\n", padded with NUL to 32 bytes; when it was written (seconds), the
 * inode number of store/ then; 256 times, for each fan-out directory, offset and number of its
 * notes, and their SHA-256; then the notes. A note has 80 bytes: the first eight of the name's
 * digest, the slot, the digest of the contents, size, mtime (s, ns), mode, uid, gid. All integers
 * are little-endian. A part whose checksum does not fit is as if it was not there. */
#ifndef VG_STORE_CONTENTS_H
#define VG_STORE_CONTENTS_H

#include "store/store.h"
#include <time.h>

#define CONTENTS_NAME "contents"
enum { CONTENTS_NOTE_SIZE = 80 };

struct contents_note {
  uint64_t key; /* digest_key of the object's digest */
  unsigned slot;
  struct digest contents;
  uint64_t size;
  struct timespec mtime;
  mode_t mode;
  uid_t uid;
  gid_t gid;
};

/* Of one fan-out directory. */
struct contents_notes {
  struct contents_note *items; /* owned */
  size_t count;
  struct u64table index; /* owned; of a key mixed with the slot -> index into items, + 1 */
};

void contents_notes_release (struct contents_notes *notes);
#define autocontentsnotes __attribute__ ((cleanup (contents_notes_release)))

void contents_notes_add (struct contents_notes *notes, const struct contents_note *note);

/* The note on an object, or NULL. Borrowed. */
const struct contents_note *contents_find (const struct contents_notes *notes,
                                           const struct digest *id, unsigned slot);

/* Notes from @len bytes; false when they cannot be such. */
bool contents_notes_parse (const void *data, size_t len, struct contents_notes *ret_notes);

/* The file, open for reading. */
struct contents {
  int fd; /* owned; -1: there is none that can be used */
  time_t time;
  uint64_t place; /* the inode number of store/ when it was written */
  struct {
    uint64_t offset;
    uint64_t count;
    struct digest sum;
  } parts[256];
};

/* A file that is missing, or not one, gives no error and no notes. */
int contents_open (struct store *store, struct contents *ret_contents, struct err *err);
void contents_close (struct contents *contents);
#define autocontents __attribute__ ((cleanup (contents_close)))

/* The notes of the fan-out directory @fan; none where the part is damaged. Can be called by several
 * threads, each with its own @hasher. */
int contents_load (const struct contents *contents, struct hasher *hasher, unsigned fan,
                   struct contents_notes *ret_notes, struct err *err);

/* Writing a new one, which takes the place of the old when it is whole. */
struct contents_writer {
  struct store *store; /* borrowed */
  int fd;              /* owned */
  char temp[24];       /* its name in store/, until it is finished */
  uint64_t end;
  struct contents contents; /* fd unused */
};

int contents_writer_start (struct store *store, struct contents_writer *ret_writer,
                           struct err *err);

/* Adds the notes of one fan-out directory. Calls must not overlap. */
int contents_writer_add (struct contents_writer *writer, struct hasher *hasher, unsigned fan,
                         const struct contents_notes *notes, struct err *err);

int contents_writer_finish (struct contents_writer *writer, struct err *err);

/* Throws away what is not finished. */
void contents_writer_release (struct contents_writer *writer);
#define autocontentswriter __attribute__ ((cleanup (contents_writer_release)))

#endif
