/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* store/contents, what is damaged and why, quarantine; and dpkg's lists of files. */
#include "test.h"
#include "fsck/dpkg_lists.h"
#include "store/quarantine.h"
#include "store/verify.h"
#include "lib/scratch.h"
#include "util/fd.h"
#include "util/strbuf.h"

struct place {
  char *path;
  int fd;
  struct store *store;
};

static int setup (void **state)
{
  struct place *place = xcalloc (1, sizeof *place);
  autoerr struct err err = {0};

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
  close (place->fd);
  int ret = scratch_remove (place->path);
  free (place->path);
  free (place);
  return ret;
}

static struct contents_note make_note (uint64_t key, unsigned slot)
{
  struct contents_note note = {
      .key = key,
      .slot = slot,
      .size = key * 3,
      .mtime = {.tv_sec = -5, .tv_nsec = 999999999},
      .mode = S_IFREG | 04755,
      .uid = 4294967294U,
      .gid = 7,
  };

  memset (note.contents.bytes, (int) slot, sizeof note.contents.bytes);
  return note;
}

static struct digest make_id (uint64_t key)
{
  struct digest id = {0};

  memcpy (id.bytes, &key, sizeof key);
  return id;
}

static void write_notes (struct place *place, uint64_t count)
{
  autoerr struct err err = {0};
  autocontentswriter struct contents_writer writer = {.fd = -1};
  autocontentsnotes struct contents_notes notes = {0};

  for (uint64_t key = 0; key < count; key++) {
    struct contents_note note = make_note (key * 256, (unsigned) key % 3);
    contents_notes_add (&notes, &note);
  }
  assert_int_equal (contents_writer_start (place->store, &writer, &err), 0);
  assert_int_equal (contents_writer_add (&writer, place->store->hasher, 0, &notes, &err), 0);
  assert_int_equal (contents_writer_finish (&writer, &err), 0);
}

static size_t count_notes (struct place *place, uint64_t expected)
{
  autoerr struct err err = {0};
  autocontents struct contents contents = {.fd = -1};
  autocontentsnotes struct contents_notes notes = {0};

  assert_int_equal (contents_open (place->store, &contents, &err), 0);
  assert_int_equal (contents_load (&contents, place->store->hasher, 0, &notes, &err), 0);
  for (uint64_t key = 0; key < expected; key++) {
    struct digest id = make_id (key * 256);
    struct contents_note note = make_note (key * 256, (unsigned) key % 3);
    const struct contents_note *found = contents_find (&notes, &id, (unsigned) key % 3);

    assert_non_null (found);
    assert_null (contents_find (&notes, &id, 5));
    assert_memory_equal (&found->contents, &note.contents, sizeof note.contents);
    assert_int_equal (found->size, note.size);
    assert_int_equal (found->mtime.tv_sec, note.mtime.tv_sec);
    assert_int_equal (found->mtime.tv_nsec, note.mtime.tv_nsec);
    assert_int_equal (found->mode, note.mode);
    assert_int_equal (found->uid, note.uid);
    assert_int_equal (found->gid, note.gid);
  }
  return notes.count;
}

static void notes_are_read_as_they_were_written (void **state)
{
  struct place *place = *state;

  assert_int_equal (count_notes (place, 0), 0);
  write_notes (place, 1000);
  assert_int_equal (count_notes (place, 1000), 1000);
  write_notes (place, 0);
  assert_int_equal (count_notes (place, 0), 0);
}

