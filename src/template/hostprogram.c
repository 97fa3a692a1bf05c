/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hostprogram.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include "util/subprocess.h"
#include "util/tail.h"
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

void hostprogram_release (struct hostprogram *program)
{
  names_release (&program->args);
  names_release (&program->env);
}

void hostprogram_add_list (struct hostprogram *program, const char *const *words)
{
  for (; *words; words++)
    names_add (&program->args, *words);
}

void hostprogram_addf (struct hostprogram *program, const char *format, ...)
{
  char *word = NULL;
  va_list ap;

  va_start (ap, format);
  int ret = vasprintf (&word, format, ap);
  va_end (ap);
  if (ret < 0)
    err_out_of_memory ();
  names_add (&program->args, word);
  free (word);
}

void hostprogram_setenv (struct hostprogram *program, const char *variable)
{
  names_add (&program->env, variable);
}

int hostprogram_target (struct import *import, const char *name, char **ret_path, int *ret_fd,
                        struct err *err)
{
  *ret_fd = fd_make_dir (import->temp_fd, name, 0755);
  if (*ret_fd < 0)
    return err_errno (err, "make a directory in staging");
  /* The umask is 0 while a tree is written. */
  if (fchmod (*ret_fd, 0755) < 0)
    return err_errno (err, "set the mode of a directory in staging");
  *ret_path = xasprintf ("%s/staging/%s/temp/%s", import->root->path, import->staging.name, name);
  return 0;
}

/* The environment: nothing of the caller's but where programs are and how to reach the network. */
static void make_environment (struct names *env)
{
  static const char *const passed[] = {
      "http_proxy",    "https_proxy",  "ftp_proxy",      "no_proxy",  "HTTP_PROXY",
      "HTTPS_PROXY",   "FTP_PROXY",    "NO_PROXY",       "all_proxy", "ALL_PROXY",
      "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", NULL};
  const char *path = getenv ("PATH");
  autofree char *path_line =
      xasprintf ("PATH=%s%s/usr/sbin:/usr/bin:/sbin:/bin", path ? path : "", path ? ":" : "");

  names_add (env, path_line);
  names_add (env, "LC_ALL=C.UTF-8");
  names_add (env, "HOME=/root");
  for (const char *const *name = passed; *name; name++) {
    const char *value = getenv (*name);
    autofree char *line = value ? xasprintf ("%s=%s", *name, value) : NULL;

    if (line)
      names_add (env, line);
  }
}

/* A NULL-terminated array of the names, and of @more before them. The array is the caller's. */
static const char **array (const char *const *more, const struct names *names)
{
  size_t count = 0;

  while (more && more[count])
    count++;
  const char **items = xcalloc (count + names->count + 1, sizeof *items);
  for (size_t i = 0; i < count; i++)
    items[i] = more[i];
  for (size_t i = 0; i < names->count; i++)
    items[count + i] = names->items[i];
  return items;
}

/* Everything in the namespaces ends with their first process, and that one with ours. The script is
 * what a package's own scripts expect to find below the root. */
#define NAMESPACES                                                                                 \
  "unshare", "--fork", "--pid", "--mount", "--kill-child=KILL", "--mount-proc", "--"
static const char mount_script[] = "set -e\n"
                                   "root=$1\n"
                                   "shift\n"
                                   "mkdir -p \"$root/proc\" \"$root/dev\" \"$root/run\"\n"
                                   "mount -t proc -o nosuid,nodev,noexec proc \"$root/proc\"\n"
                                   "mount -t tmpfs -o nosuid,noexec,mode=0755 tmpfs \"$root/dev\"\n"
                                   "mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs \"$root/run\"\n"
                                   "for node in null zero full random urandom tty; do\n"
                                   "  : >\"$root/dev/$node\"\n"
                                   "  mount --bind \"/dev/$node\" \"$root/dev/$node\"\n"
                                   "done\n"
                                   "ln -s /proc/self/fd \"$root/dev/fd\"\n"
                                   "exec \"$@\"\n";

static const char **command_line (const struct hostprogram *program)
{
  const char *const plain[] = {NAMESPACES, NULL};
  const char *const mounted[] = {NAMESPACES, "sh", "-c", mount_script, "sh", program->root, NULL};

  return array (program->root ? mounted : plain, &program->args);
}

/* Ends the program and waits until everything in its namespaces is gone, so that nothing writes
 * below staging any more. Its first process becomes our child when unshare dies. */
static void kill_all (pid_t pid)
{
  kill (pid, SIGKILL);
  for (;;) {
    if (waitpid (-1, NULL, 0) < 0 && errno != EINTR)
      return;
  }
}

static int wait_for (pid_t pid, const char *name, int *ret_status, struct err *err)
{
  struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
  time_t start = time (NULL);

  for (;;) {
    pid_t got = waitpid (pid, ret_status, WNOHANG);

    if (got == pid)
      return 0;
    if (got < 0 && errno != EINTR)
      return err_errno (err, "wait for %s", name);
    if (interrupt_check (err) < 0) {
      kill_all (pid);
      return -err->code;
    }
    progress_show (name, (uint64_t) (time (NULL) - start), 0, "seconds");
    nanosleep (&pause, NULL);
    if (pause.tv_nsec < 200 * 1000 * 1000)
      pause.tv_nsec += pause.tv_nsec / 2;
  }
}

static char *log_tail (int log_fd)
{
  char text[TAIL_BYTES];
  struct stat st;

  if (fstat (log_fd, &st) < 0)
    return xstrdup ("");
  ssize_t n =
      pread (log_fd, text, TAIL_BYTES, st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0);
  return tail_text (text, n > 0 ? (size_t) n : 0);
}

static int start (const struct hostprogram *program, int log_fd, pid_t *ret_pid, struct err *err)
{
  autonames struct names env = {0};

  if (!program->callers)
    make_environment (&env);
  for (size_t i = 0; i < program->env.count; i++)
    names_add (&env, program->env.items[i]);
  autofree const char **argv = command_line (program);
  autofree const char **env_list =
      array (program->callers ? (const char *const *) environ : NULL, &env);
  struct subprocess sub = {
      .argv = argv,
      .env = env_list,
      .stdin_fd = -1,
      .stdout_fd = log_fd,
      .stderr_fd = log_fd,
  };

  if (prctl (PR_SET_CHILD_SUBREAPER, 1) < 0)
    return err_errno (err, "become the reaper of %s", program->args.items[0]);
  /* The writer's umask is not for maintainer scripts. */
  mode_t old = umask (022);
  int ret = subprocess_start (&sub, ret_pid, err);
  umask (old);
  return ret;
}

int hostprogram_run (const struct hostprogram *program, struct import *import, struct err *err)
{
  const char *name = program->args.items[0];
  autofree char *log_name = xasprintf ("%s.log", name);
  int status = 0;
  pid_t pid = -1;

  if (!subprocess_exists (name))
    return err_code (err, ENOENT, "%s is not installed; in Debian the package %s has it", name,
                     program->package);
  autoclose int log_fd = fd_open (import->temp_fd, log_name, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (log_fd < 0)
    return err_errno (err, "create the log of %s", name);
  if (start (program, log_fd, &pid, err) < 0 || wait_for (pid, name, &status, err) < 0)
    return -err->code;
  progress_clear ();
  if (status != 0) {
    autofree char *how = subprocess_describe (status);
    autofree char *tail = log_tail (log_fd);

    return err_code (err, EIO, "%s failed: %s; its last lines:%s", name, how, tail);
  }
  return 0;
}
