/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order of locks, and who holds one. */
#include "test.h"
#include "util/fd.h"
#include "util/lock.h"
#include "util/lockholder.h"
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

struct place {
  char *path;
  int fd;
};

static int set_up (void **state)
{
  struct place *place = xcalloc (1, sizeof *place);

  place->path = xstrdup ("/tmp/vguest-test-lock.XXXXXX");
  assert_non_null (mkdtemp (place->path));
  place->fd = open (place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true (place->fd >= 0);
  *state = place;
  return 0;
}

static int tear_down (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  autoclose int parent = openat (place->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  assert_int_equal (fd_remove_tree (parent, strrchr (place->path, '/') + 1, &err), 0);
  close (place->fd);
  free (place->path);
  free (place);
  return 0;
}

static int take (struct place *place, const char *what, enum lock_rank rank, enum lock_mode mode,
                 bool no_wait)
{
  const struct lock_how how = {.rank = rank, .mode = mode, .no_wait = no_wait};
  autoerr struct err err = {0};
  int fd = -1;

  return lock_acquire (place->fd, what, &how, what, &fd, &err) < 0 ? -err.code : fd;
}

static void in_order_is_fine (void **state)
{
  struct place *place = *state;
  autoclose int root = take (place, "root", LOCK_RANK_ROOT, LOCK_SHARED, false);
  autoclose int template = take (place, "a", LOCK_RANK_TEMPLATE, LOCK_SHARED, false);
  autoclose int template2 = take (place, "b", LOCK_RANK_TEMPLATE, LOCK_SHARED, false);
  autoclose int again = take (place, "root2", LOCK_RANK_GUEST, LOCK_SHARED, false);
  autoclose int twice = take (place, "root2", LOCK_RANK_GUEST, LOCK_SHARED, false);

  assert_true (root >= 0 && template >= 0 && template2 >= 0 && again >= 0 && twice >= 0);
}

/* Closed ones are forgotten, also when the descriptor is another file's by now. */
static void closed_ones_do_not_count (void **state)
{
  struct place *place = *state;

  close (take (place, "guest", LOCK_RANK_GUEST, LOCK_EXCLUSIVE, false));
  autoclose int other = openat (place->fd, "other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  autoclose int root = take (place, "root", LOCK_RANK_ROOT, LOCK_SHARED, false);
  close (take (place, "guest", LOCK_RANK_GUEST, LOCK_EXCLUSIVE, false));
  autoclose int again = take (place, "guest", LOCK_RANK_GUEST, LOCK_EXCLUSIVE, false);

  assert_true (other >= 0 && root >= 0 && again >= 0);
}

#ifdef VG_LOCK_ORDER

/* How a child ends that holds one lock and takes another. */
static int second_after_first (struct place *place, const char *first, enum lock_rank first_rank,
                               const char *second, enum lock_rank second_rank, bool no_wait)
{
  int status = 0;
  pid_t pid = fork ();

  if (pid == 0) {
    close (STDERR_FILENO);
    int a = take (place, first, first_rank, LOCK_EXCLUSIVE, false);
    int b = take (place, second, second_rank, LOCK_EXCLUSIVE, no_wait);
    _exit (a >= 0 && b >= 0 ? 0 : 1);
  }
  assert_int_equal (waitpid (pid, &status, 0), pid);
  return WIFSIGNALED (status) ? -WTERMSIG (status) : WEXITSTATUS (status);
}

static void out_of_order_stops (void **state)
{
  struct place *place = *state;

  assert_int_equal (
      second_after_first (place, "g", LOCK_RANK_GUEST, "t", LOCK_RANK_TEMPLATE, false), -SIGABRT);
  assert_int_equal (second_after_first (place, "b", LOCK_RANK_GUEST, "a", LOCK_RANK_GUEST, false),
                    -SIGABRT);
  assert_int_equal (second_after_first (place, "a", LOCK_RANK_GUEST, "b", LOCK_RANK_GUEST, false),
                    0);
  assert_int_equal (
      second_after_first (place, "t", LOCK_RANK_TEMPLATE, "g", LOCK_RANK_GUEST, false), -SIGABRT);
  assert_int_equal (second_after_first (place, "g", LOCK_RANK_GUEST, "t", LOCK_RANK_BASE, false),
                    0);
  /* Who does not wait is in nobody's way. */
  assert_int_equal (second_after_first (place, "g", LOCK_RANK_GUEST, "t", LOCK_RANK_TEMPLATE, true),
                    0);
}

#endif

static void holder_is_told (void **state)
{
  struct place *place = *state;
  autoclose int held = take (place, "lock", LOCK_RANK_GUEST, LOCK_SHARED, false);
  autofree char *text = lockholder_describe (held);
  autofree char *wanted = xasprintf ("%ld test_lock since 20", (long) getpid ());

  assert_memory_equal (text, wanted, strlen (wanted));
  /* The record is of somebody else: then /proc/locks knows better. */
  assert_int_equal (ftruncate (held, 0), 0);
  assert_int_equal (pwrite (held, "1 init since ever\n", 18, 0), 18);
  autofree char *real = lockholder_describe (held);
  autofree char *begun = xasprintf ("%ld test_lock, running since 20", (long) getpid ());
  assert_memory_equal (real, begun, strlen (begun));
}

static void waiting_ends (void **state)
{
  struct place *place = *state;
  const struct lock_how how = {.rank = LOCK_RANK_GUEST, .mode = LOCK_EXCLUSIVE, .seconds = 1};
  autoerr struct err err = {0};
  int fd = -1;
  autoclose int low = openat (place->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  /* Not a number that an earlier lock of this process had, maybe on an inode of the same number. */
  autoclose int other = fcntl (low, F_DUPFD_CLOEXEC, 100);

  cleanup_close (&low);
  low = -1;
  assert_int_equal (flock (other, LOCK_SH), 0);
  assert_int_equal (lock_acquire (place->fd, "lock", &how, "guest x", &fd, &err), -ERR_LOCKED);
  assert_non_null (strstr (err.msg, "guest x is still locked after 1 s, by "));
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (in_order_is_fine, set_up, tear_down),
      cmocka_unit_test_setup_teardown (closed_ones_do_not_count, set_up, tear_down),
#ifdef VG_LOCK_ORDER
      cmocka_unit_test_setup_teardown (out_of_order_stops, set_up, tear_down),
#endif
      cmocka_unit_test_setup_teardown (holder_is_told, set_up, tear_down),
      cmocka_unit_test_setup_teardown (waiting_ends, set_up, tear_down),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
