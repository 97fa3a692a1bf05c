/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lockholder.h"
#include "fd.h"
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

enum { RECORD_MAX = 256, COMMAND_MAX = 64, STAMP_MAX = 32, STAT_MAX = 2048, START_FIELD = 22 };

/* The name of the process, "?" when it cannot be told. */
static void read_command (const char *pid, char *command)
{
  autofree char *path = xasprintf ("/proc/%s/comm", pid);
  autoclose int fd = open (path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read (fd, command, COMMAND_MAX - 1) : -1;

  command[n > 0 ? n : 0] = '\0';
  command[strcspn (command, "\n")] = '\0';
  if (!*command)
    snprintf (command, COMMAND_MAX, "?");
}

static bool format_stamp (time_t when, char *stamp)
{
  struct tm tm;

  return gmtime_r (&when, &tm) && strftime (stamp, STAMP_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* When the process began, as in lockholder_write; false when it cannot be told. */
static bool read_start (const char *pid, char *stamp)
{
  autofree char *path = xasprintf ("/proc/%s/stat", pid);
  autoclose int fd = open (path, O_RDONLY | O_CLOEXEC);
  long hertz = sysconf (_SC_CLK_TCK);
  char text[STAT_MAX];
  uint64_t ticks;
  struct timespec up;

  ssize_t n = fd >= 0 ? read (fd, text, sizeof text - 1) : -1;
  text[n > 0 ? n : 0] = '\0';
  /* The 22nd field, of which the second is the command in parentheses, with anything in it. */
  const char *field = strrchr (text, ')');
  for (int i = 2; field && i < START_FIELD; i++)
    field = strchr (field + 1, ' ');
  if (!field || sscanf (field, " %" SCNu64, &ticks) != 1 || hertz <= 0 ||
      clock_gettime (CLOCK_BOOTTIME, &up) < 0)
    return false;
  return format_stamp (time (NULL) - up.tv_sec + (time_t) (ticks / (uint64_t) hertz), stamp);
}

void lockholder_write (int fd)
{
  char stamp[STAMP_MAX], command[COMMAND_MAX];

  read_command ("self", command);
  if (!format_stamp (time (NULL), stamp))
    return;
  autofree char *text = xasprintf ("%ld %s since %s\n", (long) getpid (), command, stamp);
  /* A full disk keeps nobody from locking: then the file says less. */
  if (ftruncate (fd, 0) == 0 && pwrite (fd, text, strlen (text), 0) < 0)
    return;
}

/* One line of /proc/locks, see proc_locks(5): the process that holds the lock of the inode, or 0.
 * "1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF"; a "->" stands before those who wait. */
static long holder_in_line (const char *line, const struct stat *st)
{
  unsigned device_major, device_minor;
  uint64_t ino;
  long pid;

  if (sscanf (line, "%*d: FLOCK %*s %*s %ld %x:%x:%" SCNu64, &pid, &device_major, &device_minor,
              &ino) != 4)
    return 0;
  return pid > 0 && ino == st->st_ino && device_major == major (st->st_dev) &&
                 device_minor == minor (st->st_dev)
             ? pid
             : 0;
}

/* One who holds the lock: @written when that is one of them. 0: nobody can tell. */
static long find_holder (int fd, long written)
{
  autofree char *line = NULL;
  size_t size = 0;
  struct stat st;
  long found = 0;

  if (fstat (fd, &st) < 0)
    return 0;
  FILE *locks = fopen ("/proc/locks", "re");
  while (locks && !(found && found == written) && getline (&line, &size, locks) > 0) {
    long pid = holder_in_line (line, &st);

    if (pid && (!found || pid == written))
      found = pid;
  }
  if (locks)
    fclose (locks);
  return found;
}

char *lockholder_describe (int fd)
{
  char text[RECORD_MAX], command[COMMAND_MAX], stamp[STAMP_MAX];
  ssize_t n = pread (fd, text, sizeof text - 1, 0);

  text[n > 0 ? n : 0] = '\0';
  text[strcspn (text, "\n")] = '\0';
  long written = strtol (text, NULL, 10);
  long pid = find_holder (fd, written);
  if (pid == written || !pid)
    return xstrdup (*text ? text : "another vguest");
  autofree char *number = xasprintf ("%ld", pid);
  read_command (number, command);
  if (!read_start (number, stamp))
    return xasprintf ("%ld %s", pid, command);
  return xasprintf ("%ld %s, running since %s", pid, command, stamp);
}
