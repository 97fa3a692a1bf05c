/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors.
 *
 * Every function that can fail takes a `struct err *` as its last parameter and returns a
 * negative number: -errno, or one of the negated codes below. The error text is built where the
 * error happens, context is put before it on the way up (err_wrap), and it is printed once, in
 * main or where a bulk command reports its guests. Libraries never print and never exit.
 *
 * Life cycle: start with `struct err err = {0};`, hand it down, read err.msg after a failure,
 * err_release at the end. A second error set on the same object replaces the first.
 * Out-of-memory is not an error that callers see: the process stops with a message, as nothing
 * that is half done needs memory to be recovered by the next command.
 */
#ifndef VG_UTIL_ERR_H
#define VG_UTIL_ERR_H

#include "banned.h"
#include <errno.h>

/* Codes beyond errno; main turns them into exit statuses. */
enum {
  ERR_USAGE = 10001, /* bad command line or bad input: exit status 2 */
  ERR_SOME_FAILED,   /* some guests of several failed: exit status 3 */
  ERR_NOTHING,       /* there was nothing to do: exit status 4 */
  ERR_NO_GUEST,      /* unknown guest or template: exit status 5 */
  ERR_NO_SPACE,      /* the reserve of free space would be used: exit status 6 */
  ERR_LOCKED,        /* somebody else holds a lock: exit status 7 */
  ERR_INTERRUPTED,   /* SIGINT, SIGTERM or SIGHUP: exit status 130 */
};

struct err {
  int code;  /* positive: errno or a code above; 0 when nothing went wrong */
  char *msg; /* owned; NULL when nothing went wrong */
};

/* Sets the error to the formatted text. Returns -@code. */
int err_code (struct err *err, int code, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

/* Sets the error to the formatted text, a colon, and the text of errno. Returns -errno. */
int err_errno (struct err *err, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

/* Puts the formatted text and a colon before the error. Returns -err->code. */
int err_wrap (struct err *err, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

/* Frees the text and makes @err empty. Takes NULL. */
void err_release (struct err *err);

/* The text of @err, or a word that says there is none; never NULL. Borrowed. */
const char *err_text (const struct err *err);

/* The exit status of the program for @err: 0 when there is no error. */
int err_exit_status (const struct err *err);

/* Stops the program because memory ran out. */
void err_out_of_memory (void) __attribute__ ((noreturn));

/* Stops the program with the error's text, in the same way: for what is missing in the program
 * itself, where no caller could go on. */
void err_stop (const struct err *err) __attribute__ ((noreturn));

/* Allocation that cannot fail (see above). */
void *xmalloc (size_t size) __attribute__ ((malloc, returns_nonnull, warn_unused_result));
void *xcalloc (size_t count, size_t size) __attribute__ ((malloc, returns_nonnull));
void *xreallocarray (void *old, size_t count, size_t size)
    __attribute__ ((returns_nonnull, warn_unused_result));
char *xstrdup (const char *s) __attribute__ ((malloc, returns_nonnull, nonnull));
char *xstrndup (const char *s, size_t n) __attribute__ ((malloc, returns_nonnull, nonnull));
char *xasprintf (const char *format, ...)
    __attribute__ ((malloc, returns_nonnull, format (printf, 1, 2)));

#endif
