/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAME adopt [OPTION…] SOURCE */
#include "adopt/adopt.h"
#include "cmd/cmd.h"
#include "util/clock.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vguest NAME adopt [OPTION…] SOURCE\n"
    "Makes a guest of a system that is in use elsewhere: SOURCE is a chroot, the\n"
    "directory of an LXC container, a tree of systemd-nspawn, the configuration\n"
    "directory of a util-vserver guest, or an archive that docker export or podman\n"
    "export wrote. What its configuration has no counterpart for is listed.\n";

struct arguments {
  struct adopt_request request;
  struct adopt_options options;
};

static int parse (struct context *context, struct arguments *arguments, int argc, char **argv,
                  struct err *err)
{
  struct adopt_request *request = &arguments->request;
  const char *type = NULL;
  const struct option_spec specs[] = {
      {"type", 0, "TYPE", "auto, chroot, lxc, nspawn, vserver or export", NULL, &type, NULL},
      {"config", 0, "PATH", "its configuration; of an export: inspect's output", NULL,
       &request->config, NULL},
      {"cni", 0, "NETWORK", "the CNI network it shall join", NULL, &request->cni, NULL},
      {"hostname", 0, "H", "another host name", NULL, &request->hostname, NULL},
      {"move", 0, NULL, "move the tree and do not copy it", &arguments->options.move, NULL, NULL},
      {"dry-run", 'n', NULL, "only tell what would be", &arguments->options.dry_run, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (argc - first != 1)
    return err_code (err, ERR_USAGE, "one SOURCE is expected; see --help");
  if (!context->names || context->selecting.selection.all)
    return err_code (err, ERR_USAGE, "the name of the new guest is expected; see --help");
  request->name = context->names;
  request->source = argv[first];
  if (type && adopt_type_parse (type, &request->type, err) < 0)
    return -err->code;
  return name_check (request->name, "guest", err);
}

static void print_figures (const struct arguments *arguments, const struct adopt_source *source,
                           const struct adopt_result *result, double seconds)
{
  const struct unify_report *report = &result->report;
  const char *would = arguments->options.dry_run ? "would be " : "";
  autofree char *size = format_bytes (result->scan.bytes);
  autofree char *gained = format_bytes (report->linked_bytes);

  printf ("%s: %s%s %s from %s %s (%" PRIu64 " files, %s, %.2f s)\n", arguments->request.name,
          would,
          source->type == ADOPT_EXPORT ? "unpacked"
          : arguments->options.move    ? "moved"
                                       : "copied",
          source->type == ADOPT_EXPORT ? "export" : "here", adopt_type_name (source->type),
          source->tree, result->scan.files, size, seconds);
  if (!result->measured)
    printf ("what unifying saves cannot be told before its ids are shifted back\n");
  else
    printf ("%" PRIu64 " files %smoved to the shared tree, %" PRIu64 " of them %slinked to what "
            "is there, %s %ssaved, %" PRIu64 " caches %sdropped\n",
            report->moved, would, report->linked, would, gained, would, report->dropped, would);
}

static void print_settings (const struct translation *translation)
{
  json_object_object_foreach (translation->settings, key, value)
  {
    const char *text = json_object_to_json_string_ext (value, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE);
    autofree char *clean = format_text (text);

    if (strcmp (key, "format") != 0)
      printf ("  %s: %s\n", key, clean);
  }
}

static const char *member (json_object *object, const char *key)
{
  json_object *value = NULL;

  return json_object_object_get_ex (object, key, &value) ? json_object_get_string (value) : "";
}

static void print_leftovers (const struct translation *translation)
{
  size_t count = json_object_array_length (translation->leftovers);

  if (count)
    printf ("without a counterpart:\n");
  for (size_t i = 0; i < count; i++) {
    json_object *leftover = json_object_array_get_idx (translation->leftovers, i);
    autofree char *key = format_text (member (leftover, "key"));
    autofree char *value = format_text (member (leftover, "value"));
    autofree char *why = format_text (member (leftover, "why"));

    printf ("  %s%s%s: %s\n", key, *value ? " " : "", value, why);
  }
}

static void print_report (const struct arguments *arguments, const struct adopt_source *source,
                          const struct adopt_result *result, double seconds)
{
  print_figures (arguments, source, result, seconds);
  if (json_object_object_length (source->translation.settings))
    printf ("settings:\n");
  print_settings (&source->translation);
  print_leftovers (&source->translation);
  if (arguments->options.move && !arguments->options.dry_run && source->config)
    printf ("its configuration is still in %s\n", source->config);
}

static void print_json_report (const struct arguments *arguments, const struct adopt_source *source,
                               const struct adopt_result *result, double seconds)
{
  const struct unify_report *report = &result->report;
  const struct translation *translation = &source->translation;
  autojson json_object *object = json_object_new_object ();
  json_object *figures = NULL;

  json_set_string (object, "name", arguments->request.name);
  json_set_bool (object, "dry_run", arguments->options.dry_run);
  json_set_string (object, "type", adopt_type_name (source->type));
  json_set_bytes (object, "source", source->tree, strlen (source->tree));
  if (source->config)
    json_set_bytes (object, "config", source->config, strlen (source->config));
  json_set_bool (object, "moved", arguments->options.move);
  json_put (object, "settings", json_object_get (translation->settings));
  json_put (object, "leftovers", json_object_get (translation->leftovers));
  json_set_int (object, "files", (int64_t) result->scan.files);
  json_set_int (object, "directories", (int64_t) result->scan.directories);
  json_set_int (object, "bytes", (int64_t) result->scan.bytes);
  if (result->measured) {
    figures = json_object_new_object ();
    json_set_int (figures, "moved", (int64_t) report->moved);
    json_set_int (figures, "dropped", (int64_t) report->dropped);
    json_set_int (figures, "linked", (int64_t) report->linked);
    json_set_int (figures, "linked_bytes", (int64_t) report->linked_bytes);
    json_set_int (figures, "published", (int64_t) report->published);
    json_set_int (figures, "failed", (int64_t) report->failed);
  }
  json_put (object, "unified", figures);
  json_put (object, "seconds", json_object_new_double (seconds));
  print_json (object);
}

int cmd_adopt (struct context *context, int argc, char **argv, struct err *err)
{
  autoroot struct vroot *root = NULL;
  autoadoptsource struct adopt_source source = ADOPT_SOURCE_INIT;
  autoadoptresult struct adopt_result result = {0};
  struct arguments arguments = {0};
  uint64_t start = clock_us ();

  if (parse (context, &arguments, argc, argv, err) < 0 || require_root (err) < 0 ||
      adopt_source_open (&arguments.request, &source, err) < 0)
    return -err->code;
  interrupt_install ();
  if (context_open_root (context, /* write= */ true, &root, err) < 0)
    return -err->code;
  int ret = adopt_guest (root, &arguments.request, &source, &arguments.options, &result, err);
  progress_clear ();
  if (ret < 0)
    return ret;
  if (context->json)
    print_json_report (&arguments, &source, &result, clock_seconds_since (start));
  else if (!context->quiet)
    print_report (&arguments, &source, &result, clock_seconds_since (start));
  if (!result.report.failed)
    return 0;
  print_error ("%" PRIu64 " files are not unified, the first: %s", result.report.failed,
               result.report.first_error);
  return 1;
}
