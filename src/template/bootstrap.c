/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bootstrap.h"
#include "template/kind.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include "util/strbuf.h"
#include "util/subprocess.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static const char log_name[] = "bootstrap.log";
static const char target_name[] = "bootstrap";

struct arguments {
  const char *items[24]; /* borrowed; NULL-terminated */
  size_t count;
};

static void add (struct arguments *arguments, const char *word)
{
  arguments->items[arguments->count++] = word;
}

/* In namespaces of its own: everything in them ends with their first process, and that one with
 * ours. */
static void add_namespaces (struct arguments *arguments)
{
  static const char *const words[] = {"unshare",           "--fork",       "--pid", "--mount",
                                      "--kill-child=KILL", "--mount-proc", "--",    NULL};

  for (const char *const *word = words; *word; word++)
    add (arguments, *word);
}

static void add_mmdebstrap (struct arguments *arguments, const struct bootstrap *bootstrap,
                            const char *variant, const char *include)
{
  add (arguments, "mmdebstrap");
  add (arguments, "--mode=root");
  add (arguments, "--format=directory");
  add (arguments, variant);
  if (include)
    add (arguments, include);
  if (!bootstrap->updates)
    add (arguments,
         "--setup-hook=sed -i -E 's@^deb .*(-updates|-security|/updates) @" BOOTSTRAP_HIDDEN
         "&@' \"$1/etc/apt/sources.list\"");
  add (arguments, bootstrap->suite);
}

static void add_debootstrap (struct arguments *arguments, const struct bootstrap *bootstrap,
                             const char *variant, const char *include)
{
  add (arguments, "debootstrap");
  if (variant)
    add (arguments, variant);
  if (include)
    add (arguments, include);
  add (arguments, bootstrap->suite);
}

/* debootstrap's variant, or NULL for its default. */
static int debootstrap_variant (const struct bootstrap *bootstrap, const char **ret_variant,
                                struct err *err)
{
  const char *variant = bootstrap->variant;

  if (bootstrap->updates)
    return err_code (err, ENOENT, "\"updates\" need mmdebstrap, which is not installed");
  if (strcmp (variant, "standard") == 0)
    return err_code (err, ENOENT,
                     "the variant \"standard\" needs mmdebstrap, which is not installed");
  if (strcmp (variant, "important") == 0)
    *ret_variant = NULL;
  else if (strcmp (variant, "buildd") == 0)
    *ret_variant = "--variant=buildd";
  else
    *ret_variant = "--variant=minbase";
  return 0;
}

static char *include_option (const struct bootstrap *bootstrap)
{
  autostrbuf struct strbuf option = STRBUF_INIT (1 << 20);

  if (!bootstrap->include.count)
    return NULL;
  strbuf_adds (&option, "--include=");
  for (size_t i = 0; i < bootstrap->include.count; i++)
    strbuf_addf (&option, "%s%s", i ? "," : "", bootstrap->include.items[i]);
  return strbuf_steal (&option);
}

/* The environment: nothing of the caller's but where programs are and how to reach the network. */
static void make_environment (struct names *env)
{
  static const char *const passed[] = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
                                       "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY",
                                       "all_proxy",  "ALL_PROXY",   NULL};
  const char *path = getenv ("PATH");
  autofree char *path_line =
      xasprintf ("PATH=%s%s/usr/sbin:/usr/bin:/sbin:/bin", path ? path : "", path ? ":" : "");

  names_add (env, path_line);
  names_add (env, "LC_ALL=C.UTF-8");
  names_add (env, "HOME=/root");
  names_add (env, "DEBIAN_FRONTEND=noninteractive");
  for (const char *const *name = passed; *name; name++) {
    const char *value = getenv (*name);
    autofree char *line = value ? xasprintf ("%s=%s", *name, value) : NULL;

    if (line)
      names_add (env, line);
  }
}

