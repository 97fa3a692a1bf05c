/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vhashify SELECTION, vguest NAMES hashify: fold and unify what is not shared yet. */
#include "cmd.h"
#include "cmd/hashify_contents.h"
#include "cmd/hashify_explain.h"
#include "cmd/hashify_manual.h"
#include "guest/settle.h"
#include "util/clock.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

struct hashify {
  struct context *context;
  struct vroot *root;           /* owned */
  struct names names;           /* owned: the resolved selection */
  struct guest **guests;        /* owned: NULL where one could not be opened */
  struct policy *policies;      /* owned */
  struct unify_report *reports; /* owned */
  double *seconds;              /* owned */
  char **errors;                /* owned: NULL where the guest is done */
  bool *running;                /* owned: skipped, as all guests were meant and this one runs */
  struct err failure;           /* its code: why guests failed, when all had the same reason */
  bool all;
  bool dry_run;
};

static void hashify_release (struct hashify *h)
{
  for (size_t i = 0; i < h->names.count; i++) {
    if (h->guests && h->guests[i])
      guest_close (h->guests[i]);
    if (h->policies)
      policy_release (&h->policies[i]);
    if (h->reports)
      unify_report_release (&h->reports[i]);
    if (h->errors)
      free (h->errors[i]);
  }
  free (h->guests);
  free (h->policies);
  free (h->reports);
  free (h->seconds);
  free (h->errors);
  free (h->running);
  names_release (&h->names);
  if (h->root)
    root_close (h->root);
}

/* A guest's failure stays with the guest. */
static void fail_guest (struct hashify *h, size_t i, struct err *err)
{
  h->errors[i] = xstrdup (err_text (err));
  h->failure.code = !h->failure.code || h->failure.code == err->code ? err->code : EINVAL;
  err_release (err);
  if (h->guests[i])
    guest_close (h->guests[i]);
  h->guests[i] = NULL;
}

static void open_guests (struct hashify *h)
{
  for (size_t i = 0; i < h->names.count; i++) {
    autoerr struct err err = {0};

    if (guest_open (h->root, h->names.items[i], GUEST_LOCKED, &h->guests[i], &err) < 0) {
      fail_guest (h, i, &err);
      continue;
    }
    h->running[i] = h->all && guest_running (h->guests[i], &err) > 0;
    if (h->running[i]) {
      guest_close (steal_ptr (&h->guests[i]));
      continue;
    }
    if (err.code || guest_refuse_used (h->root, h->guests[i], &err) < 0 ||
        policy_load (h->guests[i]->fd, &h->policies[i], &err) < 0)
      fail_guest (h, i, &err);
  }
}

/* Which files of the private layers have a twin in another private: two walks, and only files whose
 * size several guests have are read. */
static int find_twins (struct hashify *h, struct twins *twins, struct err *err)
{
  struct private_sizes sizes = {0};
  autou64table struct u64table seen = {0};
  int ret = 0;

  for (size_t i = 0; i < h->names.count && ret == 0; i++)
    if (h->guests[i])
      ret = guest_note_sizes (h->guests[i], &h->policies[i], &sizes, err);
  for (size_t i = 0; i < h->names.count && ret == 0; i++)
    if (h->guests[i])
      ret = guest_note_identities (h->guests[i], &h->policies[i], i + 1, &sizes, &seen, twins, err);
  private_sizes_release (&sizes);
  return ret;
}

static int hashify_guest (struct hashify *h, size_t i, struct twins *twins, struct err *err)
{
  struct unify_report *report = &h->reports[i];

  twins->report = report;
  if (!h->dry_run && guest_settle (h->root, h->guests[i], &h->policies[i], twins, report, err) < 0)
    return -err->code;
  return guest_unify_tree (h->root, h->guests[i], &h->policies[i], h->dry_run, report, err);
}

static void print_table (const struct hashify *h, const struct unify_report *total, double seconds)
{
  const char *would = h->dry_run ? "would be " : "";

  for (size_t i = 0; i < h->names.count; i++) {
    const struct unify_report *r = &h->reports[i];
    autofree char *read = format_bytes (r->bytes);
    autofree char *gained = format_bytes (r->linked_bytes);

    if (h->errors[i])
      continue;
    if (h->running[i]) {
      printf ("%s: skipped, as it is running: it is unified when it stops\n", h->names.items[i]);
      continue;
    }
    printf ("%s: %" PRIu64 " files new, %s read, %" PRIu64 " %slinked, %s %sshared again, %.2f s\n",
            h->names.items[i], r->files, read, r->linked, would, gained, would, h->seconds[i]);
  }
  if (h->names.count > 1) {
    autofree char *gained = format_bytes (total->linked_bytes);

    printf ("all: %" PRIu64 " files new, %" PRIu64 " %slinked, %s %sshared again, %.2f s\n",
            total->files, total->linked, would, gained, would, seconds);
  }
}

