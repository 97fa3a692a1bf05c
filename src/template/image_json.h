/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of foreign JSON: null counts as missing; a wrong type is EBADMSG and names the member. */
#ifndef VG_TEMPLATE_IMAGE_JSON_H
#define VG_TEMPLATE_IMAGE_JSON_H

#include "guest/names.h"
#include "util/json.h"

/* An object of at most IMAGE_DOCUMENT_MAX bytes, with no comments and nothing behind it. */
int image_json_parse (const char *text, size_t len, const char *what, json_object **ret_object,
                      struct err *err);

/* A string: UTF-8, no control characters, not empty (an empty one counts as missing), at most 64
 * KiB. *@ret_text is the caller's; NULL when it is missing. */
int image_json_text (json_object *object, const char *key, bool needed, char **ret_text,
                     struct err *err);

/* Borrowed; NULL when it is missing. */
int image_json_object (json_object *object, const char *key, json_object **ret_value,
                       struct err *err);

/* A list of at most @maximum items. Borrowed; NULL when it is missing. */
int image_json_list (json_object *object, const char *key, size_t maximum, json_object **ret_list,
                     struct err *err);

/* Adds a list of strings (UTF-8, no NUL) to @names. */
int image_json_strings (json_object *object, const char *key, size_t maximum, struct names *names,
                        struct err *err);

#endif
