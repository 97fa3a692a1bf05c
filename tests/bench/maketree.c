/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* maketree DIR FILES [MEAN [SEED]]: makes a tree of that many files below DIR, which it makes;
 * twelve in a directory, of MEAN bytes in the mean, 0: all empty. No two have the same contents,
 * but the same words make the same tree again, times of files included. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILES_A_DIRECTORY = 12, DIRECTORIES_A_DIRECTORY = 100, MEAN_MAX = 1 << 20 };

static void fail (const char *what, const char *name)
{
  fprintf (stderr, "maketree: %s %s: %s\n", what, name, strerror (errno));
  exit (1);
}

static int make_dir (int above, const char *name)
{
  if (mkdirat (above, name, 0755) < 0 && errno != EEXIST)
    fail ("make the directory", name);
  int fd = openat (above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    fail ("open the directory", name);
  return fd;
}

static uint64_t next (uint64_t *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void make_file (int dir_fd, uint64_t number, uint64_t mean, uint64_t seed)
{
  static uint64_t buffer[2 * MEAN_MAX / sizeof (uint64_t) + 1];
  struct timespec times[2] = {{.tv_sec = 1600000000}, {.tv_sec = 1600000000}};
  uint64_t state = (number + 1) * UINT64_C (0x9e3779b97f4a7c15) ^ seed;
  size_t size = mean ? (size_t) (next (&state) % (2 * mean - 16)) + 16 : 0;
  char name[32];

  snprintf (name, sizeof name, "file-%llu", (unsigned long long) number);
  int fd = openat (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0)
    fail ("create", name);
  for (size_t i = 0; i <= size / sizeof *buffer; i++)
    buffer[i] = next (&state);
  buffer[0] = number;
  if (write (fd, buffer, size) != (ssize_t) size)
    fail ("write", name);
  if (futimens (fd, times) < 0)
    fail ("set the times of", name);
  close (fd);
}

static uint64_t number_of (const char *text, uint64_t most)
{
  char *end = NULL;
  uint64_t value = strtoull (text, &end, 10);

  if (*end || end == text || value > most) {
    fprintf (stderr, "maketree: \"%s\" is no number up to %llu\n", text, (unsigned long long) most);
    exit (2);
  }
  return value;
}

int main (int argc, char **argv)
{
  if (argc < 3 || argc > 5) {
    fputs ("Usage: maketree DIR FILES [MEAN [SEED]]\n", stderr);
    return 2;
  }
  uint64_t files = number_of (argv[2], UINT64_C (1) << 32);
  uint64_t mean = argc > 3 ? number_of (argv[3], MEAN_MAX) : 4096;
  uint64_t seed = argc > 4 ? number_of (argv[4], UINT64_MAX) : 0;
  int top_fd = make_dir (AT_FDCWD, argv[1]), middle_fd = -1, dir_fd = -1;

  if (mean && mean < 16)
    mean = 16;
  for (uint64_t i = 0; i < files; i++) {
    uint64_t directory = i / FILES_A_DIRECTORY;
    char name[32];

    if (i % (FILES_A_DIRECTORY * DIRECTORIES_A_DIRECTORY) == 0) {
      snprintf (name, sizeof name, "group-%llu",
                (unsigned long long) (directory / DIRECTORIES_A_DIRECTORY));
      if (middle_fd >= 0)
        close (middle_fd);
      middle_fd = make_dir (top_fd, name);
    }
    if (i % FILES_A_DIRECTORY == 0) {
      snprintf (name, sizeof name, "dir-%llu", (unsigned long long) directory);
      if (dir_fd >= 0)
        close (dir_fd);
      dir_fd = make_dir (middle_fd, name);
    }
    make_file (dir_fd, i, mean, seed);
  }
  if (dir_fd >= 0)
    close (dir_fd);
  if (middle_fd >= 0)
    close (middle_fd);
  close (top_fd);
  return 0;
}
