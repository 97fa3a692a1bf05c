/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the calls of POSIX and Linux answer on files of the shared layer, one line for each call, to
 * be compared with the answers of a plain file system: see tests/model/posix.bats.
 *
 *   posix prepare DIR    a directory for each case, for a template
 *   posix run DIR        the cases, each in its own
 *
 * A line has the case, the call, and its result: a number, or the name of an error. */
#include "util/cleanup.h"
#include "util/fd.h"
#include <linux/falloc.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *current;

static void say (const char *what, long result)
{
  if (result < 0)
    printf ("%s %s: %s\n", current, what, strerrorname_np (errno));
  else
    printf ("%s %s: %ld\n", current, what, result);
}

/* The contents, as a sum: 0 when it cannot be read. */
static long contents (const char *name)
{
  autoclose int fd = open (name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  unsigned char buffer[4096];
  unsigned long sum = 5381;
  ssize_t n;

  if (fd < 0)
    return 0;
  while ((n = read (fd, buffer, sizeof buffer)) > 0)
    for (ssize_t i = 0; i < n; i++)
      sum = sum * 33 + buffer[i];
  return (long) (sum & 0x7fffffff);
}

static void look (const char *name)
{
  autofree char *what = xasprintf ("look %s", name);
  struct stat st;

  if (lstat (name, &st) < 0) {
    say (what, -1);
    return;
  }
  printf ("%s %s: %o %u:%u %lld %ld\n", current, what, st.st_mode, st.st_uid, st.st_gid,
          S_ISREG (st.st_mode) ? (long long) st.st_size : 0, contents (name));
}

static void make (const char *name, const char *text)
{
  autoclose int fd = open (name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

  if (fd < 0 || fd_write_all (fd, text, strlen (text)) < 0)
    fprintf (stderr, "posix: make %s: %s\n", name, strerror (errno));
}

static int do_rename (const char *from, const char *to, unsigned flags)
{
  return fd_rename (AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void case_rename_kinds (void)
{
  static const char *const things[] = {"f", "g", "d", "full", "empty", "s", "p", "none", "d/a"};
  static const unsigned flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
  size_t count = sizeof things / sizeof *things;

  for (size_t k = 0; k < 3; k++)
    for (size_t i = 0; i < count; i++)
      for (size_t j = 0; j < count; j++) {
        autofree char *what = xasprintf ("rename %s to %s, %u", things[i], things[j], flags[k]);

        say (what, do_rename (things[i], things[j], flags[k]));
      }
  for (size_t i = 0; i < count; i++)
    look (things[i]);
}

static void case_rename_dir (void)
{
  say ("rename into itself", do_rename ("full", "full/sub/in", 0));
  say ("rename", do_rename ("full", "away", 0));
  say ("make it anew", mkdir ("full", 0755));
  look ("full/a");
  look ("away/a");
  look ("away/sub/deep");
  say ("over an empty one", do_rename ("away", "full", 0));
  look ("full/sub/deep");
  say ("over a full one", do_rename ("d", "full", 0));
  say ("a file out of it", do_rename ("full/sub/deep", "g", 0));
  say ("a dot", do_rename ("full/.", "x", 0));
  say ("with a slash", do_rename ("f", "f2/", 0));
}

static void case_link (void)
{
  struct stat a, b;

  say ("link", link ("f", "f2"));
  say ("link again", link ("f", "f2"));
  say ("link a directory", link ("d", "d2"));
  say ("link a symlink", link ("s", "s2"));
  say ("link a fifo", link ("p", "p2"));
  say ("link nothing", link ("none", "n2"));
  if (lstat ("f", &a) == 0 && lstat ("f2", &b) == 0)
    say ("one inode", a.st_ino == b.st_ino && a.st_dev == b.st_dev);
  autoclose int fd = open ("f2", O_WRONLY | O_APPEND | O_CLOEXEC);
  say ("write", write (fd, "more", 4));
  look ("f");
  say ("rename to a link of itself", do_rename ("f", "f2", 0));
  look ("f");
  look ("f2");
}

static void case_unlinked (void)
{
  struct stat st;
  char text[4];
  autoclose int fd = open ("f", O_RDWR | O_CLOEXEC), old = open ("g", O_RDONLY | O_CLOEXEC);

  say ("unlink", unlink ("f"));
  say ("write", pwrite (fd, "0123", 4, 2));
  say ("read", pread (fd, text, 4, 0));
  say ("links", fstat (fd, &st) < 0 ? -1 : (long) st.st_nlink);
  say ("truncate", ftruncate (fd, 1));
  say ("chmod", fchmod (fd, 0600));
  autofree char *path = fd_proc_path (fd, NULL);
  say ("link it back", linkat (AT_FDCWD, path, AT_FDCWD, "back", AT_SYMLINK_FOLLOW));
  say ("unlink what is open to read", unlink ("g"));
  say ("read it", pread (old, text, 4, 0));
  say ("unlink a directory", unlink ("d"));
  say ("unlink nothing", unlink ("none"));
  say ("unlink beyond a file", unlink ("s/x"));
}

static void case_open (void)
{
  static const struct {
    const char *what;
    int flags;
  } ways[] = {{"excl", O_WRONLY | O_CREAT | O_EXCL},
              {"directory", O_RDONLY | O_DIRECTORY},
              {"nofollow", O_RDONLY | O_NOFOLLOW},
              {"write", O_WRONLY},
              {"append", O_WRONLY | O_APPEND},
              {"create", O_RDWR | O_CREAT},
              {"direct", O_RDONLY | O_DIRECT},
              {"noatime", O_RDONLY | O_NOATIME},
              {"path", O_PATH},
              {"tmpfile", O_RDWR | O_TMPFILE},
              {"truncate", O_WRONLY | O_TRUNC}};
  static const char *const names[] = {"f", "d", "s", "s-none", "none/x", "f/x", "."};

  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
      autofree char *what = xasprintf ("open %s, %s", names[j], ways[i].what);
      autoclose int fd = open (names[j], ways[i].flags | O_CLOEXEC, 0640);

      say (what, fd < 0 ? -1 : 0);
      if (fd >= 0 && (ways[i].flags & O_ACCMODE) && !(ways[i].flags & __O_TMPFILE))
        say ("write", write (fd, "text", 4));
    }
  look ("f");
  look ("s-none");
}

static void case_append (void)
{
  autoclose int one = open ("f", O_WRONLY | O_APPEND | O_CLOEXEC);
  autoclose int two = open ("f", O_WRONLY | O_APPEND | O_CLOEXEC);

  say ("write", write (one, "one", 3));
  say ("write", write (two, "two", 3));
  say ("where", lseek (two, 0, SEEK_CUR));
  say ("pwrite appends", pwrite (one, "three", 5, 0));
  look ("f");
}

static void case_space (void)
{
  struct stat st;
  autoclose int fd = open ("big", O_RDWR | O_CLOEXEC);
  autoclose int reader = open ("g", O_RDONLY | O_CLOEXEC);

  say ("punch", fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 16384));
  say ("hole", lseek (fd, 0, SEEK_HOLE));
  say ("data", lseek (fd, 8192, SEEK_DATA));
  say ("grow", fallocate (fd, 0, 0, 200000));
  say ("keep size", fallocate (fd, FALLOC_FL_KEEP_SIZE, 0, 300000));
  say ("zero", fallocate (fd, FALLOC_FL_ZERO_RANGE, 4096, 4096));
  say ("collapse", fallocate (fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
  say ("insert", fallocate (fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
  say ("posix", posix_fallocate (fd, 0, 400000));
  say ("of a reader", fallocate (reader, 0, 0, 10));
  say ("truncate", truncate ("big", 100000));
  say ("truncate to less than nothing", truncate ("big", -1));
  say ("truncate a directory", truncate ("d", 0));
  say ("truncate of a reader", ftruncate (reader, 0));
  say ("size", fstat (fd, &st) < 0 ? -1 : (long) st.st_size);
  say ("end", lseek (fd, 100000, SEEK_DATA));
  look ("big");
}

static void case_mmap (void)
{
  autoclose int fd = open ("big", O_RDWR | O_CLOEXEC), reader = open ("big", O_RDONLY | O_CLOEXEC);
  char *shared = mmap (NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *own = mmap (NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0);
  char *refused = mmap (NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0);
  char text[6];

  say ("of a reader", refused == MAP_FAILED ? -1 : 0);
  if (shared == MAP_FAILED || own == MAP_FAILED) {
    say ("mmap", -1);
    return;
  }
  memcpy (shared + 5000, "shared", 6);
  memset (own + 6000, 1, 3);
  say ("msync", msync (shared, 65536, MS_SYNC));
  say ("read", pread (reader, text, 6, 5000));
  say ("same", memcmp (text, "shared", 6) == 0);
  say ("pwrite", pwrite (fd, "write", 5, 7000));
  say ("seen", memcmp (shared + 7000, "write", 5) == 0);
  say ("munmap", munmap (shared, 65536) + munmap (own, 65536));
  look ("big");
}

/* In a process of its own, so that locks are another's. */
static void try_locks (const char *name, short type)
{
  fflush (stdout);
  pid_t pid = fork ();
  if (pid == 0) {
    autoclose int fd = open (name, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10};

    say ("other's flock", flock (fd, LOCK_EX | LOCK_NB));
    say ("other's fcntl", fcntl (fd, F_SETLK, &lock));
    say ("who", fcntl (fd, F_GETLK, &lock) < 0 ? -1 : (long) lock.l_type);
    fflush (stdout);
    _exit (0);
  }
  int status = 0;
  say ("child", waitpid (pid, &status, 0) < 0 ? -1 : status);
}

static void case_locks (void)
{
  autoclose int fd = open ("f", O_RDWR | O_CLOEXEC), ofd = open ("g", O_RDWR | O_CLOEXEC);
  autoclose int reader = open ("h", O_RDONLY | O_CLOEXEC);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 8};
  struct flock read_lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

  say ("fcntl", fcntl (fd, F_SETLK, &lock));
  say ("flock", flock (fd, LOCK_EX));
  try_locks ("f", F_WRLCK);
  say ("ofd", fcntl (ofd, F_OFD_SETLK, &lock));
  try_locks ("g", F_RDLCK);
  say ("a reader's write lock", fcntl (reader, F_SETLK, &lock));
  say ("a reader's read lock", fcntl (reader, F_SETLK, &read_lock));
  say ("a lease", fcntl (reader, F_SETLEASE, F_RDLCK));
  say ("of a writer", fcntl (fd, F_SETLEASE, F_RDLCK));
}

static void case_times (void)
{
  struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 1},
                              {.tv_sec = 2000, .tv_nsec = 999999999}};
  struct timespec bad[2] = {{.tv_sec = 1, .tv_nsec = 1000000000}, {.tv_nsec = UTIME_OMIT}};
  static const char *const names[] = {"f", "d", "s", "p", "full/sub"};
  struct stat st;

  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    say ("utimensat", utimensat (AT_FDCWD, names[i], times, AT_SYMLINK_NOFOLLOW));
    say ("seconds", lstat (names[i], &st) < 0 ? -1 : (long) st.st_mtim.tv_sec);
    say ("nanoseconds", st.st_mtim.tv_nsec);
    say ("access", st.st_atim.tv_nsec);
  }
  say ("bad", utimensat (AT_FDCWD, "f", bad, 0));
  times[0].tv_nsec = times[1].tv_nsec = UTIME_OMIT;
  say ("nothing", utimensat (AT_FDCWD, "g", times, 0));
  say ("mkdir in it", mkdir ("d/new", 0755));
  say ("moves its time", lstat ("d", &st) < 0 ? -1 : st.st_mtim.tv_sec != 2000);
}

/* As a user who is not root: set-id bits go with a write and with a change of the owner. */
static void case_owner (void)
{
  say ("chmod", chmod ("f", 06755));
  say ("chown", chown ("f", 1000, 1000));
  look ("f");
  say ("chmod", chmod ("f", 06777));
  say ("chmod", chmod ("g", 02644));
  say ("chmod a directory", chmod ("d", 03777));
  say ("chown a directory", chown ("d", 1000, 1000));
  look ("d");
  say ("lchown", lchown ("s", 5, 6));
  look ("s");
  fflush (stdout);
  pid_t pid = fork ();
  if (pid == 0) {
    if (setgid (2000) < 0 || setuid (2000) < 0)
      _exit (1);
    autoclose int fd = open ("f", O_WRONLY | O_CLOEXEC);
    say ("a user's open", fd < 0 ? -1 : 0);
    say ("a user's write", write (fd, "x", 1));
    say ("a user's chmod", chmod ("f", 0700));
    say ("a user's chown", chown ("f", 2000, 2000));
    say ("a user's unlink in a sticky directory", unlink ("d/a"));
    say ("a user's new file", open ("d/user", O_WRONLY | O_CREAT | O_CLOEXEC, 0666) < 0 ? -1 : 0);
    say ("a user's open of another's", open ("g", O_WRONLY | O_CLOEXEC) < 0 ? -1 : 0);
    say ("a user's access", access ("g", W_OK));
    fflush (stdout);
    _exit (0);
  }
  int status = 0;
  say ("child", waitpid (pid, &status, 0) < 0 ? -1 : status);
  look ("f");
  look ("d/user");
}

static void case_xattrs (void)
{
  static char value[70000];
  char list[1000];

  memset (value, 'v', sizeof value);
  say ("set", setxattr ("f", "user.a", "value", 5, XATTR_CREATE));
  say ("create again", setxattr ("f", "user.a", "value", 5, XATTR_CREATE));
  say ("replace nothing", setxattr ("f", "user.none", "value", 5, XATTR_REPLACE));
  say ("get", getxattr ("f", "user.a", value, 5));
  say ("get into little", getxattr ("f", "user.a", value, 2));
  say ("get nothing", getxattr ("f", "user.none", value, 5));
  say ("remove", removexattr ("f", "user.a"));
  say ("remove again", removexattr ("f", "user.a"));
  say ("empty", setxattr ("f", "user.empty", "", 0, 0));
  say ("a large one", setxattr ("f", "user.large", value, 2000, 0));
  say ("one too large", setxattr ("f", "user.huge", value, 65536, 0));
  say ("one beyond all", setxattr ("f", "user.huge", value, 65537, 0));
  say ("no such kind", setxattr ("f", "nothing.a", "value", 5, 0));
  say ("of a symlink", lsetxattr ("s", "user.a", "value", 5, 0));
  say ("of a symlink, trusted", lsetxattr ("s", "trusted.a", "value", 5, 0));
  say ("of a fifo", setxattr ("p", "user.a", "value", 5, 0));
  say ("of a directory", setxattr ("d", "user.a", "value", 5, 0));
  say ("list", listxattr ("f", list, sizeof list));
  say ("list into little", listxattr ("f", list, 3));
  say ("an ACL that is none", setxattr ("f", "system.posix_acl_access", "x", 1, 0));
  say ("a default ACL of a file", setxattr ("f", "system.posix_acl_default", "\2\0\0\0", 4, 0));
  say ("remove an ACL", removexattr ("g", "system.posix_acl_access"));
}

static void case_directories (void)
{
  say ("rmdir of a full one", rmdir ("full"));
  say ("rmdir of a file", rmdir ("f"));
  say ("rmdir of a dot", rmdir ("d/."));
  say ("rmdir", rmdir ("empty"));
  say ("rmdir again", rmdir ("empty"));
  say ("unlink", unlink ("d/a"));
  say ("unlink", unlink ("d/b"));
  autoclose int fd = open ("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  say ("rmdir when empty", rmdir ("d"));
  say ("make in a gone one", mkdirat (fd, "x", 0755));
  say ("make it again", mkdir ("d", 0700));
  look ("d/a");
  say ("mkdir of what is there", mkdir ("full", 0755));
  say ("mkdir of a symlink", mkdir ("s-none", 0755));
  say ("mkdir in a file", mkdir ("f/x", 0755));
  make ("full/new", "in a merged one");
  say ("rename in it", do_rename ("full/new", "full/a", 0));
  look ("full/a");
}

static void case_deep (void)
{
  char name[256];
  int depth = 0;
  autoclose int fd = open ("full", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  memset (name, 'n', 255);
  name[255] = '\0';
  for (; depth < 40 && mkdirat (fd, name, 0755) == 0; depth++) {
    int next = openat (fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    close (fd);
    fd = next;
  }
  say ("deep", depth);
  say ("file", mknodat (fd, "file", S_IFREG | 0644, 0));
  autofree char *longer = xasprintf ("%sx", name);
  say ("a name too long", mkdirat (fd, longer, 0755));
  say ("rename of the top", do_rename ("full", "renamed", 0));
  say ("open", openat (fd, "file", O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0);
  say ("no name", mkdir ("", 0755));
}

static void say_events (int fd)
{
  char buffer[8192] __attribute__ ((aligned (8)));
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

  while (poll (&poll_fd, 1, 50) > 0) {
    ssize_t n = read (fd, buffer, sizeof buffer);

    for (ssize_t at = 0; at < n;) {
      const struct inotify_event *event = (const void *) (buffer + at);

      printf ("%s event %x of %d: %s\n", current, event->mask, event->wd,
              event->len ? event->name : "");
      at += (ssize_t) (sizeof *event + event->len);
    }
  }
}

static void case_inotify (void)
{
  autoclose int fd = inotify_init1 (IN_CLOEXEC);

  say ("watch", inotify_add_watch (fd, ".", IN_ALL_EVENTS & ~(IN_ACCESS | IN_OPEN)));
  say ("watch a file", inotify_add_watch (fd, "g", IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF));
  make ("new", "text");
  say ("rename", do_rename ("f", "f2", 0));
  say ("chmod", chmod ("h", 0600));
  autoclose int writer = open ("g", O_WRONLY | O_APPEND | O_CLOEXEC);
  say ("write", write (writer, "text", 4));
  say ("unlink", unlink ("h"));
  say ("mkdir", mkdir ("made", 0755));
  say ("rmdir", rmdir ("made"));
  say_events (fd);
}

static void case_stale_reader (void)
{
  char text[5] = "";
  autoclose int reader = open ("f", O_RDONLY | O_CLOEXEC);
  autoclose int writer = open ("f", O_WRONLY | O_CLOEXEC);
  struct stat before, after;

  say ("write", pwrite (writer, "fresh", 5, 0));
  say ("read", pread (reader, text, 5, 0));
  say ("a reader from before sees it", memcmp (text, "fresh", 5) == 0);
  say ("chmod by the writer", fchmod (writer, 0640));
  say ("is seen", fstat (reader, &after) < 0 ? -1 : (long) (after.st_mode & 0777));
  if (lstat ("g", &before) == 0 && chmod ("g", 0600) == 0 && lstat ("g", &after) == 0)
    say ("the inode number stays", before.st_ino == after.st_ino);
}

static const struct {
  const char *name;
  void (*run) (void);
} cases[] = {
    {"rename-kinds", case_rename_kinds},
    {"rename-dir", case_rename_dir},
    {"link", case_link},
    {"unlinked", case_unlinked},
    {"open", case_open},
    {"append", case_append},
    {"space", case_space},
    {"mmap", case_mmap},
    {"locks", case_locks},
    {"times", case_times},
    {"owner", case_owner},
    {"xattrs", case_xattrs},
    {"directories", case_directories},
    {"deep", case_deep},
    {"inotify", case_inotify},
    {"stale-reader", case_stale_reader},
};

/* What each case finds. */
static int prepare (void)
{
  autofree char *text = xcalloc (1, 100001);

  memset (text, 'b', 100000);
  make ("f", "the contents of f\n");
  make ("g", "the contents of g, which is longer\n");
  make ("h", "h\n");
  make ("big", text);
  if (mkdir ("d", 0755) < 0 || mkdir ("full", 0755) < 0 || mkdir ("full/sub", 0755) < 0 ||
      mkdir ("empty", 0755) < 0 || symlink ("f", "s") < 0 || symlink ("nowhere", "s-none") < 0 ||
      mkfifo ("p", 0644) < 0)
    return -1;
  make ("d/a", "a\n");
  make ("d/b", "b\n");
  make ("full/a", "full a\n");
  make ("full/sub/deep", "deep\n");
  return 0;
}

int main (int argc, char **argv)
{
  bool first = argc == 3 && strcmp (argv[1], "prepare") == 0;

  if (!first && !(argc == 3 && strcmp (argv[1], "run") == 0)) {
    fprintf (stderr, "usage: posix prepare|run DIR\n");
    return 2;
  }
  umask (022);
  autoclose int top = open (argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    current = cases[i].name;
    if (fchdir (top) < 0 || (first && mkdir (current, 0755) < 0) || chdir (current) < 0 ||
        (first && prepare () < 0)) {
      fprintf (stderr, "posix: %s: %s\n", current, strerror (errno));
      return 2;
    }
    if (!first)
      cases[i].run ();
  }
  return 0;
}
