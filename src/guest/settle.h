/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settling a guest: its private layer is folded into the tree and what is new there is unified.
 * Done after every run, before a transaction, and by vhashify. The caller holds the guest's lock
 * exclusively, and nothing is mounted. */
#ifndef VG_GUEST_SETTLE_H
#define VG_GUEST_SETTLE_H

#include "guest/guest.h"
#include "unify/unify.h"

/* Folds private (in place) and unifies what it put into the tree. Twins are looked for in the store
 * and in @wanted, which may be NULL. */
int guest_settle (struct vroot *root, struct guest *guest, const struct policy *policy,
                  struct twins *wanted, struct unify_report *report, struct err *err);

/* After a run: commits the layer of an accepted trial (transaction.h), settles the private layer
 * and removes the mark GUEST_RAN. Nothing to do without one.
 */
int guest_settle_run (struct vroot *root, struct guest *guest, struct unify_report *report,
                      struct err *err);

/* Carries a written journal out to its end: apply, unify, finish. Errors of single files are
 * counted in @report. */
int guest_finish_fold (struct vroot *root, struct guest *guest, const struct policy *policy,
                       struct unify_report *report, struct err *err);

/* Unifies the whole tree: everything in it that is not in the store yet. */
int guest_unify_tree (struct vroot *root, struct guest *guest, const struct policy *policy,
                      bool dry_run, struct unify_report *report, struct err *err);

/* Notes the identities of the files of @guest's private layer that could have a twin in another
 * private: first call for each guest with @sizes, which collects sizes and how many guests have
 * them; then guest_note_identities hashes the files whose size several guests have, and puts those
 * that are seen in two guests into @twins->wanted. */
struct private_sizes {
  struct u64table guests_by_size; /* owned: size -> number of guests */
};
void private_sizes_release (struct private_sizes *sizes);

int guest_note_sizes (struct guest *guest, const struct policy *policy, struct private_sizes *sizes,
                      struct err *err);

/* @seen: digest_key -> number (from 1) of the first guest that has it; @number is this guest's. */
int guest_note_identities (struct guest *guest, const struct policy *policy, uint64_t number,
                           const struct private_sizes *sizes, struct u64table *seen,
                           struct twins *twins, struct err *err);

#endif
