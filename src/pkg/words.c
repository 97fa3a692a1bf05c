/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "words.h"
#include "pkg/driver.h"

static bool is_option (const char *word)
{
  return word[0] == '-' && word[1];
}

/* Is the word behind this option its argument? */
static bool takes_next (const char *word, const struct pkg_grammar *grammar)
{
  if (word[1] == '-')
    return pkg_in_list (word, grammar->long_arguments);
  const char *letter = word + 1 + strcspn (word + 1, grammar->short_arguments);
  return *letter && !letter[1];
}

int pkg_words_read (const struct names *args, const struct pkg_grammar *grammar,
                    void (*visit) (void *data, enum pkg_word kind, const char *text, size_t number),
                    void *data, struct err *err)
{
  bool options_end = false;

  for (size_t i = 0; i < args->count; i++) {
    const char *word = args->items[i];

    if (options_end || !is_option (word)) {
      visit (data, PKG_WORD_PLAIN, word, i);
      continue;
    }
    options_end = strcmp (word, "--") == 0;
    if (word[1] == '-' && !options_end)
      visit (data, PKG_WORD_LONG, word, i);
    for (const char *p = word + 1; word[1] != '-' && *p && !strchr (grammar->short_arguments, *p);
         p++)
      visit (data, PKG_WORD_LETTER, p, i);
    if (takes_next (word, grammar) && ++i == args->count)
      return err_code (err, ERR_USAGE, "%s's option %s needs an argument", grammar->program, word);
  }
  return 0;
}

/* "-Syu" without "y"; nothing of "-y". */
static void add_letters (const char *word, const struct pkg_grammar *grammar, char letter,
                         struct names *ret_args)
{
  size_t end = 1 + strcspn (word + 1, grammar->short_arguments), len = 1;
  autofree char *kept = xstrdup (word);

  for (size_t i = 1; i < end; i++)
    if (word[i] != letter)
      kept[len++] = word[i];
  memmove (kept + len, word + end, strlen (word + end) + 1);
  if (kept[1])
    names_add (ret_args, kept);
}

void pkg_words_copy_without (const struct names *args, const struct pkg_grammar *grammar,
                             char letter, const char *const *dropped, struct names *ret_args)
{
  bool options_end = false;

  for (size_t i = 0; i < args->count; i++) {
    const char *word = args->items[i];
    bool option = !options_end && is_option (word);

    options_end |= strcmp (word, "--") == 0;
    if (option && word[1] != '-')
      add_letters (word, grammar, letter, ret_args);
    else if (!option || !pkg_in_list (word, dropped))
      names_add (ret_args, word);
    if (option && takes_next (word, grammar) && i + 1 < args->count)
      names_add (ret_args, args->items[++i]);
  }
}
