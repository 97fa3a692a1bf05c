/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The output of many that run at the same time, written as if they had run one after another.
 *
 * What the first one that has not ended writes goes out at once; that of the others is held until
 * it is their turn: the first OUTPUTS_HELD bytes of each in memory, all of it in a temporary file
 * without a name when there is more. stdout stays stdout and stderr stderr. */
#ifndef VG_UTIL_OUTPUTS_H
#define VG_UTIL_OUTPUTS_H

#include "strbuf.h"

enum { OUTPUTS_HELD = 64 << 10, OUTPUTS_LINE_MAX = 64 << 10 };

enum outputs_mode {
  OUTPUTS_LINES, /* complete lines, each with the label before it */
  OUTPUTS_RAW,   /* bytes as they are */
  OUTPUTS_KEEP,  /* nothing is written: outputs_read */
  OUTPUTS_DROP,
};

struct outputs;

/* @labels, which are borrowed, are aligned to the longest. */
struct outputs *outputs_new (enum outputs_mode mode, const char *const *labels, size_t count);
void outputs_free (struct outputs *outputs);
static inline void cleanup_outputs (struct outputs **outputs)
{
  if (*outputs)
    outputs_free (*outputs);
}
#define autooutputs __attribute__ ((cleanup (cleanup_outputs)))

/* @stream: 1 stdout, 2 stderr. ENOSPC and others of the temporary file; EPIPE and others of
 * stdout. */
int outputs_add (struct outputs *outputs, size_t index, int stream, const char *bytes, size_t len,
                 struct err *err);

/* @index has ended: its last line is ended, and those behind it have their turn. */
int outputs_end (struct outputs *outputs, size_t index, struct err *err);

/* OUTPUTS_KEEP: appends what @index wrote to @stream to @text, as much as it takes; sets
 * @text->failed when that is not all. */
int outputs_read (const struct outputs *outputs, size_t index, int stream, struct strbuf *text,
                  struct err *err);

/* OUTPUTS_KEEP: writes it out, both streams in the order in which it came. */
int outputs_write (const struct outputs *outputs, size_t index, struct err *err);

/* OUTPUTS_KEEP: 1 when both wrote the same, byte for byte, on each stream; else 0; or negative. */
int outputs_equal (const struct outputs *outputs, size_t a, size_t b, struct err *err);

#endif
