/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files manual*.c share. */
#ifndef VG_UNIFY_MANUAL_INTERNAL_H
#define VG_UNIFY_MANUAL_INTERNAL_H

#include "store/identity.h"
#include "unify/manual.h"
#include "util/strbuf.h"

/* One of the paths. */
struct manual_top {
  const char *path; /* borrowed */
  int fd;           /* owned */
  int temp_fd;      /* owned; MANUAL_TEMP, locked; -1 when nothing is linked */
  dev_t dev;
  ino_t ino;
};

/* A directory in which there are candidates. */
struct manual_dir {
  size_t top;
  size_t path; /* where in names: below the top, "" for itself */
};

/* A name that may get an equal one. 40 bytes, and its name, for each. */
struct manual_file {
  uint64_t
      key; /* a hash of all that stat tells about equality: only equal keys can be equal files */
  uint64_t ino;
  uint64_t name;  /* where in names */
  uint32_t dir;   /* which of dirs */
  uint32_t flags; /* IDENTITY_ANY_MTIME */
  uint64_t size;
};

struct manual {
  const struct manual_options *options; /* borrowed */
  struct manual_report *report;         /* borrowed */
  struct manual_top *tops;              /* owned */
  size_t top_count;
  struct strbuf names;     /* owned: all names and paths, each with its NUL */
  struct manual_dir *dirs; /* owned */
  size_t dir_count, dir_size;
  struct manual_file *files; /* owned */
  size_t file_count, file_size;
  struct hasher *hasher; /* owned */
  uint32_t open_dir;     /* which of dirs open_fd is */
  int open_fd;           /* owned; -1 */
};

/* manual_scan.c */
/* Puts the candidates of all tops into files. */
int manual_scan (struct manual *manual, struct err *err);

/* manual.c */
/* Is the directory @st one of the tops? */
bool manual_is_top (const struct manual *manual, const struct stat *st);

/* The directory of @file: borrowed until the next call. -1 with errno. */
int manual_open_dir (struct manual *manual, const struct manual_file *file);

/* Counts the failure of @file, and empties @err. */
void manual_fail (struct manual *manual, const struct manual_file *file, struct err *err);

static inline const char *manual_name (const struct manual *manual, const struct manual_file *file)
{
  return manual->names.data + file->name;
}

/* manual_replace.c */
/* A file that is compared with others: its descriptor has a read lease where that is wanted. */
struct manual_held {
  int fd; /* owned; -1 */
  struct stat st;
};
void manual_held_release (struct manual_held *held);
#define automanualheld __attribute__ ((cleanup (manual_held_release)))

/* Opens @file and, with @lease, takes the lease. Returns 1; 0 when it is not what was found, or is
 * open for writing, which is counted; negative. */
int manual_hold (struct manual *manual, const struct manual_file *file, bool lease,
                 struct manual_held *ret_held, struct err *err);

/* Are both equal in all that a link shares? 1, 0 or negative; 0, counted, when one changed. */
int manual_compare (struct manual *manual, const struct manual_held *a, const struct manual_held *b,
                    unsigned flags, struct err *err);

/* Makes the name @file, which is one of the file @held, a link of @master. Returns 1, 0 when the
 * name was left as it was, which is counted, or negative; -EMLINK when the master is full. */
int manual_replace (struct manual *manual, const struct manual_held *master,
                    const struct manual_file *file, const struct manual_held *held,
                    struct err *err);

#endif
