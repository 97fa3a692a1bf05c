/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json-c made comfortable: reading checked files, getting typed members, writing atomically.
 *
 * Files that people write may have comments; unknown keys are refused with the nearest known one.
 * Numbers are 64-bit integers: bytes and seconds fit. */
#ifndef VG_UTIL_JSON_H
#define VG_UTIL_JSON_H

#include "cleanup.h"
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

static inline void cleanup_json (json_object **object)
{
  if (*object)
    json_object_put (*object);
}
#define autojson __attribute__ ((cleanup (cleanup_json)))

/* Parses @text (comments allowed). The root must be an object. @what is for messages. */
int json_parse_object (const char *text, size_t len, const char *what, json_object **ret_object,
                       struct err *err);

/* The same for a value of any type; NULL for null. */
int json_parse_value (const char *text, size_t len, const char *what, json_object **ret_value,
                      struct err *err);

/* Reads and parses a file of at most 4 MiB. */
int json_read_file (int dir_fd, const char *name, const char *what, json_object **ret_object,
                    struct err *err);

/* Writes the object, pretty-printed, atomically with mode 0600. */
int json_write_file (int dir_fd, const char *name, json_object *object, struct err *err);

/* Writes the object into the new file @name, mode 0600, without a sync: for what is built in
 * staging. */
int json_create_file (int dir_fd, const char *name, json_object *object, struct err *err);

/* Refuses keys of @object that are not in the NULL-terminated list @keys, naming the nearest. */
int json_check_keys (json_object *object, const char *const *keys, const char *what,
                     struct err *err);

/* Members by name; a missing or null member gives the default and 0, a wrong type is an error.
 * Strings are borrowed from the object. */
int json_get_string (json_object *object, const char *key, const char *fallback,
                     const char **ret_value, struct err *err);
int json_get_bool (json_object *object, const char *key, bool fallback, bool *ret_value,
                   struct err *err);
int json_get_int (json_object *object, const char *key, int64_t fallback, int64_t *ret_value,
                  struct err *err);
/* @ret_value is NULL when the member is missing; borrowed. */
int json_get_object (json_object *object, const char *key, json_object **ret_value,
                     struct err *err);
/* An array whose members are all strings; NULL when missing; borrowed. */
int json_get_strings (json_object *object, const char *key, json_object **ret_value,
                      struct err *err);

void json_set_string (json_object *object, const char *key, const char *value);
/* Bytes that need not be text: what is not UTF-8, and NUL, is replaced by U+FFFD. */
void json_set_bytes (json_object *object, const char *key, const char *bytes, size_t len);
void json_set_int (json_object *object, const char *key, int64_t value);
void json_set_bool (json_object *object, const char *key, bool value);

/* For building: the value becomes the object's, or the array's. A failed allocation ends the
 * program, as elsewhere (err_out_of_memory); so does NULL for an array, while an object takes it as
 * null. */
void json_put (json_object *object, const char *key, json_object *value);
void json_append (json_object *array, json_object *value);

/* An array of the NULL-terminated list. The caller's. */
json_object *json_new_strings (const char *const *strings);

/* The member of the NULL-terminated list @known that is nearest to @word by edit distance, or NULL
 * when none is near. Borrowed. */
const char *nearest_word (const char *word, const char *const *known);

#endif
