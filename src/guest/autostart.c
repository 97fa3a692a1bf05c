/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "autostart.h"
#include "util/strbuf.h"
#include <stdlib.h>
#include <string.h>

enum { UNSEEN, OPEN, CLOSED };

struct planner {
  const struct autostart_guest *guests; /* borrowed */
  size_t count;
  const struct autostart_guest **order;   /* owned; by priority and name */
  const struct autostart_guest **by_name; /* owned */
  unsigned char *seen;                    /* owned; of each guest */
  size_t *step_of;                        /* owned; of each guest that is CLOSED */
  char **problems;                        /* owned; of each guest */
  size_t *path;                           /* owned; the guests that are OPEN, outermost first */
  size_t depth;
  int64_t rank;
  struct autostart_plan *plan;
};

void autostart_plan_release (struct autostart_plan *plan)
{
  for (size_t i = 0; i < plan->count; i++) {
    free (plan->steps[i].needs);
    free (plan->steps[i].problem);
  }
  free (plan->steps);
  *plan = (struct autostart_plan){0};
}

static int compare_order (const void *a, const void *b)
{
  const struct autostart_guest *x = *(const struct autostart_guest *const *) a;
  const struct autostart_guest *y = *(const struct autostart_guest *const *) b;

  if (x->priority != y->priority)
    return x->priority > y->priority ? -1 : 1;
  return strcmp (x->name, y->name);
}

static int compare_names (const void *a, const void *b)
{
  const struct autostart_guest *x = *(const struct autostart_guest *const *) a;
  const struct autostart_guest *y = *(const struct autostart_guest *const *) b;

  return strcmp (x->name, y->name);
}

static const struct autostart_guest *find (const struct planner *p, const char *name)
{
  const struct autostart_guest key = {.name = name}, *key_at = &key;
  const struct autostart_guest **found =
      bsearch (&key_at, p->by_name, p->count, sizeof (struct autostart_guest *), compare_names);

  return found ? *found : NULL;
}

static void set_problem (struct planner *p, size_t guest, char *problem)
{
  if (p->problems[guest])
    free (problem); /* the first one is told */
  else
    p->problems[guest] = problem;
}

/* @guest is on the path: all from it on depend on one another. */
static void note_cycle (struct planner *p, size_t guest)
{
  autostrbuf struct strbuf text = STRBUF_INIT (64 << 10);
  size_t from = p->depth;

  while (p->path[from - 1] != guest)
    from--;
  for (size_t i = from - 1; i < p->depth; i++)
    strbuf_addf (&text, "%s -> ", p->guests[p->path[i]].name);
  strbuf_adds (&text, p->guests[guest].name);
  for (size_t i = from - 1; i < p->depth; i++)
    set_problem (p, p->path[i], xasprintf ("it depends on itself: %s", strbuf_str (&text)));
}

static void visit (struct planner *p, size_t guest);

static void visit_depends (struct planner *p, size_t guest, struct autostart_step *step)
{
  const struct names *depends = p->guests[guest].depends;
  size_t count = 0;

  if (!depends || !depends->count)
    return;
  autofree const struct autostart_guest **sorted = xcalloc (depends->count, sizeof *sorted);
  for (size_t i = 0; i < depends->count; i++) {
    const struct autostart_guest *other = find (p, depends->items[i]);

    if (other)
      sorted[count++] = other;
    else
      set_problem (
          p, guest,
          xasprintf ("it depends on \"%s\", and there is no such guest", depends->items[i]));
  }
  qsort (sorted, count, sizeof (struct autostart_guest *), compare_order);
  step->needs = xcalloc (depends->count, sizeof *step->needs);
  for (size_t i = 0; i < count; i++) {
    size_t other = (size_t) (sorted[i] - p->guests);

    if (i > 0 && sorted[i] == sorted[i - 1])
      continue;
    if (p->seen[other] == UNSEEN)
      visit (p, other);
    if (p->seen[other] == OPEN) {
      note_cycle (p, other);
      continue;
    }
    step->needs[step->need_count++] = p->step_of[other];
  }
}

