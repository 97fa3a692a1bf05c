/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hashify_manual.h"
#include "unify/manual.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

enum { EXCLUDES_MAX = 16 << 20 };

static int read_excludes (const char *name, char **ret_text, struct err *err)
{
  autofree char *text = xmalloc (EXCLUDES_MAX + 1);
  autoclose int fd = -1;
  int from = STDIN_FILENO;

  if (strcmp (name, "-") != 0)
    from = fd = open (name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  ssize_t n = from < 0 ? -1 : fd_read_full (from, text, EXCLUDES_MAX);
  if (n < 0)
    return err_errno (err, "read %s", name);
  if (n == EXCLUDES_MAX)
    return err_code (err, EFBIG, "%s has more than %d bytes", name, EXCLUDES_MAX);
  text[n] = '\0';
  *ret_text = steal_ptr (&text);
  return 0;
}

/* A pattern a line; "#" begins a comment. */
static int add_excludes (const char *name, struct policy *policy, struct err *err)
{
  autofree char *text = NULL;
  size_t number = 0;

  if (read_excludes (name, &text, err) < 0)
    return -err->code;
  for (char *line = text, *next; line; line = next) {
    size_t len = strcspn (line, "\n");

    next = line[len] ? line + len + 1 : NULL;
    line[len] = '\0';
    line[strcspn (line, "#")] = '\0';
    line += strspn (line, " \t");
    len = strlen (line);
    while (len && strchr (" \t\r", line[len - 1]))
      line[--len] = '\0';
    number++;
    if (len && rules_add (&policy->rules, line, MANUAL_EXCLUDED, MANUAL_EXCLUDED, err) < 0)
      return err_wrap (err, "%s line %zu", name, number);
  }
  return 0;
}

static void print_json_report (const struct manually *manually, const struct manual_report *report,
                               double seconds)
{
  autojson json_object *object = json_object_new_object ();

  json_set_bool (object, "dry_run", manually->dry_run);
  json_set_bool (object, "reflink", manually->reflink);
  json_set_int (object, "files", (int64_t) report->files);
  json_set_int (object, "excluded", (int64_t) report->excluded);
  json_set_int (object, "unsafe", (int64_t) report->unsafe);
  json_set_int (object, "bytes_read", (int64_t) report->bytes);
  json_set_int (object, "shared", (int64_t) report->shared);
  json_set_int (object, "shared_bytes", (int64_t) report->shared_bytes);
  json_set_int (object, "busy", (int64_t) report->busy);
  json_set_int (object, "changed", (int64_t) report->changed);
  json_set_int (object, "failed", (int64_t) report->failed);
  json_object_object_add (object, "seconds", json_object_new_double (seconds));
  print_json (object);
}

static void print_report (const struct manually *manually, const struct manual_report *report,
                          double seconds)
{
  const char *would = manually->dry_run ? "would be " : "";
  autofree char *read = format_bytes (report->bytes), *gained = format_bytes (report->shared_bytes);

  printf ("%" PRIu64 " files, %s read, %" PRIu64 " %s%s, %s %s%s, %.2f s\n", report->files, read,
          report->shared, would, manually->reflink ? "sharing blocks" : "linked", gained, would,
          manually->reflink ? "shared" : "given back", seconds);
  if (report->unsafe || report->excluded)
    printf ("left alone: %" PRIu64 " for which a hard link is not safe, %" PRIu64 " excluded\n",
            report->unsafe, report->excluded);
  if (report->busy || report->changed)
    printf ("left alone: %" PRIu64 " open for writing, %" PRIu64 " changed meanwhile\n",
            report->busy, report->changed);
}

static int refuse_managed (char **paths, size_t count, struct err *err)
{
  for (size_t i = 0; i < count; i++) {
    int inside = root_is_above (paths[i], err);

    if (inside < 0)
      return inside;
    if (inside)
      return err_code (err, ERR_USAGE, "%s is managed by vguest: vhashify --all unifies its guests",
                       paths[i]);
  }
  return 0;
}

int hashify_manually (const struct context *context, const struct manually *manually, char **paths,
                      size_t count, struct err *err)
{
  automanualreport struct manual_report report = {0};
  autopolicy struct policy policy = {0};
  const struct manual_options options = {
      .paths = (const char *const *) paths,
      .path_count = count,
      .policy = &policy,
      .reflink = manually->reflink,
      .dry_run = manually->dry_run,
  };
  uint64_t start = clock_us ();

  if (!count)
    return err_code (err, ERR_USAGE, "--manually needs the directories to unify");
  if (require_root (err) < 0 || refuse_managed (paths, count, err) < 0 ||
      policy_load (-1, &policy, err) < 0 ||
      (!manually->reflink && manual_add_rules (&policy, err) < 0) ||
      (manually->exclude_from && add_excludes (manually->exclude_from, &policy, err) < 0))
    return -err->code;
  interrupt_install ();
  progress_enable (!context->quiet && !context->json);
  int ret = manual_unify (&options, &report, err);
  progress_clear ();
  if (ret < 0)
    return ret;
  if (context->json)
    print_json_report (manually, &report, clock_seconds_since (start));
  else if (!context->quiet)
    print_report (manually, &report, clock_seconds_since (start));
  if (!report.failed)
    return 0;
  print_error ("%" PRIu64 " files were left as they were, the first: %s", report.failed,
               report.first_error);
  return 1;
}
