/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that are equal in contents alone share them: one stays a whole file, and the others become
 * entries (util/metaentry.h, store/entries.h) with metadata of their own.
 *
 * Both ways take the root lock exclusively. A file may become an entry where it is a regular one
 * below what the policy says is eager, not in /etc and /var, without hard-link partners in its
 * tree, an object, and in no other place than the trees that this run looks at: else nothing would
 * be freed. So templates, undo layers and guests that run keep whole files, whose contents the
 * entries share; but a template that is made of a guest is links to its files, entries as well.
 *
 * Entries are made first, and durable before the first name leads to them. Stopped at any point,
 * what was made and is not used is collected, and names are finished by recovery (fsck/change.h).
 */
#ifndef VG_ENTRIES_ENTRIES_H
#define VG_ENTRIES_ENTRIES_H

#include "guest/root.h"
#include "guest/names.h"

struct entries_report {
  uint64_t read;    /* bytes of files, to be hashed */
  uint64_t objects; /* that became entries, or would; of the way back, entries made whole */
  uint64_t bytes;   /* freed, by blocks; of the way back, the sizes of whole files that were made */
  uint64_t names;   /* guests and templates whose names were changed */
  uint64_t skipped; /* places that are in use */
  uint64_t failed;  /* objects and places that were left as they were because of an error */
  char *first_error; /* owned; of failed and skipped ones, or NULL */
};

void entries_report_release (struct entries_report *report);
#define autoentriesreport __attribute__ ((cleanup (entries_report_release)))

/* Makes entries in the guests @names, as far as they do not run. EOPNOTSUPP, before anything is
 * done, where the kernel or the file system cannot show them. The root was opened for reading. */
int entries_share (struct vroot *root, const struct names *names, bool dry_run,
                   struct entries_report *report, struct err *err);

/* Makes whole files of all entries of the root: in templates, guests and undo layers that are not
 * in use. ERR_NO_SPACE. The root was opened for reading. */
int entries_whole (struct vroot *root, struct entries_report *report, struct err *err);

#endif
