/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /run/vguest of a running guest: what it may know of itself. See vguest-view(7).
 *
 *   guest    "KEY=VALUE" lines, written at the start
 *   unified  the list of its shared files (unified.h), for its root alone: paths below directories
 *            that others may not read are in it
 *
 * Both are in the directory "view" of the monitor's tmpfs, of which the guest has a bind that is
 * read-only.
 *
 * Making the list costs a walk over the guest, which most never need. So it is made when it is
 * read: the monitor has a lease (F_WRLCK, fcntl(2)) on the file, so that the kernel lets who opens
 * it wait, and sends us SIGIO. A child of ours makes the list; then the lease is given up, and
 * taken again when nobody has the file open, so that what is read is never written meanwhile. Until
 * then, and for some seconds (fifty times what it took, when that is more), openers get the list
 * that is there. */
#ifndef VG_RUNTIME_GUESTVIEW_H
#define VG_RUNTIME_GUESTVIEW_H

#include "guest/guest.h"

/* What the guest sees it as. */
#define GUESTVIEW_TARGET "/run/vguest"

struct guestview {
  char *path;          /* owned; the directory */
  int list_fd;         /* owned */
  int maker_fd;        /* owned; what the maker has to say; -1: there is none */
  pid_t maker_pid;     /* 0: there is none */
  bool leased;         /* openers wait */
  uint64_t started_us; /* of the maker */
  uint64_t next_us;    /* without a lease: when it is tried next */
};
#define GUESTVIEW_INIT                                                                             \
  {                                                                                                \
    .list_fd = -1, .maker_fd = -1                                                                  \
  }

/* Makes the directory in @path, which is open at @dir_fd. The caller blocks SIGIO, and takes it. */
int guestview_open (struct guestview *view, int dir_fd, const char *path, const struct guest *guest,
                    struct err *err);

/* What the maker needs; borrowed. */
struct guestview_source {
  const char *root_path; /* of the state root */
  int root_fd;           /* the guest's merged root */
};

/* SIGIO came: starts a maker. When that fails the lease is given up. */
int guestview_opened (struct guestview *view, const struct guestview_source *source,
                      struct err *err);

/* There is something to be read from maker_fd: it is through, or failed: then the file says so. */
int guestview_made (struct guestview *view, struct err *err);

/* Takes the lease again when it is time. Returns the milliseconds until it is to be called next, or
 * -1: not before the next maker is through. */
int guestview_lease (struct guestview *view);

/* Ends the maker; somebody else reaps it. */
void guestview_stop (struct guestview *view);

#endif
