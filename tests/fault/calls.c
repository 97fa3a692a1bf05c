/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "calls.h"
#include "util/cleanup.h"
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#define SPACE ENOSPC, EIO, ENOMEM
#define LINKS ENOSPC, EIO, ENOMEM, EMLINK
#define FILES ENOSPC, EIO, ENOMEM, EMFILE, EINTR
#define DATA ENOSPC, EIO, EINTR
#define SYNC ENOSPC, EIO
#define MOUNT ENOMEM, EIO
#define CALL(name, kind, errors)                                                                   \
  {                                                                                                \
    SYS_##name, #name, kind,                                                                       \
    {                                                                                              \
      errors                                                                                       \
    }                                                                                              \
  }

const struct call calls[] = {
    /* names */
    CALL (linkat, CALL_TWO, LINKS),
    CALL (symlinkat, CALL_PATH, SPACE),
    CALL (renameat2, CALL_TWO, LINKS),
    CALL (mkdirat, CALL_AT, LINKS),
    CALL (mknodat, CALL_AT, SPACE),
    CALL (unlinkat, CALL_AT, SPACE),
    CALL (openat, CALL_AT, FILES),
    CALL (openat2, CALL_AT, FILES),
#ifdef SYS_renameat
    CALL (renameat, CALL_TWO, LINKS),
#endif
#ifdef SYS_open
    CALL (link, CALL_PATH, LINKS),
    CALL (symlink, CALL_PATH, SPACE),
    CALL (rename, CALL_PATH, LINKS),
    CALL (mkdir, CALL_PATH, LINKS),
    CALL (mknod, CALL_PATH, SPACE),
    CALL (unlink, CALL_PATH, SPACE),
    CALL (rmdir, CALL_PATH, SPACE),
    CALL (open, CALL_PATH, FILES),
    CALL (creat, CALL_PATH, FILES),
#endif
    /* contents */
    CALL (write, CALL_FD, DATA),
    CALL (pwrite64, CALL_FD, DATA),
    CALL (writev, CALL_FD, DATA),
    CALL (pwritev, CALL_FD, DATA),
    CALL (pwritev2, CALL_FD, DATA),
    CALL (sendfile, CALL_FD, DATA),
    CALL (copy_file_range, CALL_FD, DATA),
    CALL (truncate, CALL_PATH, DATA),
    CALL (ftruncate, CALL_FD, DATA),
    CALL (fallocate, CALL_FD, DATA),
    CALL (ioctl, CALL_FD, SPACE),
    /* metadata */
    CALL (fchmod, CALL_FD, SPACE),
    CALL (fchmodat, CALL_AT, SPACE),
    CALL (fchown, CALL_FD, SPACE),
    CALL (fchownat, CALL_AT, SPACE),
    CALL (utimensat, CALL_AT, SPACE),
    CALL (setxattr, CALL_PATH, SPACE),
    CALL (lsetxattr, CALL_PATH, SPACE),
    CALL (fsetxattr, CALL_FD, SPACE),
    CALL (removexattr, CALL_PATH, SPACE),
    CALL (lremovexattr, CALL_PATH, SPACE),
    CALL (fremovexattr, CALL_FD, SPACE),
#ifdef SYS_fchmodat2
    CALL (fchmodat2, CALL_AT, SPACE),
#endif
#ifdef SYS_chmod
    CALL (chmod, CALL_PATH, SPACE),
    CALL (chown, CALL_PATH, SPACE),
    CALL (lchown, CALL_PATH, SPACE),
    CALL (utime, CALL_PATH, SPACE),
    CALL (utimes, CALL_PATH, SPACE),
    CALL (futimesat, CALL_AT, SPACE),
#endif
    /* durability */
    CALL (fsync, CALL_FD, SYNC),
    CALL (fdatasync, CALL_FD, SYNC),
    CALL (syncfs, CALL_FD, SYNC),
    CALL (sync_file_range, CALL_FD, SYNC),
    /* mounts */
    CALL (mount, CALL_AT, MOUNT),
    CALL (umount2, CALL_PATH, MOUNT),
    CALL (pivot_root, CALL_PATH, MOUNT),
#ifdef SYS_fsmount
    CALL (fsmount, CALL_OTHER, MOUNT),
    CALL (move_mount, CALL_AT, MOUNT),
#endif
#ifdef SYS_mount_setattr
    CALL (mount_setattr, CALL_AT, MOUNT),
#endif
};

const size_t calls_count = sizeof calls / sizeof *calls;

const struct call *call_find (int number)
{
  for (size_t i = 0; i < calls_count; i++)
    if (calls[i].number == number)
      return &calls[i];
  return NULL;
}

bool call_can_fail (const struct call *call, int error)
{
  for (size_t i = 0; i < sizeof call->errors / sizeof *call->errors; i++)
    if (call->errors[i] && call->errors[i] == error)
      return true;
  return false;
}

struct program {
  struct sock_filter *items; /* owned */
  unsigned short count;
};

static void add (struct program *program, unsigned short code, uint32_t k, uint8_t yes, uint8_t no)
{
  program->items[program->count++] = (struct sock_filter) BPF_JUMP (code, k, yes, no);
}

static void add_return (struct program *program, uint32_t action)
{
  add (program, BPF_RET | BPF_K, action, 0, 0);
}

/* The low half of argument @n into the accumulator. */
static void add_load_argument (struct program *program, unsigned n)
{
  uint32_t low = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;

  add (program, BPF_LD | BPF_W | BPF_ABS,
       (uint32_t) offsetof (struct seccomp_data, args) + 8 * n + low, 0, 0);
}

/* Calls of @number with one of @bits in the argument @n. */
static void add_if_flags (struct program *program, int number, unsigned n, uint32_t bits)
{
  add (program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) number, 0, 4);
  add_load_argument (program, n);
  add (program, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
  add_return (program, SECCOMP_RET_USER_NOTIF);
  add_return (program, SECCOMP_RET_ALLOW);
}

static void add_ioctls (struct program *program)
{
  static const uint32_t requests[] = {FICLONE, FICLONERANGE, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR};
  enum { REQUESTS = sizeof requests / sizeof *requests };

  add (program, BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 2 + 2 * REQUESTS);
  add_load_argument (program, 1);
  for (size_t i = 0; i < REQUESTS; i++) {
    add (program, BPF_JMP | BPF_JEQ | BPF_K, requests[i], 0, 1);
    add_return (program, SECCOMP_RET_USER_NOTIF);
  }
  add_return (program, SECCOMP_RET_ALLOW);
}

struct sock_fprog call_filter (void)
{
  /* __O_TMPFILE without O_DIRECTORY, which it comes with. */
  const uint32_t making = O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
  struct program program = {.items = xcalloc (64 + 2 * calls_count, sizeof *program.items)};

  add (&program, BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr), 0, 0);
  add_if_flags (&program, SYS_openat, 2, making);
#ifdef SYS_open
  add_if_flags (&program, SYS_open, 1, making);
#endif
  add_ioctls (&program);
  for (size_t i = 0; i < calls_count; i++) {
    add (&program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) calls[i].number, 0, 1);
    add_return (&program, SECCOMP_RET_USER_NOTIF);
  }
  add_return (&program, SECCOMP_RET_ALLOW);
  return (struct sock_fprog){.len = program.count, .filter = program.items};
}
