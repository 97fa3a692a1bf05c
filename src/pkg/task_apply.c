/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The request itself in one guest: a transaction, or in its namespaces, or offline. */
#include "commands.h"
#include "pkg/layer.h"
#include "pkg/leftovers.h"
#include "runtime/live.h"
#include "util/clock.h"
#include "util/fd.h"
#include <inttypes.h>

struct apply {
  struct bulk *bulk;
  size_t row;
  struct pkg_commands commands;  /* owned */
  struct run_result result;      /* owned */
  struct pkg_packages before;    /* owned */
  struct pkg_changes changes;    /* owned */
  struct names conffiles;        /* owned */
  struct names restart;          /* owned */
  struct names verify;           /* owned; the guest's own command */
  struct history_note note;      /* for the guest's history */
  struct history_package *noted; /* owned; its packages, which borrow from changes */
  uint64_t start_us;
  struct timespec since;
  bool counted; /* packages are compared */
};

static void apply_release (struct apply *apply)
{
  int saved = errno;

  pkg_commands_release (&apply->commands);
  run_result_release (&apply->result);
  pkg_packages_release (&apply->before);
  pkg_changes_release (&apply->changes);
  names_release (&apply->conffiles);
  names_release (&apply->restart);
  names_release (&apply->verify);
  free (apply->noted);
  *apply = (struct apply){0};
  errno = saved;
}
#define autoapply __attribute__ ((cleanup (apply_release)))

static struct bulk_row *row_of (const struct apply *apply)
{
  return &apply->bulk->report->rows[apply->row];
}

static struct bulk_work *work_of (const struct apply *apply)
{
  return &apply->bulk->works[apply->row];
}

static void on_phase (void *data, const char *phase)
{
  struct apply *apply = data;

  runlog_note (&work_of (apply)->log, "%s", phase);
  event_note (phase);
  event_step (phase, -1);
}

/* What is done by bringing metadata alone, and what an empty plan says is needless, is not run. */
static bool must_run (const struct apply *apply)
{
  const struct bulk_row *row = row_of (apply);
  const struct bulk_work *work = work_of (apply);
  bool brought = work->lists != NO_GROUP && apply->bulk->lists.items[work->lists].dir;

  if (work->request->refresh && brought)
    return false;
  return !(work->request->idle && row->planned && !row->plan.count);
}

static int bring_packages (struct apply *apply, struct guest *guest, struct err *err)
{
  const struct bulk_work *work = work_of (apply);
  const struct bulk_group *group =
      work->plan == NO_GROUP ? NULL : &apply->bulk->plans.items[work->plan];

  if (!group || !group->file_count)
    return 0;
  autoclose int fd = pkg_layer_directory (guest, row_of (apply)->driver->packages_dir, err);
  if (fd < 0)
    return -err->code;
  for (size_t i = 0; i < group->file_count; i++) {
    const struct pkgcache_file *file = &apply->bulk->files[group->first_file + i];

    if (file->state != PKG_FILE_FAILED &&
        pkgcache_link (apply->bulk->cache, file, fd, file->name, err) < 0)
      return err_wrap (err, "bring %s into the guest", file->name);
  }
  return 0;
}

static int prepare (void *data, struct guest *guest, struct err *err)
{
  struct apply *apply = data;

  /* A running guest that was stopped for it has fetched its own metadata. */
  if (row_of (apply)->mode == BULK_STOPPED &&
      bulk_bring_lists (apply->bulk, apply->row, guest, err) < 0)
    return -err->code;
  if (bring_packages (apply, guest, err) < 0)
    return -err->code;
  return bulk_bring_cache (apply->bulk, apply->row, guest, err);
}

static int count_changes (struct apply *apply, struct guest *guest, struct err *err)
{
  autopkgpackages struct pkg_packages after = {0};
  const struct pkg_driver *driver = row_of (apply)->driver;

  if (!apply->commands.count || (!driver->read_installed && !driver->parse_installed))
    return 0;
  if (!driver->read_installed &&
      pkg_commands_installed (&apply->commands, guest, /* first= */ true, &apply->before, err) < 0)
    return err_wrap (err, "read the packages of before");
  if (pkg_commands_installed (&apply->commands, guest, /* first= */ false, &after, err) < 0)
    return err_wrap (err, "read the packages");
  apply->counted = true;
  return pkg_changes_between (&apply->before, &after, &apply->changes, err);
}

/* The commands have succeeded, by their statuses: does what they printed say so as well? */
static int check (struct apply *apply, const struct container_result *result, struct err *err)
{
  struct run_result now = {.container = *result};
  size_t at = 0;
  enum pkg_meaning meaning = pkg_commands_meaning (&apply->commands, &now, &at);

  if (meaning == PKG_OK || meaning == PKG_NOTHING)
    return 0;
  return pkg_commands_fail (&apply->commands, &now, at, err);
}

/* What is known of it by now, for the guest's history. Where no package changed, what it wrote is
 * metadata, caches and logs: that must not take the place of what can be rolled back. */
