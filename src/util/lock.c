/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lock.h"
#include "fd.h"
#include "interrupt.h"
#include <sys/file.h>
#include <time.h>

/* The holder writes "pid command since" into the file: a hint for people, not part of the lock. */
static void write_holder (int fd)
{
  char text[256], stamp[32], command[64] = "?";
  time_t now = time (NULL);
  struct tm tm;

  autoclose int comm = open ("/proc/self/comm", O_RDONLY | O_CLOEXEC);
  ssize_t n = comm >= 0 ? read (comm, command, sizeof command - 1) : -1;
  if (n > 0)
    command[n - 1] = '\0';
  if (!gmtime_r (&now, &tm) || !strftime (stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm))
    return;
  int len = snprintf (text, sizeof text, "%ld %s since %s\n", (long) getpid (), command, stamp);
  if (len > 0 && ftruncate (fd, 0) == 0 && pwrite (fd, text, (size_t) len, 0) < 0)
    return;
}

static void read_holder (int fd, char *text, size_t size)
{
  ssize_t n = pread (fd, text, size - 1, 0);

  text[n > 0 ? n : 0] = '\0';
  text[strcspn (text, "\n")] = '\0';
  if (!*text)
    snprintf (text, size, "another vguest");
}

int lock_acquire (int dir_fd, const char *name, enum lock_mode mode, bool no_wait, const char *what,
                  void (*on_wait) (const char *what, const char *holder), int *ret_fd,
                  struct err *err)
{
  autoclose int fd = fd_open (dir_fd, name, O_RDWR | O_CREAT, 0600);
  int op = mode == LOCK_EXCLUSIVE ? LOCK_EX : LOCK_SH;

  if (fd < 0)
    return err_errno (err, "open the lock of %s", what);
  if (flock (fd, op | LOCK_NB) < 0) {
    char holder[256];

    if (errno != EWOULDBLOCK)
      return err_errno (err, "lock %s", what);
    read_holder (fd, holder, sizeof holder);
    if (no_wait)
      return err_code (err, ERR_LOCKED, "%s is locked by %s", what, holder);
    if (on_wait)
      on_wait (what, holder);
    while (flock (fd, op) < 0)
      if (errno != EINTR)
        return err_errno (err, "lock %s", what);
      else if (interrupt_check (err) < 0)
        return err_wrap (err, "wait for %s", what);
  }
  if (mode == LOCK_EXCLUSIVE)
    write_holder (fd);
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
