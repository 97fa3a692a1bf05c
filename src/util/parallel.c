/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parallel.h"
#include "interrupt.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct crew {
  const struct parallel *parallel; /* borrowed */
  atomic_size_t next;
  atomic_bool stopped;
  pthread_mutex_t mutex; /* of first */
  struct err first;      /* owned */
};

struct worker {
  struct crew *crew; /* borrowed */
  unsigned number;
  pthread_t thread;
};

static void fail (struct crew *crew, struct err *err)
{
  atomic_store (&crew->stopped, true);
  pthread_mutex_lock (&crew->mutex);
  if (crew->first.code) {
    err_release (err);
  } else {
    crew->first = *err;
    *err = (struct err){0};
  }
  pthread_mutex_unlock (&crew->mutex);
}

static void *work (void *data)
{
  struct worker *worker = data;
  struct crew *crew = worker->crew;
  const struct parallel *parallel = crew->parallel;

  while (!atomic_load (&crew->stopped)) {
    size_t index = atomic_fetch_add (&crew->next, 1);
    struct err err = {0};

    if (index >= parallel->count)
      break;
    if (interrupt_check (&err) < 0 ||
        parallel->run (parallel->data, worker->number, index, &err) < 0)
      fail (crew, &err);
  }
  return NULL;
}

int parallel_run (const struct parallel *parallel, struct err *err)
{
  struct crew crew = {.parallel = parallel, .mutex = PTHREAD_MUTEX_INITIALIZER};
  autofree struct worker *workers = xcalloc (parallel->threads, sizeof *workers);
  unsigned started = 1;

  for (unsigned i = 0; i < parallel->threads; i++)
    workers[i] = (struct worker){.crew = &crew, .number = i};
  /* Fewer threads than asked for do the same. */
  while (started < parallel->threads && started < parallel->count &&
         pthread_create (&workers[started].thread, NULL, work, &workers[started]) == 0)
    started++;
  work (&workers[0]);
  for (unsigned i = 1; i < started; i++)
    pthread_join (workers[i].thread, NULL);
  pthread_mutex_destroy (&crew.mutex);
  if (!crew.first.code)
    return 0;
  err_release (err);
  *err = crew.first;
  return -err->code;
}
