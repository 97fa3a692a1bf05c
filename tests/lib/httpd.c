/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/httpd.h"
#include "util/fd.h"
#include "util/subprocess.h"
#include <signal.h>

static void give_up (const char *what)
{
  fprintf (stderr, "httpd: %s: %s\n", what, strerror (errno));
  exit (1);
}

static char *script (const char *name)
{
  const char *source = getenv ("srcdir");

  return xasprintf ("%s/tests/lib/%s", source ? source : ".", name);
}

static void run (const struct subprocess *sub)
{
  autoerr struct err err = {0};
  int status = 0;

  if (subprocess_run (sub, &status, &err) < 0 || status != 0) {
    fprintf (stderr, "httpd: %s: %s\n", sub->argv[0], err_text (&err));
    exit (1);
  }
}

static void make_ca (const struct httpd *httpd)
{
  autofree char *program = script ("test-ca");
  autofree char *dir = xasprintf ("%s/ca", httpd->path);
  const char *argv[] = {"/bin/sh", program, dir, NULL};

  if (mkdir (dir, 0700) < 0)
    give_up (dir);
  run (&(struct subprocess){.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1});
}

/* "http=PORT other=PORT …" */
static void read_ports (struct httpd *httpd, int fd)
{
  static const char *const names[HTTPD_PORTS] = {
      "http=", "other=", "proxy=", "https=", "expired=", "name="};
  char line[256] = "";

  for (size_t len = 0; len < sizeof line - 1 && !strchr (line, '\n'); len++)
    if (read (fd, line + len, 1) != 1)
      give_up ("the server does not start");
  for (size_t i = 0; i < HTTPD_PORTS; i++) {
    const char *at = strstr (line, names[i]);

    /* "other=" has no other name in it; "http=" is first. */
    if (at)
      httpd->ports[i] = (unsigned) strtoul (at + strlen (names[i]), NULL, 10);
  }
}

void httpd_start (struct httpd *httpd, bool tls)
{
  char path[] = "/tmp/vguest-httpd.XXXXXX";
  autofree char *program = script ("http-server");
  autoerr struct err err = {0};
  int hold[2], answer[2];

  if (!mkdtemp (path))
    give_up ("mkdtemp");
  *httpd = (struct httpd){.path = xstrdup (path)};
  autofree char *files = xasprintf ("%s/files", path);
  autofree char *work = xasprintf ("%s/work", path);
  autofree char *log = xasprintf ("%s/log", path);
  autofree char *ca = xasprintf ("%s/ca", path);
  if (mkdir (files, 0755) < 0 || mkdir (work, 0755) < 0 || pipe2 (hold, O_CLOEXEC) < 0 ||
      pipe2 (answer, O_CLOEXEC) < 0)
    give_up ("prepare");
  httpd->dir_fd = open (work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (tls)
    make_ca (httpd);
  const char *argv[] = {"python3", program, files, log, tls ? ca : NULL, NULL};
  struct subprocess sub = {
      .argv = argv, .stdin_fd = hold[0], .stdout_fd = answer[1], .stderr_fd = -1};
  if (subprocess_start (&sub, &httpd->pid, &err) < 0)
    give_up (err_text (&err));
  close (hold[0]);
  close (answer[1]);
  httpd->hold_fd = hold[1];
  read_ports (httpd, answer[0]);
  close (answer[0]);
}

void httpd_stop (struct httpd *httpd)
{
  autoerr struct err err = {0};
  autoclose int tmp = open ("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int status;

  close (httpd->hold_fd);
  close (httpd->dir_fd);
  if (subprocess_wait (httpd->pid, &status, &err) < 0 ||
      fd_remove_tree (tmp, httpd->path, &err) < 0)
    fprintf (stderr, "httpd: %s\n", err_text (&err));
  free (httpd->path);
}

void httpd_put (const struct httpd *httpd, const char *name, const void *data, size_t len)
{
  autofree char *path = xasprintf ("%s/files/%s", httpd->path, name);
  autoclose int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

  if (fd < 0 || fd_write_all (fd, data, len) < 0)
    give_up (path);
}

unsigned char *httpd_bytes (size_t size, unsigned seed)
{
  unsigned char *data = xmalloc (size);
  uint32_t state = seed * 2654435761U + 1;

  for (size_t i = 0; i < size; i++) {
    state = state * 1664525 + 1013904223;
    data[i] = (unsigned char) (state >> 24);
  }
  return data;
}

char *httpd_url (const struct httpd *httpd, enum httpd_port port, const char *tail)
{
  return xasprintf ("%s://127.0.0.1:%u/%s", port >= HTTPD_HTTPS ? "https" : "http",
                    httpd->ports[port], tail);
}

char *httpd_ca (const struct httpd *httpd, const char *name)
{
  return xasprintf ("%s/ca/%s", httpd->path, name);
}

static char *log_path (const struct httpd *httpd)
{
  return xasprintf ("%s/log", httpd->path);
}

size_t httpd_logged (const struct httpd *httpd, const char *text)
{
  autofree char *path = log_path (httpd);
  autofree char *line = NULL;
  FILE *log = fopen (path, "re");
  size_t size = 0, count = 0;

  if (!log)
    return 0;
  while (getline (&line, &size, log) >= 0)
    count += strstr (line, text) != NULL;
  fclose (log);
  return count;
}

void httpd_forget (const struct httpd *httpd)
{
  autofree char *path = log_path (httpd);

  unlink (path);
}
