/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "runtime/consolelog.h"
#include "runtime/logread.h"
#include "util/fd.h"
#include "util/strbuf.h"

static char directory[] = "/tmp/vg-consolelog-XXXXXX";

static int open_directory (void)
{
  int fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  assert_true (fd >= 0);
  return fd;
}

static int set_up (void **state)
{
  (void) state;
  memcpy (directory + strlen (directory) - 6, "XXXXXX", 6);
  return mkdtemp (directory) ? 0 : -1;
}

static int tear_down (void **state)
{
  autoclose int parent = open ("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autoerr struct err err = {0};

  (void) state;
  return fd_remove_tree (parent, strrchr (directory, '/') + 1, &err);
}

/* All parts as one text, without the times at the beginning of lines. */
static char *read_log (bool strip)
{
  autostrbuf struct strbuf text = STRBUF_INIT (16 << 20), bare = STRBUF_INIT (16 << 20);
  autoclose int dir_fd = open_directory ();

  for (unsigned part = CONSOLELOG_PARTS; part-- > 0;) {
    autofree char *name = consolelog_part_name (part);
    autofree char *data = NULL;
    autoerr struct err err = {0};
    size_t len = 0;

    if (fd_read_file (dir_fd, name, CONSOLELOG_PART_MAX, &data, &len, &err) == 0)
      strbuf_add (&text, data, len);
    else
      assert_int_equal (err.code, ENOENT);
  }
  if (!strip)
    return strbuf_steal (&text);
  for (const char *line = strbuf_str (&text); *line;) {
    size_t len = strcspn (line, "\n") + 1;

    assert_true (len > 25 && line[10] == 'T' && line[24] == ' ');
    strbuf_add (&bare, line + 25, len - 25);
    line += len;
  }
  return strbuf_steal (&bare);
}

static void write_text (struct consolelog *log, const char *text)
{
  consolelog_write (log, text, strlen (text));
}

static void lines_get_their_time_once (void **state)
{
  struct consolelog log;

  (void) state;
  consolelog_open (&log, open_directory ());
  write_text (&log, "one\ntw");
  write_text (&log, "o\r");
  write_text (&log, "\nthree\r\r\n\n10%\r20%\n");
  consolelog_note (&log, "a note");
  write_text (&log, "open");
  consolelog_note (&log, "another");
  consolelog_close (&log);
  autofree char *text = read_log (true);
  assert_string_equal (text,
                       "one\ntwo\nthree\n\n10%\r20%\n--- a note ---\nopen\n--- another ---\n");
}

static void parts_are_bounded_and_in_order (void **state)
{
  struct consolelog log;
  unsigned long first = 0, last = 0;
  unsigned long count = 0;

  (void) state;
  consolelog_open (&log, open_directory ());
  for (unsigned long i = 1; i <= 200000; i++) {
    autofree char *line = xasprintf ("line %lu\n", i);

    write_text (&log, line);
  }
  consolelog_close (&log);
  autofree char *text = read_log (false);
  size_t total = strlen (text);
  assert_true (total <= (size_t) CONSOLELOG_PART_MAX * CONSOLELOG_PARTS);
  assert_true (total > (size_t) CONSOLELOG_PART_MAX * (CONSOLELOG_PARTS - 1));
  /* Not with strstr: sanitizers measure the rest of the text at each call. */
  const char *begin = strchr (text, '\n') + 1;
  for (const char *line = begin, *end; (end = memchr (line, '\n', total - (size_t) (line - text)));
       line = end + 1) {
    unsigned long number = strtoul (line + strlen ("2026-11-23T22:41:24+0000 line "), NULL, 10);

    if (!first)
      first = number;
    else
      assert_int_equal (number, last + 1);
    last = number;
    count++;
  }
  assert_int_equal (last, 200000);
  assert_int_equal (count, last - first + 1);
}

static void a_huge_line_is_cut_nowhere (void **state)
{
  enum { SIZE = 3 << 19 };
  struct consolelog log;
  autofree char *bytes = xmalloc (SIZE);

  (void) state;
  memset (bytes, 'x', SIZE);
  consolelog_open (&log, open_directory ());
  consolelog_write (&log, bytes, SIZE);
  consolelog_write (&log, "\n", 1);
  consolelog_close (&log);
  autofree char *text = read_log (true);
  assert_int_equal (strlen (text), SIZE + 1);
  assert_int_equal (strspn (text, "x"), SIZE);
}

static void what_is_lost_is_told (void **state)
{
  struct consolelog log;
  autoclose int full = open ("/dev/full", O_WRONLY | O_CLOEXEC);

  (void) state;
  assert_true (full >= 0);
  consolelog_open (&log, open_directory ());
  write_text (&log, "before\n");
  int good = log.fd;
  log.fd = full;
  write_text (&log, "lost\n");
  write_text (&log, "lost too\n");
  log.fd = good;
  write_text (&log, "after\n");
  consolelog_close (&log);
  autofree char *text = read_log (false);
  assert_non_null (strstr (text, "before\n--- vguest: "));
  assert_non_null (strstr (text, " bytes were lost here: No space left on device ---\n"));
  assert_non_null (strstr (text, "after\n"));
  assert_null (strstr (text, "lost too"));
}

static int collect (void *data, const char *bytes, size_t len, struct err *err)
{
  (void) err;
  return strbuf_add (data, bytes, len) ? 0 : -1;
}

static void the_last_lines_are_found (void **state)
{
  struct consolelog log;
  static const struct {
    int64_t lines;
    const char *text;
  } cases[] = {{0, ""}, {1, "open"}, {2, "three\nopen"}, {4, "one\ntwo\nthree\nopen"}, {9, NULL}};

  (void) state;
  consolelog_open (&log, open_directory ());
  write_text (&log, "one\ntwo\nthree\nopen");
  consolelog_close (&log);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autostrbuf struct strbuf text = STRBUF_INIT (1 << 20);
    autologread struct logread reader = {.fd = -1};
    autoclose int dir_fd = open_directory ();
    autoerr struct err err = {0};
    const char *wanted = cases[i].text ? cases[i].text : cases[i - 1].text;

    assert_int_equal (logread_start (&reader, dir_fd, cases[i].lines, collect, &text, &err), 0);
    size_t at = 0;
    for (const char *line = strbuf_str (&text); *line;
         line += strcspn (line, "\n") + (strchr (line, '\n') != NULL)) {
      size_t len = strcspn (line + 25, "\n");

      assert_memory_equal (line + 25, wanted + at, len);
      at += len + (line[25 + len] == '\n');
    }
    assert_int_equal (at, strlen (wanted));
  }
}

