/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate update [NAME…|--all] */
#include "cmd.h"
#include "cmd/template_report.h"
#include "cmd/template_run.h"
#include "cmd/template_upgrade.h"
#include "template/update.h"
#include "util/age.h"
#include "util/interrupt.h"
#include "util/progress.h"

struct options {
  bool all;
  bool upgrade;
  const char *older_than;
  struct update_options update;
};

static const char *const outcome_names[] = {"current", "newer", "updated", "young"};

static json_object *result_object (const char *name, const struct update_result *result,
                                   const struct err *err)
{
  json_object *object = json_object_new_object ();

  json_set_string (object, "template", name);
  if (err->code) {
    json_set_string (object, "result", "failed");
    json_set_string (object, "error", err_text (err));
    return object;
  }
  json_set_string (object, "result", outcome_names[result->outcome]);
  json_set_int (object, "generation", result->generation);
  if (result->what)
    json_set_string (object, "available", result->what);
  json_object *removed = json_object_new_array ();
  for (size_t i = 0; i < result->removed.count; i++)
    json_append (removed, json_object_new_int64 (result->removed.items[i]));
  json_put (object, "removed", removed);
  return object;
}

static void print_result (const char *name, const struct update_result *result)
{
  switch (result->outcome) {
  case UPDATE_CURRENT:
    printf ("%s: nothing newer than generation %u\n", name, result->generation);
    break;
  case UPDATE_YOUNG:
    printf ("%s: generation %u is young enough\n", name, result->generation);
    break;
  case UPDATE_NEWER:
    printf ("%s: there is, or may be, something newer than generation %u%s%s\n", name,
            result->generation, result->what ? ": " : "", result->what ? result->what : "");
    break;
  case UPDATE_DONE:
    printf ("%s: generation %u is there", name, result->generation);
    for (size_t i = 0; i < result->removed.count; i++)
      printf ("%s %u", i ? "," : "; removed, as it had no guests:", result->removed.items[i]);
    putchar ('\n');
    break;
  }
}

struct totals {
  size_t updated;
  size_t failed;
  bool apart;
};

/* One template; its failure does not stop the others. */
static void update_one (const struct context *context, struct vroot *root, const char *name,
                        const struct options *options, struct totals *totals, json_object *list,
                        struct err *ret_err)
{
  struct writer_report report = {0};
  struct update_result result = {0};

  if (interrupt_check (ret_err) == 0)
    template_update (root, name, &options->update, &result, &report, ret_err);
  progress_clear ();
  totals->failed += ret_err->code != 0;
  totals->updated +=
      ret_err->code == 0 && (result.outcome == UPDATE_DONE || result.outcome == UPDATE_NEWER);
  totals->apart |= report.apart != 0;
  template_report_warn (&report);
  if (context->json)
    json_append (list, result_object (name, &result, ret_err));
  else if (!ret_err->code && !context->quiet)
    print_result (name, &result);
  update_result_release (&result);
  free (report.first_error);
}

static int update_all (const struct context *context, struct vroot *root, const struct names *names,
                       const struct options *options, struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  json_object *list = json_object_new_array ();
  struct totals totals = {0};

  json_put (object, "templates", list);
  for (size_t i = 0; i < names->count; i++) {
    autoerr struct err own = {0};

    update_one (context, root, names->items[i], options, &totals, list, &own);
    if (own.code && (names->count == 1 || own.code == ERR_INTERRUPTED)) {
      *err = own;
      own = (struct err){0};
      if (err->code == ERR_INTERRUPTED)
        return -err->code;
    } else if (own.code) {
      print_error ("%s: %s", names->items[i], err_text (&own));
    }
  }
  if (context->json)
    print_json (object);
  if (err->code)
    return -err->code;
  if (totals.failed)
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu templates could not be updated",
                     totals.failed, names->count);
  if (!totals.updated)
    return err_code (err, ERR_NOTHING, "there is nothing newer");
  return totals.apart ? 1 : 0;
}

static int check_options (struct options *options, const struct names *names, struct err *err)
{
  static const struct import_options import = {.run_steps = template_run_steps};

  options->update.age = -1;
  options->update.import = &import;
  options->update.upgrade = options->upgrade ? template_upgrade : NULL;
  if (options->older_than && age_parse (options->older_than, &options->update.age, err) < 0)
    return err_wrap (err, "--older-than");
  if (options->all == (names->count > 0))
    return err_code (err, ERR_USAGE, "names of templates, or --all, are expected; see --help");
  if (options->update.definition && (options->all || names->count != 1))
    return err_code (err, ERR_USAGE, "--definition is for one template");
  if (options->update.definition && options->upgrade)
    return err_code (err, ERR_USAGE, "--definition and --upgrade exclude one another");
  return 0;
}

int cmd_template_update (struct context *context, int argc, char **argv, struct err *err)
{
  struct options options = {0};
  const struct option_spec specs[] = {
      {"all", 0, NULL, "all templates", &options.all, NULL, NULL},
      {"upgrade", 0, NULL, "upgrade their packages instead of asking the source", &options.upgrade,
       NULL, NULL},
      {"check", 'n', NULL, "only tell whether there is something newer", &options.update.check,
       NULL, NULL},
      {"force", 0, NULL, "fetch also what is no newer", &options.update.force, NULL, NULL},
      {"older-than", 0, "AGE", "only those of this age, such as 12h, 7d or 4w", NULL,
       &options.older_than, NULL},
      {"definition", 'd', "FILE", "make it by this definition from now on", NULL,
       &options.update.definition, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  static const char usage[] =
      "Usage: vtemplate update [OPTION…] NAME…|--all\n"
      "Asks the sources of templates whether they have something newer, and makes it the next\n"
      "generation. Guests stay as they are; new ones are made from the newest. Generations before\n"
      "it that have no guests are removed.\n";
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  int first, dashes;

  if (options_parse (context, specs, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  for (int i = first; i < argc; i++)
    names_add (&names, argv[i]);
  if (check_options (&options, &names, err) < 0)
    return -err->code;
  interrupt_install ();
  if (context_open_root (context, /* write= */ true, &root, err) < 0 ||
      (options.all && template_list (root, &names, NULL, err) < 0))
    return -err->code;
  return update_all (context, root, &names, &options, err);
}
