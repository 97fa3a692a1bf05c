/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* check-root ROOT: is everything below a state root as it must be while no vguest runs?
 * check-root --view ROOT/guests/NAME: the manifest of what the guest sees, to be compared later. */
#include "check.h"
#include "layers.h"
#include "util/fd.h"
#include <fcntl.h>

static int print_view (const char *guest, struct err *err)
{
  automanifest struct manifest manifest = {0};

  /* First: a mount's layers must be opened in the namespace that it is made in. */
  if (layers_own_namespace (err) < 0)
    return -err->code;
  autoclose int guest_fd = open (guest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (guest_fd < 0)
    return err_errno (err, "open %s", guest);
  if (layers_guest_view (guest_fd, -1, &manifest, err) < 0)
    return -err->code;
  manifest_print (&manifest, stdout);
  return 0;
}

int main (int argc, char **argv)
{
  autoerr struct err err = {0};
  autofree char *summary = NULL;
  size_t problems = 0;

  if (argc == 3 && strcmp (argv[1], "--view") == 0) {
    if (print_view (argv[2], &err) < 0) {
      fprintf (stderr, "check-root: %s\n", err_text (&err));
      return 1;
    }
    return 0;
  }
  if (argc != 2) {
    fprintf (stderr, "usage: check-root ROOT | check-root --view ROOT/guests/NAME\n");
    return 2;
  }
  if (check_root (argv[1], /* mounts= */ true, stderr, &summary, &problems, &err) < 0) {
    fprintf (stderr, "check-root: %s\n", err_text (&err));
    return 1;
  }
  printf ("%s\n", summary);
  return problems > 0;
}