static json_object *report_to_json (const struct unify_report *r, double seconds)
{
  json_object *object = json_object_new_object ();

  json_set_int (object, "files", (int64_t) r->files);
  json_set_int (object, "bytes_read", (int64_t) r->bytes);
  json_set_int (object, "linked", (int64_t) r->linked);
  json_set_int (object, "linked_bytes", (int64_t) r->linked_bytes);
  json_set_int (object, "published", (int64_t) r->published);
  json_set_int (object, "moved", (int64_t) r->moved);
  json_set_int (object, "dropped", (int64_t) r->dropped);
  json_set_int (object, "failed", (int64_t) r->failed);
  json_object_object_add (object, "seconds", json_object_new_double (seconds));
  return object;
}

static void print_report_json (const struct hashify *h, const struct unify_report *total,
                               double seconds)
{
  autojson json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array ();

  for (size_t i = 0; i < h->names.count; i++) {
    json_object *guest = report_to_json (&h->reports[i], h->seconds[i]);

    json_set_string (guest, "name", h->names.items[i]);
    json_set_string (guest, "error", h->errors[i]);
    json_set_bool (guest, "skipped_running", h->running[i]);
    json_object_array_add (guests, guest);
  }
  json_set_bool (object, "dry_run", h->dry_run);
  json_object_object_add (object, "guests", guests);
  json_object_object_add (object, "total", report_to_json (total, seconds));
  print_json (object);
}

static int hashify_all (struct hashify *h, struct err *err)
{
  autounifyreport struct unify_report total = {0}, looking = {0};
  autotwins struct twins twins = {.store = h->root->store, .report = &looking};
  uint64_t start = clock_us ();
  size_t failed = 0, refused = 0;

  h->guests = xcalloc (h->names.count, sizeof *h->guests);
  h->policies = xcalloc (h->names.count, sizeof *h->policies);
  h->reports = xcalloc (h->names.count, sizeof *h->reports);
  h->seconds = xcalloc (h->names.count, sizeof *h->seconds);
  h->errors = xcalloc (h->names.count, sizeof *h->errors);
  h->running = xcalloc (h->names.count, sizeof *h->running);
  open_guests (h);
  if (!h->dry_run && find_twins (h, &twins, err) < 0)
    return -err->code;
  for (size_t i = 0; i < h->names.count; i++) {
    autoerr struct err guest_err = {0};
    uint64_t guest_start = clock_us ();

    if (interrupt_check (err) < 0)
      return -err->code;
    if (h->guests[i] && hashify_guest (h, i, &twins, &guest_err) < 0) {
      if (guest_err.code == ERR_INTERRUPTED && interrupt_check (err) < 0)
        return -err->code;
      fail_guest (h, i, &guest_err);
    }
    h->seconds[i] = clock_seconds_since (guest_start);
    unify_report_add (&total, &h->reports[i]);
  }
  unify_report_add (&total, &looking);
  progress_clear ();
  if (h->context->json)
    print_report_json (h, &total, clock_seconds_since (start));
  else if (!h->context->quiet)
    print_table (h, &total, clock_seconds_since (start));
  for (size_t i = 0; i < h->names.count; i++) {
    if (h->errors[i])
      print_error ("%s", h->errors[i]);
    else if (h->reports[i].failed)
      print_error ("guest %s: %" PRIu64 " files were left as they were, the first: %s",
                   h->names.items[i], h->reports[i].failed, h->reports[i].first_error);
    failed += h->errors[i] || h->reports[i].failed;
    refused += h->errors[i] != NULL;
  }
  /* No guest failed, but somebody should look at the store. */
  if (!failed)
    return h->root->store->damaged ? 1 : 0;
  if (failed < h->names.count)
    return 3;
  return refused == failed ? err_exit_status (&h->failure) : 1;
}

