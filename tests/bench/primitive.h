/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What primitives.c and linking.c measure with: a list of files, and threads that take them. */
#ifndef VG_BENCH_PRIMITIVE_H
#define VG_BENCH_PRIMITIVE_H

#include "ring.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS_MAX = 64, DEPTH_MAX = 256 };

struct file {
  uint64_t ino;
  int dir_fd;
  char name[NAME_MAX + 1];
};

static struct file *files;
static size_t file_count, file_size;
static atomic_size_t next_file;

/* So many files at a time, or those of a directory. */
static size_t item;
static bool by_directory;

static void fail (const char *what, const char *name)
{
  fprintf (stderr, "bench: %s %s: %s\n", what, name, strerror (errno));
  exit (1);
}

static void *need (void *memory)
{
  if (!memory)
    fail ("find", "memory");
  return memory;
}

static int64_t now_us (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void add_file (int dir_fd, const char *name, uint64_t ino)
{
  if (file_count == file_size) {
    file_size = file_size ? file_size * 2 : 1024;
    files = need (reallocarray (files, file_size, sizeof *files));
  }
  struct file *file = &files[file_count++];
  file->ino = ino;
  file->dir_fd = dir_fd;
  snprintf (file->name, sizeof file->name, "%s", name);
}

/* The next item of work: from, up to the end. */
static bool take (size_t *ret_from, size_t *ret_end)
{
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

  if (!by_directory) {
    *ret_from = atomic_fetch_add (&next_file, item);
    *ret_end = *ret_from + item < file_count ? *ret_from + item : file_count;
    return *ret_from < file_count;
  }
  pthread_mutex_lock (&mutex);
  size_t end = *ret_from = atomic_load (&next_file);
  while (end < file_count && files[end].dir_fd == files[*ret_from].dir_fd)
    end++;
  atomic_store (&next_file, end);
  *ret_end = end;
  pthread_mutex_unlock (&mutex);
  return *ret_from < file_count;
}

/* Returns the microseconds that it takes. */
static int64_t run_threads (void *(*thread) (void *), void **data, size_t threads)
{
  pthread_t ids[THREADS_MAX];
  int64_t start = now_us ();

  for (size_t i = 0; i < threads; i++)
    if (pthread_create (&ids[i], NULL, thread, data ? data[i] : NULL) != 0)
      fail ("start", "a thread");
  for (size_t i = 0; i < threads; i++)
    pthread_join (ids[i], NULL);
  return now_us () - start;
}

static size_t number_of (const char *text, size_t most)
{
  char *end = NULL;
  unsigned long long value = strtoull (text, &end, 10);

  if (*end || end == text || value > most) {
    fprintf (stderr, "bench: \"%s\" is no number up to %zu\n", text, most);
    exit (2);
  }
  return value;
}

#endif
