/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One direction of a connection between two descriptors: bytes in, the same bytes out, and the end
 * of one becomes the end of the other. Never waits by itself: the caller polls. */
#ifndef VG_RUNTIME_RELAY_H
#define VG_RUNTIME_RELAY_H

#include "util/cleanup.h"
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

enum { RELAY_BUFFER = 64 << 10 };

struct relay {
  int from;     /* owned; -1 when it has ended */
  int to;       /* owned; -1 when nobody takes any more, or all was given after the end */
  char *buffer; /* owned */
  size_t start;
  size_t len;
  size_t step;      /* what may be written at once */
  int end_byte;     /* given in place of the end; -1: none */
  bool input_ended; /* by "from", not by us */
  bool to_socket;   /* written with MSG_DONTWAIT */
  int write_errno;  /* why writing failed, but for EPIPE */
  uint64_t total;   /* bytes read */
};

/* Both descriptors are handed over. */
void relay_open (struct relay *relay, int from, int to);

/* A copy of the standard descriptor @fd for a relay's "to": one of its own that does not block
 * where that can be had, as the mode of @fd itself is shared with others. -1 with errno. */
int relay_own (int fd);

/* Fills in what to wait for; a descriptor is -1 where there is nothing. */
void relay_poll (const struct relay *relay, struct pollfd polls[2]);

/* Reads and writes as poll said. */
void relay_handle (struct relay *relay, const struct pollfd polls[2]);

static inline bool relay_ended (const struct relay *relay)
{
  return relay->to < 0;
}

/* No more input is to come: what is buffered is still given. */
void relay_end_input (struct relay *relay);

void relay_close (struct relay *relay);

#endif
