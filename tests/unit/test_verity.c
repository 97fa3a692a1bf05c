/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fs-verity on what is published, with an ioctl that answers as file systems do; and an object that
 * cannot be read, as one is that is damaged and has it. */
#include "test.h"
#include "store/verify.h"
#include "store/verity.h"
#include "lib/scratch.h"
#include "util/fd.h"
#include <linux/fsverity.h>
#include <sys/uio.h>

int __real_ioctl (int fd, unsigned long request, void *data);
int __wrap_ioctl (int fd, unsigned long request, void *data);
ssize_t __real_pread (int fd, void *data, size_t size, off_t at);
ssize_t __wrap_pread (int fd, void *data, size_t size, off_t at);
ssize_t __real_read (int fd, void *data, size_t size);
ssize_t __wrap_read (int fd, void *data, size_t size);
ssize_t __real_preadv2 (int fd, const struct iovec *vector, int count, off_t at, int flags);
ssize_t __wrap_preadv2 (int fd, const struct iovec *vector, int count, off_t at, int flags);

static int answers[4]; /* errno of one call after the other; the last one of all that follow */
static size_t answer_count;
static unsigned calls;
static uint64_t bad_inode; /* that gives EIO */

static void answer_with (const int *list, size_t count)
{
  memcpy (answers, list, count * sizeof *list);
  answer_count = count;
  calls = 0;
}

#define ANSWER(...)                                                                                \
  answer_with ((const int[]){__VA_ARGS__}, sizeof (const int[]){__VA_ARGS__} / sizeof (int))

int __wrap_ioctl (int fd, unsigned long request, void *data)
{
  const struct fsverity_enable_arg *arg = data;

  if (request != FS_IOC_ENABLE_VERITY)
    return __real_ioctl (fd, request, data);
  assert_int_equal (arg->version, 1);
  assert_int_equal (arg->hash_algorithm, FS_VERITY_HASH_ALG_SHA256);
  assert_int_equal (arg->block_size, 4096);
  assert_int_equal (arg->sig_size, 0);
  /* The kernel takes no file that is open for writing. */
  assert_int_equal (fcntl (fd, F_GETFL) & O_ACCMODE, O_RDONLY);
  size_t i = calls < answer_count ? calls : answer_count - 1;
  calls++;
  errno = answers[i];
  return errno ? -1 : 0;
}

static bool is_bad (int fd)
{
  struct stat st;

  return bad_inode && fstat (fd, &st) == 0 && st.st_ino == bad_inode;
}

ssize_t __wrap_pread (int fd, void *data, size_t size, off_t at)
{
  if (!is_bad (fd))
    return __real_pread (fd, data, size, at);
  errno = EIO;
  return -1;
}

ssize_t __wrap_read (int fd, void *data, size_t size)
{
  if (!is_bad (fd))
    return __real_read (fd, data, size);
  errno = EIO;
  return -1;
}

ssize_t __wrap_preadv2 (int fd, const struct iovec *vector, int count, off_t at, int flags)
{
  if (!is_bad (fd))
    return __real_preadv2 (fd, vector, count, at, flags);
  errno = EIO;
  return -1;
}

struct place {
  char *path;
  int fd;
  struct store *store;
  struct u64set inodes;
};

static int setup (void **state)
{
  struct place *place = xcalloc (1, sizeof *place);
  autoerr struct err err = {0};

  bad_inode = 0;
  place->path = scratch_make (NULL);
  if (!place->path)
    return -1;
  place->fd = open (place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = place;
  return store_open (place->fd, &place->store, &err);
}

static int teardown (void **state)
{
  struct place *place = *state;

  store_close (place->store);
  u64set_release (&place->inodes);
  close (place->fd);
  int ret = scratch_remove (place->path);
  free (place->path);
  free (place);
  return ret;
}

static void write_file (int dir_fd, const char *name, const char *text)
{
  const struct timespec times[2] = {{1700000000, 1}, {1700000000, 1}};
  autoclose int fd = fd_open (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, text, strlen (text)), 0);
  assert_int_equal (futimens (fd, times), 0);
}

/* Writes and shares a file. The outcome, or negative. */
static int share_file (struct place *place, struct store *store, const char *name, const char *text,
                       struct err *err)
{
  autoshare struct share share = {.store = store, .inodes = &place->inodes, .temp_fd = place->fd};
  enum share_outcome outcome = SHARE_ALREADY;
  struct digest id;
  uint64_t ino;

  write_file (place->fd, name, text);
  assert_int_equal (identity_of (store->hasher, place->fd, name, 0, &id, NULL, err), 0);
  const struct share_file file = {.dir_fd = place->fd, .name = name, .id = &id};
  int ret = store_share (&share, &file, &outcome, &ino, err);
  return ret < 0 ? ret : (int) outcome;
}

static void shared (struct place *place, const char *name, enum share_outcome expected)
{
  autoerr struct err err = {0};
  int ret = share_file (place, place->store, name, name, &err);

  if (ret != (int) expected)
    fail_msg ("%d %s", ret, err_text (&err));
}

/* It is refused, with @text, and no object is there. */
static void refused (struct place *place, const char *name, int code, const char *text)
{
  autoerr struct err err = {0};
  struct digest id;

  assert_int_equal (share_file (place, place->store, name, name, &err), -code);
  if (!strstr (err_text (&err), text))
    fail_msg ("%s", err_text (&err));
  err_release (&err);
  assert_int_equal (identity_of (place->store->hasher, place->fd, name, 0, &id, NULL, &err), 0);
  assert_int_equal (store_has (place->store, &id, &err), 0);
}

