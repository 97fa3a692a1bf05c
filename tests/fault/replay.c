/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* replay LOG: prints how many flushes it has.
 * replay LOG IMAGE FLUSH SEED
 *
 * Makes of IMAGE, a copy of the device as it was when LOG was begun, what a power loss behind flush
 * number FLUSH (0: none yet) might have left: all writes before that flush, and of those behind it
 * and before some moment up to the next flush a random part, in whole blocks of 4 KiB. */
#include "util/fd.h"
#include "write_log.h"

enum { BLOCK = 4096 };

/* splitmix64 */
static uint64_t next_random (uint64_t *state)
{
  uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

static void fail (const char *what)
{
  perror (what);
  exit (1);
}

/* The next record; false at the end, also of a log that was cut off. @ret_data is allocated. */
static bool read_record (int fd, struct log_header *header, char **ret_data)
{
  if (fd_read_full (fd, header, sizeof *header) != sizeof *header)
    return false;
  *ret_data = malloc (header->length ? header->length : 1);
  if (!*ret_data)
    fail ("replay");
  if (fd_read_full (fd, *ret_data, header->length) == (ssize_t) header->length)
    return true;
  free (*ret_data);
  return false;
}

/* The writes between flush number @flush and the next one. */
static uint64_t count_writes (int fd, uint64_t flush, uint64_t *ret_flushes)
{
  struct log_header header;
  uint64_t flushes = 0, writes = 0;
  char *data = NULL;

  while (read_record (fd, &header, &data)) {
    writes += header.type == LOG_WRITE && flushes == flush;
    flushes += header.type == LOG_FLUSH;
    free (data);
  }
  if (lseek (fd, 0, SEEK_SET) < 0)
    fail ("lseek");
  *ret_flushes = flushes;
  return writes;
}

static void write_part (int fd, const char *data, size_t len, uint64_t offset)
{
  if (pwrite (fd, data, len, (off_t) offset) != (ssize_t) len)
    fail ("write the image");
}

/* Some blocks of a write that nobody waited for. */
static void write_some (int fd, const struct log_header *header, const char *data, uint64_t *random)
{
  unsigned mode = next_random (random) % 4;

  for (size_t at = 0; at < header->length; at += BLOCK) {
    size_t len = header->length - at < BLOCK ? header->length - at : BLOCK;

    /* Lost, whole, or torn. */
    if (mode == 0 || (mode == 3 && next_random (random) % 2))
      continue;
    write_part (fd, data + at, len, header->offset + at);
  }
}

static void replay (int log_fd, int image_fd, uint64_t flush, uint64_t random)
{
  struct log_header header;
  uint64_t flushes = 0, behind = 0;
  uint64_t most = count_writes (log_fd, flush, &flushes);
  uint64_t until = next_random (&random) % (most + 1);
  char *data = NULL;

  flushes = 0;
  while (flushes <= flush && read_record (log_fd, &header, &data)) {
    if (header.type == LOG_FLUSH)
      flushes++;
    else if (flushes < flush)
      write_part (image_fd, data, header.length, header.offset);
    else if (behind++ < until)
      write_some (image_fd, &header, data, &random);
    free (data);
  }
}

int main (int argc, char **argv)
{
  uint64_t flushes = 0;

  if (argc != 2 && argc != 5) {
    fprintf (stderr, "usage: replay LOG [IMAGE FLUSH SEED]\n");
    return 2;
  }
  autoclose int log_fd = open (argv[1], O_RDONLY | O_CLOEXEC);
  if (log_fd < 0)
    fail (argv[1]);
  if (argc == 2) {
    count_writes (log_fd, 0, &flushes);
    printf ("%ju\n", (uintmax_t) flushes);
    return 0;
  }
  autoclose int image_fd = open (argv[2], O_RDWR | O_CLOEXEC);
  if (image_fd < 0)
    fail (argv[2]);
  replay (log_fd, image_fd, strtoull (argv[3], NULL, 10), strtoull (argv[4], NULL, 10));
  return 0;
}
