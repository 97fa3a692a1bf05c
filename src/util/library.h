/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared libraries that are loaded when something first needs them.
 *
 * To load and relocate libcurl and libarchive, with the forty libraries that those need, takes five
 * times as long as what most commands do, and ten times the memory. So they are not linked: who
 * uses one has it loaded first, and calls it by a table of functions that has the library's own
 * names and types:
 *
 *   if (libcurl_load (err) < 0)
 *     return -err->code;
 *   CURL *easy = libcurl.curl_easy_init ();
 *
 * util/libcurl.h, util/libcrypto.h and template/libarchive.h list what is used of them; a function
 * is added there by a line. configure finds the names of the files (sonames) by linking with them.
 *
 * A library stays loaded. It is always the host's: no process of ours changes its root directory,
 * and none may, before it uses one. */
#ifndef VG_UTIL_LIBRARY_H
#define VG_UTIL_LIBRARY_H

#include "cleanup.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct library {
  const char *soname;   /* "libcurl.so.4" */
  const char *what_for; /* "to fetch files" */
  const char *package;  /* that has it */

  /* Where the addresses of the functions go, and their names: as many. */
  void **functions;
  const char *const *names;
  size_t count;

  pthread_mutex_t mutex;
  atomic_bool loaded;
};

/* Loads it, if this was not done before, and fills its table. Any thread may call it. ELIBACC when
 * it is not installed or lacks a function: says what it is for, why, and the package. */
int library_load (struct library *library, struct err *err);

/* For a list of functions, `#define LIST(FUNCTION) FUNCTION (a) FUNCTION (b)`: LIST
 * (LIBRARY_MEMBER) makes the members of the table, LIST (LIBRARY_NAME) the names. */
#define LIBRARY_MEMBER(function) typeof (&(function)) (function);
#define LIBRARY_NAME(function) #function,

/* Defines the table @table of the functions in @list, @table_load, which calls library_load for it,
 * and the library's note. The others are strings, see struct library. */
#define LIBRARY_DEFINE(table, list, file, what, packages)                                          \
  struct table table;                                                                              \
  LIBRARY_NOTE (file, #table, what);                                                               \
  int table##_load (struct err *err)                                                               \
  {                                                                                                \
    static const char *const names[] = {list (LIBRARY_NAME)};                                      \
    static struct library library = {                                                              \
        .soname = (file),                                                                          \
        .what_for = (what),                                                                        \
        .package = (packages),                                                                     \
        .functions = (void **) &(table),                                                           \
        .names = names,                                                                            \
        .count = sizeof names / sizeof names[0],                                                   \
        .mutex = PTHREAD_MUTEX_INITIALIZER,                                                        \
    };                                                                                             \
                                                                                                   \
    static_assert (sizeof (table) == sizeof names, "a table of one address for each name");        \
    return library_load (&library, err);                                                           \
  }                                                                                                \
  static_assert (sizeof (table), "for the semicolon behind it")

/* Defines a note in the section .note.dlopen, by the "ELF dlopen metadata" of the UAPI group: it
 * tells packagers' tools of a library that they do not see among those that are linked. All three
 * are strings. */
#define LIBRARY_NOTE(soname, feature, what_for)                                                    \
  LIBRARY_NOTE_OF ("[{\"feature\":\"" feature "\",\"description\":\"" what_for                     \
                   "\",\"priority\":\"required\",\"soname\":[\"" soname "\"]}]")
#define LIBRARY_NOTE_OF(json)                                                                      \
  static const struct {                                                                            \
    uint32_t owner_size, text_size, type;                                                          \
    char owner[sizeof "FDO"], text[sizeof (json)];                                                 \
  } library_note __attribute__ ((used, section (".note.dlopen"), aligned (4))) = {                 \
      sizeof "FDO", sizeof (json), 0x407c0c0a, "FDO", json}

#endif
