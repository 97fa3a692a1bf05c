/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the fetch_*.c files.
 *
 * A transfer is one request on its way. It begins (takes one of the session's places, opens its
 * part), makes one try after another, each an easy handle of libcurl, and ends; between tries it
 * keeps its place and waits, so that a host that is down is not asked by everybody.
 *
 * A try: fetch_try.c sets it up and takes its bytes; fetch_answer.c judges what came of it, and
 * what is next. */
#ifndef VG_UTIL_FETCH_INTERNAL_H
#define VG_UTIL_FETCH_INTERNAL_H

#include "fetch.h"
#include "fetch_header.h"
#include "strbuf.h"
#include "libcurl.h"

enum {
  FETCH_STREAM_BUFFER = 1 << 20,
  FETCH_POLL_MS = 200,
  FETCH_LOCK_POLL_MS = 50,
  FETCH_FORWARD = 64 << 10, /* bytes by which a try must bring a file forward not to count */
};

/* A scheme, host and port that is asked. */
struct fetch_host {
  struct fetch_host *next;
  char *origin;      /* owned; "https://host:443" */
  unsigned users;    /* transfers that have begun there */
  unsigned failures; /* network errors in a row */
  bool down;         /* a transfer gave it up: nobody tries again */
};

struct fetch {
  struct fetch_config config; /* strings owned; no zeros */
  CURLM *multi;
  CURLSH *share;
  struct transfer *transfers; /* not owned: by fetch_run and streams */
  struct transfer **last;     /* where the next one goes */
  struct fetch_host *hosts;   /* owned */
  unsigned begun;

  uint64_t received; /* over the network, of all times */
  uint64_t shown_us; /* when the last progress was told */
  uint64_t shown_received;
  double rate;
};

/* Where a transfer may go for one of its URLs. */
struct fetch_place {
  char *url;      /* owned; without user and password */
  char *user;     /* owned; from the URL; decoded; NULL */
  char *password; /* owned */
  struct fetch_host *host;
  bool dead;           /* its answer was final */
  uint64_t not_before; /* Retry-After; 0 */
};

enum transfer_state { TRANSFER_WAITING, TRANSFER_TRYING, TRANSFER_ENDED };

/* What the body of an answer is taken for. */
enum fetch_body { FETCH_BODY_UNKNOWN, FETCH_BODY_FILE, FETCH_BODY_REFUSAL };

struct transfer {
  struct fetch *fetch;
  struct fetch_request *request; /* borrowed, with its result */
  struct transfer *next, **link; /* in fetch->transfers */
  enum transfer_state state;
  bool begun;
  bool waited;     /* for another process with the same part */
  uint64_t due_us; /* not before */

  struct fetch_place *places; /* owned */
  size_t place_count;
  size_t at;               /* the place that is asked */
  struct fetch_host *host; /* whose user this is; NULL */
  unsigned round;          /* of all places, without getting forward */
  unsigned mismatches;
  bool no_cache; /* ask caches along the way to ask again */
  bool stuck;    /* bytes are out that cannot be taken back: no further try makes sense */
  bool no_range; /* it has been seen not to work */

  /* The file so far. */
  const struct checksum *expected; /* borrowed; NULL */
  struct checksummer *sum;         /* owned */
  uint64_t offset;                 /* bytes that are there, and in sum */
  uint64_t furthest;               /* the largest offset of all tries */
  uint64_t total;                  /* as the server has it; FETCH_SIZE_UNKNOWN */
  char *validator;                 /* owned; of the server's file; NULL */
  size_t validator_at;             /* the place that gave it */
  int part_fd;                     /* owned */
  struct strbuf memory;            /* FETCH_TO_MEMORY */
  struct fetch_stream *stream;     /* borrowed; NULL */

