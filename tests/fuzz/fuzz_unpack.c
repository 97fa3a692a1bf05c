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
static char *base_path;

static void require (bool ok)
{
  if (!ok)
    abort ();
}

/* base/{store,temp,tree,outside/file}; the archive is given symlinks to try below. */
static void start (void)
{
  const char *tmp = getenv ("TMPDIR");
  /* A sparse file or a bomb must not fill the disk. */
  struct rlimit limit = {.rlim_cur = 64 << 20, .rlim_max = 64 << 20};

  base_path = xasprintf ("%s/fuzz-unpack.XXXXXX", tmp ? tmp : "/tmp");
  require (mkdtemp (base_path) != NULL);
  base_fd = open (base_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  require (base_fd >= 0);
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

/* Here and not at exit: libFuzzer ends without it. */
static void finish (void)
{
  static const char *const parts[] = {"tree", "temp", "store", NULL};
  autodirlist struct dirlist list = {0};
  autoerr struct err err = {0};

  for (const char *const *part = parts; *part; part++)
    require (fd_remove_tree (base_fd, *part, &err) == 0);
  require (dirread_all (base_fd, &list, &err) == 0);
  require (list.count == 1 && strcmp (list.items[0].name, "outside") == 0);
  require (fd_remove_tree (base_fd, "outside", &err) == 0 && rmdir (base_path) == 0);
  close (base_fd);
  free (base_path);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
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
  finish ();
  return 0;
}