static void a_reader_follows_the_parts (void **state)
{
  autostrbuf struct strbuf text = STRBUF_INIT (64 << 20);
  autologread struct logread reader = {.fd = -1};
  autoclose int dir_fd = open_directory ();
  autoerr struct err err = {0};
  struct consolelog log;
  unsigned long number = 0;
  size_t lines = 0;

  (void) state;
  /* Before there is a log at all. */
  assert_int_equal (logread_start (&reader, dir_fd, -1, collect, &text, &err), 0);
  consolelog_open (&log, open_directory ());
  for (int round = 0; round < 200; round++) {
    for (int i = 0; i < 1000; i++) {
      autofree char *line = xasprintf ("line %lu\n", ++number);

      write_text (&log, line);
    }
    /* Two parts may be new now and then. */
    if (round % 40 != 0)
      assert_true (logread_more (&reader, &err) >= 0);
  }
  assert_true (logread_more (&reader, &err) >= 0);
  consolelog_close (&log);
  for (const char *line = strbuf_str (&text), *end;
       (end = memchr (line, '\n', text.len - (size_t) (line - text.data))); line = end + 1)
    assert_int_equal (strtoul (line + strlen ("2026-11-23T22:41:24+0000 line "), NULL, 10),
                      ++lines);
  assert_int_equal (lines, number);
}

static void a_reader_that_is_too_slow_is_told (void **state)
{
  autostrbuf struct strbuf text = STRBUF_INIT (64 << 20);
  autologread struct logread reader = {.fd = -1};
  autoclose int dir_fd = open_directory ();
  autoerr struct err err = {0};
  struct consolelog log;
  autofree char *bytes = xmalloc (CONSOLELOG_PART_MAX);

  (void) state;
  memset (bytes, 'x', CONSOLELOG_PART_MAX);
  consolelog_open (&log, open_directory ());
  write_text (&log, "begin\n");
  assert_int_equal (logread_start (&reader, dir_fd, -1, collect, &text, &err), 0);
  for (int i = 0; i < CONSOLELOG_PARTS + 2; i++)
    consolelog_write (&log, bytes, CONSOLELOG_PART_MAX);
  write_text (&log, "\nend\n");
  assert_int_equal (logread_more (&reader, &err), 1);
  consolelog_close (&log);
  assert_non_null (strstr (strbuf_str (&text), "some of the log was lost here"));
  assert_memory_equal (text.data + text.len - 5, " end\n", 5);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (lines_get_their_time_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown (parts_are_bounded_and_in_order, set_up, tear_down),
      cmocka_unit_test_setup_teardown (a_huge_line_is_cut_nowhere, set_up, tear_down),
      cmocka_unit_test_setup_teardown (what_is_lost_is_told, set_up, tear_down),
      cmocka_unit_test_setup_teardown (the_last_lines_are_found, set_up, tear_down),
      cmocka_unit_test_setup_teardown (a_reader_follows_the_parts, set_up, tear_down),
      cmocka_unit_test_setup_teardown (a_reader_that_is_too_slow_is_told, set_up, tear_down),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
