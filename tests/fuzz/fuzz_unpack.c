/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives into a tree: nothing beside the tree may change. Needs root; works in $TMPDIR, best on
 * tmpfs. Inputs that end with "2" are unpacked twice, so that the store has the files already. */
#include "store/store.h"
#include "template/unpack.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <sys/mman.h>
#include <sys/resource.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static int base_fd = -1;
static const char *base_path;

static void require (bool ok)
{
  if (!ok)
    abort ();
}

static void remove_base (void)
{
  autoerr struct err err = {0};

  fd_remove_tree (AT_FDCWD, base_path, &err);
}

/* base/{store,temp,tree,outside/file}; the archive is given symlinks to try below. */
static void start (void)
{
  static char path[] = "/tmp/fuzz-unpack.XXXXXX";
  /* A sparse file or a bomb must not fill the disk. */
  struct rlimit limit = {.rlim_cur = 64 << 20, .rlim_max = 64 << 20};

  require (mkdtemp (path) != NULL);
  base_path = path;
  base_fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  require (base_fd >= 0);
  atexit (remove_base);
  setrlimit (RLIMIT_FSIZE, &limit);
}

static void check_outside (int outside_fd)
{
  autodirlist struct dirlist list = {0};
  autoerr struct err err = {0};
  autofree char *text = NULL;

  require (dirread_all (outside_fd, &list, &err) == 0);
  require (list.count == 1 && strcmp (list.items[0].name, "file") == 0);
  require (fd_read_file (outside_fd, "file", 100, &text, NULL, &err) == 0);
  require (strcmp (text, "untouched") == 0);
}

static void unpack_once (int archive_fd)
{
  autoerr struct err err = {0};
  autoclose int tree_fd = fd_make_dir (base_fd, "tree", 0700);
  autoclose int temp_fd = fd_make_dir (base_fd, "temp", 0700);
  autoclose int outside_fd = fd_make_dir (base_fd, "outside", 0700);
  autostore struct store *store = NULL;
  autowriter struct writer writer = {.file.fd = -1};

  require (tree_fd >= 0 && temp_fd >= 0 && outside_fd >= 0);
  require (fd_write_file (outside_fd, "file", "untouched", 9, 0600, &err) == 0);
  require (store_open (base_fd, &store, &err) == 0);
  /* Ways out that the archive may try to use. */
  require (symlinkat (base_path, tree_fd, "s") == 0);
  require (symlinkat ("../outside", tree_fd, "o") == 0);
  require (symlinkat ("/", tree_fd, "r") == 0);
  require (lseek (archive_fd, 0, SEEK_SET) == 0);
  require (writer_start (store, tree_fd, temp_fd, &writer, &err) == 0);
  if (unpack_archive (&writer, archive_fd, &err) == 0)
    (void) writer_finish (&writer, &err);
  check_outside (outside_fd);
}

static void clear (void)
{
  static const char *const parts[] = {"tree", "temp", "store", NULL};
  autodirlist struct dirlist list = {0};
  autoerr struct err err = {0};

  for (const char *const *part = parts; *part; part++)
    require (fd_remove_tree (base_fd, *part, &err) == 0);
  require (dirread_all (base_fd, &list, &err) == 0);
  require (list.count == 1 && strcmp (list.items[0].name, "outside") == 0);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (base_fd < 0)
    start ();
  autoclose int archive_fd = memfd_create ("archive", MFD_CLOEXEC);
  bool twice = size && data[size - 1] == '2';

  require (archive_fd >= 0 && fd_write_all (archive_fd, data, size) == 0);
  unpack_once (archive_fd);
  if (twice) {
    autoerr struct err err = {0};

    require (fd_remove_tree (base_fd, "tree", &err) == 0);
    require (fd_remove_tree (base_fd, "temp", &err) == 0);
    unpack_once (archive_fd);
  }
  clear ();
  return 0;
}