/* The last lines that the program wrote, indented; control characters replaced. */
static char *log_tail (int log_fd)
{
  enum { TAIL = 2000, LINES = 15 };
  char text[TAIL + 1];
  struct stat st;
  size_t start = 0, lines = 0;

  if (fstat (log_fd, &st) < 0)
    return xstrdup ("");
  ssize_t n = pread (log_fd, text, TAIL, st.st_size > TAIL ? st.st_size - TAIL : 0);
  if (n <= 0)
    return xstrdup ("");
  size_t len = (size_t) n;
  while (len && text[len - 1] == '\n')
    len--;
  for (size_t i = len; i-- > 0 && lines < LINES;)
    if (text[i] == '\n' || i == 0) {
      start = text[i] == '\n' ? i + 1 : 0;
      lines++;
    }
  autostrbuf struct strbuf tail = STRBUF_INIT (4 * TAIL);
  strbuf_adds (&tail, "\n  ");
  for (size_t i = start; i < len; i++) {
    unsigned char c = (unsigned char) text[i];

    if (c == '\n')
      strbuf_adds (&tail, "\n  ");
    else
      strbuf_add (&tail, c < 0x20 || c == 0x7f ? "?" : text + i, 1);
  }
  return strbuf_steal (&tail);
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

static int wait_for (pid_t pid, const char *program, int *ret_status, struct err *err)
{
  struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
  time_t start = time (NULL);

  for (;;) {
    pid_t got = waitpid (pid, ret_status, WNOHANG);

    if (got == pid)
      return 0;
    if (got < 0 && errno != EINTR)
      return err_errno (err, "wait for %s", program);
    if (interrupt_check (err) < 0) {
      kill_all (pid);
      return -err->code;
    }
    progress_show (program, (uint64_t) (time (NULL) - start), 0, "seconds");
    nanosleep (&pause, NULL);
  }
}

static int run (const struct arguments *arguments, const char *program, int log_fd, struct err *err)
{
  autonames struct names env = {0};
  int status = 0;
  pid_t pid = -1;

  make_environment (&env);
  names_add (&env, "");
  autofree const char **list = xcalloc (env.count, sizeof *list);
  for (size_t i = 0; i + 1 < env.count; i++)
    list[i] = env.items[i];
  struct subprocess sub = {
      .argv = arguments->items,
      .env = list,
      .stdin_fd = -1,
      .stdout_fd = log_fd,
      .stderr_fd = log_fd,
  };
  if (prctl (PR_SET_CHILD_SUBREAPER, 1) < 0)
    return err_errno (err, "become the reaper of %s", program);
  /* The writer's umask is not for maintainer scripts. */
  mode_t old = umask (022);
  int ret = subprocess_start (&sub, &pid, err);
  umask (old);
  if (ret < 0 || wait_for (pid, program, &status, err) < 0)
    return -err->code;
  progress_clear ();
  if (status != 0) {
    autofree char *how = subprocess_describe (status);
    autofree char *tail = log_tail (log_fd);

    return err_code (err, EIO, "%s failed: %s; its last lines:%s", program, how, tail);
  }
  return 0;
}

/* Runs what is there into the directory @target. */
static int run_bootstrap (const struct bootstrap *bootstrap, const char *target, int log_fd,
                          struct err *err)
{
  struct arguments arguments = {0};
  bool mmdebstrap = subprocess_exists ("mmdebstrap");
  const char *program = mmdebstrap ? "mmdebstrap" : "debootstrap";
  autofree char *include = include_option (bootstrap);
  autofree char *variant = xasprintf ("--variant=%s", bootstrap->variant);
  const char *old_variant = NULL;

  if (!mmdebstrap && !subprocess_exists ("debootstrap"))
    return err_code (err, ENOENT, "neither mmdebstrap nor debootstrap is installed");
  add_namespaces (&arguments);
  if (mmdebstrap) {
    add_mmdebstrap (&arguments, bootstrap, variant, include);
  } else {
    if (debootstrap_variant (bootstrap, &old_variant, err) < 0)
      return -err->code;
    add_debootstrap (&arguments, bootstrap, old_variant, include);
  }
  add (&arguments, target);
  return run (&arguments, program, log_fd, err);
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  const struct bootstrap *bootstrap = data;
  autofree char *target =
      xasprintf ("%s/staging/%s/temp/%s", import->root->path, import->staging.name, target_name);
  autoclose int log_fd = fd_open (import->temp_fd, log_name, O_RDWR | O_CREAT | O_EXCL, 0600);

  if (log_fd < 0)
    return err_errno (err, "create the log of the bootstrap");
  if (run_bootstrap (bootstrap, target, log_fd, err) < 0)
    return -err->code;
  autoclose int fd = fd_open_dir (import->temp_fd, target_name);
  if (fd < 0)
    return err_errno (err, "open what was bootstrapped");
  if (bootstrap_tidy (fd, bootstrap->suite, err) < 0)
    return -err->code;
  /* Both programs refuse a release that the archive's keys did not sign. */
  import_note_verified (import, IMPORT_VOUCH_SIGNATURE, "release", "openpgp",
                        "keyring of the bootstrap program");
  return import_fill (import, fd, err);
}

/* Words that become arguments of a bootstrap program: none may look like an option or a list. */
static bool plain_word (const char *word, const char *more)
{
  static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  size_t len = strspn (word, first);

  if (!len)
    return false;
  while (word[len] && (strchr (first, word[len]) || strchr (more, word[len])))
    len++;
  return !word[len] && len <= 128;
}

static void parse_include (struct check *check, json_object *source, struct bootstrap *bootstrap)
{
  json_object *include = check_strings (check, source, "include");

  for (size_t i = 0; include && i < json_object_array_length (include); i++) {
    const char *package = json_object_get_string (json_object_array_get_idx (include, i));

    if (plain_word (package, "+.-:")) {
      names_add (&bootstrap->include, package);
      continue;
    }
    size_t mark = check_enter_item (check, "include", i);
    check_add (check, NULL, "\"%.60s\" is no name of a package", package);
    check_leave (check, mark);
  }
}

static void *parse (struct check *check, json_object *source)
{
  static const char *const variants[] = {"apt", "minbase", "important", "standard", "buildd", NULL};
  struct bootstrap *bootstrap = xcalloc (1, sizeof *bootstrap);
  const char *suite = check_string (check, source, "suite", true);

  if (suite && !plain_word (suite, ".-"))
    check_add (check, "suite", "must be a name such as \"bookworm\"");
  bootstrap->suite = suite ? xstrdup (suite) : NULL;
  bootstrap->variant = xstrdup (check_word (check, source, "variant", variants, "minbase"));
  bootstrap->updates = check_bool (check, source, "updates", false);
  parse_include (check, source, bootstrap);
  return bootstrap;
}

static void release (void *data)
{
  struct bootstrap *bootstrap = data;

  free (bootstrap->suite);
  free (bootstrap->variant);
  names_release (&bootstrap->include);
  free (bootstrap);
}

static char *describe (const void *data)
{
  const struct bootstrap *bootstrap = data;

  return xasprintf ("bootstrap of %s, variant %s", bootstrap->suite, bootstrap->variant);
}

static const char *const keys[] = {"suite", "variant", "include", "updates", NULL};
const struct source_kind kind_bootstrap = {
    .name = "bootstrap",
    .summary = "a new system by the distribution's own tool",
    .keys = keys,
    .parse = parse,
    .release = release,
    .describe = describe,
    .fetch = fetch,
};
