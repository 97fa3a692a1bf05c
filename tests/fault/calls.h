/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system calls that change a file system, and how each of them may fail. */
#ifndef VG_TESTS_CALLS_H
#define VG_TESTS_CALLS_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>

/* What the arguments are. */
enum call_kind {
  CALL_PATH, /* a path */
  CALL_AT,   /* something, a path */
  CALL_TWO,  /* a directory, a path, a directory, a path */
  CALL_FD,   /* an open file; what is no file of a file system is not counted */
  CALL_OTHER
};

struct call {
  int number;
  const char *name;
  enum call_kind kind;
  int errors[6]; /* those that make sense, up to a 0 */
};

extern const struct call calls[];
extern const size_t calls_count;

/* The call with this number, or NULL. */
const struct call *call_find (int number);

/* May the call fail with @error? */
bool call_can_fail (const struct call *call, int error);

/* A seccomp filter that hands exactly these calls to a listener: of open and openat those that make
 * or empty a file, of ioctl those that share extents. The filter is allocated. */
struct sock_fprog call_filter (void);

#endif
