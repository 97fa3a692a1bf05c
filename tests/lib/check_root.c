/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* check-root ROOT: is everything below a state root as it must be while no vguest runs?
 * check-root --view ROOT/guests/NAME: the manifest of what the guest sees, to be compared later.
 * check-root --views ROOT: what all guests see and what is in all templates, with the guests'
 * settings and the numbers of their transactions: lines "guests/NAME: …", "templates/NAME/1: …". */
#include "check.h"
#include "layers.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/metaentry.h"
#include <fcntl.h>

/* Each line of @text with @unit in front. */
static void print_lines (const char *unit, char *text)
{
  for (char *line = strtok_r (text, "\n", &text); line; line = strtok_r (NULL, "\n", &text))
    printf ("%s%s\n", unit, line);
}

static void print_manifest (const char *unit, const struct manifest *manifest)
{
  autofree char *text = NULL;
  size_t size = 0;
  FILE *file = open_memstream (&text, &size);

  if (!file)
    err_out_of_memory ();
  manifest_print (manifest, file);
  fclose (file);
  print_lines (unit, text);
}

static int print_view (const char *guest, const char *unit, struct err *err)
{
  automanifest struct manifest manifest = {0};
  autoclose int guest_fd = open (guest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (guest_fd < 0)
    return err_errno (err, "open %s", guest);
  if (layers_guest_view (guest_fd, -1, &manifest, err) < 0)
    return -err->code;
  print_manifest (unit, &manifest);
  return 0;
}

static int print_records (int guest_fd, const char *unit, struct err *err)
{
  autoclose int history_fd = fd_open_dir (guest_fd, "history");
  autodirlist struct dirlist list = {0};
  autofree char *config = NULL;

  if (fd_read_file (guest_fd, "config.json", 1 << 20, &config, NULL, err) < 0 ||
      (history_fd >= 0 && dirread_all (history_fd, &list, err) < 0))
    return -err->code;
  print_lines (unit, config);
  for (size_t i = 0; i < list.count; i++)
    printf ("%stransaction %s\n", unit, list.items[i].name);
  return 0;
}

static int print_guests (int root_fd, const char *root, struct err *err)
{
  autoclose int guests_fd = fd_open_dir (root_fd, "guests");
  autodirlist struct dirlist guests = {0};

  if (guests_fd < 0 || dirread_all (guests_fd, &guests, err) < 0)
    return err_errno (err, "read %s/guests", root);
  for (size_t i = 0; i < guests.count; i++) {
    autofree char *unit = xasprintf ("guests/%s: ", guests.items[i].name);
    autofree char *path = xasprintf ("%s/guests/%s", root, guests.items[i].name);
    autoclose int fd = fd_open_dir (guests_fd, guests.items[i].name);

    if (fd < 0)
      return err_errno (err, "open %s", path);
    if (print_view (path, unit, err) < 0 || print_records (fd, unit, err) < 0)
      return err_wrap (err, "%s", path);
  }
  return 0;
}

static int print_templates (int root_fd, const char *root, struct err *err)
{
  autoclose int templates_fd = fd_open_dir (root_fd, "templates");
  autodirlist struct dirlist templates = {0};

  if (templates_fd < 0 || dirread_all (templates_fd, &templates, err) < 0)
    return err_errno (err, "read %s/templates", root);
  for (size_t i = 0; i < templates.count; i++) {
    const char *name = templates.items[i].name;
    autoclose int fd = fd_open_dir (templates_fd, name);
    autodirlist struct dirlist generations = {0};

    if (fd < 0 || dirread_all (fd, &generations, err) < 0)
      return err_errno (err, "read %s/templates/%s", root, name);
    for (size_t k = 0; k < generations.count; k++) {
      autofree char *tree = xasprintf ("%s/tree", generations.items[k].name);
      autofree char *unit = xasprintf ("templates/%s/%s: ", name, generations.items[k].name);
      automanifest struct manifest manifest = {0};

      if (generations.items[k].type != DT_DIR)
        continue;
      autoclose int tree_fd = fd_open_dir_beneath (fd, tree);
      if (tree_fd < 0 || manifest_read (tree_fd, &manifest, err) < 0)
        return err_errno (err, "read %s/templates/%s/%s", root, name, tree);
      print_manifest (unit, &manifest);
    }
  }
  return 0;
}

static int print_views (const char *root, struct err *err)
{
  autoclose int root_fd = open (root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  autoclose int store_fd = root_fd < 0 ? -1 : fd_open_dir (root_fd, "store");
  if (root_fd < 0 || store_fd < 0)
    return err_errno (err, "open %s", root);
  metaentry_use_store (store_fd);
  if (print_guests (root_fd, root, err) < 0)
    return -err->code;
  return print_templates (root_fd, root, err);
}

int main (int argc, char **argv)
{
  autoerr struct err err = {0};
  autofree char *summary = NULL;
  size_t problems = 0;

  if (argc == 3 && (strcmp (argv[1], "--view") == 0 || strcmp (argv[1], "--views") == 0)) {
    bool all = strcmp (argv[1], "--views") == 0;

    /* First: a mount's layers must be opened in the namespace that it is made in. */
    if (layers_own_namespace (&err) < 0 ||
        (all ? print_views (argv[2], &err) : print_view (argv[2], "", &err)) < 0) {
      fprintf (stderr, "check-root: %s\n", err_text (&err));
      return 1;
    }
    return 0;
  }
  if (argc != 2) {
    fprintf (
        stderr,
        "usage: check-root ROOT | check-root --views ROOT | check-root --view ROOT/guests/NAME\n");
    return 2;
  }
  if (check_root (argv[1], /* mounts= */ true, stderr, &summary, &problems, &err) < 0) {
    fprintf (stderr, "check-root: %s\n", err_text (&err));
    return 1;
  }
  printf ("%s\n", summary);
  return problems > 0;
}
