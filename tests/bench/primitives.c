/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways to do what unify and clone do, measured one by one; nothing of vguest is in it.
 *
 *   primitives stat DIR plain|uring THREADS ITEM ORDER
 *   primitives hash DIR read|nowait|mmap|uring THREADS ITEM ORDER PIECE
 *
 * Both print microseconds, and how many files and bytes it was. The names of the tree below DIR are
 * read before the time begins. THREADS take ITEM files at a time, 0: those of a directory; with
 * uring it is how many requests each keeps going. ORDER is found, directory (as found, but by inode
 * number within each) or inode. PIECE is how much is read at once, in KiB; 0: the whole file. */
#include "primitive.h"
#include <dirent.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

static atomic_ullong bytes_read;

/* What was asked for. */
static const char *method;
static size_t piece;
static bool only_stat;

static int compare_inodes (const void *a, const void *b)
{
  uint64_t x = ((const struct file *) a)->ino, y = ((const struct file *) b)->ino;

  return x < y ? -1 : x > y;
}

static void sort_from (size_t first)
{
  if (file_count > first)
    qsort (files + first, file_count - first, sizeof *files, compare_inodes);
}

/* The directories stay open. Their files come first, then those below. */
static void list (int above, const char *name, bool sorted)
{
  int fd = openat (above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NOATIME);
  DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  size_t first = file_count;
  const struct dirent *entry;

  if (!dir)
    fail ("open the directory", name);
  while ((entry = readdir (dir)))
    if (entry->d_type == DT_REG)
      add_file (fd, entry->d_name, entry->d_ino);
  if (sorted)
    sort_from (first);
  rewinddir (dir);
  while ((entry = readdir (dir)))
    if (entry->d_type == DT_DIR && strcmp (entry->d_name, ".") != 0 &&
        strcmp (entry->d_name, "..") != 0)
      list (fd, entry->d_name, sorted);
}

/* What a thread has for itself. */
struct worker {
  EVP_MD_CTX *ctx;
  const EVP_MD *md;
  char *buffer;
  size_t buffer_size;
};

static void hash_start (struct worker *worker)
{
  if (EVP_DigestInit_ex2 (worker->ctx, worker->md, NULL) != 1)
    fail ("begin", "a digest");
}

static void hash_add (struct worker *worker, const void *data, size_t len)
{
  if (EVP_DigestUpdate (worker->ctx, data, len) != 1)
    fail ("compute", "a digest");
}

static void hash_end (struct worker *worker)
{
  unsigned char digest[EVP_MAX_MD_SIZE];

  if (EVP_DigestFinal_ex (worker->ctx, digest, NULL) != 1)
    fail ("end", "a digest");
}

static char *buffer_of (struct worker *worker, size_t size)
{
  if (worker->buffer_size < size) {
    free (worker->buffer);
    worker->buffer = need (malloc (size));
    worker->buffer_size = size;
  }
  return worker->buffer;
}

