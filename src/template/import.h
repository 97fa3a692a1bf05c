/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a template, all or nothing: the tree is written in staging and published into the store on
 * the way, then the template is renamed into place. After an error or a signal nothing of it is
 * left; after a crash the next command that opens the root clears it away. */
#ifndef VG_TEMPLATE_IMPORT_H
#define VG_TEMPLATE_IMPORT_H

#include "guest/root.h"
#include "template/writer.h"

struct import {
  struct vroot *root;     /* borrowed */
  const char *name;       /* borrowed */
  struct staging staging; /* owned */
  struct writer writer;   /* owned */
  int template_fd;        /* owned: what becomes templates/NAME */
  int generation_fd;      /* owned */
  int tree_fd;            /* owned */
  int temp_fd;            /* owned: scratch space in staging, on the same file system */
  json_object *info;      /* owned: becomes template.json; more may be put in before the end */
};
#define autoimport __attribute__ ((cleanup (import_drop)))
#define IMPORT_INIT                                                                                \
  {                                                                                                \
    .staging.fd = -1, .writer.file.fd = -1, .template_fd = -1, .generation_fd = -1, .tree_fd = -1, \
    .temp_fd = -1                                                                                  \
  }

/* Starts the template @name in @import, which is IMPORT_INIT; @source says for people where it
 * comes from. EEXIST when there is one of that name. Signals become errors from here on. */
int import_begin (struct vroot *root, const char *name, const char *source, struct import *import,
                  struct err *err);

/* Fills the tree from an archive or a directory, chosen by what @fd is. */
int import_fill (struct import *import, int fd, struct err *err);

/* Publishes the template. @ret_report is the caller's, with first_error. */
int import_finish (struct import *import, struct writer_report *ret_report, struct err *err);

/* Takes back what was not finished, objects included. For autoimport: keeps errno, forgets errors;
 * the next command does what could not be done here. */
void import_drop (struct import *import);

/* All of it, for SOURCE as the command line has it: a path, or "-" for an archive on stdin. */
int import_source (struct vroot *root, const char *name, const char *source,
                   struct writer_report *ret_report, struct err *err);

#endif
