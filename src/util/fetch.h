/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that comes over the network: many files at a time, resumed, verified, tried again.
 *
 * A session (struct fetch) keeps connections from one call to the next. A request names one file by
 * one or several URLs, what it must be (size, digests), and where its bytes go: a file, memory, or
 * a function that gets them in order. Requests are run by fetch_run, several at a time, or opened
 * as a stream that is read from. What became of each is in its result; a failure of one stops no
 * other.
 *
 * Schemes: http, https, and by choice ftp and file. TLS is always verified. Redirects are followed
 * up to FETCH_REDIRECTS_MAX times, to http and https only, never from https to http. Credentials
 * and the request's own headers go to the scheme, host and port of the first URL only (user and
 * password in a URL to that URL only); no message ever shows them.
 *
 * A file is written as NAME.part, with a lock on it, and renamed when it is complete and verified;
 * nothing is synced. A part that is there is continued: by a digest in the request, which decides
 * in the end; else only if the server says that it still has the same file (ETag or Last-Modified,
 * which are kept as an extended attribute of the part). A part that another process is writing is
 * waited for, and its result taken. What does not verify is removed and fetched once more from
 * nothing, elsewhere if there are more URLs.
 *
 * Network errors, stalls, and the statuses 408, 429 and 5xx are tried again, on the other URLs
 * first, then after a pause that doubles, with jitter; Retry-After is obeyed within bounds. A try
 * that brought the file forward does not count. Other refusals are final for their URL.
 *
 * From the environment, where the configuration says nothing: http_proxy, https_proxy, ftp_proxy,
 * all_proxy, no_proxy (also in capitals, but for http_proxy); CURL_CA_BUNDLE, SSL_CERT_FILE,
 * SSL_CERT_DIR.
 *
 * A session belongs to one thread and to the process that opened it. The process ignores SIGPIPE.
 * SIGINT and others (util/interrupt.h) end what runs; parts stay. */
#ifndef VG_UTIL_FETCH_H
#define VG_UTIL_FETCH_H

#include "util/checksum.h"
#include <sys/types.h>

#define FETCH_SIZE_UNKNOWN UINT64_MAX
enum { FETCH_REDIRECTS_MAX = 10, FETCH_REFUSAL_MAX = 4096 };

/* Schemes; a mask. */
enum { FETCH_HTTP = 1, FETCH_HTTPS = 2, FETCH_FTP = 4, FETCH_FILE = 8 };

struct fetch;
struct fetch_stream;

struct fetch_progress {
  size_t files;   /* requests of this fetch_run */
  size_t ended;   /* of them */
  uint64_t done;  /* bytes that are there, of all files; parts from before included */
  uint64_t total; /* bytes of all files; FETCH_SIZE_UNKNOWN when that is not known yet */
  uint64_t rate;  /* bytes a second, over the network, of late */
};

/* Zero means the default. Strings are copied. */
struct fetch_config {
  unsigned schemes;           /* default: FETCH_HTTP | FETCH_HTTPS */
  unsigned parallel;          /* transfers at a time; 8 */
  unsigned parallel_host;     /* of those, at one host; 4 */
  unsigned retries;           /* rounds over the URLs after the first; 5. FETCH_NO_RETRIES: none */
  unsigned pause_ms;          /* before the first of them; 500 */
  unsigned pause_max_ms;      /* before any, Retry-After included; 60000 */
  unsigned connect_timeout_s; /* 30 */
  unsigned stall_s;           /* slower than stall_bytes for so long is a failure; 30 */
  unsigned stall_bytes;       /* a second; 100 */
  const char *proxy;          /* URL; "": none at all. NULL: from the environment */
  const char *no_proxy;       /* hosts, separated by commas. NULL: from the environment */
  const char *ca_file;        /* PEM; NULL: from the environment, else the host's */
  const char *ca_dir;
  const char *user_agent; /* "vguest/VERSION" */

  /* Called at most ten times a second from within fetch_run; may be NULL. */
  void (*on_progress) (void *data, const struct fetch_progress *progress);
  void *data;
};
#define FETCH_NO_RETRIES UINT32_MAX

/* ERR_USAGE for a certificate file or directory that is not there, and names where it is set;
 * ELIBACC where libcurl is not installed. */
int fetch_open (const struct fetch_config *config, struct fetch **ret_fetch, struct err *err);
void fetch_close (struct fetch *fetch);
static inline void cleanup_fetch (struct fetch **fetch)
{
  if (*fetch)
    fetch_close (*fetch);
}
#define autofetch __attribute__ ((cleanup (cleanup_fetch)))

enum fetch_outcome {
  FETCH_PENDING,      /* not begun */
  FETCH_DONE,         /* it is there, complete, and verified as far as the request said how */
  FETCH_NOT_MODIFIED, /* if_none_match or if_modified_since held: nothing was written */
  FETCH_REFUSED,      /* the server's answer: result.status */
  FETCH_NETWORK,      /* no answer, a broken one, or an overloaded server: worth another run */
  FETCH_MISMATCH,     /* size or digest is another one, or there is more than size_max */
  FETCH_FORBIDDEN,    /* we do not do that: a scheme, a redirect, a certificate, a bad request */
  FETCH_LOCAL,        /* this host: the disk is full, a callback failed, … */
  FETCH_INTERRUPTED,  /* by a signal */
};