static void settings (void **state)
{
  enum verity_mode mode = VERITY_REQUIRE;
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (verity_parse (NULL, &mode, &err), 0);
  assert_int_equal (mode, VERITY_OFF);
  assert_int_equal (verity_parse ("auto", &mode, &err), 0);
  assert_int_equal (mode, VERITY_AUTO);
  assert_int_equal (verity_parse ("require", &mode, &err), 0);
  assert_int_equal (mode, VERITY_REQUIRE);
  assert_int_equal (verity_parse ("yes", &mode, &err), -ERR_USAGE);
}

static void off_asks_nothing (void **state)
{
  ANSWER (0);
  shared (*state, "one", SHARE_PUBLISHED);
  assert_int_equal (calls, 0);
}

static void each_new_object_once (void **state)
{
  struct place *place = *state;

  place->store->verity = VERITY_REQUIRE;
  ANSWER (0, EEXIST, EINTR, 0);
  shared (place, "one", SHARE_PUBLISHED);
  shared (place, "two", SHARE_PUBLISHED);
  assert_int_equal (calls, 2);
  shared (place, "three", SHARE_PUBLISHED);
  assert_int_equal (calls, 4);
}

static void auto_tries_one_file_where_there_is_none (void **state)
{
  struct place *place = *state;

  place->store->verity = VERITY_AUTO;
  ANSWER (EOPNOTSUPP);
  shared (place, "one", SHARE_PUBLISHED);
  shared (place, "two", SHARE_PUBLISHED);
  assert_int_equal (calls, 1);
}

static void auto_goes_without_for_a_file (void **state)
{
  static const int errors[] = {ETXTBSY, EFBIG, ENOKEY};
  struct place *place = *state;

  place->store->verity = VERITY_AUTO;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    autofree char *name = xasprintf ("file-%zu", i);
    const int error = errors[i];
    ANSWER (error);
    shared (place, name, SHARE_PUBLISHED);
  }
  ANSWER (EBUSY, 0);
  shared (place, "later", SHARE_PUBLISHED);
  assert_int_equal (calls, 2);
  ANSWER (EIO);
  refused (place, "broken", EIO, "enable fs-verity on broken: Input/output error");
  ANSWER (ENOSPC);
  refused (place, "full", ENOSPC, "No space left on device");
}

static void require_refuses (void **state)
{
  struct place *place = *state;

  place->store->verity = VERITY_REQUIRE;
  ANSWER (ETXTBSY);
  refused (place, "written", ETXTBSY, "written: somebody has it open for writing");
  ANSWER (ENOTTY);
  refused (place, "one", EOPNOTSUPP, "\"verity\" is \"require\" in vguest.conf: ");
  refused (place, "two", EOPNOTSUPP, "or set it to \"auto\"");
  assert_int_equal (calls, 1);
}

static void check_counts (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  struct verify_options options = {.threads = 1};
  struct verify verify = {0};

  shared (place, "one", SHARE_PUBLISHED);
  shared (place, "two", SHARE_PUBLISHED);
  place->store->verity = VERITY_REQUIRE;
  ANSWER (0);
  assert_int_equal (store_verify (place->store, &options, &verify, &err), 0);
  assert_int_equal (verify.verity_missing, 2);
  assert_int_equal (calls, 0);
  verify_release (&verify);
  options.add_verity = true;
  assert_int_equal (store_verify (place->store, &options, &verify, &err), 0);
  assert_int_equal (verify.verity_added, 2);
  assert_int_equal (calls, 2);
  verify_release (&verify);
  ANSWER (ENOTTY);
  assert_int_equal (store_verify (place->store, &options, &verify, &err), 0);
  assert_int_equal (verify.verity_missing, 2);
  assert_non_null (strstr (verify.verity_error, "fs-verity"));
  verify_release (&verify);
}

/* The next file of its kind takes its place; a check calls it damaged. */
static void unreadable_objects_are_damaged (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  struct store *later = NULL;
  struct verify verify = {0};
  const struct verify_options options = {.threads = 1};
  struct stat st;

  shared (place, "one", SHARE_PUBLISHED);
  assert_int_equal (fstatat (place->fd, "one", &st, 0), 0);
  bad_inode = st.st_ino;
  assert_int_equal (store_verify (place->store, &options, &verify, &err), 0);
  assert_int_equal (verify.damage_count, 1);
  assert_int_equal (verify.damages[0].kind, DAMAGE_READ);
  verify_release (&verify);
  /* Another process, to which the inode is new, and another tree. */
  assert_int_equal (store_open (place->fd, &later, &err), 0);
  u64set_release (&place->inodes);
  int ret = share_file (place, later, "another", "one", &err);
  if (ret != SHARE_PUBLISHED)
    fail_msg ("%d %s", ret, err_text (&err));
  assert_int_equal (later->damaged, 1);
  store_close (later);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (settings),
      cmocka_unit_test_setup_teardown (off_asks_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown (each_new_object_once, setup, teardown),
      cmocka_unit_test_setup_teardown (auto_tries_one_file_where_there_is_none, setup, teardown),
      cmocka_unit_test_setup_teardown (auto_goes_without_for_a_file, setup, teardown),
      cmocka_unit_test_setup_teardown (require_refuses, setup, teardown),
      cmocka_unit_test_setup_teardown (check_counts, setup, teardown),
      cmocka_unit_test_setup_teardown (unreadable_objects_are_damaged, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
