/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "template_report.h"
#include <inttypes.h>

void template_report_warn (const struct writer_report *report)
{
  if (report->absolute)
    print_warning ("leading \"/\" was removed from the names in the archive");
  if (report->sockets)
    print_warning ("%" PRIu64 " sockets were left out", report->sockets);
  if (report->devices)
    print_warning ("%" PRIu64 " device nodes were left out; \"devices\" or --devices keeps them",
                   report->devices);
  if (report->mounts)
    print_warning ("what is mounted in %" PRIu64 " places below the source was left out",
                   report->mounts);
  if (report->apart)
    print_error ("%" PRIu64 " files could not be shared: %s", report->apart, report->first_error);
}

int template_report_print (const struct context *context, const char *name,
                           struct writer_report *report)
{
  autofree char *bytes = format_bytes (report->bytes);

  template_report_warn (report);
  if (context->json) {
    autojson json_object *object = json_object_new_object ();

    json_set_string (object, "template", name);
    json_set_int (object, "files", (int64_t) report->files);
    json_set_int (object, "directories", (int64_t) report->directories);
    json_set_int (object, "bytes", (int64_t) report->bytes);
    json_set_int (object, "published", (int64_t) report->published);
    json_set_int (object, "linked", (int64_t) report->linked);
    json_set_int (object, "sockets_left_out", (int64_t) report->sockets);
    json_set_int (object, "devices_left_out", (int64_t) report->devices);
    json_set_int (object, "mounts_left_out", (int64_t) report->mounts);
    json_set_int (object, "not_shared", (int64_t) report->apart);
    print_json (object);
  } else if (!context->quiet) {
    printf ("template %s: %" PRIu64 " files, %s; %" PRIu64 " new objects, %" PRIu64
            " were in the store\n",
            name, report->files, bytes, report->published, report->linked);
  }
  int status = report->apart ? 1 : 0;
  free (report->first_error);
  report->first_error = NULL;
  return status;
}