static int hashify (struct context *context, struct selecting *selecting, bool dry_run,
                    struct err *err)
{
  struct hashify h = {.context = context, .all = selecting->selection.all, .dry_run = dry_run};
  int ret;

  interrupt_install ();
  ret = context_open_root (context, /* write= */ true, &h.root, err);
  if (ret == 0)
    ret = selecting_resolve (h.root, selecting, &h.names, err);
  if (ret == 0)
    ret = hashify_all (&h, err);
  hashify_release (&h);
  return ret;
}

int cmd_hashify (struct context *context, int argc, char **argv, struct err *err)
{
  autoselecting struct selecting selecting = {0};
  struct manually manually = {0};
  autonames struct names paths = {0};
  bool contents = false, no_contents = false;
  int first = 0, dashes = 0;
  const struct option_spec specs[] = {
      SELECTING_OPTIONS (&selecting),
      {"dry-run", 'n', NULL, "tell what would change", &manually.dry_run, NULL, NULL},
      {"explain", 0, "PATH", "tell which rules decide about it (may be repeated)", NULL, NULL,
       &paths},
      {"contents", 0, NULL, "share also what is equal in contents alone", &contents, NULL, NULL},
      {"no-contents", 0, NULL, "end that, for the whole root", &no_contents, NULL, NULL},
      {"manually", 0, NULL, "unify directories that are no guests", &manually.wanted, NULL, NULL},
      {"reflink", 0, NULL, "of these: share blocks, make no links", &manually.reflink, NULL, NULL},
      {"exclude-from", 0, "FILE", "of these: leave alone what FILE names", NULL,
       &manually.exclude_from, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };

  if (options_parse (context, specs, /* stop_early= */ false,
                     "Usage: vhashify [OPTION…] NAME…|--all|--manually PATH…\n"
                     "       vhashify --explain PATH [NAME…|--all]\n"
                     "       vhashify --no-contents\n"
                     "Fold and unify: what guests hold that others hold too becomes one inode.\n"
                     "NAME may be a glob or a bracket range such as web[01-20].\n",
                     argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if ((contents || no_contents) && (manually.wanted || paths.count || contents == no_contents))
    return err_code (err, ERR_USAGE,
                     "--contents and --no-contents go with neither each other, --manually nor "
                     "--explain");
  if (no_contents && (first < argc || manually.dry_run || selecting.selection.all))
    return err_code (err, ERR_USAGE, "--no-contents is for the whole root, and goes alone");
  if (no_contents)
    return hashify_no_contents (context, err);
  if (manually.wanted && paths.count)
    return err_code (err, ERR_USAGE, "--explain tells about paths in guests, not of --manually");
  if (manually.wanted)
    return hashify_manually (context, &manually, argv + first, (size_t) (argc - first), err);
  if (manually.reflink || manually.exclude_from)
    return err_code (err, ERR_USAGE, "--reflink and --exclude-from are for --manually");
  for (int i = first; i < argc; i++)
    if (strcmp (argv[i], "--") != 0)
      names_add (&selecting.selection.patterns, argv[i]);
  if (paths.count)
    return hashify_explain (context, &selecting, &paths, err);
  if (!contents)
    return hashify (context, &selecting, manually.dry_run, err);
  /* What it prints is one object. */
  struct context first_pass = *context;
  first_pass.quiet |= context->json;
  first_pass.json = false;
  int status = hashify (&first_pass, &selecting, manually.dry_run, err);
  return status ? status : hashify_contents (context, &selecting, manually.dry_run, err);
}

int cmd_guest_hashify (struct context *context, int argc, char **argv, struct err *err)
{
  bool dry_run = false;
  autonames struct names paths = {0};
  int first = 0, dashes = 0;
  const struct option_spec specs[] = {
      {"explain", 0, "PATH", "tell which rules decide about it (may be repeated)", NULL, NULL,
       &paths},
      {"dry-run", 'n', NULL, "tell what would change", &dry_run, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };

  if (options_parse (context, specs, /* stop_early= */ false,
                     "Usage: vguest NAMES hashify [OPTION…]\n"
                     "Fold and unify these guests; see vhashify --help.\n",
                     argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if (first < argc)
    return err_code (err, ERR_USAGE, "hashify takes no words: \"%s\"", argv[first]);
  if (paths.count)
    return hashify_explain (context, &context->selecting, &paths, err);
  return hashify (context, &context->selecting, dry_run, err);
}
