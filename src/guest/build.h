/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making guests: the methods of `vguest NAMES build -m METHOD`. For now one, clone.
 *
 * The source is read once for up to 128 guests. Every guest is built in staging, all are made
 * durable by one syncfs, and each is renamed into place: a guest is there as a whole or not at all.
 * One that fails does not stop the others. */
#ifndef VG_GUEST_BUILD_H
#define VG_GUEST_BUILD_H

#include "guest/base.h"
#include "guest/identity.h"
#include "tree/thin.h"

/* What guests are cloned from; locked shared as long as it is open. */
struct build_source {
  char *label;          /* owned; "template:debian-12", "guest:web1" */
  struct lower layers;  /* a template has a whole tree alone. Owned when owner is a guest */
  const char *template; /* borrowed from owner; the template it goes back to; may be NULL */
  int64_t generation;
  json_object *config; /* borrowed; the source guest's, or what a template says; may be NULL */
  int guest_fd;        /* borrowed; where unify.policy may be: the guest's, or the generation's */
  void *owner;         /* owned */
  int base_lock_fd;    /* owned; of a thin guest: base.h. Else -1 */
  void (*close_owner) (void *owner);
};

/* Takes an empty one; a second call does nothing. */
void build_source_release (struct build_source *source);
#define autobuildsource __attribute__ ((cleanup (build_source_release)))

/* The guest @name as a source. A commit that was interrupted is finished first; a mounted guest is
 * refused (EBUSY). The source of a template is made by the template room. */
int build_source_guest (struct vroot *root, const char *name, struct build_source *ret_source,
                        struct err *err);

struct build_options {
  const struct clone_policy *policy;
  const char *hostname; /* NULL: made from the guest's name */
  bool force;           /* move a guest that exists aside */
  bool thin;            /* over the template's generation, or the base of a thin source: nothing
                           is walked, and the cost does not depend on the source's size */
};

struct build_result {
  struct err err; /* owned; code 0 when the guest was made */
  struct clone_counts counts;
  double seconds; /* the guest's part of the time that those made at once took */
  char *hostname; /* owned */
  char *aside;    /* owned; where the replaced guest is kept, or NULL */
};

void build_results_free (struct build_result *results, size_t count);

/* Checks the names of guests to be made, and their host names: ERR_USAGE, duplicates as well.
 * Nothing is changed. */
int build_check_names (const struct names *names, const struct build_options *options,
                       struct err *err);

/* Clones @source, which is released as soon as it is not needed any more, once for each name.
 * @results, one for each name, starts zeroed. Negative when nothing more could be done for any
 * guest, also when a signal arrived before the first was published; a guest's own failure is in
 * its result only. */
int build_clones (struct vroot *root, struct build_source *source, const struct names *names,
                  const struct build_options *options, struct build_result *results,
                  struct err *err);

#endif
