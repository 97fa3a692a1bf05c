/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* linking DIR plain|uring THREADS DIRECTORIES FILES: makes FILES files in DIR, and links each once,
 * into so many directories, with the plain system call or by io_uring. Prints the microseconds of
 * the linking, and of the syncfs behind it. */
#include "primitive.h"
#include <sys/stat.h>

static const char *method;
static int from_fd, *to_fds;
static size_t to_count;

/* File @n, as the n-th link of its directory: those of a directory come one after the other. */
static size_t place_of (size_t n)
{
  return n / ((file_count + to_count - 1) / to_count);
}

static void link_ring (void)
{
  struct ring ring;
  size_t flying = 0, from = 0, end = 0;
  uint64_t data;
  int result;

  if (ring_open (&ring, DEPTH_MAX) < 0)
    fail ("open", "a ring");
  for (;;) {
    while (flying < DEPTH_MAX / 4 && (from < end || take (&from, &end))) {
      struct io_uring_sqe *request = ring_request (&ring, IORING_OP_LINKAT, from_fd, from);

      request->addr = (uint64_t) (uintptr_t) files[from].name;
      request->len = (unsigned) to_fds[place_of (from)];
      request->addr2 = (uint64_t) (uintptr_t) files[from].name;
      from++;
      flying++;
    }
    if (!flying)
      return;
    if (ring_wait (&ring) < 0)
      fail ("wait for", "a ring");
    for (; ring_done (&ring, &data, &result); flying--)
      if (result < 0) {
        errno = -result;
        fail ("link", files[data].name);
      }
  }
}

static void *link_work (void *data)
{
  size_t from, end;

  (void) data;
  if (strcmp (method, "uring") == 0) {
    link_ring ();
    return NULL;
  }
  while (take (&from, &end))
    for (size_t i = from; i < end; i++)
      if (linkat (from_fd, files[i].name, to_fds[place_of (i)], files[i].name, 0) < 0)
        fail ("link", files[i].name);
  return NULL;
}

static int make_dir (int above, const char *name)
{
  int fd = -1;

  if (mkdirat (above, name, 0700) == 0)
    fd = openat (above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    fail ("make the directory", name);
  return fd;
}

static void make_files (int top_fd, size_t count, size_t directories)
{
  char name[32];

  from_fd = make_dir (top_fd, "from");
  to_count = directories;
  to_fds = need (calloc (to_count, sizeof *to_fds));
  for (size_t i = 0; i < count; i++) {
    snprintf (name, sizeof name, "file-%zu", i);
    int fd = openat (from_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
      fail ("create", name);
    close (fd);
    add_file (-1, name, 0);
  }
  for (size_t i = 0; i < to_count; i++) {
    snprintf (name, sizeof name, "to-%zu", i);
    to_fds[i] = make_dir (top_fd, name);
  }
  if (syncfs (top_fd) < 0)
    fail ("sync", "the file system");
}

int main (int argc, char **argv)
{
  if (argc != 6) {
    fputs ("Usage: linking DIR plain|uring THREADS DIRECTORIES FILES\n", stderr);
    return 2;
  }
  method = argv[2];
  size_t threads = number_of (argv[3], THREADS_MAX);
  size_t directories = number_of (argv[4], 100000), count = number_of (argv[5], 10000000);
  int top_fd = open (argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (top_fd < 0)
    fail ("open", argv[1]);
  make_files (top_fd, count, directories ? directories : 1);
  /* A directory at a time, unless all is one. */
  item = directories > 1 ? (file_count + to_count - 1) / to_count : 64;
  long long us = run_threads (link_work, NULL, threads);
  int64_t start = now_us ();
  if (syncfs (top_fd) < 0)
    fail ("sync", argv[1]);
  printf ("%lld %lld\n", us, (long long) (now_us () - start));
  return 0;
}
