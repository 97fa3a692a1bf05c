/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The metadata archive of an image: metadata.yaml, and in templates/ the files that it names, which
 * are to be made for each guest. Of those only what the guest is called is filled in:
 *
 *   templates:
 *     /etc/hostname:
 *       template: hostname.tpl        "{{ container.name }}" or "{{ instance.name }}"
 *
 * A file that asks for more, by other words between braces, is left as the image has it. */
#ifndef VG_TEMPLATE_STREAMS_METADATA_H
#define VG_TEMPLATE_STREAMS_METADATA_H

#include "template/import.h"

/* What is taken of it. */
struct streams_template {
  char *path; /* owned; absolute, in the guest */
  char *file; /* owned; its name in templates/ */
};
struct streams_templates {
  struct streams_template *items; /* owned */
  size_t count;
};
void streams_templates_release (struct streams_templates *templates);
#define autostreamstemplates __attribute__ ((cleanup (streams_templates_release)))

/* Reads "templates" of metadata.yaml. Lines that are not understood are passed over: what is taken
 * is checked, and at most 64. */
void streams_templates_parse (const char *yaml, struct streams_templates *ret_templates);

/* The text with the guest's name @name filled in: the caller's; NULL when it asks for more. */
char *streams_template_fill (const char *text, const char *name);

/* Writes the files of the metadata archive @data into the tree, for a guest called @name. */
int streams_metadata_apply (struct import *import, const void *data, size_t len, const char *name,
                            struct err *err);

#endif
