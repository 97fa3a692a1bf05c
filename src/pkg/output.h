/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words and numbers in the output of package managers. For drivers. */
#ifndef VG_PKG_OUTPUT_H
#define VG_PKG_OUTPUT_H

#include "pkg/driver.h"

/* Does @line begin with one of the NULL-terminated @starts? */
bool pkg_starts_with_any (const char *line, const char *const *starts);

/* Is one of the NULL-terminated @parts anywhere in @line? */
bool pkg_has_any (const char *line, const char *const *parts);

bool pkg_ends_with (const char *line, const char *end);

/* A number of at most 18 digits; false for anything else. */
bool pkg_read_number (const char *text, size_t len, uint64_t *ret_number);

/* The next word of output in [*at, end), between blanks; false when there is none. */
bool pkg_output_word (const char **at, const char *end, const char **ret_word, size_t *ret_len);

/* Is the word @text? */
bool pkg_word_is (const char *word, size_t len, const char *text);

#endif
