/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tests/lib/http-server for unit tests: a server on loopback, with files and a log. It ends when
 * the test's process does, however that happens. Failures end the test with a message. */
#ifndef VG_TESTS_LIB_HTTPD_H
#define VG_TESTS_LIB_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum httpd_port {
  HTTPD_HTTP,
  HTTPD_OTHER,
  HTTPD_PROXY,
  HTTPD_HTTPS,
  HTTPD_EXPIRED,
  HTTPD_NAME,
  HTTPD_PORTS,
};

struct httpd {
  pid_t pid;
  int hold_fd; /* owned; its end is the server's */
  int dir_fd;  /* owned; a directory for the test, empty */
  char *path;  /* owned; of a temporary directory: files/, log, ca/ */
  unsigned ports[HTTPD_PORTS];
};

void httpd_start (struct httpd *httpd, bool tls);
void httpd_stop (struct httpd *httpd);

/* Makes, or replaces, a file to be served. */
void httpd_put (const struct httpd *httpd, const char *name, const void *data, size_t len);

/* @size bytes that look like nothing, and are always the same for the same @seed: the caller's. */
unsigned char *httpd_bytes (size_t size, unsigned seed);

/* "http://127.0.0.1:PORT/TAIL": the caller's. */
char *httpd_url (const struct httpd *httpd, enum httpd_port port, const char *tail);

/* "DIR/ca/NAME": the caller's. */
char *httpd_ca (const struct httpd *httpd, const char *name);

/* How many requests were logged since the last httpd_forget whose line has @text. */
size_t httpd_logged (const struct httpd *httpd, const char *text);
void httpd_forget (const struct httpd *httpd);

#endif
