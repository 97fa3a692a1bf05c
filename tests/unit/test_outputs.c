/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/outputs.h and util/jobs.h: what is written when, and that nothing gets lost. */
#include "test.h"
#include "util/fd.h"
#include "util/jobs.h"
#include "util/outputs.h"
#include <signal.h>
#include <string.h>

static const char *const labels[] = {"a", "web10", "c"};

/* stdout goes to a file meanwhile. */
struct capture {
  int saved;
  int file;
};

static void capture_begin (struct capture *capture)
{
  fflush (stdout);
  capture->saved = dup (STDOUT_FILENO);
  capture->file = open ("/tmp", O_TMPFILE | O_RDWR, 0600);
  assert_true (capture->saved >= 0 && capture->file >= 0);
  assert_true (dup2 (capture->file, STDOUT_FILENO) >= 0);
}

/* What was written since then: the caller's string. */
static char *capture_read (const struct capture *capture, size_t *ret_len)
{
  off_t len = lseek (capture->file, 0, SEEK_END);
  char *text = xcalloc ((size_t) len + 1, 1);

  assert_int_equal (pread (capture->file, text, (size_t) len, 0), len);
  if (ret_len)
    *ret_len = (size_t) len;
  return text;
}

static void capture_end (struct capture *capture)
{
  dup2 (capture->saved, STDOUT_FILENO);
  close (capture->saved);
  close (capture->file);
}

static void add (struct outputs *outputs, size_t index, int stream, const char *text)
{
  autoerr struct err err = {0};

  assert_int_equal (outputs_add (outputs, index, stream, text, strlen (text), &err), 0);
}

static void end (struct outputs *outputs, size_t index)
{
  autoerr struct err err = {0};

  assert_int_equal (outputs_end (outputs, index, &err), 0);
}

static void lines_wait_for_their_turn (void **state)
{
  autooutputs struct outputs *outputs = outputs_new (OUTPUTS_LINES, labels, 3);
  struct capture capture;

  (void) state;
  capture_begin (&capture);
  add (outputs, 2, 1, "third\n");
  add (outputs, 0, 1, "one\ntw");
  autofree char *first = capture_read (&capture, NULL);
  add (outputs, 1, 1, "second");
  end (outputs, 2);
  add (outputs, 0, 1, "o\n");
  autofree char *second = capture_read (&capture, NULL);
  end (outputs, 0);
  autofree char *third = capture_read (&capture, NULL);
  add (outputs, 1, 1, " more");
  end (outputs, 1);
  autofree char *last = capture_read (&capture, NULL);
  capture_end (&capture);
  assert_string_equal (first, "a    : one\n");
  assert_string_equal (second, "a    : one\na    : two\n");
  assert_string_equal (third, second);
  assert_string_equal (last, "a    : one\na    : two\nweb10: second more\nc    : third\n");
}

/* Above OUTPUTS_HELD, so that it goes by way of a file. */
static void much_is_held_in_a_file (void **state)
{
  enum { COUNT = 40000 };
  autooutputs struct outputs *outputs = outputs_new (OUTPUTS_RAW, labels, 3);
  autostrbuf struct strbuf expected = STRBUF_INIT (1 << 20);
  struct capture capture;
  size_t len = 0;

  (void) state;
  capture_begin (&capture);
  for (int i = 0; i < COUNT; i++) {
    autofree char *text = xasprintf ("number %d", i);

    add (outputs, 1, 1, text);
    strbuf_adds (&expected, text);
  }
  end (outputs, 1);
  end (outputs, 0);
  autofree char *text = capture_read (&capture, &len);
  capture_end (&capture);
  assert_int_equal (len, expected.len);
  assert_memory_equal (text, strbuf_str (&expected), len);
}

