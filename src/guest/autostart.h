/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In which order guests are started and stopped: what a guest depends on comes before it; else
 * higher priorities come first, and names decide among equals. Nothing is opened or run here.
 *
 * A plan has a step for each wanted guest and for all that they depend on. For a start, a step may
 * begin when those it needs are done, and all steps of a higher rank have ended; steps of one rank
 * may go side by side. A stop goes through the same plan from its end: a step may begin when those
 * that need it, and all steps of a lower rank, have ended. */
#ifndef VG_GUEST_AUTOSTART_H
#define VG_GUEST_AUTOSTART_H

#include "guest/names.h"
#include <stdint.h>

struct autostart_guest {
  const char *name;            /* borrowed; no two are the same */
  bool wanted;                 /* for its own sake, not only because others depend on it */
  int64_t priority;            /* higher starts earlier */
  const struct names *depends; /* borrowed; may be NULL */
};

enum autostart_state { AUTOSTART_WAITING, AUTOSTART_BEGUN, AUTOSTART_DONE, AUTOSTART_FAILED };

struct autostart_step {
  size_t guest;  /* index into the guests */
  int64_t rank;  /* its priority, or that of the guest for which it is here */
  size_t *needs; /* owned; indices into the steps, all of them before this one */
  size_t need_count;
  char *problem; /* owned; why it cannot be started, or NULL: what it depends on is missing, or
                    depends on it */
  enum autostart_state state; /* kept by those who carry the plan out */
};

struct autostart_plan {
  struct autostart_step *steps; /* owned; ranks never rise */
  size_t count;
};

void autostart_plan_release (struct autostart_plan *plan);
#define autoautostartplan __attribute__ ((cleanup (autostart_plan_release)))

void autostart_plan_make (const struct autostart_guest *guests, size_t count,
                          struct autostart_plan *ret_plan);

/* A step that may begin now: true and its index, which the caller makes AUTOSTART_BEGUN. Steps
 * with a problem, and those that need a failed one, become AUTOSTART_FAILED here with a problem
 * that says so. False: all have ended or begun, or have to wait. */
bool autostart_next_start (struct autostart_plan *plan, const struct autostart_guest *guests,
                           size_t *ret_step);

/* The same for a stop, which problems and failures do not hinder. */
bool autostart_next_stop (const struct autostart_plan *plan, size_t *ret_step);

#endif
