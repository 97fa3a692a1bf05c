/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/scratch.h"
#include "util/fd.h"

char *scratch_make (const char *where)
{
  const char *tmp = getenv ("TMPDIR");
  char *path = xasprintf ("%s/vguest-test.XXXXXX", where ? where : tmp ? tmp : "/tmp");

  if (mkdtemp (path))
    return path;
  free (path);
  return NULL;
}

int scratch_remove (char *path)
{
  char *slash = strrchr (path, '/');
  autoerr struct err err = {0};

  *slash = '\0';
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd_remove_tree (fd, slash + 1, &err);
}