static void a_damaged_part_is_as_none (void **state)
{
  struct place *place = *state;
  struct stat st;

  write_notes (place, 3);
  assert_int_equal (fstatat (place->store->fd, CONTENTS_NAME, &st, 0), 0);
  for (off_t at = 0; at < st.st_size; at += 97) {
    autoclose int fd = fd_open (place->store->fd, CONTENTS_NAME, O_RDWR, 0);
    uint8_t byte = 0;

    assert_int_equal (pread (fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal (pwrite (fd, &byte, 1, at), 1);
    size_t count = count_notes (place, 0);
    /* Time, place and other parts have nothing to do with these. */
    assert_true (count == 0 || (count == 3 && at < st.st_size - 3 * CONTENTS_NOTE_SIZE));
    byte ^= 0x10;
    assert_int_equal (pwrite (fd, &byte, 1, at), 1);
  }
  autoclose int fd = fd_open (place->store->fd, CONTENTS_NAME, O_RDWR, 0);
  assert_int_equal (ftruncate (fd, st.st_size - 1), 0);
  assert_int_equal (count_notes (place, 0), 0);
}

static void publish (struct place *place, const char *text, mode_t mode, struct digest *ret_id)
{
  autoerr struct err err = {0};
  autoclose int fd = fd_open (place->fd, "file", O_RDWR | O_CREAT | O_EXCL, 0600);

  assert_int_equal (fd_write_all (fd, text, strlen (text)), 0);
  assert_int_equal (fchmod (fd, mode), 0);
  assert_int_equal (identity_of (place->store->hasher, place->fd, "file", 0, ret_id, NULL, &err),
                    0);
  assert_int_equal (store_publish (place->store, ret_id, place->fd, "file", &err), 0);
}

static void check (struct place *place, bool quick, struct verify *ret_verify)
{
  autoerr struct err err = {0};
  struct verify_options options = {.threads = 2, .quick = quick};

  if (store_verify (place->store, &options, ret_verify, &err) < 0)
    fail_msg ("%s", err_text (&err));
}

static void a_mode_is_found_without_notes (void **state)
{
  struct place *place = *state;
  autoverify struct verify verify = {0};
  struct digest id;

  publish (place, "text", 04711, &id);
  assert_int_equal (fchmodat (place->fd, "file", 0644, 0), 0);
  check (place, false, &verify);
  assert_int_equal (verify.damage_count, 1);
  assert_int_equal (verify.damages[0].kind, DAMAGE_METADATA);
  assert_int_equal (verify.damages[0].right.st_mode & 07777, 04711);
  assert_string_equal (verify.damages[0].detail, "the mode was 4711 and is 0644");
}

static void contents_are_told_from_metadata_by_notes (void **state)
{
  struct place *place = *state;
  struct verify verify = {0};
  struct digest id;

  publish (place, "text", 0644, &id);
  check (place, false, &verify);
  assert_int_equal (verify.damage_count, 0);
  assert_int_equal (verify.objects, 1);
  verify_release (&verify);
  autoclose int fd = fd_open (place->fd, "file", O_WRONLY, 0);
  assert_int_equal (pwrite (fd, "T", 1, 0), 1);
  check (place, true, &verify); /* its time has changed */
  assert_int_equal (verify.damage_count, 1);
  assert_int_equal (verify.damages[0].kind, DAMAGE_CONTENTS);
  verify_release (&verify);
  assert_int_equal (unlinkat (place->fd, "file", 0), 0);
  check (place, false, &verify);
  assert_int_equal (verify.orphans, 1);
  verify_release (&verify);
}

static void quarantine_takes_that_inode_only (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  autoquarantine struct quarantine quarantine = {0};
  autofree char *name = NULL, *again = NULL;
  struct digest id;
  struct stat st;

  publish (place, "text", 0644, &id);
  assert_int_equal (fstatat (place->fd, "file", &st, 0), 0);
  assert_int_equal (quarantine_object (place->store, &id, 0, st.st_ino + 1, &name, &err), 0);
  assert_int_equal (store_has (place->store, &id, &err), 1);
  assert_int_equal (quarantine_object (place->store, &id, 0, st.st_ino, &name, &err), 1);
  assert_int_equal (store_has (place->store, &id, &err), 0);
  assert_int_equal (quarantine_object (place->store, &id, 0, st.st_ino, &again, &err), 0);
  /* The same name once more. */
  assert_int_equal (store_publish (place->store, &id, place->fd, "file", &err), 0);
  assert_int_equal (quarantine_object (place->store, &id, 0, st.st_ino, &again, &err), 1);
  assert_string_not_equal (name, again);
  assert_int_equal (quarantine_read (place->store, &quarantine, &err), 0);
  assert_int_equal (quarantine.count, 2);
  for (size_t i = 0; i < 2; i++) {
    assert_true (quarantine.items[i].object);
    assert_true (digest_equal (&quarantine.items[i].id, &id));
    assert_int_equal (quarantine.items[i].ino, st.st_ino);
  }
  assert_int_equal (store_has_inode (place->store, st.st_ino, &err), 1);
}

static void package_of (const char *name, const char *expected)
{
  assert_int_equal (dpkg_list_package (name), expected ? strlen (expected) : 0);
  if (expected)
    assert_memory_equal (name, expected, strlen (expected));
}

static void names_of_lists_are_packages (void **state)
{
  (void) state;
  package_of ("coreutils.list", "coreutils");
  package_of ("libc6:amd64.list", "libc6:amd64");
  package_of ("libstdc++6:amd64.list", "libstdc++6:amd64");
  package_of ("python3.11.list", "python3.11");
  package_of ("x.list.list", "x.list");
  package_of ("coreutils.md5sums", NULL);
  package_of (".list", NULL);
  package_of ("-x.list", NULL);
  package_of ("a b.list", NULL);
  package_of ("a;b.list", NULL);
  package_of ("a:b:c.list", NULL);
  package_of ("", NULL);
}

static void note_path (void *data, const char *path, size_t len)
{
  strbuf_add (data, path, len);
  strbuf_adds (data, "|");
}

static void lists_are_paths (void **state)
{
  static const char list[] = "/.\n/usr\n/usr/bin/a b\n\nrelative\n/\n/last";
  autostrbuf struct strbuf paths = STRBUF_INIT (1000);

  (void) state;
  dpkg_list_each (list, strlen (list), note_path, &paths);
  assert_string_equal (strbuf_str (&paths), "usr|usr/bin/a b|last|");
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (notes_are_read_as_they_were_written, setup, teardown),
      cmocka_unit_test_setup_teardown (a_damaged_part_is_as_none, setup, teardown),
      cmocka_unit_test_setup_teardown (a_mode_is_found_without_notes, setup, teardown),
      cmocka_unit_test_setup_teardown (contents_are_told_from_metadata_by_notes, setup, teardown),
      cmocka_unit_test_setup_teardown (quarantine_takes_that_inode_only, setup, teardown),
      cmocka_unit_test (names_of_lists_are_packages),
      cmocka_unit_test (lists_are_paths),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
