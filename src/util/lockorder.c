/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lockorder.h"

#ifdef VG_LOCK_ORDER
#include <pthread.h>
#include <sys/stat.h>

struct held {
  int fd;
  dev_t dev;
  ino_t ino;
  enum lock_rank rank;
  enum lock_mode mode;
  char *what; /* owned */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct held *held; /* owned; those that were closed are still here until somebody looks */
static size_t count;

/* A descriptor that is closed, or is another file by now, holds nothing any more; nor does the new
 * one, @fd, which may have the number and the file of one that is closed. */
static bool is_held (const struct held *lock, int fd)
{
  struct stat st;

  return lock->fd != fd && fstat (lock->fd, &st) == 0 && st.st_dev == lock->dev &&
         st.st_ino == lock->ino;
}

static void forget_closed (int fd)
{
  size_t kept = 0;

  for (size_t i = 0; i < count; i++) {
    if (is_held (&held[i], fd))
      held[kept++] = held[i];
    else
      free (held[i].what);
  }
  count = kept;
  if (!count) {
    free (held);
    held = NULL;
  }
}

/* May a lock be waited for while @lock is held? Two of the same rank by name; one thing twice only
 * when both are shared; nothing behind a template that is held exclusively. */
static bool in_order (const struct held *lock, enum lock_rank rank, const char *what,
                      enum lock_mode mode)
{
  if (lock->rank == LOCK_RANK_TEMPLATE && lock->mode == LOCK_EXCLUSIVE)
    return false;
  if (lock->rank != rank)
    return lock->rank < rank;
  int order = strcmp (lock->what, what);
  return order ? order < 0 : lock->mode == LOCK_SHARED && mode == LOCK_SHARED;
}

void lockorder_check (int fd, enum lock_rank rank, const char *what, enum lock_mode mode)
{
  int saved = errno;

  pthread_mutex_lock (&mutex);
  forget_closed (fd);
  for (size_t i = 0; i < count; i++)
    if (!in_order (&held[i], rank, what, mode)) {
      fprintf (stderr, "lock order: %s (rank %d) is waited for while %s (rank %d) is held\n", what,
               (int) rank, held[i].what, (int) held[i].rank);
      abort ();
    }
  pthread_mutex_unlock (&mutex);
  errno = saved;
}

void lockorder_note (int fd, enum lock_rank rank, const char *what, enum lock_mode mode)
{
  int saved = errno;
  struct stat st;

  if (rank == LOCK_RANK_BASE)
    rank = LOCK_RANK_TEMPLATE;
  pthread_mutex_lock (&mutex);
  forget_closed (fd);
  if (fstat (fd, &st) == 0) {
    held = xreallocarray (held, count + 1, sizeof *held);
    held[count++] = (struct held){.fd = fd,
                                  .dev = st.st_dev,
                                  .ino = st.st_ino,
                                  .rank = rank,
                                  .mode = mode,
                                  .what = xstrdup (what)};
  }
  pthread_mutex_unlock (&mutex);
  errno = saved;
}
#endif
