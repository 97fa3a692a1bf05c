/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "place.h"
#include "pkg/apt.h"
#include "util/dirread.h"
#include "util/fd.h"

#define DIGEST_A "559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd" /* of "A" */
#define DIGEST_B "df7e70e5021544f4834bbee64a9e3789febc4be81470df629cad6ddb03320a5c" /* of "B" */
#define SIGNED "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
#define END "-----BEGIN PGP SIGNATURE-----\n"

/* The lists of one guest, what is shared of them, and those of another one. */
struct lists {
  int from, shared, to;
};

static struct lists open_lists (struct place *place)
{
  make_dir (place, "txn/from");
  make_dir (place, "txn/shared");
  make_dir (place, "txn/to");
  return (struct lists){
      fd_open_dir_beneath (place->fd, "txn/from"),
      fd_open_dir_beneath (place->fd, "txn/shared"),
      fd_open_dir_beneath (place->fd, "txn/to"),
  };
}

static void close_lists (struct lists *lists)
{
  close (lists->from);
  close (lists->shared);
  close (lists->to);
}

#define autolists __attribute__ ((cleanup (close_lists)))

static size_t share (const struct lists *lists)
{
  autoerr struct err err = {0};
  size_t count = 0;

  if (apt_share_lists (lists->from, lists->shared, &count, &err) < 0)
    fail_msg ("%s", err_text (&err));
  return count;
}

static int start (const struct lists *lists)
{
  autoerr struct err err = {0};

  return apt_start_lists (lists->shared, lists->to, &err);
}

static int end (const struct lists *lists)
{
  autoerr struct err err = {0};

  return apt_end_lists (lists->shared, lists->to, &err);
}

static size_t count_entries (int fd)
{
  autodirlist struct dirlist list = {0};
  autoerr struct err err = {0};

  assert_int_equal (dirread_all (fd, &list, &err), 0);
  return list.count;
}

static void replace (struct place *place, const char *path, const char *text)
{
  unlinkat (place->fd, path, 0);
  write_file (place, path, text);
}

/* A and B, of which B is not what the InRelease says. */
static void make_from (struct place *place)
{
  write_file (place, "txn/from/h_InRelease",
              SIGNED "Origin: x\nDate: Fri, 01 Jan 2100 00:00:00 +0000\nSHA256:\n " DIGEST_A
                     " 1 m/A\n " DIGEST_A " 1 m/B\n " DIGEST_A " 1 m/C\n" END);
  write_file (place, "txn/from/h_m_A", "A");
  write_file (place, "txn/from/h_m_B", "B");
  write_file (place, "txn/from/other", "A");
}

static void verified_files_alone_are_shared (void **state)
{
  struct place *place = *state;
  autolists struct lists lists = open_lists (place);
  struct stat st;

  make_from (place);
  assert_int_equal (fchmodat (lists.from, "h_m_A", 04777, 0), 0);
  write_file (place, "txn/from/evil_InRelease", "SHA256:\n " DIGEST_A " 1 ../other\n");
  write_file (place, "txn/from/none_InRelease", "SHA256:\n " DIGEST_B " 1 A\n");
  assert_int_equal (symlinkat ("h_m_A", lists.from, "h_m_C"), 0);
  assert_int_equal (symlinkat ("h_InRelease", lists.from, "l_InRelease"), 0);
  assert_int_equal (share (&lists), 1);
  assert_int_equal (count_entries (lists.shared), 2);
  assert_file (place, "txn/shared/h_m_A", "A");
  assert_int_equal (fstatat (lists.shared, "h_m_A", &st, 0), 0);
  assert_int_equal (st.st_mode, S_IFREG | 0644);
  /* Nothing of the guest's dates, and it is older than any server's. */
  assert_file (place, "txn/shared/h_InRelease",
               "Origin: x\nDate: Thu, 01 Jan 1970 00:00:00 +0000\nSHA256:\n " DIGEST_A " 1 m/A\n");
  assert_int_equal (fstatat (lists.shared, "h_InRelease", &st, 0), 0);
  assert_int_equal (st.st_mtim.tv_sec, 0);
}

static void what_a_guest_has_itself_stays (void **state)
{
  struct place *place = *state;
  autolists struct lists lists = open_lists (place);
  struct stat before, after;

  make_from (place);
  share (&lists);
  replace (place, "txn/to/h_InRelease",
           SIGNED "Origin: own\nDate: its own\nSHA256:\n " DIGEST_B " 1 m/A\n " DIGEST_B
                  " 1 m/Z\n" END);
  replace (place, "txn/to/h_m_A", "B");
  replace (place, "txn/to/h_m_Z", "B");
  assert_int_equal (start (&lists), 0);
  assert_file (place, "txn/to/h_m_A", "A");
  assert_file (place, "txn/to/h_m_Z", "B");
  assert_file (place, "txn/to/h_InRelease",
               "Origin: own\nDate: its own\nSHA256:\n " DIGEST_B " 1 m/Z\n " DIGEST_A " 1 m/A\n");
  /* It is a copy: the other one's file is nobody's to write to. */
  assert_int_equal (fstatat (lists.to, "h_m_A", &after, 0), 0);
  assert_int_equal (after.st_nlink, 1);

  /* With all of it there, its own InRelease does as well. */
  replace (place, "txn/to/h_InRelease", SIGNED "SHA256:\n " DIGEST_A " 1 m/A\n" END);
  assert_int_equal (fstatat (lists.to, "h_InRelease", &before, 0), 0);
  assert_int_equal (start (&lists), 0);
  assert_int_equal (fstatat (lists.to, "h_InRelease", &after, 0), 0);
  assert_int_equal (before.st_ino, after.st_ino);
  assert_int_equal (after.st_size, before.st_size);
}

static void nothing_unverified_may_be_left (void **state)
{
  struct place *place = *state;
  autolists struct lists lists = open_lists (place);

  make_from (place);
  share (&lists);
  assert_int_equal (start (&lists), 0);
  /* As when nothing was fetched. */
  assert_int_equal (end (&lists), -EBADMSG);
  replace (place, "txn/to/h_InRelease", SIGNED "SHA256:\n " DIGEST_A " 1 m/A\n" END);
  assert_int_equal (end (&lists), 0);
  /* The file is another one by now, and was fetched; or was not. */
  replace (place, "txn/to/h_InRelease", SIGNED "SHA256:\n " DIGEST_B " 1 m/A\n" END);
  assert_int_equal (end (&lists), -EBADMSG);
  replace (place, "txn/to/h_m_A", "B");
  assert_int_equal (end (&lists), 0);
  /* There is no such file in the repository, or no repository. */
  replace (place, "txn/to/h_InRelease", SIGNED "SHA256:\n " DIGEST_B " 1 m/Z\n" END);
  assert_int_equal (end (&lists), -EBADMSG);
  assert_int_equal (unlinkat (lists.to, "h_InRelease", 0), 0);
  assert_int_equal (end (&lists), -EBADMSG);
  assert_int_equal (unlinkat (lists.to, "h_m_A", 0), 0);
  assert_int_equal (end (&lists), 0);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (verified_files_alone_are_shared, setup_commit, teardown),
      cmocka_unit_test_setup_teardown (what_a_guest_has_itself_stays, setup_commit, teardown),
      cmocka_unit_test_setup_teardown (nothing_unverified_may_be_left, setup_commit, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
