/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The history of a guest: entries, how many are kept, and what can be rolled back. */
#include "guest/failed.h"
#include "guest/rollback.h"
#include "guest/transaction.h"
#include "place.h"
#include "util/fd.h"

struct fixture {
  struct place *place;
  struct vroot root;
  struct guest guest;
};

static int setup (void **state)
{
  struct fixture *f = xcalloc (1, sizeof *f);
  void *place = NULL;

  if (setup_commit (&place) < 0)
    return -1;
  f->place = place;
  f->root = (struct vroot){.path = f->place->path, .fd = f->place->fd};
  f->guest = (struct guest){.name = (char *) "web1", .fd = f->place->fd, .lock_fd = -1};
  f->guest.config = json_object_new_object ();
  *state = f;
  return 0;
}

static int end (void **state)
{
  struct fixture *f = *state;
  void *place = f->place;

  json_object_put (f->guest.config);
  free (f);
  return teardown (&place);
}

#define OK(call)                                                                                   \
  do {                                                                                             \
    autoerr struct err ok_err = {0};                                                               \
    struct err *err = &ok_err;                                                                     \
    if ((call) < 0)                                                                                \
      fail_msg ("%s: %s", #call, err_text (err));                                                  \
  } while (0)

/* A commit as far as the history is concerned. */
static uint64_t add_as (struct fixture *f, const struct history_note *note)
{
  uint64_t id = 0;

  OK (history_prepare (&f->guest, note, &id, err));
  OK (history_publish (&f->root, &f->guest, err));
  OK (history_prune (&f->root, &f->guest, err));
  return id;
}

static uint64_t add (struct fixture *f, const char *what)
{
  return add_as (f, &(struct history_note){.what = what});
}

static uint64_t add_rollback (struct fixture *f, uint64_t undoes, uint64_t to)
{
  return add_as (f,
                 &(struct history_note){.what = "rollback", .undoes = undoes, .rolls_back_to = to});
}

/* "1u 2 3r": ids, with u for an undo layer, r for rolled back, f for failed, p for pending. */
static void assert_history (struct fixture *f, const char *expected)
{
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 16);
  autohistory struct history history = {0};

  OK (history_read (&f->guest, &history, err));
  for (size_t i = 0; i < history.count; i++) {
    const struct history_entry *e = &history.items[i];

    strbuf_addf (&text, "%s%d%s%s%s%s", i ? " " : "", (int) e->id, e->has_undo ? "u" : "",
                 e->rolled_back_by ? "r" : "", e->failed ? "f" : "", e->pending ? "p" : "");
  }
  assert_string_equal (strbuf_str (&text), expected);
}

static void keep (struct fixture *f, int count)
{
  json_set_int (f->guest.config, "keep_transactions", count);
}

static void assert_plan (struct fixture *f, uint64_t id, const char *expected)
{
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 16);
  autorollback struct rollback rollback = {0};
  autoerr struct err err = {0};

  if (rollback_plan (&f->root, &f->guest, id, &rollback, &err) < 0)
    strbuf_addf (&text, "%s", err_text (&err));
  for (size_t i = 0; i < rollback.count; i++)
    strbuf_addf (&text, "%s%d", i ? " " : "", (int) rollback.ids[i]);
  /* Of messages a part. */
  if (rollback.count ? strcmp (strbuf_str (&text), expected) != 0
                     : strstr (strbuf_str (&text), expected) == NULL)
    fail_msg ("%s: is %s", expected, strbuf_str (&text));
}

static void undo_layers_are_kept_as_the_setting_says (void **state)
{
  struct fixture *f = *state;

  assert_int_equal (add (f, "a"), 1);
  assert_int_equal (add (f, "b"), 2);
  assert_history (f, "1 2u");
  keep (f, 3);
  add (f, "c");
  add (f, "d");
  assert_history (f, "1 2u 3u 4u");
  add (f, "e");
  assert_history (f, "1 2 3u 4u 5u");
  keep (f, 0);
  add (f, "f");
  assert_history (f, "1 2 3 4 5 6");
  assert_plan (f, 0, "no transaction that can be undone");
  assert_int_equal (faccessat (f->place->fd, "gc-wanted", F_OK, 0), 0);
}