static void long_lines_are_cut (void **state)
{
  autooutputs struct outputs *outputs = outputs_new (OUTPUTS_LINES, labels, 1);
  autofree char *text = xcalloc (OUTPUTS_LINE_MAX * 2 + 11, 1);
  struct capture capture;
  size_t len = 0, newlines = 0, letters = 0;

  (void) state;
  memset (text, 'x', OUTPUTS_LINE_MAX * 2 + 10);
  capture_begin (&capture);
  add (outputs, 0, 1, text);
  add (outputs, 0, 1, "\n");
  end (outputs, 0);
  autofree char *written = capture_read (&capture, &len);
  capture_end (&capture);
  for (size_t i = 0; i < len; i++) {
    newlines += written[i] == '\n';
    letters += written[i] == 'x';
  }
  assert_int_equal (letters, OUTPUTS_LINE_MAX * 2 + 10);
  assert_int_equal (newlines, 3);
}

static void kept_ones_are_compared (void **state)
{
  autooutputs struct outputs *outputs = outputs_new (OUTPUTS_KEEP, labels, 3);
  autoerr struct err err = {0};
  autostrbuf struct strbuf text = STRBUF_INIT (5);

  (void) state;
  add (outputs, 0, 1, "one two");
  add (outputs, 0, 2, "error");
  add (outputs, 1, 1, "one");
  add (outputs, 1, 2, "error");
  add (outputs, 1, 1, " two");
  add (outputs, 2, 1, "one two");
  assert_int_equal (outputs_equal (outputs, 0, 1, &err), 1);
  assert_int_equal (outputs_equal (outputs, 0, 2, &err), 0);
  assert_int_equal (outputs_equal (outputs, 2, 2, &err), 1);
  assert_int_equal (outputs_read (outputs, 1, 1, &text, &err), 0);
  assert_string_equal (strbuf_str (&text), "one t");
  assert_true (text.failed);
}

/* Jobs. */

struct work {
  size_t count;
  size_t begun;
  size_t ended;
  int status[64];
  char *errors[64];
  struct strbuf output;
};

static bool next (void *data, size_t *ret_job)
{
  struct work *work = data;

  if (work->begun == work->count)
    return false;
  *ret_job = work->begun++;
  return true;
}

static int run (void *data, size_t job, struct err *err)
{
  (void) data;
  if (job == 3)
    return err_code (err, ERR_LOCKED, "job %zu has a bad day", job);
  if (job == 4)
    kill (getpid (), SIGKILL);
  if (job == 5) {
    /* What a job leaves behind is not waited for. */
    pid_t pid = fork ();

    if (pid == 0) {
      sleep (3);
      _exit (0);
    }
  }
  printf ("%zu", job % 10);
  return (int) job;
}

static int output (void *data, size_t job, int stream, const char *bytes, size_t len,
                   struct err *err)
{
  struct work *work = data;

  (void) job;
  (void) err;
  assert_int_equal (stream, 1);
  strbuf_add (&work->output, bytes, len);
  return 0;
}

static int job_end (void *data, size_t job, int status, const struct err *job_err, struct err *err)
{
  struct work *work = data;

  (void) err;
  work->ended++;
  work->status[job] = status;
  work->errors[job] = job_err->code ? xstrdup (err_text (job_err)) : NULL;
  return 0;
}

static void jobs_tell_how_they_ended (void **state)
{
  struct work work = {.count = 20, .output = STRBUF_INIT (4096)};
  struct jobs jobs = {
      .parallel = 4, .data = &work, .next = next, .run = run, .output = output, .end = job_end};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (jobs_run (&jobs, &err), 0);
  assert_int_equal (work.ended, 20);
  assert_int_equal (work.output.len, 18);
  for (size_t i = 0; i < 20; i++)
    if (i != 3 && i != 4) {
      assert_int_equal (work.status[i], i);
      assert_null (work.errors[i]);
    }
  assert_string_equal (work.errors[3], "job 3 has a bad day");
  assert_string_equal (work.errors[4], "its process ended too early: signal 9");
  for (size_t i = 0; i < 20; i++)
    free (work.errors[i]);
  strbuf_release (&work.output);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (lines_wait_for_their_turn), cmocka_unit_test (much_is_held_in_a_file),
      cmocka_unit_test (long_lines_are_cut),        cmocka_unit_test (kept_ones_are_compared),
      cmocka_unit_test (jobs_tell_how_they_ended),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