static void hash_map (struct worker *worker, int fd, const struct file *file, size_t size)
{
  void *map = mmap (NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

  if (map == MAP_FAILED)
    fail ("map", file->name);
  madvise (map, size, MADV_SEQUENTIAL);
  hash_add (worker, map, size);
  munmap (map, size);
}

/* With @nowait what is in memory comes first, and what came from the disk is given back. */
static void hash_read (struct worker *worker, int fd, const struct file *file, size_t size,
                       bool nowait)
{
  size_t most = piece ? piece : size, at = 0;
  char *buffer = buffer_of (worker, most);
  off_t cold = -1;

  while (at < size) {
    struct iovec iov = {buffer, most};
    ssize_t n = nowait && cold < 0 ? preadv2 (fd, &iov, 1, (off_t) at, RWF_NOWAIT) : -1;

    if (nowait && cold < 0 && n < 0 && errno == EAGAIN) {
      cold = (off_t) at;
      posix_fadvise (fd, cold, 0, POSIX_FADV_SEQUENTIAL);
    }
    if (n < 0)
      n = pread (fd, buffer, most, (off_t) at);
    if (n < 0)
      fail ("read", file->name);
    if (n == 0)
      break;
    hash_add (worker, buffer, (size_t) n);
    at += (size_t) n;
  }
  if (cold >= 0)
    posix_fadvise (fd, cold, 0, POSIX_FADV_DONTNEED);
}

static void do_plain (struct worker *worker, const struct file *file)
{
  struct stat st;

  if (only_stat) {
    if (fstatat (file->dir_fd, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      fail ("stat", file->name);
    return;
  }
  int fd =
      openat (file->dir_fd, file->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
  if (fd < 0)
    fail ("open", file->name);
  if (fstat (fd, &st) < 0)
    fail ("stat", file->name);
  size_t size = (size_t) st.st_size;
  hash_start (worker);
  if (size && strcmp (method, "mmap") == 0)
    hash_map (worker, fd, file, size);
  else if (size)
    hash_read (worker, fd, file, size, strcmp (method, "nowait") == 0);
  hash_end (worker);
  atomic_fetch_add (&bytes_read, size);
  close (fd);
}

/* A file on its way through a ring. */
struct flight {
  const struct file *file;
  int fd;
  int left; /* requests whose end is awaited */
  int n;    /* of the first piece */
  struct statx st;
  char *buffer;
};

enum { TAG_STAT, TAG_READ, TAG_OPEN, TAG_SHIFT = 2 };

static void ask_read (struct ring *ring, struct flight *flight, uint64_t number)
{
  struct io_uring_sqe *request =
      ring_request (ring, IORING_OP_READ, flight->fd, number << TAG_SHIFT | TAG_READ);

  request->addr = (uint64_t) (uintptr_t) flight->buffer;
  request->len = (unsigned) piece;
  flight->left++;
}

static void ask_stat (struct ring *ring, struct flight *flight, int fd, const char *name,
                      unsigned flags, uint64_t number)
{
  struct io_uring_sqe *request =
      ring_request (ring, IORING_OP_STATX, fd, number << TAG_SHIFT | TAG_STAT);

  request->addr = (uint64_t) (uintptr_t) name;
  request->len = STATX_BASIC_STATS;
  request->off = (uint64_t) (uintptr_t) &flight->st;
  request->statx_flags = flags;
  flight->left++;
}

static void launch (struct ring *ring, struct flight *flight, const struct file *file,
                    uint64_t number)
{
  flight->file = file;
  flight->left = 0;
  if (only_stat) {
    ask_stat (ring, flight, file->dir_fd, file->name, AT_SYMLINK_NOFOLLOW, number);
    return;
  }
  struct io_uring_sqe *request =
      ring_request (ring, IORING_OP_OPENAT, file->dir_fd, number << TAG_SHIFT | TAG_OPEN);
  request->addr = (uint64_t) (uintptr_t) file->name;
  request->open_flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOATIME;
  flight->left = 1;
}

/* Its first piece is there. There is one digest, and other files are on their way: what a file has
 * more than a piece is read plainly. */
static void land (struct worker *worker, struct flight *flight)
{
  size_t size = (size_t) flight->st.stx_size;
  size_t at = (size_t) flight->n;

  hash_start (worker);
  hash_add (worker, flight->buffer, at);
  for (ssize_t n = 1; at < size && n > 0; at += (size_t) n) {
    n = pread (flight->fd, flight->buffer, piece, (off_t) at);
    if (n < 0)
      fail ("read", flight->file->name);
    hash_add (worker, flight->buffer, (size_t) n);
  }
  hash_end (worker);
  atomic_fetch_add (&bytes_read, size);
  close (flight->fd);
}

static void do_ring (struct worker *worker)
{
  struct flight *flights = need (calloc (item, sizeof *flights));
  char *buffers = need (malloc (item * piece + 1));
  size_t flying = 0;
  struct ring ring;
  uint64_t data;
  int result;

  if (ring_open (&ring, (unsigned) item * 2) < 0)
    fail ("open", "a ring");
  for (size_t i = 0; i < item; i++) {
    size_t n = atomic_fetch_add (&next_file, 1);

    if (n >= file_count)
      break;
    flights[i].buffer = buffers + i * piece;
    launch (&ring, &flights[i], &files[n], i);
    flying++;
  }
  while (flying) {
    if (ring_wait (&ring) < 0)
      fail ("wait for", "a ring");
    while (ring_done (&ring, &data, &result)) {
      uint64_t number = data >> TAG_SHIFT;
      struct flight *flight = &flights[number];

      if (result < 0) {
        errno = -result;
        fail ("open, stat or read", flight->file->name);
      }
      flight->left--;
      if ((data & 3) == TAG_OPEN) {
        flight->fd = result;
        ask_stat (&ring, flight, flight->fd, "", AT_EMPTY_PATH, number);
        ask_read (&ring, flight, number);
      } else if ((data & 3) == TAG_READ) {
        flight->n = result;
      }
      if (flight->left)
        continue;
      if (!only_stat)
        land (worker, flight);
      size_t n = atomic_fetch_add (&next_file, 1);
      if (n < file_count)
        launch (&ring, flight, &files[n], number);
      else
        flying--;
    }
  }
  free (buffers);
  free (flights);
}

static void *work (void *data)
{
  struct worker *worker = data;
  size_t from, end;

  if (strcmp (method, "uring") == 0) {
    do_ring (worker);
    return NULL;
  }
  while (take (&from, &end))
    for (size_t i = from; i < end; i++)
      do_plain (worker, &files[i]);
  return NULL;
}

/* Each directory that is read stays open. */
static void allow_descriptors (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) < 0)
    fail ("ask for", "the limit of descriptors");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit (RLIMIT_NOFILE, &limit) < 0)
    fail ("raise", "the limit of descriptors");
}

int main (int argc, char **argv)
{
  struct worker workers[THREADS_MAX] = {0};
  void *data[THREADS_MAX];

  only_stat = argc == 7 && strcmp (argv[1], "stat") == 0;
  if (!only_stat && (argc != 8 || strcmp (argv[1], "hash") != 0)) {
    fputs ("Usage: primitives stat DIR METHOD THREADS ITEM ORDER\n"
           "       primitives hash DIR METHOD THREADS ITEM ORDER PIECE\n",
           stderr);
    return 2;
  }
  method = argv[3];
  size_t threads = number_of (argv[4], THREADS_MAX);
  item = number_of (argv[5], DEPTH_MAX);
  by_directory = item == 0;
  piece = only_stat ? 0 : number_of (argv[7], 1 << 20) << 10;
  allow_descriptors ();
  list (AT_FDCWD, argv[2], strcmp (argv[6], "directory") == 0);
  if (strcmp (argv[6], "inode") == 0)
    sort_from (0);
  for (size_t i = 0; i < threads; i++) {
    workers[i].md = need (EVP_MD_fetch (NULL, "SHA256", NULL));
    workers[i].ctx = need (EVP_MD_CTX_new ());
    data[i] = &workers[i];
  }
  long long us = run_threads (work, data, threads);
  printf ("%lld %zu %llu\n", us, file_count, (unsigned long long) atomic_load (&bytes_read));
  return 0;
}
