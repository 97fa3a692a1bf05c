/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "tree/journal.h"
#include "util/fd.h"
#include <limits.h>

struct seen {
  struct strbuf text;
  int stop_at;
  int count;
};

static int see (void *data, const struct journal_step *step, struct err *err)
{
  struct seen *seen = data;

  strbuf_addf (&seen->text, "%c%c%s;", step->op, step->layer ? step->layer : '-',
               step->name ? step->name : "");
  if (++seen->count == seen->stop_at)
    return err_code (err, EIO, "stopped");
  return 0;
}

static int make_dir (char *path)
{
  assert_non_null (mkdtemp (path));
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true (fd >= 0);
  return fd;
}

static void remove_dir (const char *path)
{
  autoclose int parent = open ("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autoerr struct err err = {0};

  assert_int_equal (fd_remove_tree (parent, path + strlen ("/tmp/"), &err), 0);
}

static void steps_come_back_in_order_and_whole (void **state)
{
  char path[] = "/tmp/vguest-journal-XXXXXX";
  autoclose int fd = make_dir (path);
  autojournalwriter struct journal_writer writer;
  autoerr struct err err = {0};
  struct seen seen = {.text = STRBUF_INIT (4096)};
  bool commit = false;

  (void) state;
  journal_writer_start (&writer);
  assert_true (journal_empty (&writer));
  journal_add (&writer, 1, "", &(struct journal_step){.op = 'U', .name = (char *) "last"});
  journal_add (&writer, 0, "",
               &(struct journal_step){.op = 'R', .layer = 't', .name = (char *) "a b%\n\xff"});
  journal_add (
      &writer, 0, "usr/x y",
      &(struct journal_step){
          .op = 'P', .layer = 'p', .number = 7, .ino = UINT64_MAX >> 1, .name = (char *) "n"});
  journal_add (&writer, 0, "usr/x y",
               &(struct journal_step){
                   .op = 'M', .layer = 't', .mode = 01777, .uid = 5, .gid = 6, .mtime = {-3, 999}});
  assert_false (journal_empty (&writer));
  assert_int_equal (journal_write (&writer, fd, JOURNAL_NAME, true, &err), 0);
  assert_int_equal (journal_read (fd, JOURNAL_NAME, &commit, see, &seen, &err), 0);
  assert_true (commit);
  assert_string_equal (strbuf_str (&seen.text), "D-.;Rta b%\n\xff;D-usr/x y;Ppn;Mt;D-.;U-last;");
  strbuf_release (&seen.text);
  remove_dir (path);
}

static void a_journal_without_its_end_is_refused (void **state)
{
  char path[] = "/tmp/vguest-journal-XXXXXX";
  autoclose int fd = make_dir (path);
  autoerr struct err err = {0};
  struct seen seen = {.text = STRBUF_INIT (4096)};
  static const char text[] = "vguest-fold 1 inplace\nD .\nR t a\n";

  (void) state;
  assert_int_equal (fd_write_file (fd, JOURNAL_NAME, text, sizeof text - 1, 0600, &err), 0);
  assert_int_equal (journal_read (fd, JOURNAL_NAME, NULL, see, &seen, &err), -EUCLEAN);
  strbuf_release (&seen.text);
  remove_dir (path);
}

static void malformed_lines_are_refused (void **state)
{
  static const char *const bad[] = {
      "",
      "Z",
      "R t",
      "R x a",
      "R t a/b",
      "R t ..",
      "P t 1 a",
      "P t 1 2",
      "P t x 2 a",
      "U",
      "U %zz",
      "U %00",
      "M t 1 2 3",
      "X y",
      "R t %2",
      "D",
      "P t 1 2 a%2f b",
      "U .",
      "M t 777 0 0 99999999999999999999 0",
      NULL,
  };

  (void) state;
  for (const char *const *line = bad; *line; line++) {
    autojournalstep struct journal_step step = {0};
    autoerr struct err err = {0};

    if (journal_parse_line (*line, &step, &err) == 0)
      fail_msg ("\"%s\" was taken", *line);
  }
}

static void a_step_may_end_the_reading (void **state)
{
  char path[] = "/tmp/vguest-journal-XXXXXX";
  autoclose int fd = make_dir (path);
  autoerr struct err err = {0};
  struct seen seen = {.text = STRBUF_INIT (4096), .stop_at = 2};
  static const char text[] = "vguest-fold 1 inplace\nD .\nR t a\nR t b\nE\n";

  (void) state;
  assert_int_equal (fd_write_file (fd, JOURNAL_NAME, text, sizeof text - 1, 0600, &err), 0);
  assert_int_equal (journal_read (fd, JOURNAL_NAME, NULL, see, &seen, &err), -EIO);
  assert_int_equal (seen.count, 2);
  strbuf_release (&seen.text);
  remove_dir (path);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (steps_come_back_in_order_and_whole),
      cmocka_unit_test (a_journal_without_its_end_is_refused),
      cmocka_unit_test (malformed_lines_are_refused),
      cmocka_unit_test (a_step_may_end_the_reading),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
