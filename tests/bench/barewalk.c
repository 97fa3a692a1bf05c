/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* barewalk DIR…: reads all directories below by openat and getdents64, and does nothing else: the
 * least that looking for news can cost. One thread; names only. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BUFFER_SIZE = 64 << 10 };

struct entry {
  uint64_t ino;
  int64_t offset;
  unsigned short size;
  unsigned char type;
  char name[];
};

static unsigned long long entries, directories;

static void fail (const char *what, const char *name)
{
  fprintf (stderr, "barewalk: %s %s: %s\n", what, name, strerror (errno));
  exit (1);
}

static void walk (int above, const char *name)
{
  int fd = openat (above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NOATIME);
  char *buffer = malloc (BUFFER_SIZE);
  long n;

  if (fd < 0 || !buffer)
    fail ("open", name);
  directories++;
  while ((n = syscall (SYS_getdents64, fd, buffer, BUFFER_SIZE)) > 0)
    for (long at = 0; at < n;) {
      const struct entry *entry = (const struct entry *) (buffer + at);

      at += entry->size;
      if (strcmp (entry->name, ".") == 0 || strcmp (entry->name, "..") == 0)
        continue;
      entries++;
      if (entry->type == DT_DIR)
        walk (fd, entry->name);
    }
  if (n < 0)
    fail ("read", name);
  free (buffer);
  close (fd);
}

int main (int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    walk (AT_FDCWD, argv[i]);
  printf ("%llu entries, %llu directories\n", entries, directories);
  return 0;
}
