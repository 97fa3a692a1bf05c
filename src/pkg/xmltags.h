/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tags of an XML text, one after another, as far as package managers' output needs it: no
 * comments, no CDATA, no declarations of types. */
#ifndef VG_PKG_XMLTAGS_H
#define VG_PKG_XMLTAGS_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stddef.h>

enum { XML_ATTRIBUTES_MAX = 32, XML_VALUE_MAX = 65536 };

struct xml_tag {
  const char *name; /* borrowed from the text; "to-upgrade" */
  size_t name_len;
  bool opens;  /* <name> or <name/> */
  bool closes; /* </name> or <name/> */
  struct xml_attribute {
    const char *name; /* borrowed */
    size_t name_len;
    char *value; /* owned; entities replaced */
  } attributes[XML_ATTRIBUTES_MAX];
  size_t count;
};
void xml_tag_release (struct xml_tag *tag);
#define autoxmltag __attribute__ ((cleanup (xml_tag_release)))

struct xml_tags {
  const char *at; /* borrowed */
  const char *end;
  size_t line; /* of the tag last returned, from 1 */
};
void xml_tags_start (const char *text, size_t len, struct xml_tags *ret_tags);

/* The next tag: 1, with @ret_tag, which is released first; 0 at the end; EINVAL for what is no tag
 * where one begins, and E2BIG. "<?…?>" is passed over. */
int xml_tags_next (struct xml_tags *tags, struct xml_tag *ret_tag, struct err *err);

/* The text from the tag last returned to the next one, entities replaced; the caller's. EINVAL and
 * E2BIG as for values of attributes. */
int xml_text (const struct xml_tags *tags, char **ret_text, struct err *err);

bool xml_tag_is (const struct xml_tag *tag, const char *name);

/* The value of an attribute, or NULL. Borrowed. */
const char *xml_attribute (const struct xml_tag *tag, const char *name);

#endif
