/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines of package managers, as getopt_long(3) reads them. */
#ifndef VG_PKG_WORDS_H
#define VG_PKG_WORDS_H

#include "guest/names.h"

/* Which options have an argument. */
struct pkg_grammar {
  const char *program;               /* for messages */
  const char *short_arguments;       /* "br": the rest of the word, or the next word */
  const char *const *long_arguments; /* "--root": the next word; NULL-terminated */
};

enum pkg_word { PKG_WORD_LETTER, PKG_WORD_LONG, PKG_WORD_PLAIN };

/* Calls @visit for each letter of short options ("-Syu" has three; @text begins with it), each long
 * one ("--root=/x" as it is), and each other word but "--", in this order, with the number of the
 * word. Arguments of options are left out. ERR_USAGE where one is missing. */
int pkg_words_read (const struct names *args, const struct pkg_grammar *grammar,
                    void (*visit) (void *data, enum pkg_word kind, const char *text, size_t number),
                    void *data, struct err *err);

/* Adds @args to @ret_args without the short option @letter and the long ones of @dropped. */
void pkg_words_copy_without (const struct names *args, const struct pkg_grammar *grammar,
                             char letter, const char *const *dropped, struct names *ret_args);

#endif