static void note (struct apply *apply)
{
  const struct pkg_request *request = work_of (apply)->request;
  const struct pkg_changes *changes = &apply->changes;

  free (apply->noted);
  apply->noted = xcalloc (changes->count + 1, sizeof *apply->noted);
  for (size_t i = 0; i < changes->count; i++)
    apply->noted[i] = (struct history_package){
        changes->items[i].name, changes->items[i].old_version, changes->items[i].new_version};
  apply->note = (struct history_note){
      .what = apply->bulk->options->title,
      .minor = request->refresh || !apply->commands.count ||
               (request->may_do_nothing && apply->counted && !changes->count),
      .log = work_of (apply)->log.path,
      .milliseconds = (clock_us () - apply->start_us) / 1000,
      .packages_changed = changes->count,
      .packages = apply->counted ? apply->noted : NULL,
      .package_count = changes->count,
  };
}

static int accept (void *data, struct guest *guest, const struct container_result *result,
                   struct err *err)
{
  struct apply *apply = data;
  const struct pkg_driver *driver = row_of (apply)->driver;
  const struct bulk_work *work = work_of (apply);
  bool brought = work->lists != NO_GROUP && apply->bulk->lists.items[work->lists].dir;

  if (check (apply, result, err) < 0 || count_changes (apply, guest, err) < 0 ||
      leftovers_conffiles (guest, driver, "txn/upper", NULL, &apply->conffiles, err) < 0)
    return -err->code;
  if (brought && driver->keep_lists && row_of (apply)->mode == BULK_STOPPED &&
      pkg_layer_keep (guest, driver->lists_dir, err) < 0)
    return -err->code;
  note (apply);
  event_step ("commit", -1);
  return 0;
}

static int add_selections (struct apply *apply, struct err *err)
{
  const char *const *program = row_of (apply)->driver->selections;
  const char *text = apply->bulk->options->selections;
  autonames struct names words = {0};

  if (!text)
    return 0;
  if (!program)
    return err_code (err, ERR_USAGE, "%s takes no answers for debconf",
                     row_of (apply)->driver->name);
  pkg_add_words (&words, program);
  pkg_commands_add_own (&apply->commands, &words, text);
  return 0;
}

static int make_commands (struct apply *apply, struct err *err)
{
  const struct pkg_driver *driver = row_of (apply)->driver;
  struct pkg_commands *commands = &apply->commands;

  pkg_commands_start (apply->bulk, apply->row, commands);
  if (!must_run (apply))
    return 0;
  if (!driver->read_installed)
    pkg_commands_add (commands, PKG_INSTALLED);
  if (add_selections (apply, err) < 0)
    return -err->code;
  if (!pkg_commands_add (commands, PKG_APPLY))
    return err_code (err, EINVAL, "%s has no command for this", driver->name);
  if (!work_of (apply)->request->refresh)
    pkg_commands_add (commands, PKG_VERIFY);
  if (apply->verify.count && !work_of (apply)->request->refresh)
    pkg_commands_add_own (commands, &apply->verify, NULL);
  if (!driver->read_installed)
    pkg_commands_add (commands, PKG_INSTALLED);
  return 0;
}

static int read_verify (struct apply *apply, struct guest *guest, struct err *err)
{
  autosettings struct settings settings = {0};

  if (settings_parse (guest->config, guest->name, &settings, err) < 0)
    return -err->code;
  pkg_add_names (&apply->verify, &settings.verify);
  return 0;
}

static int run (struct apply *apply, struct err *err)
{
  struct run_options options = {
      .prepare = prepare,
      .accept = accept,
      .hook_data = apply,
      .write_paths = row_of (apply)->driver->write_paths,
      .note = &apply->note,
      .keep_failed = apply->bulk->options->keep_failed,
  };

  note (apply);
  if (row_of (apply)->mode == BULK_OFFLINE)
    return pkg_commands_run_offline (&apply->commands, &options, on_phase, apply, &apply->result,
                                     err);
  return pkg_commands_run (&apply->commands, &options, &apply->result, err);
}

/* Behind a run in place, of which accept was not told. */
static int look_at_running (struct apply *apply, struct guest *guest, struct err *err)
{
  autoliveinfo struct live_info info = {0};

  if (count_changes (apply, guest, err) < 0 ||
      leftovers_conffiles (guest, row_of (apply)->driver, "private", &apply->since,
                           &apply->conffiles, err) < 0 ||
      live_info_read (apply->bulk->root, guest, &info, err) < 0)
    return -err->code;
  if (info.init_pid <= 0)
    return 0;
  return leftovers_restart (info.init_pid, &apply->restart, err);
}

static json_object *strings_json (const struct names *names)
{
  json_object *array = json_object_new_array ();

  for (size_t i = 0; i < names->count; i++)
    json_append (array, json_object_new_string (names->items[i]));
  return array;
}

