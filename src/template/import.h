/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a template, all or nothing: the tree is written in staging and published into the store on
 * the way, then the template is renamed into place. After an error or a signal nothing of it is
 * left; after a crash the next command that opens the root clears it away. */
#ifndef VG_TEMPLATE_IMPORT_H
#define VG_TEMPLATE_IMPORT_H

#include "guest/root.h"
#include "template/writer.h"

struct definition;
struct import;

/* What the command line adds; zero is the default. Everything is borrowed. */
struct import_options {
  const char *creds; /* "USER:PASSWORD" for the source's host; kept nowhere */
  bool no_steps;     /* leave the definition's steps out */
  unsigned after;    /* make the generation behind this one of a template that is there; 0: a new
                        template */
  /* Runs the definition's steps, a list of commands, in the new tree, as a transaction; what they
   * leave is the tree. NULL: a definition with steps is refused. */
  int (*run_steps) (void *data, struct import *import, json_object *steps, struct err *err);
  void *data;
};

/* What vouches for what was fetched. */
enum import_vouch {
  IMPORT_VOUCH_DIGEST,    /* it is what whoever gave the digest meant */
  IMPORT_VOUCH_SIGNATURE, /* a key that the administrator trusts says so: what require_signature
                             asks for */
};

struct import {
  struct vroot *root;     /* borrowed */
  const char *name;       /* borrowed; NULL: only a tree, for guests */
  unsigned generation;    /* its number: 1 for a new template */
  int beside_fd;          /* owned: templates/NAME, which gets it beside the others; -1: new */
  int updating_fd;        /* owned: the lock of those who make the next generation; or -1 */
  struct staging staging; /* owned */
  struct writer writer;   /* owned */
  int template_fd;        /* owned: what becomes templates/NAME */
  int generation_fd;      /* owned */
  int tree_fd;            /* owned */
  int temp_fd;            /* owned: scratch space in staging, on the same file system */
  json_object *info;      /* owned: becomes template.json; more may be put in before the end */
  json_object *verified;  /* owned: "verified" of it, a list */
  json_object *version;   /* owned: "version" of it, by which something newer is known */
  json_object *guest;     /* owned: "guest" of it, what the source says of guests' settings; the
                             definition's go over them */
  bool vouched;           /* by IMPORT_VOUCH_SIGNATURE */
  const struct import_options *options; /* borrowed; never NULL */
};
#define autoimport __attribute__ ((cleanup (import_drop)))
#define IMPORT_INIT                                                                                \
  {                                                                                                \
    .beside_fd = -1, .updating_fd = -1, .staging.fd = -1, .writer.file.fd = -1, .template_fd = -1, \
    .generation_fd = -1, .tree_fd = -1, .temp_fd = -1                                              \
  }

/* Starts the template @name in @import, which is IMPORT_INIT; @source says for people where it
 * comes from. EEXIST when there is one of that name. Signals become errors from here on. */
int import_begin (struct vroot *root, const char *name, const char *source, struct import *import,
                  struct err *err);

/* The same for the generation behind @after of the template @name, which is there. Waits until
 * nobody else makes one; ERR_NOTHING when somebody just did. ERR_NO_GUEST, ERR_LOCKED as with
 * template_open. */
int import_begin_next (struct vroot *root, const char *name, unsigned after, const char *source,
                       struct import *import, struct err *err);

/* The same for a tree that becomes no template: guests are made from it. */
int import_begin_tree (struct vroot *root, const char *source, struct import *import,
                       struct err *err);

/* Fills the tree from an archive or a directory, chosen by what @fd is. */
int import_fill (struct import *import, int fd, struct err *err);

/* Completes the tree; import_finish begins with it. */
int import_complete (struct import *import, struct err *err);

/* Publishes the template, or the generation. @ret_report is the caller's, with first_error. */
int import_finish (struct import *import, struct writer_report *ret_report, struct err *err);

/* Takes back what was not finished, objects included. For autoimport: keeps errno, forgets errors;
 * the next command does what could not be done here. */
void import_drop (struct import *import);

/* For kinds of sources, while they fetch.
 *
 * What was verified, as an entry of "verified": @what ("archive", "SHA256SUMS"), @how ("sha256",
 * "openpgp", "minisign", …), and by which digest or key. */
void import_note_verified (struct import *import, enum import_vouch vouch, const char *what,
                           const char *how, const char *by);
/* A member of "version": "etag", "last_modified", "digest", …, NULL is left out. */
void import_note_version (struct import *import, const char *key, const char *value);

/* From import_begin up to what comes before import_finish: the tree of @definition in @import,
 * which is IMPORT_INIT. @name is NULL for a tree that becomes no template. "definition" of
 * template.json is the definition's object, so that it can be made again. @options may be NULL. */
int import_fetch (struct vroot *root, const char *name, const struct definition *definition,
                  const struct import_options *options, struct import *import, struct err *err);

/* All of it: the template @name of @definition. @options may be NULL. */
int import_definition (struct vroot *root, const char *name, const struct definition *definition,
                       const struct import_options *options, struct writer_report *ret_report,
                       struct err *err);

#endif
