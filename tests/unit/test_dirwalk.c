/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks over directories: every one is visited once, however deep, wide, and strangely named. */
#include "test.h"
#include "util/dirread.h"
#include "util/dirwalk.h"
#include "lib/scratch.h"
#include "util/fd.h"
#include <pthread.h>
#include <sys/resource.h>

enum { DEPTH = 2000, BREADTH = 300 };

struct visits {
  pthread_mutex_t mutex;
  uint64_t directories;
  uint64_t files;
  size_t longest;
  unsigned fail_at; /* the visit that fails, from 1 */
  size_t want;      /* asked for by each visit, which then takes a moment */
  size_t highest;   /* number of a thread */
};

static int setup (void **state)
{
  *state = scratch_make (NULL);
  return *state ? 0 : -1;
}

static int teardown (void **state)
{
  autofree char *path = *state;

  return scratch_remove (path);
}

static int count (void *data, struct dirwalk_turn *turn, struct err *err)
{
  struct visits *visits = data;
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  int ret;

  dirread_start (turn->fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    if (entry.type == DT_DIR)
      dirwalk_enter (turn, entry.name, NULL);
    pthread_mutex_lock (&visits->mutex);
    visits->files += entry.type != DT_DIR;
    pthread_mutex_unlock (&visits->mutex);
  }
  pthread_mutex_lock (&visits->mutex);
  size_t len = strlen (turn->path);
  visits->longest = len > visits->longest ? len : visits->longest;
  visits->highest = turn->thread > visits->highest ? turn->thread : visits->highest;
  if (++visits->directories == visits->fail_at)
    ret = err_code (err, EIO, "visit %s", turn->path);
  pthread_mutex_unlock (&visits->mutex);
  if (visits->want) {
    dirwalk_want (turn, visits->want);
    usleep (500);
  }
  return ret;
}

static void walk (const char *path, size_t threads, struct visits *visits)
{
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct dirwalk walk = {.top_fd = fd, .threads = threads, .visit = count, .data = visits};
  autoerr struct err err = {0};

  assert_true (fd >= 0);
  pthread_mutex_init (&visits->mutex, NULL);
  int ret = dirwalk_run (&walk, &err);
  if (visits->fail_at)
    assert_int_equal (ret, -EIO);
  else if (ret < 0)
    fail_msg ("%s", err_text (&err));
  pthread_mutex_destroy (&visits->mutex);
}

static void make_file (int dir_fd, const char *name)
{
  autoclose int fd = fd_open (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

  assert_true (fd >= 0);
}

/* A comb: each level has a directory that waits while the walk goes down in the other. */
static void make_deep (const char *path, const char *name)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  for (int i = 0; i < DEPTH; i++) {
    autoclose int side = fd_make_dir (fd, "side", 0700);

    make_file (side, "file");
    int next = fd_make_dir (fd, name, 0700);
    close (fd);
    fd = next;
    assert_true (fd >= 0 && side >= 0);
  }
  close (fd);
}

static void depth_costs_no_descriptors (void **state)
{
  struct rlimit limit, few = {128, 128};
  char name[256];

  memset (name, 'n', 255);
  name[255] = '\0';
  make_deep (*state, name);
  assert_int_equal (getrlimit (RLIMIT_NOFILE, &limit), 0);
  few.rlim_max = limit.rlim_max;
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &few), 0);
  for (size_t threads = 1; threads <= 4; threads += 3) {
    struct visits visits = {0};

    walk (*state, threads, &visits);
    assert_int_equal (visits.directories, 1 + 2 * DEPTH);
    assert_int_equal (visits.files, DEPTH);
    assert_int_equal (visits.longest, DEPTH * 256 - 1);
  }
  /* So can it be removed. */
  autoclose int fd = open (*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autoerr struct err err = {0};
  if (fd_remove_tree (fd, name, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_int_equal (faccessat (fd, name, F_OK, 0), -1);
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &limit), 0);
}

