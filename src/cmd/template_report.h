/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What import and build print at their end. */
#ifndef VG_CMD_TEMPLATE_REPORT_H
#define VG_CMD_TEMPLATE_REPORT_H

#include "cmd.h"
#include "template/writer.h"

/* Warns of what was left out, and of files that could not be shared. */
void template_report_warn (const struct writer_report *report);

/* Prints what was imported, with warnings for what was left out, and releases @report. Returns the
 * exit status: 1 when some file could not be shared, else 0. */
int template_report_print (const struct context *context, const char *name,
                           struct writer_report *report);

#endif
