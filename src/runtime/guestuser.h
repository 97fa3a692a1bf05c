/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Users of a guest, by its own /etc/passwd and /etc/group, which are foreign data: malformed lines
 * are as if they were not there, and what is read is bounded. */
#ifndef VG_RUNTIME_GUESTUSER_H
#define VG_RUNTIME_GUESTUSER_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <sys/types.h>

/* Bytes of each of the two files; larger ones are refused. */
enum { GUESTUSER_FILE_MAX = 4 << 20 };

struct guestuser {
  uid_t uid;
  gid_t gid;
  gid_t *groups; /* owned; the supplementary ones, sorted, without gid */
  size_t group_count;
  char *name;  /* owned; NULL when only the number is known */
  char *home;  /* owned; absolute: "/" when the file has none */
  char *shell; /* owned; absolute: "/bin/sh" when the file has none */
};

void guestuser_release (struct guestuser *user);
#define autoguestuser __attribute__ ((cleanup (guestuser_release)))

/* Looks @spec up in the texts of the two files: "USER" or "USER:GROUP", each a name, or, where no
 * line has it as a name, a number. With a GROUP there are no supplementary groups. A number without
 * a line is taken as it is, as user and group; "root" and "0" always exist. ERR_USAGE when there is
 * no such user or group. */
int guestuser_parse (const char *passwd, size_t passwd_len, const char *group, size_t group_len,
                     const char *spec, struct guestuser *ret_user, struct err *err);

/* The same in the guest whose root is @root_fd. A missing file is an empty one. */
int guestuser_lookup (int root_fd, const char *spec, struct guestuser *ret_user, struct err *err);

#endif
