/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests of drivers for package managers share. */
#ifndef VG_TESTS_UNIT_DRIVERS_H
#define VG_TESTS_UNIT_DRIVERS_H

#include "test.h"
#include "pkg/driver.h"
#include "util/strbuf.h"

/* What a request says of itself. */
enum {
  RO = 1,
  REFRESH = 2,
  LISTS = 4,
  NOTHING = 8,
  PLANS = 16,
  IDLE = 32,
  FIRST = 64,
  NEVER = 128,
  REPAIR = 256,
};

static inline unsigned flags_of (const struct pkg_request *request)
{
  return (request->read_only ? RO : 0) | (request->refresh ? REFRESH : 0) |
         (request->needs_lists ? LISTS : 0) | (request->may_do_nothing ? NOTHING : 0) |
         (request->plans ? PLANS : 0) | (request->idle ? IDLE : 0) |
         (request->refresh_first ? FIRST : 0) | (request->no_refresh ? NEVER : 0) |
         (request->repairs ? REPAIR : 0);
}

/* The words of a text with single spaces between. */
static inline void split (const char *text, struct names *names)
{
  while (*text) {
    size_t len = strcspn (text, " ");
    autofree char *word = xstrndup (text, len);

    names_add (names, word);
    text += len + (text[len] == ' ');
  }
}

static inline int classify (const struct pkg_driver *driver, const char *text,
                            struct pkg_request *request, struct err *err)
{
  autonames struct names args = {0};

  split (text, &args);
  return driver->classify (&args, request, err);
}

struct classified {
  const char *args;
  const char *verb;
  unsigned flags;
};

static inline void assert_classified (const struct pkg_driver *driver,
                                      const struct classified *cases, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    autopkgrequest struct pkg_request request = {0};
    autoerr struct err err = {0};

    assert_int_equal (classify (driver, cases[i].args, &request, &err), 0);
    assert_string_equal (request.verb, cases[i].verb);
    assert_null (request.program);
    if (flags_of (&request) != cases[i].flags)
      fail_msg ("%s: %x, expected %x", cases[i].args, flags_of (&request), cases[i].flags);
  }
}

struct commanded {
  const char *args;
  enum pkg_step step;
  const char *line; /* with spaces between; "" when there is none */
};

static inline void assert_commanded (const struct pkg_driver *driver, const struct commanded *cases,
                                     size_t count)
{
  const struct pkg_target target = {.program = driver->programs[0], .machine_id = ""};

  for (size_t i = 0; i < count; i++) {
    autostrbuf struct strbuf text = STRBUF_INIT (1 << 16);
    autopkgrequest struct pkg_request request = {0};
    autonames struct names words = {0};
    autoerr struct err err = {0};

    assert_int_equal (classify (driver, cases[i].args, &request, &err), 0);
    driver->command (cases[i].step, &request, &target, &words);
    for (size_t j = 0; j < words.count; j++)
      strbuf_addf (&text, "%s%s", j ? " " : "", words.items[j]);
    assert_string_equal (strbuf_str (&text), cases[i].line);
  }
}

/* What a line of output says. */
enum { NETWORK = 1, BUSY = 2, FAILED = 4, CONTINUES = 8, TOPIC = 16 };

struct told {
  const char *line;
  enum pkg_weight weight;
  unsigned flags;
  unsigned units;
};

static inline void assert_told (const struct pkg_driver *driver, const struct told *cases,
                                size_t count)
{
  for (size_t i = 0; i < count; i++) {
    struct pkg_line line;

    driver->line (cases[i].line, &line);
    unsigned flags = (line.network ? NETWORK : 0) | (line.busy ? BUSY : 0) |
                     (line.failed ? FAILED : 0) | (line.continues ? CONTINUES : 0) |
                     (line.topic ? TOPIC : 0);
    if (line.weight != cases[i].weight || flags != cases[i].flags || line.units != cases[i].units)
      fail_msg ("%s: weight %d, flags %x, units %u", cases[i].line, (int) line.weight, flags,
                line.units);
    if (line.skip)
      assert_true (pkg_starts_with (cases[i].line + line.skip, "error: "));
  }
}

#define LENGTH(array) (sizeof (array) / sizeof (array)[0])

#endif
