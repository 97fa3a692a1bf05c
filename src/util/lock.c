/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lock.h"
#include "clock.h"
#include "fd.h"
#include "interrupt.h"
#include "lockholder.h"
#include "lockorder.h"
#include <sys/file.h>
#include <time.h>

enum { POLL_FIRST_MS = 5, POLL_MS = 100 };

/* flock cannot end at a time: so it is tried again and again. Returns 0, or -EWOULDBLOCK. */
static int wait_until (int fd, int op, uint64_t deadline_us, const char *what, struct err *err)
{
  long pause_ms = POLL_FIRST_MS;

  for (;;) {
    if (flock (fd, op | LOCK_NB) == 0)
      return 0;
    if (errno != EWOULDBLOCK && errno != EINTR)
      return err_errno (err, "lock %s", what);
    if (interrupt_check (err) < 0)
      return err_wrap (err, "wait for %s", what);
    if (clock_us () >= deadline_us)
      return -EWOULDBLOCK;
    struct timespec pause = {.tv_nsec = pause_ms * 1000000};
    nanosleep (&pause, NULL);
    pause_ms = pause_ms * 2 < POLL_MS ? pause_ms * 2 : POLL_MS;
  }
}

static int wait_for (int fd, int op, const struct lock_how *how, const char *what, struct err *err)
{
  autofree char *holder = lockholder_describe (fd);

  if (how->no_wait)
    return err_code (err, ERR_LOCKED, "%s is locked by %s", what, holder);
  if (how->on_wait)
    how->on_wait (what, holder);
  if (how->seconds) {
    int ret = wait_until (fd, op, clock_us () + (uint64_t) how->seconds * 1000000, what, err);

    if (ret != -EWOULDBLOCK)
      return ret;
    autofree char *now = lockholder_describe (fd);
    return err_code (err, ERR_LOCKED, "%s is still locked after %u s, by %s", what, how->seconds,
                     now);
  }
  while (flock (fd, op) < 0)
    if (errno != EINTR)
      return err_errno (err, "lock %s", what);
    else if (interrupt_check (err) < 0)
      return err_wrap (err, "wait for %s", what);
  return 0;
}

int lock_acquire (int dir_fd, const char *name, const struct lock_how *how, const char *what,
                  int *ret_fd, struct err *err)
{
  autoclose int fd = fd_open (dir_fd, name, O_RDWR | O_CREAT, 0600);
  int op = how->mode == LOCK_EXCLUSIVE ? LOCK_EX : LOCK_SH;

  if (fd < 0)
    return err_errno (err, "open the lock of %s", what);
  if (!how->no_wait)
    lockorder_check (fd, how->rank, what, how->mode);
  if (flock (fd, op | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK)
      return err_errno (err, "lock %s", what);
    if (wait_for (fd, op, how, what, err) < 0)
      return -err->code;
  }
  lockholder_write (fd);
  lockorder_note (fd, how->rank, what, how->mode);
  *ret_fd = steal_fd (&fd);
  return 0;
}

int lock_convert (int fd, enum lock_mode mode, struct err *err)
{
  int op = mode == LOCK_EXCLUSIVE ? LOCK_EX : LOCK_SH;

  if (flock (fd, op | LOCK_NB) == 0)
    return 1;
  if (errno != EWOULDBLOCK)
    return err_errno (err, "change a lock");
  /* A failed conversion may have lost the old lock (flock(2)): a shared one is always to be had
   * again, as the other side only tries and does not wait with it. */
  while (flock (fd, LOCK_SH) < 0)
    if (errno != EINTR)
      return err_errno (err, "take a lock back");
  return 0;
}
