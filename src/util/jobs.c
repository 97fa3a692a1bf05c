/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jobs.h"
#include "fd.h"
#include "interrupt.h"
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { STREAMS = 2, POLLS = 1 + STREAMS, TEXT_MAX = 32 << 10 };

/* What a child tells at its end; the text follows. */
struct report {
  int status;
  int code;
};

struct child {
  size_t job;
  pid_t pid;
  int pidfd;            /* owned */
  int report_fd;        /* owned */
  int streams[STREAMS]; /* owned; -1 when not captured or at its end */
};

struct pool {
  const struct jobs *jobs;
  struct child *children; /* owned; of those that run */
  struct pollfd *polls;   /* owned; POLLS for each child */
  size_t count;
  sigset_t unblocked; /* the mask to wait and to run with */
  unsigned signals;   /* passed on so far */
  bool ending;
  struct err *err; /* of the first callback that failed */
};

static void close_child (struct child *child)
{
  if (child->pidfd >= 0)
    close (child->pidfd);
  if (child->report_fd >= 0)
    close (child->report_fd);
  for (int i = 0; i < STREAMS; i++)
    if (child->streams[i] >= 0)
      close (child->streams[i]);
}

static void end_all (struct pool *pool, int number)
{
  pool->ending = true;
  for (size_t i = 0; i < pool->count; i++)
    kill (pool->children[i].pid, number);
}

static void __attribute__ ((noreturn))
child_main (const struct pool *pool, size_t job, pid_t parent, int report_fd, const int *streams)
{
  struct err err = {0};
  struct report report = {0};
  int null_fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  setpgid (0, 0);
  if (prctl (PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid () != parent)
    _exit (1);
  if (null_fd < 0 || dup2 (null_fd, STDIN_FILENO) < 0)
    err_errno (&err, "open /dev/null");
  for (int i = 0; i < STREAMS && !err.code; i++)
    if (streams[i] >= 0 && dup2 (streams[i], STDOUT_FILENO + i) < 0)
      err_errno (&err, "redirect the output");
  sigprocmask (SIG_SETMASK, &pool->unblocked, NULL);
  if (!err.code)
    report.status = pool->jobs->run (pool->jobs->data, job, &err);
  report.code = err.code;
  fflush (NULL);
  size_t len = strnlen (err_text (&err), TEXT_MAX);
  if (fd_write_all (report_fd, &report, sizeof report) < 0 ||
      (err.code && fd_write_all (report_fd, err_text (&err), len) < 0))
    _exit (1);
  _exit (0);
}

static int make_pipes (const struct jobs *jobs, int *report, int (*streams)[2], struct err *err)
{
  int ret = pipe2 (report, O_CLOEXEC);

  for (int i = 0; i < STREAMS && ret == 0 && jobs->output; i++)
    ret = pipe2 (streams[i], O_CLOEXEC);
  return ret < 0 ? err_errno (err, "make a pipe") : 0;
}

static int begin (struct pool *pool, size_t job, struct err *err)
{
  int report[2] = {-1, -1}, streams[STREAMS][2] = {{-1, -1}, {-1, -1}};
  struct child child = {.job = job, .pid = -1, .pidfd = -1};
  int ret = make_pipes (pool->jobs, report, streams, err);
  int ends[STREAMS] = {streams[0][1], streams[1][1]};
  pid_t parent = getpid ();

  fflush (NULL);
  if (ret == 0 && (child.pid = fork ()) < 0)
    ret = err_errno (err, "fork");
  if (child.pid == 0)
    child_main (pool, job, parent, report[1], ends);
  if (ret == 0) {
    child.pidfd = (int) syscall (SYS_pidfd_open, child.pid, 0);
    if (child.pidfd < 0) {
      ret = err_errno (err, "open a process");
      kill (child.pid, SIGKILL);
      waitpid (child.pid, NULL, 0);
    }
  }
  child.report_fd = report[0];
  if (report[1] >= 0)
    close (report[1]);
  for (int i = 0; i < STREAMS; i++) {
    child.streams[i] = streams[i][0];
    if (ends[i] >= 0)
      close (ends[i]);
    if (child.streams[i] >= 0)
      fcntl (child.streams[i], F_SETFL, O_NONBLOCK);
  }
  if (ret == 0)
    pool->children[pool->count++] = child;
  else
    close_child (&child);
  return ret;
}

/* Hands on what can be read now. */
static void read_stream (struct pool *pool, struct child *child, int i, bool all)
{
  char buffer[32 << 10];
  ssize_t n;

  do {
    n = read (child->streams[i], buffer, sizeof buffer);
    if (n > 0 && !pool->err->code &&
        pool->jobs->output (pool->jobs->data, child->job, 1 + i, buffer, (size_t) n, pool->err) < 0)
      end_all (pool, SIGTERM);
  } while (n > 0 && all);
  if (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)))
    return;
  close (child->streams[i]);
  child->streams[i] = -1;
}

