/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "find.h"
#include "tree/layer.h"
#include "tree/lower.h"
#include "util/dirread.h"
#include "util/fd.h"

int pkg_layers_open (struct guest *guest, struct pkg_layers *ret_layers, struct err *err)
{
  static const char *const names[] = {"txn/upper", "private", "tree"};
  struct pkg_layers layers = {0};

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    int fd = fd_open_dir_beneath (guest->fd, names[i]);

    if (fd < 0 && (i > 0 || errno != ENOENT)) {
      err_errno (err, "open %s of guest %s", names[i], guest->name);
      pkg_layers_close (&layers);
      return -err->code;
    }
    if (fd >= 0)
      layers.fds[layers.count++] = fd;
  }
  int base = -1;
  if (lower_open_base (guest->fd, layers.fds[layers.count - 1], &base, err) < 0) {
    pkg_layers_close (&layers);
    return err_wrap (err, "guest %s", guest->name);
  }
  if (base >= 0)
    layers.fds[layers.count++] = base;
  *ret_layers = layers;
  return 0;
}

void pkg_layers_close (struct pkg_layers *layers)
{
  int saved = errno;

  for (size_t i = 0; i < layers->count; i++)
    close (layers->fds[i]);
  layers->count = 0;
  errno = saved;
}

/* Is there anything at @path? Symlinks on the way, as /bin -> usr/bin, are followed as the guest
 * would where they stay in one layer. A whiteout there, or on the way, hides what is below. */
static bool has_path (const struct pkg_layers *layers, const char *path)
{
  for (size_t i = 0; i < layers->count; i++) {
    autoclose int fd = fd_open_in_root (layers->fds[i], path, O_PATH, 0);
    struct stat st;

    if (fd >= 0)
      return fstat (fd, &st) == 0 && !layer_is_whiteout (&st);
    if (errno == ENOTDIR)
      return false;
  }
  return false;
}

static bool has_program (const struct pkg_layers *layers, const char *program)
{
  static const char *const dirs[] = {"usr/bin", "bin", "usr/sbin", "sbin"};

  for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
    autofree char *path = xasprintf ("%s/%s", dirs[i], program);

    if (has_path (layers, path))
      return true;
  }
  return false;
}

static const char *find_program (const struct pkg_layers *layers, const struct pkg_driver *driver,
                                 const char *wanted)
{
  for (const char *const *program = driver->programs; wanted && *program; program++)
    if (strcmp (*program, wanted) == 0 && has_program (layers, wanted))
      return *program;
  for (const char *const *program = driver->programs; *program; program++)
    if (has_program (layers, *program))
      return *program;
  return NULL;
}

int pkg_find (struct guest *guest, const struct pkg_driver *driver, const char *program,
              const struct pkg_driver **ret_driver, const char **ret_program, struct err *err)
{
  autopkglayers struct pkg_layers layers = {0};
  const char *found = NULL;

  if (pkg_layers_open (guest, &layers, err) < 0)
    return -err->code;
  if (driver) {
    found = find_program (&layers, driver, program);
    if (!found)
      return err_code (err, ENOENT, "the guest has no %s", program ? program : driver->programs[0]);
  }
  for (size_t i = 0; !driver && pkg_drivers[i]; i++)
    if (has_path (&layers, pkg_drivers[i]->database) &&
        (found = find_program (&layers, pkg_drivers[i], NULL)) != NULL)
      driver = pkg_drivers[i];
  if (!driver)
    return err_code (err, ENOENT, "the guest has no package manager that vguest knows");
  *ret_driver = driver;
  *ret_program = found;
  return 0;
}

int pkg_has_lists (struct guest *guest, const struct pkg_driver *driver, struct err *err)
{
  autopkglayers struct pkg_layers layers = {0};

  if (!driver->lists_dir)
    return 1;
  if (pkg_layers_open (guest, &layers, err) < 0)
    return -err->code;
  for (size_t i = 0; i < layers.count; i++) {
    autodirlist struct dirlist list = {0};
    autoclose int fd = fd_open_dir_beneath (layers.fds[i], driver->lists_dir);

    if (fd < 0)
      continue;
    if (dirread_all (fd, &list, err) < 0)
      return err_wrap (err, "guest %s: %s", guest->name, driver->lists_dir);
    for (size_t k = 0; k < list.count; k++)
      if (list.items[k].type != DT_CHR &&
          (!driver->list_suffix || strstr (list.items[k].name, driver->list_suffix)))
        return 1;
  }
  return 0;
}
