/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* timed FILE COMMAND…: runs the command, and writes to FILE what it took, as the kernel counts it:
 * microseconds of wall time and of processor, and the peak of resident memory in KiB. Exits as the
 * command did. A process forked from a shell begins with the shell's memory; one started by
 * posix_spawn from this small program does not. */
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static int64_t now_us (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t timeval_us (const struct timeval *time)
{
  return (int64_t) time->tv_sec * 1000000 + time->tv_usec;
}

int main (int argc, char **argv)
{
  struct rusage usage = {0};
  int status = 0;
  pid_t pid;

  if (argc < 3) {
    fputs ("Usage: timed FILE COMMAND…\n", stderr);
    return 2;
  }
  int64_t start = now_us ();
  int code = posix_spawnp (&pid, argv[2], NULL, NULL, argv + 2, environ);
  if (code) {
    fprintf (stderr, "timed: run %s: %s\n", argv[2], strerror (code));
    return 127;
  }
  while (wait4 (pid, &status, 0, &usage) < 0)
    if (errno != EINTR) {
      fprintf (stderr, "timed: wait for %s: %s\n", argv[2], strerror (errno));
      return 127;
    }
  int64_t wall = now_us () - start;
  FILE *file = fopen (argv[1], "we");
  if (!file) {
    fprintf (stderr, "timed: open %s: %s\n", argv[1], strerror (errno));
    return 127;
  }
  fprintf (file, "%lld %lld %ld\n", (long long) wall,
           (long long) (timeval_us (&usage.ru_utime) + timeval_us (&usage.ru_stime)),
           usage.ru_maxrss);
  if (fclose (file) != 0) {
    fprintf (stderr, "timed: write %s: %s\n", argv[1], strerror (errno));
    return 127;
  }
  return WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
}
