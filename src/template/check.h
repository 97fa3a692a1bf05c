/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checking what people wrote, wholly: each wrong value is noted with the path of its key, and the
 * rest is looked at all the same, so that all that is wrong is told at once.
 *
 * The getters note what is wrong and give a usable value: NULL, or the fallback. */
#ifndef VG_TEMPLATE_CHECK_H
#define VG_TEMPLATE_CHECK_H

#include "util/json.h"
#include "util/strbuf.h"

struct check_problem {
  char *path; /* owned; "source.include[2]"; "" for the whole */
  char *text; /* owned */
};

struct check {
  struct strbuf path;             /* owned; where we are */
  struct check_problem *problems; /* owned */
  size_t count;
};
#define CHECK_INIT                                                                                 \
  {                                                                                                \
    .path = STRBUF_INIT (4096)                                                                     \
  }
#define autocheck __attribute__ ((cleanup (check_release)))

void check_release (struct check *check);

/* Notes that the member @key, or with NULL the place itself, is wrong. */
void check_add (struct check *check, const char *key, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

/* Goes into the member @key, or the item @index of the list @key; check_leave goes back. */
size_t check_enter (struct check *check, const char *key);
size_t check_enter_item (struct check *check, const char *key, size_t index);
void check_leave (struct check *check, size_t mark);

/* Members that are neither in @keys nor in @more, which may be NULL; both end with NULL. */
void check_keys (struct check *check, json_object *object, const char *const *keys,
                 const char *const *more);

/* Members by name; null counts as missing. What is borrowed belongs to @object. Strings are UTF-8
 * without NULs, and not empty. @needed: missing is wrong. */
const char *check_string (struct check *check, json_object *object, const char *key, bool needed);
bool check_bool (struct check *check, json_object *object, const char *key, bool fallback);
json_object *check_object (struct check *check, json_object *object, const char *key, bool needed);
/* Bytes: a whole number, or one with K, M, G or T (powers of 1024) in a string. */
uint64_t check_size (struct check *check, json_object *object, const char *key, uint64_t fallback);
/* A list of strings; NULL when it is missing, or one of them is no string. */
json_object *check_strings (struct check *check, json_object *object, const char *key);

/* A string that is one of @words, which end with NULL; @fallback when it is missing or wrong. */
const char *check_word (struct check *check, json_object *object, const char *key,
                        const char *const *words, const char *fallback);

/* 0, or ERR_USAGE with the first problem and the number of the others, behind @what. */
int check_result (const struct check *check, const char *what, struct err *err);

#endif
