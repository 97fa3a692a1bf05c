/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "subprocess.h"
#include "fd.h"
#include "strbuf.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void reset_signals (void)
{
  sigset_t none;

  for (int i = 1; i < NSIG; i++)
    signal (i, SIG_DFL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
}

static int redirect (int fd, int target)
{
  if (fd == target)
    return fcntl (fd, F_SETFD, 0);
  return dup2 (fd, target) < 0 ? -1 : 0;
}

static void child (const struct subprocess *sub, pid_t parent, int report_fd)
{
  reset_signals ();
  if (prctl (PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid () != parent)
    _exit (127);
  if (sub->own_group)
    setpgid (0, 0);
  int in = sub->stdin_fd >= 0 ? sub->stdin_fd : open ("/dev/null", O_RDONLY | O_CLOEXEC);
  if (in >= 0 && redirect (in, STDIN_FILENO) == 0 &&
      (sub->stdout_fd < 0 || redirect (sub->stdout_fd, STDOUT_FILENO) == 0) &&
      (sub->stderr_fd < 0 || redirect (sub->stderr_fd, STDERR_FILENO) == 0)) {
    if (sub->env)
      environ = (char **) sub->env;
    execvp (sub->argv[0], (char *const *) sub->argv);
  }
  int code = errno;
  if (write (report_fd, &code, sizeof code) < 0)
    _exit (126);
  _exit (127);
}

int subprocess_start (const struct subprocess *sub, pid_t *ret_pid, struct err *err)
{
  int report[2];
  pid_t parent = getpid ();

  if (pipe2 (report, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  pid_t pid = fork ();
  if (pid < 0) {
    err_errno (err, "fork to run %s", sub->argv[0]);
    close (report[0]);
    close (report[1]);
    return -err->code;
  }
  if (pid == 0)
    child (sub, parent, report[1]);
  close (report[1]);
  int code = 0;
  ssize_t n = fd_read_full (report[0], &code, sizeof code);
  close (report[0]);
  if (n == (ssize_t) sizeof code) {
    while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
      ;
    errno = code;
    return err_errno (err, "run %s", sub->argv[0]);
  }
  *ret_pid = pid;
  return 0;
}

int subprocess_wait (pid_t pid, int *ret_status, struct err *err)
{
  while (waitpid (pid, ret_status, 0) < 0)
    if (errno != EINTR)
      return err_errno (err, "wait for process %ld", (long) pid);
  return 0;
}

int subprocess_run (const struct subprocess *sub, int *ret_status, struct err *err)
{
  pid_t pid = -1;

  if (subprocess_start (sub, &pid, err) < 0)
    return -err->code;
  return subprocess_wait (pid, ret_status, err);
}

int subprocess_capture (const struct subprocess *sub, size_t maximum, char **ret_output,
                        int *ret_status, struct err *err)
{
  struct subprocess piped = *sub;
  autostrbuf struct strbuf output = STRBUF_INIT (maximum);
  int out[2], ret = 0;
  pid_t pid = -1;

  if (pipe2 (out, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  autoclose int from = out[0];
  piped.stdout_fd = out[1];
  ret = subprocess_start (&piped, &pid, err);
  close (out[1]);
  if (ret < 0)
    return ret;
  for (;;) {
    char buffer[4096];
    ssize_t n = read (from, buffer, sizeof buffer);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      ret = err_errno (err, "read the output of %s", sub->argv[0]);
    if (n <= 0)
      break;
    strbuf_add (&output, buffer, (size_t) n);
  }
  autoerr struct err wait_err = {0};
  if (subprocess_wait (pid, ret_status, &wait_err) < 0 && ret == 0)
    return err_code (err, wait_err.code, "%s", err_text (&wait_err));
  if (ret < 0)
    return ret;
  if (output.failed)
    return err_code (err, EFBIG, "%s printed more than %zu bytes", sub->argv[0], maximum);
  *ret_output = strbuf_steal (&output);
  return 0;
}

char *subprocess_describe (int status)
{
  if (WIFEXITED (status))
    return xasprintf ("exit status %d", WEXITSTATUS (status));
  if (WIFSIGNALED (status))
    return xasprintf ("signal %d (%s)", WTERMSIG (status), strsignal (WTERMSIG (status)));
  return xasprintf ("wait status %d", status);
}

bool subprocess_exists (const char *program)
{
  const char *path = getenv ("PATH");

  if (strchr (program, '/'))
    return access (program, X_OK) == 0;
  if (!path)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  while (*path) {
    size_t len = strcspn (path, ":");
    autofree char *file = xasprintf ("%.*s/%s", (int) len, path, program);

    if (len && access (file, X_OK) == 0)
      return true;
    path += len;
    if (*path)
      path++;
  }
  return false;
}