/* What the child told, or how it died. */
static int read_report (const struct child *child, int status, struct err *job_err)
{
  struct report report = {0};
  char text[TEXT_MAX + 1];

  if (fd_read_full (child->report_fd, &report, sizeof report) != (ssize_t) sizeof report) {
    err_code (job_err, EIO, "its process ended too early: %s %d",
              WIFSIGNALED (status) ? "signal" : "exit status",
              WIFSIGNALED (status) ? WTERMSIG (status) : WEXITSTATUS (status));
    return 0;
  }
  if (report.code) {
    /* Others may have the pipe open: there may be no end. */
    fcntl (child->report_fd, F_SETFL, O_NONBLOCK);
    ssize_t n = read (child->report_fd, text, TEXT_MAX);
    text[n > 0 ? n : 0] = '\0';
    err_code (job_err, report.code, "%s", text);
  }
  return report.status;
}

static void reap (struct pool *pool, size_t at)
{
  struct child child = pool->children[at];
  autoerr struct err job_err = {0};
  int status = 0;

  while (waitpid (child.pid, &status, 0) < 0 && errno == EINTR)
    ;
  for (int i = 0; i < STREAMS; i++)
    if (child.streams[i] >= 0)
      read_stream (pool, &child, i, /* all= */ true);
  int job_status = read_report (&child, status, &job_err);
  close_child (&child);
  pool->children[at] = pool->children[--pool->count];
  if (!pool->err->code &&
      pool->jobs->end (pool->jobs->data, child.job, job_status, &job_err, pool->err) < 0)
    end_all (pool, SIGTERM);
}

static void wait_for_events (struct pool *pool)
{
  for (size_t i = 0; i < pool->count; i++) {
    const struct child *child = &pool->children[i];
    struct pollfd *polls = &pool->polls[i * POLLS];

    polls[0] = (struct pollfd){.fd = child->pidfd, .events = POLLIN};
    for (int k = 0; k < STREAMS; k++)
      polls[1 + k] = (struct pollfd){.fd = child->streams[k], .events = POLLIN};
  }
  if (ppoll (pool->polls, pool->count * POLLS, NULL, &pool->unblocked) <= 0)
    return;
  /* From the end: one that is reaped is replaced by the last one. */
  for (size_t i = pool->count; i-- > 0;) {
    const struct pollfd *polls = &pool->polls[i * POLLS];

    for (int k = 0; k < STREAMS; k++)
      if (polls[1 + k].revents)
        read_stream (pool, &pool->children[i], k, /* all= */ false);
    if (polls[0].revents)
      reap (pool, i);
  }
}

static void pass_signals (struct pool *pool)
{
  if (interrupt_count () == pool->signals)
    return;
  pool->signals = interrupt_count ();
  end_all (pool, interrupt_signal ());
}

static void run_pool (struct pool *pool)
{
  size_t job;

  for (;;) {
    pass_signals (pool);
    while (!pool->ending && pool->count < pool->jobs->parallel &&
           pool->jobs->next (pool->jobs->data, &job))
      if (begin (pool, job, pool->err) < 0)
        end_all (pool, SIGTERM);
    if (!pool->count)
      return;
    wait_for_events (pool);
  }
}

int jobs_run (const struct jobs *jobs, struct err *err)
{
  autofree struct child *children = xcalloc (jobs->parallel, sizeof *children);
  autofree struct pollfd *polls = xcalloc (jobs->parallel * POLLS, sizeof *polls);
  struct pool pool = {.jobs = jobs, .children = children, .polls = polls, .err = err};
  sigset_t blocked;

  /* Signals arrive while waiting only, so that none slips in between looking and waiting. */
  sigemptyset (&blocked);
  sigaddset (&blocked, SIGINT);
  sigaddset (&blocked, SIGTERM);
  sigaddset (&blocked, SIGHUP);
  if (sigprocmask (SIG_BLOCK, &blocked, &pool.unblocked) < 0)
    return err_errno (err, "set the signal mask");
  run_pool (&pool);
  sigprocmask (SIG_SETMASK, &pool.unblocked, NULL);
  return err->code ? -err->code : interrupt_check (err);
}
