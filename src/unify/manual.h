/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unifying once what vguest does not manage: equal files of any trees become hard links of one
 * another, or share blocks.
 *
 * A hard link is safe for a file that nobody writes in place. So only regular files are linked that
 * the policy has as the package manager's (eager), which replaces them by rename, each path taken
 * as the root of a guest; not below /etc and /var; none with set-id bits or capabilities; and none
 * that somebody has open, or mapped, for writing: a read lease (fcntl(2), F_SETLEASE) is held on
 * both files from before they are compared, byte by byte and in all that a link shares, until the
 * name is replaced. A name is exchanged with its new link; when what comes out is not the file that
 * was compared, or a writer came meanwhile, it is exchanged back.
 *
 * Sharing blocks is safe for every file, as the kernel compares and keeps inodes apart, and needs
 * equal contents only. */
#ifndef VG_UNIFY_MANUAL_H
#define VG_UNIFY_MANUAL_H

#include "unify/policy.h"
#include <stdint.h>

/* While a tree is worked on its top has this directory, 0700. */
#define MANUAL_TEMP ".vguest-unify"

/* A bit of verdicts beside those of fold.h: this path, and all below, is left alone. */
enum { MANUAL_EXCLUDED = 1 << 8 };

struct manual_options {
  const char *const *paths;    /* directories */
  size_t path_count;           /* at least 1 */
  const struct policy *policy; /* with more rules that give MANUAL_EXCLUDED */
  bool reflink;                /* share blocks and make no links */
  bool dry_run;                /* only count what would be */
};

struct manual_report {
  uint64_t files;        /* regular files that are not empty */
  uint64_t excluded;     /* of these, left alone as a rule says so */
  uint64_t unsafe;       /* or as a hard link is not safe for them */
  uint64_t bytes;        /* read */
  uint64_t shared;       /* names that became links of an equal file; or files that share blocks */
  uint64_t shared_bytes; /* disk space given back by it, by blocks; or bytes that share blocks */
  uint64_t busy;         /* files left as somebody has them open for writing */
  uint64_t changed;      /* files left as they changed meanwhile */
  uint64_t failed;       /* files left because of an error */
  char *first_error;     /* owned; the text of the first of those, with the path; or NULL */
};

void manual_report_release (struct manual_report *report);
#define automanualreport __attribute__ ((cleanup (manual_report_release)))

/* Adds the rules about what is no package's: /etc and /var. */
int manual_add_rules (struct policy *policy, struct err *err);

/* Unifies the trees. Files that fail are counted and do not end the run. SIGIO is ignored from here
 * on, as broken leases would send it. Negative when a path cannot be worked on: ENOTDIR, EBUSY when
 * another run is at it, EEXIST when an earlier one was killed and has left something in MANUAL_TEMP
 * that may be needed, EOPNOTSUPP where the file system has no reflinks. */
int manual_unify (const struct manual_options *options, struct manual_report *report,
                  struct err *err);

#endif
