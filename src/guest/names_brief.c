/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many names in few words: the inverse of names_expand. */
#include "names.h"
#include "util/strbuf.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 9 }; /* what names_expand takes */

/* A name as "web" and 31; without a number at its end digits is 0. */
struct numbered {
  const char *name; /* borrowed */
  size_t stem;      /* length of what is before the number */
  size_t digits;
  unsigned long number;
};

static struct numbered take_apart (const char *name)
{
  size_t len = strlen (name), stem = len;

  while (stem > 0 && len - stem < DIGITS_MAX && isdigit ((unsigned char) name[stem - 1]))
    stem--;
  return (struct numbered){
      .name = name,
      .stem = stem,
      .digits = len - stem,
      .number = stem < len ? strtoul (name + stem, NULL, 10) : 0,
  };
}

static int compare (const void *a, const void *b)
{
  const struct numbered *x = a, *y = b;
  size_t stem = x->stem < y->stem ? x->stem : y->stem;
  int order = memcmp (x->name, y->name, stem);

  if (order == 0)
    order = (x->stem > y->stem) - (x->stem < y->stem);
  if (order == 0)
    order = (x->number > y->number) - (x->number < y->number);
  return order ? order : strcmp (x->name, y->name);
}

static bool same_stem (const struct numbered *a, const struct numbered *b)
{
  return a->digits && b->digits && a->stem == b->stem && memcmp (a->name, b->name, a->stem) == 0;
}

/* Does a range that says the number of @a go on with @b? "9" with "10", "09" with "10"; but not
 * "9" with "010". */
static bool follows (const struct numbered *a, const struct numbered *b)
{
  bool padded = a->digits > 1 && a->name[a->stem] == '0';

  return same_stem (a, b) && b->number == a->number + 1 &&
         (a->digits == b->digits || (!padded && b->name[b->stem] != '0'));
}

/* One stem's names: "web[1-3,7]", or just the name. Returns how many. */
static size_t add_stem (struct strbuf *text, const struct numbered *names, size_t count)
{
  size_t used = 1;

  while (used < count && same_stem (&names[0], &names[used]))
    used++;
  if (used == 1) {
    strbuf_adds (text, names[0].name);
    return 1;
  }
  strbuf_add (text, names[0].name, names[0].stem);
  for (size_t i = 0, last; i < used; i = last + 1) {
    for (last = i; last + 1 < used && follows (&names[last], &names[last + 1]);)
      last++;
    strbuf_adds (text, i ? "," : "[");
    strbuf_adds (text, names[i].name + names[i].stem);
    if (last > i) {
      strbuf_adds (text, "-");
      strbuf_adds (text, names[last].name + names[last].stem);
    }
  }
  strbuf_adds (text, "]");
  return used;
}

char *names_brief (const struct names *names)
{
  autofree struct numbered *sorted = xcalloc (names->count + 1, sizeof *sorted);
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 26);

  for (size_t i = 0; i < names->count; i++)
    sorted[i] = take_apart (names->items[i]);
  qsort (sorted, names->count, sizeof *sorted, compare);
  for (size_t i = 0; i < names->count;) {
    strbuf_adds (&text, i ? ", " : "");
    i += add_stem (&text, &sorted[i], names->count - i);
  }
  return xstrdup (strbuf_str (&text));
}
