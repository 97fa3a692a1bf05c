/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random operations in a running guest and in its twin, a plain directory; tests/model/twin.bats
 * drives it. Directories that are named may lie in the root of a process, /proc/PID/root/….
 *
 *   twin grow SEED ENTRIES DIR          fills the directory, for a template
 *   twin copy FROM TO                   makes the empty directory TO the twin of FROM
 *   twin operate SEED COUNT GUEST TWIN  the same COUNT operations in both
 *   twin compare GUEST TWIN
 *   twin clone GUEST TWIN               compares but for sockets, which a clone has none of
 *
 * The exit status is 0, 1 when the two differ, 2 on errors. */
#include "mirror.h"
#include "util/fd.h"
#include <time.h>

static int open_top (const char *path)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0)
    fprintf (stderr, "twin: open %s: %s\n", path, strerror (errno));
  return fd;
}

static int operate (uint64_t seed, unsigned count, int guest_fd, int twin_fd, struct err *err)
{
  /* What was there before must not look as if it had been changed: it would be settled, and that
   * separates names of the guest that no operation has touched. The kernel's clock for files may be
   * a tick behind. */
  const time_t since = time (NULL) + 1;
  const struct timespec begin = {.tv_sec = since, .tv_nsec = 50000000};
  unsigned bad = 0;

  while (clock_nanosleep (CLOCK_REALTIME, TIMER_ABSTIME, &begin, NULL) == EINTR)
    ;
  for (unsigned i = 0; i < count; i++) {
    bad += mirror_operate (seed, i, guest_fd, twin_fd);
    if (bad > 20)
      break;
  }
  bad += mirror_flags (seed, guest_fd, twin_fd);
  if (mirror_settle (guest_fd, twin_fd, since, err) < 0) {
    printf ("# settle: %s\n", err_text (err));
    bad++;
  }
  struct mirror_counts counts = mirror_counts ();
  printf ("%u operations: %lu calls, %lu of them refused in both; %lu names left their groups, "
          "%lu answers were those that only overlayfs gives\n",
          count, counts.calls, counts.failed, counts.separated, counts.refused);
  return bad ? 1 : 0;
}

int main (int argc, char **argv)
{
  autoerr struct err err = {0};
  bool grow = argc == 5 && strcmp (argv[1], "grow") == 0;
  bool copy = argc == 4 && strcmp (argv[1], "copy") == 0;
  bool run = argc == 6 && strcmp (argv[1], "operate") == 0;

  bool clone = argc == 4 && strcmp (argv[1], "clone") == 0;

  if (!grow && !copy && !run && !clone && !(argc == 4 && strcmp (argv[1], "compare") == 0)) {
    fprintf (stderr, "usage: twin grow|copy|operate|compare|clone ARG…: see tests/model/twin.c\n");
    return 2;
  }
  setvbuf (stdout, NULL, _IOLBF, 0);
  umask (022);
  autoclose int last = open_top (argv[argc - 1]);
  autoclose int guest = grow ? -1 : open_top (argv[argc - 2]);
  if (last < 0 || (!grow && guest < 0))
    return 2;
  if (grow) {
    struct rng rng = {.state = strtoull (argv[2], NULL, 0), .raw = true};

    grow_tree (&rng, last, -1, (unsigned) strtoul (argv[3], NULL, 0), 4);
    return 0;
  }
  if (copy) {
    if (copy_all (guest, last, &err) == 0)
      return 0;
    fprintf (stderr, "twin: copy: %s\n", err_text (&err));
    return 2;
  }
  if (run)
    return operate (strtoull (argv[2], NULL, 0), (unsigned) strtoul (argv[3], NULL, 0), guest, last,
                    &err);
  return mirror_compare (guest, last, /* sockets= */ !clone, &err) ? 1 : 0;
}
