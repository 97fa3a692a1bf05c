/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cni.h"
#include "cni_result.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include "util/subprocess.h"
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { OUTPUT_MAX = 1 << 20, MESSAGES_MAX = 16 << 10, TIMEOUT_SECONDS = 90 };

static const char default_path[] = "/usr/lib/cni:/opt/cni/bin:/usr/libexec/cni";

const char *cni_plugin_path (void)
{
  const char *path = getenv ("CNI_PATH");

  return path && *path ? path : default_path;
}

int cni_find_plugin (const char *path, const char *type, char **ret_file, struct err *err)
{
  const char *at = path;

  while (*at) {
    size_t len = strcspn (at, ":");
    autofree char *file = xasprintf ("%.*s/%s", (int) len, at, type);
    struct stat st;

    if (len && stat (file, &st) == 0 && S_ISREG (st.st_mode) && access (file, X_OK) == 0) {
      *ret_file = steal_ptr (&file);
      return 0;
    }
    at += len;
    if (*at)
      at++;
  }
  return err_code (err, ENOENT,
                   "the plugin \"%s\" is not in %s: install the package "
                   "containernetworking-plugins, or set CNI_PATH",
                   type, path);
}

static int64_t timeout_seconds (void)
{
  const char *text = getenv ("VGUEST_CNI_TIMEOUT");
  int64_t seconds = text ? strtoll (text, NULL, 10) : 0;

  return seconds > 0 && seconds <= 86400 ? seconds : TIMEOUT_SECONDS;
}

/* This process's environment with the variables of @call: NULL-terminated; the first @ret_owned
 * strings are the caller's, as the array is. */
static char **make_environment (const struct cni_call *call, size_t *ret_owned)
{
  size_t count = 0, used = 0;

  while (environ[count])
    count++;
  char **env = xcalloc (count + 7, sizeof *env);
  env[used++] = xasprintf ("CNI_COMMAND=%s", call->command);
  env[used++] = xasprintf ("CNI_CONTAINERID=%s", call->id);
  env[used++] = xasprintf ("CNI_NETNS=%s", call->netns ? call->netns : "");
  env[used++] = xasprintf ("CNI_IFNAME=%s", call->interface);
  env[used++] = xasprintf ("CNI_PATH=%s", call->path);
  env[used++] = xstrdup ("CNI_ARGS=IgnoreUnknown=1");
  *ret_owned = used;
  for (size_t i = 0; i < count; i++)
    if (strncmp (environ[i], "CNI_", 4) != 0)
      env[used++] = environ[i];
  return env;
}

struct stream {
  int fd; /* -1 at its end */
  struct strbuf text;
};