/* See take_result in bulk_apply.c. */
static void tell_result (const struct apply *apply)
{
  autojson json_object *object = json_object_new_object ();
  const struct run_result *result = &apply->result;
  bool kept = result->committed || result->in_place;

  json_set_int (object, "exit_status", result->container.commands ? result->container.status : -1);
  json_set_int (object, "written", kept ? (int64_t) result->written_bytes : 0);
  json_set_int (object, "shared",
                (int64_t) (result->report.linked_bytes + result->report.reflinked_bytes));
  json_set_int (object, "waiting_files", (int64_t) result->report.waiting);
  json_set_int (object, "waiting_bytes", (int64_t) result->report.waiting_bytes);
  json_set_int (object, "unshared", (int64_t) result->report.failed);
  json_set_int (object, "transaction", (int64_t) result->history_id);
  json_set_bool (object, "kept_failed", result->kept_failed);
  json_put (object, "changes", pkg_changes_json (&apply->changes));
  json_put (object, "conffiles", strings_json (&apply->conffiles));
  json_put (object, "restart", strings_json (&apply->restart));
  event_result (object);
}

/* One try. 1: to be tried again. */
static int apply_once (struct apply *apply, unsigned tries, struct err *err)
{
  struct guest *guest = work_of (apply)->guest;
  bool running = row_of (apply)->mode == BULK_RUNNING;
  size_t at = 0;

  apply->start_us = clock_us ();
  clock_gettime (CLOCK_REALTIME_COARSE, &apply->since);
  if (read_verify (apply, guest, err) < 0 || make_commands (apply, err) < 0 ||
      (row_of (apply)->driver->read_installed &&
       pkg_commands_installed (&apply->commands, guest, /* first= */ true, &apply->before, err) <
           0) ||
      run (apply, err) < 0)
    return -err->code;
  enum pkg_meaning meaning = pkg_commands_meaning (&apply->commands, &apply->result, &at);
  if (meaning != PKG_OK && meaning != PKG_NOTHING) {
    int again = pkg_commands_retry (&apply->commands, tries, meaning, err);

    return again ? again : pkg_commands_fail (&apply->commands, &apply->result, at, err);
  }
  return running ? look_at_running (apply, guest, err) : 0;
}

/* A commit is a part of the history by itself: here is what was done in place, of which a part may
 * be done when it failed, and what failed. */
static int list_in_history (struct apply *apply, bool failed, struct err *err)
{
  struct run_result *result = &apply->result;
  const enum history_mode modes[] = {
      [BULK_STOPPED] = HISTORY_STOPPED,
      [BULK_RUNNING] = HISTORY_RUNNING,
      [BULK_OFFLINE] = HISTORY_OFFLINE,
  };

  if (result->committed || result->unfinished || !(failed || result->in_place))
    return 0;
  note (apply);
  apply->note.mode = modes[row_of (apply)->mode];
  apply->note.failed = failed;
  apply->note.minor &= !failed;
  apply->note.written_bytes = result->in_place ? result->written_bytes : 0;
  return history_add (apply->bulk->root, work_of (apply)->guest, &apply->note, &result->history_id,
                      err);
}

/* The caller's error stays what is told. */
static void end_history (struct apply *apply, int ret)
{
  autoerr struct err err = {0};

  if (list_in_history (apply, ret < 0, &err) < 0) {
    autofree char *text = xasprintf ("the history is incomplete: %s", err_text (&err));

    event_note (text);
  }
}

static void note_end (const struct apply *apply, int ret, const struct err *err)
{
  struct runlog *log = &work_of (apply)->log;
  const struct run_result *result = &apply->result;

  if (result->report.failed) {
    autofree char *text =
        xasprintf ("%" PRIu64 " files could not be shared: %s", result->report.failed,
                   result->report.first_error ? result->report.first_error : "?");

    runlog_note (log, "%s", text);
    event_note (text);
  }
  if (result->keep_error) {
    autofree char *text = xasprintf ("what was done could not be kept: %s", result->keep_error);

    runlog_note (log, "%s", text);
    event_note (text);
  }
  if (ret < 0)
    runlog_note (log, "%s%s%s", err_text (err),
                 result->unfinished || result->in_place ? "" : "; the guest is as before",
                 result->kept_failed ? "; what was done is kept for a look" : "");
  else
    runlog_note (log, "done: %zu packages changed", apply->changes.count);
  if (log->write_errno) {
    autofree char *text = xasprintf ("the log is incomplete: %s", strerror (log->write_errno));

    event_note (text);
  }
}

int task_apply (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err)
{
  int ret = 1;

  (void) group;
  event_step ("apply", -1);
  for (unsigned tries = 0; ret > 0; tries++) {
    autoapply struct apply apply = {.bulk = bulk, .row = row};

    ret = apply_once (&apply, tries, err);
    if (ret <= 0) {
      end_history (&apply, ret);
      tell_result (&apply);
      note_end (&apply, ret, err);
    }
  }
  return ret;
}
