/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hashify_contents.h"
#include "entries/entries.h"
#include "guest/collect.h"
#include "store/entries.h"
#include "util/clock.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

static void print_report_json (const struct entries_report *report, bool whole, bool dry_run,
                               bool left, double seconds)
{
  autojson json_object *object = json_object_new_object ();

  json_set_bool (object, "dry_run", dry_run);
  json_set_string (object, "action", whole ? "no-contents" : "contents");
  json_set_int (object, "bytes_read", (int64_t) report->read);
  json_set_int (object, "files", (int64_t) report->objects);
  json_set_int (object, "bytes", (int64_t) report->bytes);
  json_set_int (object, "trees_changed", (int64_t) report->names);
  json_set_int (object, "trees_in_use", (int64_t) report->skipped);
  json_set_int (object, "failed", (int64_t) report->failed);
  json_set_bool (object, "entries_left", left);
  json_object_object_add (object, "seconds", json_object_new_double (seconds));
  print_json (object);
}

static void print_report (const struct entries_report *report, bool whole, bool dry_run,
                          double seconds)
{
  autofree char *bytes = format_bytes (report->bytes);

  if (whole)
    printf ("contents: %" PRIu64 " files made whole, %s written, in %" PRIu64 " trees, %.2f s\n",
            report->objects, bytes, report->names, seconds);
  else
    printf ("contents: %" PRIu64 " files %sshare those of others, %s %sgiven back, %.2f s\n",
            report->objects, dry_run ? "would " : "", bytes, dry_run ? "would be " : "", seconds);
  if (report->skipped)
    printf ("contents: %" PRIu64 " trees are in use and stay as they are\n", report->skipped);
}

/* What is not used any more goes at once: it is why this was done. */
static int collect (struct vroot *root, uint64_t expected, struct err *err)
{
  struct gc_result gc;

  if (root_want_gc (root, err) < 0)
    return -err->code;
  /* Others may have waited for us, and hold it shared by now. */
  close (steal_fd (&root->lock_fd));
  if (root_lock (root, err) < 0)
    return -err->code;
  return root_collect_after (root, expected, &gc, err) < 0 ? -err->code : 0;
}

static int finish (struct context *context, struct vroot *root, const struct entries_report *report,
                   bool whole, bool dry_run, uint64_t start, struct err *err)
{
  if (!dry_run && report->objects && collect (root, report->objects * 2, err) < 0)
    return -err->code;
  int left = entries_used (root->store, err);
  if (left < 0)
    return left;
  progress_clear ();
  if (context->json)
    print_report_json (report, whole, dry_run, left, clock_seconds_since (start));
  else if (!context->quiet)
    print_report (report, whole, dry_run, clock_seconds_since (start));
  if (report->failed)
    print_error ("%" PRIu64 " files or trees were left as they were, the first: %s", report->failed,
                 report->first_error);
  else if (whole && report->skipped)
    print_error ("some files still share contents alone: %s", report->first_error);
  return report->failed || (whole && report->skipped) ? 1 : 0;
}

int hashify_contents (struct context *context, struct selecting *selecting, bool dry_run,
                      struct err *err)
{
  autoentriesreport struct entries_report report = {0};
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  uint64_t start = clock_us ();

  interrupt_install ();
  if (context_open_root (context, /* write= */ false, &root, err) < 0 ||
      selecting_resolve (root, selecting, &names, err) < 0 ||
      entries_share (root, &names, dry_run, &report, err) < 0)
    return -err->code;
  return finish (context, root, &report, /* whole= */ false, dry_run, start, err);
}

int hashify_no_contents (struct context *context, struct err *err)
{
  autoentriesreport struct entries_report report = {0};
  autoroot struct vroot *root = NULL;
  uint64_t start = clock_us ();

  interrupt_install ();
  if (context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  int used = entries_used (root->store, err);
  if (used < 0)
    return used;
  if (!used)
    return err_code (err, ERR_NOTHING, "no files of %s share contents alone", root->path);
  if (entries_whole (root, &report, err) < 0)
    return -err->code;
  if (!report.objects && root_want_gc (root, err) < 0)
    return -err->code;
  return finish (context, root, &report, /* whole= */ true, /* dry_run= */ false, start, err);
}
