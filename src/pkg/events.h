/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a child process tells its parent while it works on a guest: lines on its standard output,
 * whose first byte says what they are.
 *
 *   l TEXT       a line of the package manager's output
 *   n TEXT       a remark of our own
 *   s N PHASE    the phase, and how far it is in percent; -1: not known
 *   r JSON       the result, once, at the end
 *
 * Texts have no control characters. */
#ifndef VG_PKG_EVENTS_H
#define VG_PKG_EVENTS_H

#include "util/json.h"
#include "util/strbuf.h"

enum { EVENT_MAX = 64 << 20 }; /* bytes of a line: the result of a large plan */

/* The child's side. Writing fails only when the parent is gone, which is seen elsewhere. */
void event_line (const char *text);
void event_note (const char *text);
void event_step (const char *phase, int percent);
void event_result (json_object *object);

/* The parent's side: bytes as they come, told line by line. */
struct events {
  struct strbuf line; /* owned */
  void (*on_line) (void *data, const char *text);
  void (*on_note) (void *data, const char *text);
  void (*on_step) (void *data, const char *phase, int percent);
  void *data;
  json_object *result; /* owned; NULL until it came */
};
#define EVENTS_INIT                                                                                \
  {                                                                                                \
    .line = STRBUF_INIT (EVENT_MAX)                                                                \
  }

void events_add (struct events *events, const char *bytes, size_t len);
void events_release (struct events *events);

#endif