struct fetch_result {
  enum fetch_outcome outcome;
  struct err err; /* owned; set unless DONE or NOT_MODIFIED: names the URL */
  long status;    /* of the last answer; 0 when there was none, or not HTTP */
  char *url;      /* owned; where the last answer came from; no credentials, no query */
  char **headers; /* owned; "name: value" of the last answer */
  size_t header_count;
  uint64_t size;            /* of the file; for HEAD the Content-Length or FETCH_SIZE_UNKNOWN */
  uint64_t received;        /* bytes of the file that came over the network, in all tries */
  unsigned tries;           /* connections and redirects */
  bool existed;             /* it was there already: see fetch_request.keep */
  bool weak;                /* verified by nothing, by size alone, or by MD5 or SHA-1 */
  struct checksum checksum; /* what decided, or kind CHECKSUM_NONE; computed, not claimed */
  struct checksum sha256;   /* with want_sha256 */
  char *body; /* owned; FETCH_TO_MEMORY; or the start of a refusal's text. NUL after */
  size_t body_len;
};

enum fetch_sink {
  FETCH_TO_FILE,
  FETCH_TO_MEMORY,   /* size_max is needed */
  FETCH_TO_CALLBACK, /* bytes in order, each once, before they are verified as a whole */
  FETCH_HEAD,        /* HEAD: no body */
};

/* Everything is borrowed, and has to stay until the request has ended. Start with
 * FETCH_REQUEST_INIT; end with fetch_result_release. */
struct fetch_request {
  const char *const *urls; /* NULL-terminated, the preferred one first: all have the same file */
  enum fetch_sink sink;

  /* FETCH_TO_FILE. */
  int dir_fd;
  const char *name; /* one component; a file of that name is replaced */
  mode_t mode;      /* 0644 */
  bool keep;        /* a file of that name that verifies is left, and nothing is fetched */

  /* FETCH_TO_CALLBACK. Negative with @err ends the request (FETCH_LOCAL). Where a transfer broke
   * and cannot be continued, on_restart is told that all comes again; without it the bytes that
   * came already are skipped if the server says, or a digest will, that they are the same; else the
   * request fails. */
  int (*on_bytes) (void *data, const void *bytes, size_t len, struct err *err);
  int (*on_restart) (void *data, struct err *err);
  void *data;

  /* What it must be. Of several digests the strongest decides. */
  uint64_t size;     /* FETCH_SIZE_UNKNOWN: any */
  uint64_t size_max; /* enforced while receiving; FETCH_SIZE_UNKNOWN: any */
  const struct checksum *checksums;
  size_t checksum_count;
  bool want_sha256; /* compute it in any case */

  /* How to ask. */
  const char *user; /* basic authentication */
  const char *password;
  const char *bearer;            /* or a token */
  const char *const *headers;    /* "Name: value", NULL-terminated; may be NULL */
  const char *if_none_match;     /* an ETag with its quotes */
  const char *if_modified_since; /* an HTTP date, such as from Last-Modified */

  struct fetch_result result;
};
#define FETCH_REQUEST_INIT                                                                         \
  {                                                                                                \
    .dir_fd = -1, .mode = 0644, .size = FETCH_SIZE_UNKNOWN, .size_max = FETCH_SIZE_UNKNOWN         \
  }

/* Runs them all to their ends. 0 also when some failed: see their results. ERR_INTERRUPTED after a
 * signal; all have an outcome then. */
int fetch_run (struct fetch *fetch, struct fetch_request *requests, size_t count, struct err *err);

/* One request; its failure is this call's, with the error handed over. 0 for DONE and
 * NOT_MODIFIED. Codes beyond those of above: ENOENT (404, 410), EACCES (401, 403), EPROTO, EIO,
 * ETIMEDOUT, ENETUNREACH, EBADMSG (mismatch), EFBIG, EPERM (forbidden). */
int fetch_one (struct fetch *fetch, struct fetch_request *request, struct err *err);

/* The value of the header @name (any case) of the last answer; NULL when it has none. Borrowed. */
const char *fetch_header (const struct fetch_result *result, const char *name);

/* Frees what is in it and makes it empty, for a new run. */
void fetch_result_release (struct fetch_result *result);

/* A request that is read from: one pass of hash, decompression and unpacking over bytes that are
 * still coming. request->sink is not looked at; on_restart is not used. Other requests of the
 * session go on while a stream is read, and it while they run, up to a buffer of 1 MiB. */
int fetch_stream_open (struct fetch *fetch, struct fetch_request *request,
                       struct fetch_stream **ret_stream, struct err *err);

/* The next bytes: 1 with *@ret_data and *@ret_len (more than 0), valid until the next call; 0 at
 * the end, once all is verified; negative when it failed, and request->result says how. */
int fetch_stream_read (struct fetch_stream *stream, const void **ret_data, size_t *ret_len,
                       struct err *err);

/* Bytes of the whole, once something was read; FETCH_SIZE_UNKNOWN when the server does not say. */
uint64_t fetch_stream_total (const struct fetch_stream *stream);

/* Ends it; early, too. Takes NULL. Before fetch_close. */
void fetch_stream_close (struct fetch_stream *stream);

/* @url as messages may show it: without user, password and query. The caller's string. Needs no
 * session, and libcurl for best results only. */
char *fetch_url_for_people (const char *url);

#endif
