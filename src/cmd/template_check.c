/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate check FILE… */
#include "cmd.h"
#include "template/definition.h"
#include "template/kind.h"

static json_object *problem_object (const char *path, const char *text)
{
  json_object *object = json_object_new_object ();

  json_set_string (object, "path", path);
  json_set_string (object, "problem", text);
  return object;
}

static void add_problem (const struct context *context, const char *file, const char *path,
                         const char *text, json_object *list)
{
  json_append (list, problem_object (path, text));
  if (context->json)
    return;
  if (*path)
    printf ("%s: \"%s\" %s\n", file, path, text);
  else
    printf ("%s: %s\n", file, text);
}

/* Returns the number of problems. */
static size_t check_file (const struct context *context, const char *file, json_object *files)
{
  autocheck struct check check = CHECK_INIT;
  autodefinition struct definition definition = {0};
  autojson json_object *object = NULL;
  autofree char *path = NULL;
  autoerr struct err err = {0};
  json_object *result = json_object_new_object ();
  json_object *list = json_object_new_array ();

  json_append (files, result);
  json_set_string (result, "file", file);
  json_put (result, "problems", list);
  if (definition_read ("", file, &object, &path, &err) < 0)
    add_problem (context, file, "", err_text (&err), list);
  else
    definition_check (object, &check, &definition);
  for (size_t i = 0; i < check.count; i++)
    add_problem (context, file, check.problems[i].path, check.problems[i].text, list);
  size_t count = json_object_array_length (list);
  if (!count) {
    autofree char *source = definition.kind->describe (definition.source);

    json_set_string (result, "source", source);
    if (!context->json && !context->quiet)
      printf ("%s: right; %s: %s\n", file, definition.kind->name, source);
  }
  return count;
}

int cmd_template_check (struct context *context, int argc, char **argv, struct err *err)
{
  static const struct option_spec none[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  static const char usage[] = "Usage: vtemplate check [OPTION…] FILE…\n"
                              "Checks definitions of templates, and tells all that is wrong with "
                              "them. Nothing is\nfetched.\n";
  autojson json_object *object = json_object_new_object ();
  json_object *files = json_object_new_array ();
  size_t wrong = 0;
  int first, dashes;

  json_put (object, "files", files);
  if (options_parse (context, none, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if (argc == first)
    return err_code (err, ERR_USAGE, "files of definitions are expected; see --help");
  for (int i = first; i < argc; i++)
    wrong += check_file (context, argv[i], files) > 0;
  if (context->json)
    print_json (object);
  return wrong ? 1 : 0;
}
