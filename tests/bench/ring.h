/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As much of io_uring as primitives.c needs, by the bare system calls: one thread, no flags. */
#ifndef VG_BENCH_RING_H
#define VG_BENCH_RING_H

#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ring {
  int fd;
  unsigned waiting; /* prepared, not submitted */
  unsigned *sq_tail, *sq_mask, *sq_array;
  unsigned *cq_head, *cq_tail, *cq_mask;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
};

static inline void *ring_map (int fd, size_t size, off_t offset)
{
  void *map = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

  return map == MAP_FAILED ? NULL : map;
}

/* For @depth requests at a time. Returns -1 with errno where it is not allowed, or too old. It goes
 * with the process. */
static inline int ring_open (struct ring *ring, unsigned depth)
{
  struct io_uring_params params = {0};

  memset (ring, 0, sizeof *ring);
  ring->fd = (int) syscall (SYS_io_uring_setup, depth, &params);
  if (ring->fd < 0)
    return -1;
  char *sq = ring_map (ring->fd, params.sq_off.array + params.sq_entries * sizeof (unsigned),
                       IORING_OFF_SQ_RING);
  char *cq =
      ring_map (ring->fd, params.cq_off.cqes + params.cq_entries * sizeof (struct io_uring_cqe),
                IORING_OFF_CQ_RING);
  ring->sqes =
      ring_map (ring->fd, params.sq_entries * sizeof (struct io_uring_sqe), IORING_OFF_SQES);
  if (!sq || !cq || !ring->sqes)
    return -1;
  ring->sq_tail = (unsigned *) (void *) (sq + params.sq_off.tail);
  ring->sq_mask = (unsigned *) (void *) (sq + params.sq_off.ring_mask);
  ring->sq_array = (unsigned *) (void *) (sq + params.sq_off.array);
  ring->cq_head = (unsigned *) (void *) (cq + params.cq_off.head);
  ring->cq_tail = (unsigned *) (void *) (cq + params.cq_off.tail);
  ring->cq_mask = (unsigned *) (void *) (cq + params.cq_off.ring_mask);
  ring->cqes = (struct io_uring_cqe *) (void *) (cq + params.cq_off.cqes);
  return 0;
}

/* The next request, all zero; there must be no more of them than the ring is deep. */
static inline struct io_uring_sqe *ring_request (struct ring *ring, unsigned char opcode, int fd,
                                                 uint64_t data)
{
  unsigned tail = *ring->sq_tail, at = tail & *ring->sq_mask;
  struct io_uring_sqe *request = &ring->sqes[at];

  memset (request, 0, sizeof *request);
  request->opcode = opcode;
  request->fd = fd;
  request->user_data = data;
  ring->sq_array[at] = at;
  __atomic_store_n (ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
  ring->waiting++;
  return request;
}

/* Submits what was prepared, and waits for one that is done. */
static inline int ring_wait (struct ring *ring)
{
  long n =
      syscall (SYS_io_uring_enter, ring->fd, ring->waiting, 1, IORING_ENTER_GETEVENTS, NULL, 0);

  if (n < 0)
    return -1;
  ring->waiting -= (unsigned) n;
  return 0;
}

/* One that is done. Returns 0 when there is none. */
static inline int ring_done (struct ring *ring, uint64_t *ret_data, int *ret_result)
{
  unsigned head = *ring->cq_head;

  if (head == __atomic_load_n (ring->cq_tail, __ATOMIC_ACQUIRE))
    return 0;
  const struct io_uring_cqe *cqe = &ring->cqes[head & *ring->cq_mask];
  *ret_data = cqe->user_data;
  *ret_result = cqe->res;
  __atomic_store_n (ring->cq_head, head + 1, __ATOMIC_RELEASE);
  return 1;
}

#endif
