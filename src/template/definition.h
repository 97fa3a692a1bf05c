/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definitions: how a template is made, as JSON with comments. See vguest-template(5), and
 * templates/definition.schema.json.
 *
 *   description        one line
 *   source             where its tree comes from: "type", a kind's name, and the keys of that kind
 *   guest              settings that guests made from it start with: keys of vguest-guest(5)
 *   packages           what looks after its packages: "apt", "dnf", …
 *   policy             lines that go behind unify.policy for its guests
 *   steps              commands that are run in the new tree, as a transaction
 *   cleanup            paths in the tree that are removed in the end
 *   require_signature  refuse what no signature vouches for
 *
 * Definitions are found by name in $VGUEST_TEMPLATES, SYSCONFDIR/vguest/templates, and
 * PKGDATADIR/templates, as NAME.json. */
#ifndef VG_TEMPLATE_DEFINITION_H
#define VG_TEMPLATE_DEFINITION_H

#include "guest/names.h"
#include "template/check.h"

struct source_kind;

struct definition {
  json_object *object;            /* owned; all of it, as it is kept in template.json */
  const char *description;        /* borrowed from object, as all that follows; may be NULL */
  const struct source_kind *kind; /* static */
  void *source;                   /* owned, kind->release; the kind's data */
  json_object *guest;             /* may be NULL */
  const char *packages;           /* may be NULL */
  json_object *policy;            /* list of strings; may be NULL */
  json_object *steps;             /* list: a string is for /bin/sh -c, a list of strings is argv */
  json_object *cleanup;           /* list of strings: paths with "*" and "?"; may be NULL */
  bool require_signature;
};
#define autodefinition __attribute__ ((cleanup (definition_release)))

void definition_release (struct definition *definition);

/* Is there a definition called @name in one of the standard places? */
bool definition_exists (const char *name);

/* Reads the file of @file, or with @file NULL of the definition called @name, as an object that is
 * not checked yet: the caller's. *@ret_path is the file's, the caller's. ERR_USAGE when there is
 * none, with those there are. */
int definition_read (const char *name, const char *file, json_object **ret_object, char **ret_path,
                     struct err *err);

/* Checks @object, notes all that is wrong, and gives the definition when nothing is;
 * *@ret_definition is empty else. The object is shared, not copied. */
void definition_check (json_object *object, struct check *check, struct definition *ret_definition);

/* The same, with ERR_USAGE behind @what for the first thing that is wrong. */
int definition_from_object (json_object *object, const char *what,
                            struct definition *ret_definition, struct err *err);

/* definition_read and definition_from_object. */
int definition_load (const char *name, const char *file, struct definition *ret_definition,
                     struct err *err);

/* From a text. ERR_USAGE names @what and the key. */
int definition_parse (const char *text, size_t len, const char *what,
                      struct definition *ret_definition, struct err *err);

#endif
