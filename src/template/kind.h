/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kinds of sources: what "type" of a definition's "source" may be. Each kind is one struct
 * source_kind in a file of its own, and one line in the table of kind.c.
 *
 * A source is an object of JSON throughout: as a definition has it, or as from_text makes it of
 * what `vtemplate import` is given, with options of the command line put in as keys. It is parsed
 * into the kind's own data, fetched into an import, and kept in template.json, by which it is
 * found again when it is asked for something newer. */
#ifndef VG_TEMPLATE_KIND_H
#define VG_TEMPLATE_KIND_H

#include "template/check.h"
#include "template/import.h"

/* What a kind's freshness probe tells. */
struct freshness {
  bool newer; /* there is something else than what "version" says */
  char *what; /* owned; the version that is there, for people; may be NULL */
};

struct source_kind {
  const char *name;        /* "http" */
  const char *summary;     /* one line */
  const char *const *keys; /* members of "source" beside "type"; NULL-terminated */

  /* It is of this host, and the administrator's own: require_signature does not concern it. */
  bool local;

  /* Does SOURCE of the command line name such a source ("docker://…")? Then its keys are put into
   * @source, which has "type" already. Returns 1, 0 when it does not, or negative with @err. The
   * kinds are asked in the order of the table. NULL: by definitions only. */
  int (*from_text) (const char *text, json_object *source, struct err *err);

  /* Checks its keys, wholly, and gives the kind's data. Keys that are unknown were noted. What is
   * given after problems were noted is only released. Nothing is looked up anywhere. */
  void *(*parse) (struct check *check, json_object *source);
  void (*release) (void *data);

  /* One line for people: "source" of template.json. No credentials. The caller's. */
  char *(*describe) (const void *data);

  /* Fills the tree, through import->writer or by import_fill, and tells by import_note_… what it
   * got and how that was verified. What does not verify is an error (EBADMSG) that names what was
   * expected and what was found; the import is then dropped, and nothing of it is left. */
  int (*fetch) (const void *data, struct import *import, struct err *err);

  /* Asks the source whether it has something else than what @version says, the object that
   * import_note_version made, or NULL. NULL: it cannot be told without fetching. */
  int (*probe) (const void *data, json_object *version, struct freshness *ret_freshness,
                struct err *err);
};

/* The kind called @name, or NULL. */
const struct source_kind *kind_by_name (const char *name);

/* The names of all kinds, for messages: NULL-terminated, borrowed. */
const char *const *kind_names (void);

/* A new object {"type": …, …} for SOURCE of a command line: a URL, a path, "-" for an archive on
 * stdin, or what else a kind takes. The caller's; NULL with @err set. */
json_object *kind_source_from_text (const char *text, struct err *err);

/* The kinds. */
extern const struct source_kind kind_bootstrap, kind_dir, kind_file, kind_guest, kind_http,
    kind_oci, kind_rsync, kind_simplestreams, kind_skeleton;

#endif
