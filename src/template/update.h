/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Newer generations of templates: whether there is something newer at the source, and making it. */
#ifndef VG_TEMPLATE_UPDATE_H
#define VG_TEMPLATE_UPDATE_H

#include "template/generation.h"
#include "template/import.h"

struct update_options {
  bool check;                          /* only tell whether there is something newer */
  bool force;                          /* fetch also what is no newer */
  int64_t age;                         /* seconds: nothing younger is updated; -1: any */
  const char *definition;              /* a file: the template is made by it from now on; or NULL */
  const struct import_options *import; /* may be NULL; "after" is not looked at */

  /* Instead of asking the source, makes the next generation from the newest one: returns 1, or 0
   * when nothing would change. NULL: the source is asked. */
  int (*upgrade) (struct vroot *root, const char *name, struct writer_report *ret_report,
                  struct err *err);
};

enum update_outcome {
  UPDATE_CURRENT, /* nothing newer */
  UPDATE_NEWER,   /* with check: there is something newer, or nobody can tell without fetching */
  UPDATE_DONE,    /* it is the newest generation now */
  UPDATE_YOUNG,   /* younger than options.age */
};

struct update_result {
  enum update_outcome outcome;
  unsigned generation;        /* the newest, when all is done */
  char *what;                 /* owned; what the source has, for people; or NULL */
  struct generations removed; /* owned; older ones that had no guests */
};
void update_result_release (struct update_result *result);
#define autoupdateresult __attribute__ ((cleanup (update_result_release)))

/* Updates the template @name. Its source is what template.json says; a source that cannot tell
 * whether it has something newer is fetched. Both results, which start zeroed, are the caller's. */
int template_update (struct vroot *root, const char *name, const struct update_options *options,
                     struct update_result *ret_result, struct writer_report *ret_report,
                     struct err *err);

#endif
