/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks in child processes, several at once, whose events reach those who watch. */
#include "bulk_internal.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/jobs.h"

struct pool {
  struct bulk *bulk;
  const struct bulk_tasks *tasks;
  struct events *events; /* owned; of each task */
  size_t next;
};

/* For the events of one task. */
struct watcher {
  struct pool *pool;
  size_t row;
};

static void on_line (void *data, const char *text)
{
  const struct watcher *watcher = data;
  const struct bulk_options *options = watcher->pool->bulk->options;

  if (options->on_line)
    options->on_line (options->data, watcher->row, text);
}

static void on_note (void *data, const char *text)
{
  const struct watcher *watcher = data;
  const struct bulk *bulk = watcher->pool->bulk;

  if (bulk->options->on_note)
    bulk->options->on_note (bulk->options->data, bulk->report->rows[watcher->row].name, text);
}

static void on_step (void *data, const char *phase, int percent)
{
  const struct watcher *watcher = data;
  const struct bulk_options *options = watcher->pool->bulk->options;

  if (options->on_step)
    options->on_step (options->data, watcher->row, phase, percent);
}

static bool next (void *data, size_t *ret_job)
{
  struct pool *pool = data;
  const struct bulk_options *options = pool->bulk->options;

  if (pool->next == pool->tasks->count ||
      (pool->tasks->may_begin && !pool->tasks->may_begin (pool->bulk)))
    return false;
  *ret_job = pool->next++;
  pool->bulk->works[pool->tasks->items[*ret_job].row].start_us = clock_us ();
  if (options->on_start)
    options->on_start (options->data, pool->tasks->items[*ret_job].row);
  return true;
}

static int run (void *data, size_t job, struct err *err)
{
  struct pool *pool = data;
  const struct bulk_task *task = &pool->tasks->items[job];

  /* When the parent is killed, what it was building belongs to nobody: its lock must not live on
   * in a child. */
  int staging_fd = fd_open_dir (pool->bulk->root->staging_fd, pool->bulk->staging.name);
  if (staging_fd < 0)
    return err_errno (err, "open staging/%s", pool->bulk->staging.name);
  close (pool->bulk->staging.fd);
  pool->bulk->staging.fd = staging_fd;
  if (pool->bulk->options->timeout)
    interrupt_after (pool->bulk->options->timeout);
  return pool->tasks->run (pool->bulk, task->row, task->group, err);
}

static int output (void *data, size_t job, int stream, const char *bytes, size_t len,
                   struct err *err)
{
  struct pool *pool = data;
  struct watcher watcher = {pool, pool->tasks->items[job].row};
  struct events *events = &pool->events[job];

  (void) err;
  if (stream != 1) {
    /* Only messages of locks come this way. */
    autofree char *text = xstrndup (bytes, len);

    text[strcspn (text, "\n")] = '\0';
    on_note (&watcher, text);
    return 0;
  }
  events->data = &watcher;
  events->on_line = on_line;
  events->on_note = on_note;
  events->on_step = on_step;
  events_add (events, bytes, len);
  return 0;
}

static int end (void *data, size_t job, int status, const struct err *job_err, struct err *err)
{
  struct pool *pool = data;

  (void) status;
  (void) err;
  pool->tasks->end (pool->bulk, &pool->tasks->items[job], pool->events[job].result, job_err);
  events_release (&pool->events[job]);
  return 0;
}

int bulk_run_tasks (struct bulk *bulk, const struct bulk_tasks *tasks, struct err *err)
{
  autofree struct events *events = xcalloc (tasks->count + 1, sizeof *events);
  struct pool pool = {.bulk = bulk, .tasks = tasks, .events = events};
  struct jobs jobs = {
      .parallel = bulk->options->jobs,
      .data = &pool,
      .next = next,
      .run = run,
      .output = output,
      .end = end,
  };

  for (size_t i = 0; i < tasks->count; i++)
    events[i] = (struct events) EVENTS_INIT;
  int ret = tasks->count ? jobs_run (&jobs, err) : 0;
  for (size_t i = 0; i < tasks->count; i++)
    events_release (&events[i]);
  return ret;
}