static void a_wrong_setting_is_told_before_anything_is_done (void **state)
{
  struct fixture *f = *state;
  const struct history_note note = {.what = "a"};
  autoerr struct err refusal = {0};
  uint64_t id = 0;

  keep (f, 101);
  assert_int_equal (history_prepare (&f->guest, &note, &id, &refusal), -ERR_USAGE);
  assert_non_null (strstr (err_text (&refusal), "keep_transactions must be 0 to 100, not 101"));
  OK (history_prune (&f->root, &f->guest, err));
}

static void old_entries_go (void **state)
{
  struct fixture *f = *state;
  autohistory struct history history = {0};

  for (int i = 0; i < HISTORY_ENTRIES_MAX + 5; i++)
    add (f, "a");
  OK (history_read (&f->guest, &history, err));
  assert_int_equal (history.count, HISTORY_ENTRIES_MAX);
  assert_int_equal (history.items[0].id, 6);
  assert_int_equal (history.items[history.count - 1].id, HISTORY_ENTRIES_MAX + 5);
}

static void rollback_goes_back_in_order (void **state)
{
  struct fixture *f = *state;

  keep (f, 5);
  add (f, "a");
  add (f, "b");
  add (f, "c");
  assert_plan (f, 0, "3");
  assert_plan (f, 1, "3 2 1");
  assert_plan (f, 9, "has no transaction 9");
  assert_int_equal (add_rollback (f, 3, 3), 4);
  assert_history (f, "1u 2u 3r 4u");
  /* The rollback is the newest now. */
  assert_plan (f, 0, "4");
  assert_plan (f, 2, "2");
  assert_plan (f, 3, "is as it was before transaction 3 already");
  add_rollback (f, 4, 4);
  assert_history (f, "1u 2u 3r 4r 5u");
  /* 5 does again what 3 did. */
  assert_plan (f, 3, "5");
  assert_plan (f, 4, "is as it was before transaction 4 already");
  assert_plan (f, 1, "5 2 1");
}

/* 1 2 3, back to before 2, and forth again. */
static void rollbacks_of_rollbacks_are_taken_together (void **state)
{
  struct fixture *f = *state;

  keep (f, 9);
  add (f, "a");
  add (f, "b");
  add (f, "c");
  add_rollback (f, 3, 2);
  add_rollback (f, 2, 2);
  assert_plan (f, 0, "5");
  assert_plan (f, 1, "1");
  assert_plan (f, 4, "5 4");
  add_rollback (f, 5, 4);
  add_rollback (f, 4, 4);
  assert_history (f, "1u 2r 3r 4r 5r 6u 7u");
  assert_plan (f, 3, "7");
  assert_plan (f, 2, "7 6");
  assert_plan (f, 1, "7 6 1");
  assert_plan (f, 6, "7 6");
  add_rollback (f, 7, 7);
  assert_plan (f, 6, "6");
  assert_plan (f, 7, "is as it was before transaction 7 already");
}

/* Fewer are to be kept than it takes to go back. */
static void a_rollback_keeps_what_it_needs (void **state)
{
  struct fixture *f = *state;

  keep (f, 3);
  add (f, "a");
  add (f, "b");
  add (f, "c");
  keep (f, 1);
  add_rollback (f, 3, 1);
  assert_history (f, "1u 2u 3r 4u");
  add_rollback (f, 2, 1);
  assert_history (f, "1u 2r 3r 4u 5u");
  add_rollback (f, 1, 1);
  assert_history (f, "1r 2r 3r 4u 5u 6u");
  add (f, "d");
  assert_history (f, "1r 2r 3r 4 5 6 7u");
}

