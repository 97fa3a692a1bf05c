/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The programs that run package managers in many guests: vapt-get, vdnf, vyum, vrpm, vzypper,
 * vpacman, vapk and vpkg.
 *
 *   pkg.c         the command line of all of them
 *   pkg_query.c   requests that change nothing: output of each guest, and no more
 *   pkg_screen.c  what happens, while it happens
 *   pkg_report.c  what has happened: table, plan and JSON */
#ifndef VG_CMD_PKG_H
#define VG_CMD_PKG_H

#include "cmd/cmd.h"
#include "pkg/bulk.h"

struct pkg_call {
  struct context *context;
  const struct pkg_driver *driver; /* NULL: vpkg, each guest's own */
  const char *program;             /* "yum", as called; NULL: vpkg */
  enum pkg_verb verb;              /* of vpkg */
  struct names args;               /* owned; behind "--", or behind vpkg's verb */
  struct names names;              /* owned; the guests */
  char *title;                     /* owned; "apt-get upgrade" */
  bool read_only;
  bool no_prefix;
  bool group;
  bool verbose;
  const char *json_file; /* --json FILE; NULL: stdout when context->json */
  struct bulk_options options;
};

/* Makes the request for guests of @driver. */
int pkg_call_request (void *call, const struct pkg_driver *driver, struct pkg_request *ret_request,
                      struct err *err);

/* Runs a request that changes nothing. An exit status, or negative. */
int pkg_query (struct pkg_call *call, struct err *err);

/* vpkg conffiles: new versions of configuration files that lie beside changed ones. */
int pkg_conffiles (struct pkg_call *call, struct err *err);

/* Sets the functions of call->options that show what happens. @ret_screen is to be freed by
 * pkg_screen_free, which takes all from the terminal. */
struct pkg_screen;
void pkg_screen_open (struct pkg_call *call, struct pkg_screen **ret_screen);
void pkg_screen_free (struct pkg_screen *screen);

/* "31 guests: libc6 2.36-9 -> 2.36-9+deb12u9, …": what would change, equal plans together. */
void pkg_print_plan (FILE *file, const struct bulk_report *report);

/* The table at the end, and what it is to be told beside it. */
void pkg_print_report (const struct bulk_report *report);

/* The JSON of man vpkg(8). To @file, or stdout when it is NULL. */
int pkg_write_json (const char *file, const struct bulk_report *report, struct err *err);

#endif