/* Takes what is there; a plugin that prints too much is read to its end, so that it ends. */
static void stream_read (struct stream *stream)
{
  char buffer[4096];

  while (stream->fd >= 0) {
    ssize_t n = read (stream->fd, buffer, sizeof buffer);

    if (n > 0) {
      strbuf_add (&stream->text, buffer, (size_t) n);
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
      close (stream->fd);
      stream->fd = -1;
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

/* Reads both streams until the process ended, however long a child of it keeps them open. */
static int watch (pid_t pid, struct stream *output, struct stream *messages, struct err *err)
{
  int64_t seconds = timeout_seconds ();
  uint64_t deadline = clock_us () + (uint64_t) seconds * 1000000;
  autoclose int process = (int) syscall (SYS_pidfd_open, pid, 0);

  if (process < 0)
    return err_errno (err, "watch it");
  for (;;) {
    struct pollfd fds[] = {{.fd = process, .events = POLLIN},
                           {.fd = output->fd, .events = POLLIN},
                           {.fd = messages->fd, .events = POLLIN}};
    uint64_t now = clock_us ();

    if (now >= deadline)
      return err_code (err, ETIMEDOUT, "it did not end in %lld seconds and was killed",
                       (long long) seconds);
    if (poll (fds, 3, (int) ((deadline - now) / 1000) + 1) < 0 && errno != EINTR)
      return err_errno (err, "wait for it");
    stream_read (output);
    stream_read (messages);
    if (fds[0].revents)
      return 0;
  }
}

static int start (const struct subprocess *sub, struct stream *output, struct stream *messages,
                  pid_t *ret_pid, struct err *err)
{
  struct subprocess piped = *sub;
  int out[2], errors[2];

  if (pipe2 (out, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  output->fd = out[0];
  piped.stdout_fd = out[1];
  if (pipe2 (errors, O_CLOEXEC) < 0) {
    err_errno (err, "make a pipe");
    close (out[1]);
    return -err->code;
  }
  messages->fd = errors[0];
  piped.stderr_fd = errors[1];
  /* The plugin's ends stay blocking: the flag belongs to each end of a pipe. */
  int ret = fcntl (out[0], F_SETFL, O_NONBLOCK) < 0 || fcntl (errors[0], F_SETFL, O_NONBLOCK) < 0
                ? err_errno (err, "set up a pipe")
                : subprocess_start (&piped, ret_pid, err);
  close (out[1]);
  close (errors[1]);
  return ret;
}

/* Runs it to its end. @output and @messages are the caller's to release. */
static int run (const struct subprocess *sub, struct stream *output, struct stream *messages,
                int *ret_status, struct err *err)
{
  autoerr struct err wait_err = {0};
  pid_t pid = -1;

  if (start (sub, output, messages, &pid, err) < 0)
    return -err->code;
  int ret = watch (pid, output, messages, err);
  if (ret < 0)
    kill (-pid, SIGKILL);
  if (subprocess_wait (pid, ret_status, &wait_err) < 0 && ret == 0)
    return err_code (err, wait_err.code, "%s", err_text (&wait_err));
  if (ret < 0)
    return ret;
  stream_read (output);
  stream_read (messages);
  return 0;
}

static int finish (const struct stream *output, const struct stream *messages, int status,
                   json_object **ret_result, struct err *err)
{
  const char *text = strbuf_str (&output->text);

  if (status != 0) {
    autofree char *line = cni_error_line (text, output->text.len, strbuf_str (&messages->text));
    autofree char *how = subprocess_describe (status);

    return err_code (err, EREMOTEIO, "%s", line ? line : how);
  }
  if (output->text.failed)
    return err_code (err, EFBIG, "it printed more than %d bytes", OUTPUT_MAX);
  return ret_result ? cni_result_parse (text, output->text.len, ret_result, err) : 0;
}

int cni_run (const struct cni_call *call, json_object *config, json_object **ret_result,
             struct err *err)
{
  const char *text = json_object_to_json_string_ext (config, JSON_C_TO_STRING_NOSLASHESCAPE);
  autoclose int input = memfd_create ("cni", MFD_CLOEXEC);
  struct stream output = {-1, STRBUF_INIT (OUTPUT_MAX)};
  struct stream messages = {-1, STRBUF_INIT (MESSAGES_MAX)};
  autofree char *file = NULL;
  const char *type = NULL;
  size_t owned = 0;
  int status = 0;

  if (json_get_string (config, "type", "", &type, err) < 0 ||
      cni_find_plugin (call->path, type, &file, err) < 0)
    return -err->code;
  if (!text)
    err_out_of_memory ();
  if (input < 0 || fd_write_all (input, text, strlen (text)) < 0 || lseek (input, 0, SEEK_SET) < 0)
    return err_errno (err, "write the configuration for plugin %s", type);

  char **env = make_environment (call, &owned);
  const char *const argv[] = {file, NULL};
  struct subprocess sub = {.argv = argv,
                           .env = (const char *const *) env,
                           .stdin_fd = input,
                           .stdout_fd = -1,
                           .stderr_fd = -1,
                           .own_group = true};
  int ret = run (&sub, &output, &messages, &status, err);
  if (ret == 0)
    ret = finish (&output, &messages, status, ret_result, err);
  for (size_t i = 0; i < owned; i++)
    free (env[i]);
  free (env);
  cleanup_close (&output.fd);
  cleanup_close (&messages.fd);
  strbuf_release (&output.text);
  strbuf_release (&messages.text);
  return ret < 0 ? err_wrap (err, "plugin %s", type) : 0;
}