static void what_cannot_be_undone_is_in_the_way (void **state)
{
  struct fixture *f = *state;
  const struct history_note running = {.what = "apt-get upgrade", .mode = HISTORY_RUNNING};
  const struct history_note failed = {.what = "false", .failed = true};
  uint64_t id = 0;

  keep (f, 5);
  add (f, "a");
  OK (history_add (&f->root, &f->guest, &failed, &id, err));
  assert_history (f, "1u 2f");
  /* It changed nothing. */
  assert_plan (f, 1, "1");
  assert_plan (f, 2, "failed: it changed nothing");
  OK (history_add (&f->root, &f->guest, &running, &id, err));
  assert_int_equal (id, 3);
  assert_plan (f, 1, "transaction 3 (apt-get upgrade) cannot be undone: it ran in the running");
  assert_plan (f, 0, "transaction 3 (apt-get upgrade) cannot be undone");
  add (f, "b");
  assert_plan (f, 0, "4");
  assert_plan (f, 1, "transaction 3 (apt-get upgrade) cannot be undone");
}

/* Metadata was fetched: what was before can be rolled back all the same. */
static void minor_transactions_take_nobodys_place (void **state)
{
  struct fixture *f = *state;
  const struct history_note minor = {.what = "apt-get update", .minor = true};

  keep (f, 1);
  add (f, "a");
  add_as (f, &minor);
  assert_history (f, "1u 2");
  assert_plan (f, 0, "1");
  assert_plan (f, 1, "1");
  assert_plan (f, 2, "changed nothing that could be undone");
  add (f, "b");
  assert_history (f, "1 2 3u");
}

static void entries_keep_what_was_told (void **state)
{
  struct fixture *f = *state;
  static const struct history_package packages[] = {{"libc6", "1", "2"}, {"new\xff", NULL, "3"}};
  const struct history_note note = {.what = "apt-get upgrade",
                                    .mode = HISTORY_STOPPED,
                                    .log = "/var/lib/vguest/guests/web1/log/x.log",
                                    .written_bytes = 4096,
                                    .milliseconds = 1500,
                                    .packages_changed = 2,
                                    .packages = packages,
                                    .package_count = 2};
  uint64_t id = add_as (f, &note);
  autohistory struct history history = {0};

  OK (history_read (&f->guest, &history, err));
  const struct history_entry *entry = history_find (&history, id);
  assert_non_null (entry);
  assert_string_equal (entry->what, "apt-get upgrade");
  assert_string_equal (entry->log, "log/x.log");
  assert_int_equal (entry->written_bytes, 4096);
  assert_int_equal (entry->milliseconds, 1500);
  assert_int_equal (entry->packages_changed, 2);
  assert_string_equal (json_object_to_json_string_ext (entry->packages, JSON_C_TO_STRING_PLAIN),
                       "[{\"name\":\"libc6\",\"old\":\"1\",\"new\":\"2\"},"
                       "{\"name\":\"new\xef\xbf\xbd\",\"old\":null,\"new\":\"3\"}]");
  assert_int_equal (strlen (entry->time), strlen ("2026-01-31T12:00:00Z"));
}

static void a_damaged_entry_hides_no_others (void **state)
{
  struct fixture *f = *state;
  autohistory struct history history = {0};

  keep (f, 5);
  add (f, "a");
  add (f, "b");
  autoclose int fd = fd_open (f->place->fd, "history/1/entry.json", O_WRONLY | O_TRUNC, 0);
  assert_int_equal (fd_write_all (fd, "{\"id\": [", 8), 0);
  assert_int_equal (mkdirat (f->place->fd, "history/01", 0700), 0);
  assert_int_equal (mkdirat (f->place->fd, "history/x", 0700), 0);
  OK (history_read (&f->guest, &history, err));
  assert_history (f, "1u 2u");
  assert_string_equal (history.items[0].what, "unknown");
  assert_int_equal (add (f, "c"), 3);
}

