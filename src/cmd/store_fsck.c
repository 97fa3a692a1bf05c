/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vstore fsck [--repair] [--quick] [--jobs N] */
#include "store_fsck.h"
#include "cmd.h"
#include "util/interrupt.h"
#include "util/progress.h"

enum { JOBS_MAX = 64 };

static const char usage[] =
    "Usage: vstore fsck [OPTION…]\n"
    "Checks that each object of the store is what its name says, and looks over templates and "
    "guests: which of them use a damaged object, and what else is not as it should be. Changes "
    "nothing without --repair.\n"
    "\n"
    "Exit status, as fsck(8): 0 no errors, 1 errors corrected, 4 errors left, 8 operational error, "
    "16 usage, 32 cancelled; or the sum of several.\n";

static int parse_jobs (const char *text, unsigned *ret_jobs, struct err *err)
{
  size_t digits = text ? strspn (text, "0123456789") : 0;

  if (!text) {
    *ret_jobs = cpu_count ();
    return 0;
  }
  unsigned long jobs = digits && digits < 4 && !text[digits] ? strtoul (text, NULL, 10) : 0;
  if (jobs < 1 || jobs > JOBS_MAX)
    return err_code (err, ERR_USAGE, "--jobs \"%s\": a number from 1 to %d is expected", text,
                     JOBS_MAX);
  *ret_jobs = (unsigned) jobs;
  return 0;
}

static int parse (struct context *context, int argc, char **argv, struct fsck_options *options,
                  struct err *err)
{
  const char *jobs = NULL;
  const struct option_spec specs[] = {
      {"repair", 0, NULL, "put good files in place of damaged ones", &options->repair, NULL, NULL},
      {"quick", 0, NULL, "look at metadata only, not at contents", &options->quick, NULL, NULL},
      {"jobs", 'j', "N", "threads; as many as processors", NULL, &jobs, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };

  if (options_parse_only (context, specs, usage, argc, argv, err) < 0)
    return -err->code;
  return parse_jobs (jobs, &options->jobs, err);
}

static int run (struct context *context, struct fsck *fsck, struct err *err)
{
  autoroot struct vroot *root = NULL;

  interrupt_install ();
  if (context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  fsck->root = root;
  if (fsck_run (fsck, err) < 0)
    return -err->code;
  progress_clear ();
  if (context->json) {
    autojson json_object *object = fsck_to_json (fsck);

    print_json (object);
  } else {
    fsck_print (fsck, !context->quiet);
  }
  return fsck_exit_status (fsck);
}

/* The statuses of fsck(8), not those of other verbs. */
static int status_of (const struct err *err)
{
  switch (err->code) {
  case ERR_USAGE:
    return FSCK_EXIT_USAGE;
  case ERR_INTERRUPTED:
    return FSCK_EXIT_CANCELLED;
  default:
    return FSCK_EXIT_OPERATION;
  }
}

int cmd_store_fsck (struct context *context, int argc, char **argv, struct err *err)
{
  autofsck struct fsck fsck = {0};
  int status = parse (context, argc, argv, &fsck.options, err);

  if (status == 0)
    status = run (context, &fsck, err);
  if (status >= 0)
    return status;
  progress_clear ();
  print_error ("%s", err_text (err));
  status = status_of (err);
  err_release (err);
  return status;
}
