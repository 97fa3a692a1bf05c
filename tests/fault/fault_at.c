/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fault-at [--report FILE] [--list] [--at N [--error NAME | --signal NUMBER [--twice]]] -- COMMAND…
 *
 * Runs a command, counts the system calls by which it changes a file system, and stops everything
 * with SIGKILL just before the N-th of them, or lets that one fail, or sends the command a signal
 * there, and with --twice another one at the next. Before call N is behind call N - 1, so each
 * point between two changes is met once. A seccomp listener sees the calls: those of every library,
 * of static and of sanitized programs. Counted is what processes of the command's own program do,
 * its children included; what else runs below it only ends with it.
 *
 * FILE gets lines: "N NAME ERRORS WHAT" for each call with --list; "at N NAME WHAT" for the point
 * that was met, or "unlike N NAME" when that call cannot fail so; "left" when processes were there
 * ten seconds after the command's end (they are killed); "calls COUNT" at the end.
 *
 * The exit status is the command's, 128 and the signal that ended it, 125 for errors of this
 * program, 124 when it took longer than two minutes. */
#include "calls.h"
#include "util/cleanup.h"
#include <fcntl.h>
#include <getopt.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

enum { EXIT_OWN = 125, EXIT_SLOW = 124, SECONDS_MAX = 120, SECONDS_LEFT = 10, WHAT_SIZE = 320 };

struct watch {
  int listener;         /* owned */
  pid_t main;           /* the command */
  unsigned long target; /* 0: none */
  int error;            /* 0: none */
  int signal;           /* 0: none */
  bool twice;
  bool list;
  FILE *report; /* owned; or NULL */
  unsigned long count;
  bool known; /* the two below are set */
  dev_t program_dev;
  ino_t program_ino;
};

static const struct {
  const char *name;
  int error;
} errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EMLINK", EMLINK},
              {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}, {"EINTR", EINTR}};

enum { ERRORS = sizeof errors / sizeof *errors };

static void fail (const char *what)
{
  perror (what);
  exit (EXIT_OWN);
}

static time_t now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec;
}

/* Kills what is below this process, which is a subreaper, until there is nothing. Those that wait
 * for an answer to a call stay where they are until they die. */
static void kill_all (void)
{
  for (;;) {
    autofree char *path = xasprintf ("/proc/self/task/%d/children", (int) getpid ());
    FILE *file = fopen (path, "re");
    long pid;

    if (!file)
      fail (path);
    while (fscanf (file, "%ld", &pid) == 1)
      kill ((pid_t) pid, SIGKILL);
    fclose (file);
    if (waitpid (-1, NULL, 0) < 0 && errno == ECHILD)
      return;
  }
}

/* In the child. */
static void start (int socket, char **command)
{
  struct sock_fprog filter = call_filter ();
  /* A signal that has a handler must not make calls return EINTR that never do. */
  int listener = (int) syscall (
      SYS_seccomp, SECCOMP_SET_MODE_FILTER,
      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &filter);
  char byte = 0, control[CMSG_SPACE (sizeof (int))] = {0};
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};

  if (listener < 0)
    _exit (EXIT_OWN);
  struct cmsghdr *header = CMSG_FIRSTHDR (&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN (sizeof listener);
  memcpy (CMSG_DATA (header), &listener, sizeof listener);
  if (sendmsg (socket, &message, 0) != 1)
    _exit (EXIT_OWN);
  close (listener);
  close (socket);
  free (filter.filter);
  execvp (command[0], command);
  _exit (127);
}