/* Of a guest that runs on the layer of a transaction, which is its own. */
static void a_pending_entry_is_listed (void **state)
{
  struct fixture *f = *state;
  const struct history_note note = {.what = "b", .mode = HISTORY_OFFLINE};
  const struct history_note running = {.what = "c", .mode = HISTORY_RUNNING};
  uint64_t id = 0;

  add (f, "a");
  assert_int_equal (mkdirat (f->place->fd, "txn/work", 0700), 0);
  OK (transaction_keep (&f->guest, &note, &id, err));
  assert_int_equal (id, 2);
  assert_history (f, "1u");
  OK (transaction_accept (&f->guest, err));
  assert_history (f, "1u 2up");
  OK (history_add (&f->root, &f->guest, &running, &id, err));
  assert_int_equal (id, 3);
  OK (history_publish (&f->root, &f->guest, err));
  assert_history (f, "1u 2u 3");
}

static void undo_layers_can_be_dropped (void **state)
{
  struct fixture *f = *state;
  size_t count = 0;

  keep (f, 5);
  add (f, "a");
  add (f, "b");
  OK (history_drop_undo (&f->root, &f->guest, &count, err));
  assert_int_equal (count, 2);
  assert_history (f, "1 2");
  OK (history_drop_undo (&f->root, &f->guest, &count, err));
  assert_int_equal (count, 0);
}

static void one_failed_layer_is_kept (void **state)
{
  struct fixture *f = *state;
  const struct history_note first = {.what = "first"}, second = {.what = "second"};
  autohistoryentry struct history_entry entry = {0};
  autoerr struct err ignored = {0};

  assert_int_equal (failed_read (&f->guest, &entry, &ignored), 0);
  assert_int_equal (failed_drop (&f->guest, &ignored), 0);
  write_file (f->place, "upper/a", "a");
  make_dir (f->place, "txn/layer");
  write_file (f->place, "txn/layer/c", "c");
  OK (failed_keep (&f->guest, &first, err));
  assert_gone (f->place, "txn/upper");
  assert_file (f->place, "failed/upper/a", "a");
  assert_file (f->place, "failed/layer/c", "c");
  assert_int_equal (mkdirat (f->place->fd, "txn/upper", 0700), 0);
  write_file (f->place, "upper/b", "b");
  OK (failed_keep (&f->guest, &second, err));
  assert_gone (f->place, "failed/upper/a");
  assert_gone (f->place, "failed/layer");
  assert_file (f->place, "failed/upper/b", "b");
  assert_int_equal (failed_read (&f->guest, &entry, &ignored), 1);
  assert_string_equal (entry.what, "second");
  assert_true (entry.failed);
  assert_int_equal (failed_drop (&f->guest, &ignored), 1);
  assert_gone (f->place, "failed");
}

static void words_are_quoted (void **state)
{
  const char *const args[] = {"sh", "-c", "echo 'a b' >x", "", "a=b", NULL};
  autofree char *text = history_what ("exec", args), *none = history_what ("exec", NULL);

  (void) state;
  assert_string_equal (text, "exec sh -c 'echo '\\''a b'\\'' >x' '' a=b");
  assert_string_equal (none, "exec");
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, end)
  const struct CMUnitTest tests[] = {
      TEST (undo_layers_are_kept_as_the_setting_says),
      TEST (a_wrong_setting_is_told_before_anything_is_done),
      TEST (old_entries_go),
      TEST (rollback_goes_back_in_order),
      TEST (rollbacks_of_rollbacks_are_taken_together),
      TEST (a_rollback_keeps_what_it_needs),
      TEST (what_cannot_be_undone_is_in_the_way),
      TEST (entries_keep_what_was_told),
      TEST (minor_transactions_take_nobodys_place),
      TEST (a_damaged_entry_hides_no_others),
      TEST (a_pending_entry_is_listed),
      TEST (undo_layers_can_be_dropped),
      TEST (one_failed_layer_is_kept),
      cmocka_unit_test (words_are_quoted),
  };
#undef TEST

  if (geteuid () != 0) {
    printf ("1..0 # SKIP only root can make layers\n");
    return 0;
  }
  return cmocka_run_group_tests (tests, NULL, NULL);
}
