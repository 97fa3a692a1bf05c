/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definitions: how a template is made, as JSON with comments.
 *
 *   description   one line
 *   source        where its tree comes from:
 *     type        "bootstrap": made by mmdebstrap, or debootstrap
 *     suite       "bookworm"
 *     variant     "apt", "minbase" (default), "important", "standard" or "buildd": the packages
 * that make the base, in mmdebstrap's words include     a list of packages more updates     start
 * from the newest packages (default: from the release alone)
 *
 * Definitions are found by name in $VGUEST_TEMPLATES, SYSCONFDIR/vguest/templates, and
 * PKGDATADIR/templates, as NAME.json. */
#ifndef VG_TEMPLATE_DEFINITION_H
#define VG_TEMPLATE_DEFINITION_H

#include "guest/names.h"
#include "util/json.h"

struct definition {
  char *description;    /* owned; may be NULL */
  char *suite;          /* owned */
  char *variant;        /* owned */
  struct names include; /* owned */
  bool updates;
};
#define autodefinition __attribute__ ((cleanup (definition_release)))

void definition_release (struct definition *definition);

/* Checks everything; ERR_USAGE names @what and the key. */
int definition_parse (const char *text, size_t len, const char *what,
                      struct definition *ret_definition, struct err *err);

/* Reads @file, or with @file NULL the definition called @name. ERR_USAGE when there is none, with
 * the nearest names. */
int definition_load (const char *name, const char *file, struct definition *ret_definition,
                     struct err *err);

#endif
