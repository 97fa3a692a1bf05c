/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "update.h"
#include "template/definition.h"
#include "template/kind.h"
#include "util/age.h"

void update_result_release (struct update_result *result)
{
  free (result->what);
  generations_release (&result->removed);
  *result = (struct update_result){0};
}

/* Where the template comes from: the definition in template.json, or the one that is given. */
static int find_definition (const struct template *template, const struct update_options *options,
                            struct definition *ret_definition, struct err *err)
{
  json_object *object = NULL;

  if (options->definition)
    return definition_load (template->name, options->definition, ret_definition, err);
  if (json_get_object (template->info, "definition", &object, err) < 0)
    return -err->code;
  if (!object)
    return err_code (err, ENOENT,
                     "template.json does not say how it was made: give a definition with "
                     "--definition");
  return definition_from_object (object, "the definition it was made by", ret_definition, err);
}

/* Asks the source. Returns 1 when there is something newer, or nobody can tell; 0 or negative. */
static int probe (const struct template *template, const struct definition *definition,
                  const struct update_options *options, struct update_result *result,
                  struct err *err)
{
  struct freshness freshness = {0};
  json_object *version = NULL;

  if (options->definition || options->force || !definition->kind->probe)
    return 1;
  if (json_get_object (template->info, "version", &version, err) < 0)
    return -err->code;
  if (definition->kind->probe (definition->source, version, &freshness, err) < 0)
    return err_wrap (err, "ask whether there is something newer");
  result->what = freshness.what;
  return freshness.newer;
}

/* Is there something to do? Returns 1, 0 or negative. */
static int wanted (struct vroot *root, const char *name, const struct update_options *options,
                   struct definition *ret_definition, struct update_result *result, struct err *err)
{
  autotemplate struct template *template = NULL;
  const char *created = NULL;

  if (template_open (root, name, 0, &template, err) < 0 ||
      json_get_string (template->info, "created", "", &created, err) < 0)
    return -err->code;
  result->generation = template->generation;
  int64_t age = age_of_stamp (created);
  if (options->age >= 0 && age >= 0 && age < options->age) {
    result->outcome = UPDATE_YOUNG;
    return 0;
  }
  if (options->upgrade)
    return 1;
  if (find_definition (template, options, ret_definition, err) < 0)
    return -err->code;
  return probe (template, ret_definition, options, result, err);
}

/* Makes the next generation. Returns 1, or 0 when nothing was changed, or somebody else was faster.
 */
static int make (struct vroot *root, const char *name, const struct definition *definition,
                 const struct update_options *options, unsigned after, struct writer_report *report,
                 struct err *err)
{
  struct import_options import = options->import ? *options->import : (struct import_options){0};
  int ret;

  import.after = after;
  if (options->upgrade)
    ret = options->upgrade (root, name, report, err);
  else
    ret = import_definition (root, name, definition, &import, report, err) < 0 ? -err->code : 1;
  if (ret != -ERR_NOTHING)
    return ret;
  err_release (err);
  return 0;
}

static int newest (struct vroot *root, const char *name, unsigned *ret_generation, struct err *err)
{
  autotemplate struct template *template = NULL;

  if (template_open (root, name, 0, &template, err) < 0)
    return -err->code;
  *ret_generation = template->generation;
  return 0;
}

int template_update (struct vroot *root, const char *name, const struct update_options *options,
                     struct update_result *ret_result, struct writer_report *ret_report,
                     struct err *err)
{
  autodefinition struct definition definition = {0};
  uint64_t files;
  int ret = wanted (root, name, options, &definition, ret_result, err);

  if (ret < 0)
    return err_wrap (err, "template %s", name);
  if (!ret)
    return 0;
  ret_result->outcome = UPDATE_NEWER;
  if (options->check)
    return 0;
  ret = make (root, name, &definition, options, ret_result->generation, ret_report, err);
  if (ret < 0 || newest (root, name, &ret_result->generation, err) < 0)
    return -err->code;
  ret_result->outcome = ret ? UPDATE_DONE : UPDATE_CURRENT;
  return ret ? generations_collect (root, name, /* dry_run= */ false, &ret_result->removed, &files,
                                    err)
             : 0;
}