static void breadth_is_visited_once (void **state)
{
  autoclose int fd = open (*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct visits visits = {0};

  for (int i = 0; i < BREADTH; i++) {
    char name[20];

    snprintf (name, sizeof name, "%d", i);
    autoclose int one = fd_make_dir (fd, name, 0700);
    autoclose int two = fd_make_dir (one, "\xff\n", 0700);
    make_file (two, "file");
  }
  walk (*state, 4, &visits);
  assert_int_equal (visits.directories, 1 + 2 * BREADTH);
  assert_int_equal (visits.files, BREADTH);
}

static void a_visit_can_ask_for_threads (void **state)
{
  autoclose int fd = open (*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct visits alone = {.want = 1}, visits = {.want = 3};

  for (int i = 0; i < BREADTH; i++) {
    char name[20];

    snprintf (name, sizeof name, "%d", i);
    autoclose int one = fd_make_dir (fd, name, 0700);
    assert_true (one >= 0);
  }
  walk (*state, 1, &alone);
  assert_int_equal (alone.highest, 0);
  walk (*state, 1, &visits);
  assert_int_equal (visits.highest, 2);
  assert_int_equal (visits.directories, 1 + BREADTH);
}

static void a_failure_ends_the_walk (void **state)
{
  autoclose int fd = open (*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct visits visits = {.fail_at = 2};

  for (int i = 0; i < BREADTH; i++) {
    char name[20];

    snprintf (name, sizeof name, "%d", i);
    autoclose int one = fd_make_dir (fd, name, 0700);
    assert_true (one >= 0);
  }
  walk (*state, 4, &visits);
  assert_true (visits.directories < BREADTH);
}

static void symlinks_are_not_followed (void **state)
{
  autoclose int fd = open (*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct visits visits = {0};

  assert_int_equal (symlinkat ("/", fd, "root"), 0);
  walk (*state, 2, &visits);
  assert_int_equal (visits.directories, 1);
  assert_int_equal (fd_open_dir_beneath (fd, "root"), -1);
  assert_int_equal (fd_open_dir_beneath (fd, "root/etc"), -1);
  assert_int_equal (fd_open_dir_beneath (fd, ".."), -1);
}

/* Each turn finds what is there at that moment. */
static int enter_what_is_gone (void *data, struct dirwalk_turn *turn, struct err *err)
{
  unsigned *visits = data;

  (void) err;
  if (++*visits == 1) {
    dirwalk_enter (turn, "missing", NULL);
    dirwalk_enter (turn, "file", NULL);
    dirwalk_enter (turn, "link", NULL);
    dirwalk_enter (turn, "there", NULL);
  }
  return 0;
}

static void directories_may_vanish (void **state)
{
  autoclose int fd = open (*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  unsigned visits = 0;
  struct dirwalk walk = {.top_fd = fd, .threads = 1, .visit = enter_what_is_gone, .data = &visits};
  autoerr struct err err = {0};

  make_file (fd, "file");
  assert_int_equal (symlinkat ("there", fd, "link"), 0);
  autoclose int there = fd_make_dir (fd, "there", 0700);
  assert_true (there >= 0);
  assert_true (dirwalk_run (&walk, &err) < 0);
  visits = 0;
  walk.may_vanish = true;
  if (dirwalk_run (&walk, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_int_equal (visits, 2);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (depth_costs_no_descriptors, setup, teardown),
      cmocka_unit_test_setup_teardown (breadth_is_visited_once, setup, teardown),
      cmocka_unit_test_setup_teardown (a_visit_can_ask_for_threads, setup, teardown),
      cmocka_unit_test_setup_teardown (a_failure_ends_the_walk, setup, teardown),
      cmocka_unit_test_setup_teardown (directories_may_vanish, setup, teardown),
      cmocka_unit_test_setup_teardown (symlinks_are_not_followed, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
