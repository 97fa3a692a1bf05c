/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of drivers of the rpm family share, beside drivers.h. */
#ifndef VG_TESTS_UNIT_DRIVER_TEST_H
#define VG_TESTS_UNIT_DRIVER_TEST_H

#include "drivers.h"

enum { READS = RO, REPAIRS = REPAIR };

struct line_case {
  const char *line;
  enum pkg_weight weight;
  const char *marks; /* of "cnbfu": continues, network, busy, failed, a unit */
};

/* Words with single blanks between; the caller's. */
static inline char *join_words (const struct names *names)
{
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 20);

  for (size_t i = 0; i < names->count; i++)
    strbuf_addf (&text, "%s%s", i ? " " : "", names->items[i]);
  return strbuf_steal (&text);
}

/* The command line of a step for the request @args in a guest with @program: as @wanted, or none
 * where that is NULL. */
static inline void check_command (const struct pkg_driver *driver, const char *program,
                                  const char *args, enum pkg_step step, const char *wanted)
{
  struct pkg_target target = {.program = program, .machine_id = "0123456789abcdef"};
  autopkgrequest struct pkg_request request = {0};
  autonames struct names words = {0};
  autoerr struct err err = {0};

  assert_int_equal (classify (driver, args, &request, &err), 0);
  bool made = driver->command (step, &request, &target, &words);
  autofree char *text = join_words (&words);
  assert_string_equal (made ? text : "none", wanted ? wanted : "none");
}

static inline void check_meaning (const struct pkg_driver *driver, const char *args,
                                  enum pkg_step step, int status, const char *output,
                                  enum pkg_meaning wanted)
{
  autopkgrequest struct pkg_request request = {0};
  autoerr struct err err = {0};

  assert_int_equal (classify (driver, args, &request, &err), 0);
  assert_int_equal (driver->meaning (step, &request, status, output), wanted);
}

static inline void check_lines (void (*read) (const char *, struct pkg_line *),
                                const struct line_case *cases, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    struct pkg_line line;
    const char *marks = cases[i].marks;

    print_message ("# %s\n", cases[i].line);
    read (cases[i].line, &line);
    assert_int_equal (line.weight, cases[i].weight);
    assert_int_equal (line.continues, strchr (marks, 'c') != NULL);
    assert_int_equal (line.network, strchr (marks, 'n') != NULL);
    assert_int_equal (line.busy, strchr (marks, 'b') != NULL);
    assert_int_equal (line.failed, strchr (marks, 'f') != NULL);
    assert_int_equal (line.units, strchr (marks, 'u') != NULL);
  }
}

/* Changes as text: "upgrade name old new", one a line, "-" for what is not told; the caller's. */
static inline char *changes_text (const struct pkg_changes *changes)
{
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 20);

  for (size_t i = 0; i < changes->count; i++) {
    const struct pkg_change *change = &changes->items[i];

    strbuf_addf (&text, "%s %s %s %s\n", pkg_action_name (change->action), change->name,
                 change->old_version ? change->old_version : "-",
                 change->new_version ? change->new_version : "-");
  }
  return strbuf_steal (&text);
}

typedef int (*parse_plan) (const char *, size_t, struct pkg_changes *, struct err *);

static inline void check_plan (parse_plan parse, const char *text, const char *wanted)
{
  autopkgchanges struct pkg_changes changes = {0};
  autoerr struct err err = {0};

  if (parse (text, strlen (text), &changes, &err) < 0)
    fail_msg ("%s", err_text (&err));
  autofree char *got = changes_text (&changes);
  assert_string_equal (got, wanted);
}

static inline void check_bad_plan (parse_plan parse, const char *text, const char *message)
{
  autopkgchanges struct pkg_changes changes = {0};
  autoerr struct err err = {0};

  assert_int_equal (parse (text, strlen (text), &changes, &err), -EINVAL);
  assert_non_null (strstr (err_text (&err), message));
}

#define CHECK_ALL(check, what, cases) check ((what), (cases), sizeof (cases) / sizeof (cases)[0])

#endif