  /* The try. */
  CURL *easy;              /* owned */
  struct curl_slist *list; /* owned */
  char *redirected;        /* owned; where to, instead of the place's URL */
  unsigned redirects;
  uint64_t range_from; /* 0: everything was asked for */
  struct fetch_headers headers;
  enum fetch_body body;
  uint64_t skip; /* bytes that come again */
  struct strbuf refusal;
  bool paused; /* until the stream is read */
  uint64_t refusal_received;
  enum fetch_outcome fault; /* found while receiving; FETCH_PENDING: none */
  bool enough;              /* the try was cut short on purpose */
  struct err err;           /* of it */
  char message[CURL_ERROR_SIZE];
};

/* fetch.c */
/* Starts what may start, waits at most @wait_ms for something to happen, lets libcurl work. */
int fetch_step (struct fetch *fetch, int wait_ms, struct err *err);
/* Gives the transfer's place in the session and at its host to others. */
void fetch_leave (struct transfer *transfer);

/* fetch_transfer.c */
/* Puts it into the session; it may have ended already, when the request makes no sense. It must not
 * move in memory until it is released. */
void fetch_transfer_init (struct transfer *transfer, struct fetch *fetch,
                          struct fetch_request *request);
void fetch_transfer_release (struct transfer *transfer);
/* The result is complete. */
void fetch_end (struct transfer *transfer, enum fetch_outcome outcome);
/* The same with transfer->err as the error, which is moved. */
void fetch_end_failed (struct transfer *transfer, enum fetch_outcome outcome);

/* fetch_url.c */
int fetch_place_init (struct fetch *fetch, const char *url, struct fetch_place *ret_place,
                      struct err *err);
void fetch_place_release (struct fetch_place *place);
/* "scheme://host:port"; the caller's; NULL for what is no URL. */
char *fetch_url_origin (const char *url);
/* FETCH_HTTP, …; 0. */
unsigned fetch_url_scheme (const char *url);
/* Without user and password; the caller's; NULL for what is no URL. */
char *fetch_url_strip (const char *url);
/* The URL of the try. Borrowed. */
const char *fetch_transfer_url (const struct transfer *transfer);

/* fetch_part.c: the file that is written. */
/* Opens and locks the part, and hashes what is there. 1; 0 when another process has it; negative.
 * With transfer->request->keep, or after waiting, the result may be there: *ret_existed. */
int fetch_part_open (struct transfer *transfer, bool *ret_existed, struct err *err);
int fetch_part_write (struct transfer *transfer, const void *data, size_t len, struct err *err);
int fetch_part_restart (struct transfer *transfer, struct err *err);
void fetch_part_note_validator (struct transfer *transfer);
int fetch_part_publish (struct transfer *transfer, struct err *err);
void fetch_part_close (struct transfer *transfer, bool remove);

/* fetch_sink.c: where the bytes go. */
/* Judges the head of an answer and prepares for its body. Negative: fault and err are set. */
int fetch_body_begin (struct transfer *transfer);
int fetch_body_add (struct transfer *transfer, const void *data, size_t len);
/* Forgets what is there. */
int fetch_sink_restart (struct transfer *transfer);
/* Sets a fault, for err that is set. Returns -1. */
int fetch_fault (struct transfer *transfer, enum fetch_outcome fault);
/* Ends digests, and compares. Negative: mismatch, with err set. */
int fetch_verify (struct transfer *transfer, struct err *err);

/* fetch_try.c */
int fetch_try_start (struct transfer *transfer, struct err *err);
void fetch_try_release (struct transfer *transfer);

/* fetch_answer.c */
/* The try has ended with @code: ends the transfer, or says what is next. */
void fetch_answer (struct transfer *transfer, CURLcode code);
/* All bytes are there: verifies and publishes. */
void fetch_finish (struct transfer *transfer);
/* This place did not work, with transfer->err: the next one, later, or the end. */
void fetch_place_failed (struct transfer *transfer, enum fetch_outcome outcome, bool again,
                         uint64_t retry_after_s);

/* fetch_stream.c */
bool fetch_stream_full (const struct fetch_stream *stream);
void fetch_stream_add (struct fetch_stream *stream, const void *data, size_t len);

#endif