/* Depth first: when a guest's step is added, those it needs are there. */
static void visit (struct planner *p, size_t guest)
{
  struct autostart_step step = {.guest = guest, .rank = p->rank};

  p->seen[guest] = OPEN;
  p->path[p->depth++] = guest;
  visit_depends (p, guest, &step);
  p->depth--;
  p->seen[guest] = CLOSED;
  p->step_of[guest] = p->plan->count;
  p->plan->steps[p->plan->count++] = step;
}

void autostart_plan_make (const struct autostart_guest *guests, size_t count,
                          struct autostart_plan *ret_plan)
{
  autofree const struct autostart_guest **order = xcalloc (count + 1, sizeof *order);
  autofree const struct autostart_guest **by_name = xcalloc (count + 1, sizeof *by_name);
  autofree unsigned char *seen = xcalloc (count + 1, 1);
  autofree size_t *step_of = xcalloc (count + 1, sizeof *step_of);
  autofree size_t *path = xcalloc (count + 1, sizeof *path);
  autofree char **problems = xcalloc (count + 1, sizeof *problems);
  struct autostart_plan plan = {.steps = xcalloc (count + 1, sizeof *plan.steps)};
  struct planner p = {
      .guests = guests,
      .count = count,
      .order = order,
      .by_name = by_name,
      .seen = seen,
      .step_of = step_of,
      .problems = problems,
      .path = path,
      .plan = &plan,
  };

  for (size_t i = 0; i < count; i++)
    order[i] = by_name[i] = &guests[i];
  qsort (order, count, sizeof (struct autostart_guest *), compare_order);
  qsort (by_name, count, sizeof (struct autostart_guest *), compare_names);
  for (size_t i = 0; i < count; i++) {
    size_t guest = (size_t) (order[i] - guests);

    p.rank = order[i]->priority;
    if (order[i]->wanted && seen[guest] == UNSEEN)
      visit (&p, guest);
  }
  for (size_t i = 0; i < plan.count; i++)
    plan.steps[i].problem = problems[plan.steps[i].guest];
  *ret_plan = plan;
}

static bool ended (const struct autostart_step *step)
{
  return step->state == AUTOSTART_DONE || step->state == AUTOSTART_FAILED;
}

/* Becomes failed when it can never begin. True when all that it needs is done. */
static bool needs_met (struct autostart_plan *plan, const struct autostart_guest *guests,
                       struct autostart_step *step)
{
  bool met = true;

  if (step->problem)
    step->state = AUTOSTART_FAILED;
  for (size_t i = 0; i < step->need_count && !ended (step); i++) {
    const struct autostart_step *need = &plan->steps[step->needs[i]];

    if (need->state == AUTOSTART_FAILED) {
      step->problem =
          xasprintf ("it depends on %s, which was not started", guests[need->guest].name);
      step->state = AUTOSTART_FAILED;
    }
    met &= need->state == AUTOSTART_DONE;
  }
  return met && !ended (step);
}

bool autostart_next_start (struct autostart_plan *plan, const struct autostart_guest *guests,
                           size_t *ret_step)
{
  bool open = false; /* a step before this one has not ended */

  for (size_t i = 0; i < plan->count; i++) {
    struct autostart_step *step = &plan->steps[i];

    if (open && step->rank != plan->steps[i - 1].rank)
      return false;
    if (step->state == AUTOSTART_WAITING && needs_met (plan, guests, step)) {
      *ret_step = i;
      return true;
    }
    open |= !ended (step);
  }
  return false;
}

/* Is a step behind @at that needs it still there? */
static bool needed (const struct autostart_plan *plan, size_t at)
{
  for (size_t i = at + 1; i < plan->count; i++)
    for (size_t k = 0; k < plan->steps[i].need_count; k++)
      if (plan->steps[i].needs[k] == at && !ended (&plan->steps[i]))
        return true;
  return false;
}

bool autostart_next_stop (const struct autostart_plan *plan, size_t *ret_step)
{
  bool open = false;

  for (size_t i = plan->count; i-- > 0;) {
    const struct autostart_step *step = &plan->steps[i];

    if (open && step->rank != plan->steps[i + 1].rank)
      return false;
    if (step->state == AUTOSTART_WAITING && !needed (plan, i)) {
      *ret_step = i;
      return true;
    }
    open |= !ended (step);
  }
  return false;
}
