/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One line of progress on a terminal, redrawn at most ten times a second; silent elsewhere, and
 * whenever a bulk command told it to be. The only room below cmd/ that writes to a terminal. */
#ifndef VG_UTIL_PROGRESS_H
#define VG_UTIL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Switches all progress off (--quiet, --json) or back on. */
void progress_enable (bool enabled);

/* Shows "@what: @done of @total @unit"; @total 0 when it is not known. Cheap to call often. */
void progress_show (const char *what, uint64_t done, uint64_t total, const char *unit);

/* Shows one line of text in place of it, without control characters and cut to the terminal's
 * width. */
void progress_line (const char *text);

/* Removes the line, before something else is printed. */
void progress_clear (void);

#endif
