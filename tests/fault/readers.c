/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* readers COUNT FILE…
 *
 * COUNT processes read and stat the files again and again, until standard input ends. A file says
 * "version N" in its first line and is filled with "." up to 4096 bytes, and N never gets smaller.
 * Whatever becomes of the names meanwhile: a file is never missing, never short or mixed, and what
 * stat tells of it is what was made. Prints how often they read; the exit status is 1 when
 * something was wrong, which is printed. */
#include "util/fd.h"
#include <poll.h>
#include <sys/wait.h>

enum { SIZE = 4096, FILES_MAX = 64 };

static bool over (void)
{
  struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

  return poll (&fd, 1, 0) != 0;
}

static int wrong (const char *path, const char *what)
{
  printf ("%s: %s\n", path, what);
  fflush (stdout);
  return -1;
}

/* @version: what was read last. */
static int read_once (const char *path, unsigned long *version)
{
  char text[SIZE + 1], *end = NULL;
  struct stat st, opened;

  if (stat (path, &st) < 0)
    return wrong (path, strerror (errno));
  /* It may have no link any more: replaced between the look-up and the look. */
  if (!S_ISREG (st.st_mode) || st.st_size != SIZE || (st.st_mode & 07777) != 0644)
    return wrong (path, "stat tells something else");
  autoclose int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &opened) < 0)
    return wrong (path, strerror (errno));
  if (read (fd, text, sizeof text) != SIZE)
    return wrong (path, "another size was read");
  text[SIZE] = '\0';
  if (strncmp (text, "version ", 8) != 0)
    return wrong (path, "no version");
  unsigned long now = strtoul (text + 8, &end, 10);
  if (*end != '\n' || strspn (end + 1, ".") != (size_t) (text + SIZE - end - 1))
    return wrong (path, "the contents are mixed");
  if (now < *version)
    return wrong (path, "an older version came back");
  *version = now;
  return 0;
}

static int read_all (char **paths, size_t count)
{
  unsigned long versions[FILES_MAX] = {0}, rounds = 0;

  while (!over ())
    for (unsigned i = 0; i < 100; i++, rounds++)
      for (size_t k = 0; k < count; k++)
        if (read_once (paths[k], &versions[k]) < 0)
          return 1;
  printf ("%lu rounds\n", rounds);
  fflush (stdout);
  return 0;
}

int main (int argc, char **argv)
{
  long processes = argc > 2 ? strtol (argv[1], NULL, 10) : 0;
  int status, bad = 0;

  if (processes < 1 || argc - 2 > FILES_MAX) {
    fprintf (stderr, "usage: readers COUNT FILE…\n");
    return 2;
  }
  for (long i = 0; i < processes; i++) {
    pid_t pid = fork ();

    if (pid < 0) {
      perror ("fork");
      return 2;
    }
    if (pid == 0)
      _exit (read_all (argv + 2, (size_t) (argc - 2)));
  }
  while (wait (&status) > 0)
    bad |= status;
  return bad != 0;
}
