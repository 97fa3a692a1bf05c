/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dirwalk.h"
#include "fd.h"
#include <pthread.h>
#include <stdatomic.h>

/* A directory that waits, is visited, or is on the path of one that does. */
struct dirwalk_node {
  struct dirwalk_node *above; /* a reference; NULL at the top */
  struct dirwalk_node *next;  /* among those that wait */
  size_t references;          /* of those below, and one until its visit has ended */
  struct rules_state state;   /* owned */
  size_t name_len;
  char name[];
};

struct thread {
  struct run *run;
  size_t number;
  pthread_t id;
  char *path; /* owned; of the directory whose turn it is */
  size_t path_size;
};

struct run {
  const struct dirwalk *walk; /* borrowed */
  struct thread threads[DIRWALK_THREADS_MAX];
  size_t started; /* the caller's included; for the caller alone */
  atomic_size_t wanted;

  pthread_mutex_t mutex; /* for what follows, and for references */
  pthread_cond_t changed;
  struct dirwalk_node *waiting;
  size_t waiting_count;
  size_t busy; /* visits that go on */
  bool failed;
  struct err err; /* the first error */
};

static struct dirwalk_node *new_node (struct dirwalk_node *above, const char *name)
{
  size_t len = strlen (name);
  struct dirwalk_node *node = xcalloc (1, sizeof *node + len + 1);

  node->above = above;
  node->references = 1;
  node->name_len = len;
  memcpy (node->name, name, len + 1);
  return node;
}

/* Under the mutex. */
static void release_node (struct dirwalk_node *node)
{
  while (node && --node->references == 0) {
    struct dirwalk_node *above = node->above;

    rules_state_release (&node->state);
    free (node);
    node = above;
  }
}

void dirwalk_enter (struct dirwalk_turn *turn, const char *name, struct rules_state *state)
{
  struct dirwalk_node *node = new_node (turn->node, name);

  if (state) {
    node->state = *state;
    *state = (struct rules_state){0};
  }
  node->next = turn->found;
  turn->found = node;
}

void dirwalk_want (struct dirwalk_turn *turn, size_t threads)
{
  size_t had = atomic_load (&turn->run->wanted);

  while (had < threads && !atomic_compare_exchange_weak (&turn->run->wanted, &had, threads))
    continue;
}

/* The path is put together from its end. */
static void make_path (struct thread *thread, const struct dirwalk_node *node)
{
  size_t len = 0;

  for (const struct dirwalk_node *n = node; n->above; n = n->above)
    len += n->name_len + 1;
  if (thread->path_size < len + 1) {
    thread->path_size = (len + 1) * 2;
    thread->path = xreallocarray (thread->path, thread->path_size, 1);
  }
  thread->path[len ? len - 1 : 0] = '\0';
  for (const struct dirwalk_node *n = node; n->above; n = n->above) {
    len -= n->name_len + 1;
    memcpy (thread->path + len, n->name, n->name_len);
    if (n != node)
      thread->path[len + n->name_len] = '/';
  }
}

static int visit (struct thread *thread, struct dirwalk_turn *turn, struct err *err)
{
  const struct dirwalk *walk = thread->run->walk;

  make_path (thread, turn->node);
  turn->path = thread->path;
  turn->fd = fd_open_beneath (walk->top_fd, turn->path, O_RDONLY | O_DIRECTORY | walk->flags);
  /* Something else may be in its place. */
  if (turn->fd < 0 && walk->may_vanish && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
    return 0;
  if (turn->fd < 0)
    return err_errno (err, "open the directory /%s", turn->path);
  int ret = walk->visit (walk->data, turn, err);
  close (turn->fd);
  return ret;
}

/* What the visit found waits from now on; under the mutex. */
static void queue_found (struct run *run, struct dirwalk_turn *turn)
{
  while (turn->found) {
    struct dirwalk_node *node = turn->found;

    turn->found = node->next;
    turn->node->references++;
    node->next = run->waiting;
    run->waiting = node;
    run->waiting_count++;
  }
}

static void *run_thread (void *data);

/* One more thread, when there is work for it. The caller's thread alone does this. */
static void start_more (struct run *run, size_t waiting)
{
  size_t wanted = atomic_load (&run->wanted);
  size_t most = wanted < DIRWALK_THREADS_MAX ? wanted : DIRWALK_THREADS_MAX;
  struct thread *thread = &run->threads[run->started];

  if (run->started >= most || waiting < run->started)
    return;
  *thread = (struct thread){.run = run, .number = run->started};
  if (pthread_create (&thread->id, NULL, run_thread, thread) == 0)
    run->started++;
}

static void *run_thread (void *data)
{
  struct thread *thread = data;
  struct run *run = thread->run;

  pthread_mutex_lock (&run->mutex);
  for (;;) {
    while (!run->waiting && run->busy)
      pthread_cond_wait (&run->changed, &run->mutex);
    if (!run->waiting)
      break;
    struct dirwalk_node *node = run->waiting;
    struct dirwalk_turn turn = {
        .fd = -1, .node = node, .state = &node->state, .thread = thread->number, .run = run};
    bool skip = run->failed;
    struct err err = {0};

    run->waiting = node->next;
    size_t waiting = --run->waiting_count;
    run->busy++;
    pthread_mutex_unlock (&run->mutex);
    if (thread->number == 0)
      start_more (run, waiting);
    int ret = skip ? 0 : visit (thread, &turn, &err);
    pthread_mutex_lock (&run->mutex);
    run->busy--;
    if (ret < 0 && !run->failed) {
      run->failed = true;
      run->err = err;
      err = (struct err){0};
    }
    err_release (&err);
    queue_found (run, &turn);
    release_node (node);
    if (!run->busy || run->waiting_count > 1)
      pthread_cond_broadcast (&run->changed);
  }
  pthread_mutex_unlock (&run->mutex);
  cleanup_free (&thread->path);
  return NULL;
}

size_t dirwalk_processors (size_t maximum)
{
  long online = sysconf (_SC_NPROCESSORS_ONLN);

  return online < 1 ? 1 : (size_t) online > maximum ? maximum : (size_t) online;
}

int dirwalk_run (const struct dirwalk *walk, struct err *err)
{
  struct run run = {.walk = walk, .started = 1, .wanted = walk->threads, .waiting_count = 1};

  run.waiting = new_node (NULL, "");
  if (walk->rules)
    rules_state_copy (walk->state, &run.waiting->state);
  pthread_mutex_init (&run.mutex, NULL);
  pthread_cond_init (&run.changed, NULL);
  run.threads[0] = (struct thread){.run = &run};
  run_thread (&run.threads[0]);
  for (size_t i = 1; i < run.started; i++)
    pthread_join (run.threads[i].id, NULL);
  pthread_cond_destroy (&run.changed);
  pthread_mutex_destroy (&run.mutex);
  if (run.failed) {
    err_release (err);
    *err = run.err;
    return -err->code;
  }
  return 0;
}