static int take_listener (int socket)
{
  char byte, control[CMSG_SPACE (sizeof (int))];
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  int listener = -1;

  if (recvmsg (socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR (&message))
    memcpy (&listener, CMSG_DATA (CMSG_FIRSTHDR (&message)), sizeof listener);
  return listener;
}

/* Is it a process of the command's program? That is what the command first executed. */
static bool is_own (struct watch *watch, pid_t pid)
{
  autofree char *path = xasprintf ("/proc/%d/exe", (int) pid);
  struct stat st;

  if (stat (path, &st) < 0)
    return false;
  if (!watch->known && pid == watch->main) {
    watch->program_dev = st.st_dev;
    watch->program_ino = st.st_ino;
    watch->known = true;
  }
  return watch->known && st.st_dev == watch->program_dev && st.st_ino == watch->program_ino;
}

static bool read_memory (pid_t pid, uint64_t address, void *data, size_t size)
{
  struct iovec to = {.iov_base = data, .iov_len = size};
  struct iovec from = {.iov_base = (void *) (uintptr_t) address, .iov_len = size};

  return process_vm_readv (pid, &to, 1, &from, 1, 0) == (ssize_t) size;
}

/* A path of the process, as far as it fits. */
static void read_path (pid_t pid, uint64_t address, char *text, size_t size)
{
  const size_t page = 4096;
  size_t len = 0;

  /* What follows the string may not be mapped. */
  while (len < size - 1) {
    size_t part = page - (address + len) % page;

    part = part < size - 1 - len ? part : size - 1 - len;
    if (!read_memory (pid, address + len, text + len, part))
      break;
    size_t end = strnlen (text + len, part);
    len += end;
    if (end < part)
      break;
  }
  text[len] = '\0';
}

/* Is the descriptor of a file or directory, in a file system that keeps any? */
static bool is_file (pid_t pid, int fd)
{
  autofree char *path = xasprintf ("/proc/%d/fd/%d", (int) pid, fd);
  struct stat st;
  struct statfs fs;

  if (stat (path, &st) < 0 || (!S_ISREG (st.st_mode) && !S_ISDIR (st.st_mode)) ||
      statfs (path, &fs) < 0)
    return false;
  return fs.f_type != PROC_SUPER_MAGIC && fs.f_type != SYSFS_MAGIC &&
         fs.f_type != CGROUP_SUPER_MAGIC && fs.f_type != CGROUP2_SUPER_MAGIC;
}

/* Does this call change a file? */
static bool is_change (const struct call *call, const struct seccomp_notif *notif)
{
  const __u64 *args = notif->data.args;
  struct open_how how = {0};

  if (call->kind == CALL_FD)
    return is_file ((pid_t) notif->pid, (int) args[call->number == SYS_copy_file_range ? 2 : 0]);
  if (call->number == SYS_openat2)
    return read_memory ((pid_t) notif->pid, args[2], &how, sizeof how) &&
           how.flags & (O_CREAT | O_TRUNC);
  return true;
}

/* What the call is about, for a person. */
static void describe (const struct call *call, const struct seccomp_notif *notif, char *what)
{
  const __u64 *args = notif->data.args;
  pid_t pid = (pid_t) notif->pid;

  if (call->kind == CALL_FD) {
    autofree char *path = xasprintf ("/proc/%d/fd/%d", (int) pid,
                                     (int) args[call->number == SYS_copy_file_range ? 2 : 0]);
    ssize_t len = readlink (path, what, WHAT_SIZE - 1);

    what[len > 0 ? len : 0] = '\0';
  } else if (call->kind != CALL_OTHER) {
    read_path (pid, args[call->kind == CALL_PATH ? 0 : 1], what, WHAT_SIZE / 2);
  }
  if (call->kind == CALL_TWO) {
    size_t len = strlen (what);

    len += (size_t) snprintf (what + len, WHAT_SIZE - len, " > ");
    read_path (pid, args[3], what + len, WHAT_SIZE - len);
  }
  /* One line for each call. */
  for (char *p = what; *p; p++)
    if (*p == '\n')
      *p = '?';
}

static void list_call (const struct watch *watch, const struct call *call, const char *what)
{
  const char *separator = "";

  fprintf (watch->report, "%lu %s ", watch->count, call->name);
  for (size_t i = 0; i < ERRORS; i++)
    if (call_can_fail (call, errors[i].error)) {
      fprintf (watch->report, "%s%s", separator, errors[i].name);
      separator = ",";
    }
  fprintf (watch->report, " %s\n", what);
}

/* A call that changes something. True when it is the one at which something is to happen. */
static bool count_call (struct watch *watch, const struct call *call,
                        const struct seccomp_notif *notif)
{
  char what[WHAT_SIZE] = "";
  bool here = ++watch->count == watch->target;
  bool behind = watch->twice && watch->count == watch->target + 1;
  bool possible = !watch->error || call_can_fail (call, watch->error);

  if (watch->report && (here || watch->list))
    describe (call, notif, what);
  if (watch->report && watch->list)
    list_call (watch, call, what);
  if (watch->report && here)
    fprintf (watch->report, "%s %lu %s %s\n", possible ? "at" : "unlike", watch->count, call->name,
             what);
  return (here && possible) || behind;
}

/* Answers one call. Returns false when everything is to stop. */
static bool answer (struct watch *watch)
{
  struct seccomp_notif notif = {0};
  struct seccomp_notif_resp response = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

  /* The process may have died before, or may die now: ENOENT. */
  if (ioctl (watch->listener, SECCOMP_IOCTL_NOTIF_RECV, &notif) < 0)
    return true;
  const struct call *call = call_find (notif.data.nr);
  response.id = notif.id;
  if (call && is_own (watch, (pid_t) notif.pid) && is_change (call, &notif) &&
      count_call (watch, call, &notif)) {
    if (watch->signal) {
      kill (watch->main, watch->signal);
    } else if (watch->error) {
      response.flags = 0;
      response.error = -watch->error;
    } else {
      return false;
    }
  }
  ioctl (watch->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
  return true;
}

/* Answers until the command has ended and nothing of it is left; its exit status. */
static int watch_all (struct watch *watch)
{
  autoclose int main_fd = (int) syscall (SYS_pidfd_open, watch->main, 0);
  struct pollfd fds[2] = {{.fd = watch->listener, .events = POLLIN},
                          {.fd = main_fd, .events = POLLIN}};
  time_t begin = now (), ended = 0;
  int status = 0;

  if (main_fd < 0)
    fail ("pidfd_open");
  for (;;) {
    if (poll (fds, 2, 200) < 0 && errno != EINTR)
      fail ("poll");
    if (fds[0].revents & POLLIN && !answer (watch)) {
      kill_all ();
      return 128 + SIGKILL;
    }
    if (fds[1].revents & POLLIN && waitpid (watch->main, &status, 0) == watch->main) {
      ended = now ();
      fds[1].fd = -1;
      fds[1].revents = 0;
    }
    while (ended && waitpid (-1, NULL, WNOHANG) > 0)
      ;
    if (ended && fds[0].revents & POLLHUP)
      break;
    if (now () - begin > SECONDS_MAX) {
      kill_all ();
      return EXIT_SLOW;
    }
    if (ended && now () - ended > SECONDS_LEFT) {
      if (watch->report)
        fprintf (watch->report, "left\n");
      kill_all ();
      break;
    }
  }
  return WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
}

static int parse_error (const char *name)
{
  for (size_t i = 0; i < ERRORS; i++)
    if (strcmp (errors[i].name, name) == 0)
      return errors[i].error;
  fprintf (stderr, "fault-at: unknown error %s\n", name);
  exit (EXIT_OWN);
}

static void parse (int argc, char **argv, struct watch *watch)
{
  static const struct option options[] = {
      {"report", required_argument, NULL, 'r'},
      {"list", no_argument, NULL, 'l'},
      {"at", required_argument, NULL, 'a'},
      {"error", required_argument, NULL, 'e'},
      {"signal", required_argument, NULL, 's'},
      {"twice", no_argument, NULL, 't'},
      {NULL, 0, NULL, 0},
  };
  int option;

  while ((option = getopt_long (argc, argv, "+", options, NULL)) >= 0)
    switch (option) {
    case 'r':
      watch->report = fopen (optarg, "we");
      if (!watch->report)
        fail (optarg);
      break;
    case 'l':
      watch->list = true;
      break;
    case 'a':
      watch->target = strtoul (optarg, NULL, 10);
      break;
    case 'e':
      watch->error = parse_error (optarg);
      break;
    case 's':
      watch->signal = (int) strtol (optarg, NULL, 10);
      break;
    case 't':
      watch->twice = true;
      break;
    default:
      exit (EXIT_OWN);
    }
  if (optind == argc) {
    fprintf (stderr, "usage: fault-at [--report FILE] [--list] [--at N [--error NAME | --signal "
                     "NUMBER [--twice]]] -- COMMAND…\n");
    exit (EXIT_OWN);
  }
}

int main (int argc, char **argv)
{
  struct watch watch = {.listener = -1};
  int sockets[2];

  parse (argc, argv, &watch);
  if (prctl (PR_SET_CHILD_SUBREAPER, 1) < 0 ||
      socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
    fail ("prepare");
  watch.main = fork ();
  if (watch.main < 0)
    fail ("fork");
  if (watch.main == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    start (sockets[1], argv + optind);
  }
  close (sockets[1]);
  watch.listener = take_listener (sockets[0]);
  close (sockets[0]);
  if (watch.listener < 0)
    fail ("seccomp listener");
  int status = watch_all (&watch);
  if (watch.report) {
    fprintf (watch.report, "calls %lu\n", watch.count);
    fclose (watch.report);
  }
  return status;
}
