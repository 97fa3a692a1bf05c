/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source.h"
#include "adopt/configs.h"
#include "guest/names.h"
#include "util/fd.h"

static const char *const type_names[] = {"auto",    "chroot", "lxc", "nspawn",
                                         "vserver", "export", NULL};

const char *adopt_type_name (enum adopt_type type)
{
  return type <= ADOPT_EXPORT ? type_names[type] : NULL;
}

int adopt_type_parse (const char *text, enum adopt_type *ret_type, struct err *err)
{
  for (enum adopt_type type = ADOPT_AUTO; type <= ADOPT_EXPORT; type++)
    if (strcmp (type_names[type], text) == 0) {
      *ret_type = type;
      return 0;
    }
  return err_code (err, ERR_USAGE,
                   "\"%.60s\" is no type: there are auto, chroot, lxc, nspawn, vserver and export",
                   text);
}

void adopt_source_release (struct adopt_source *source)
{
  cleanup_close (&source->fd);
  cleanup_close (&source->parent_fd);
  free (source->tree);
  free (source->config);
  translation_release (&source->translation);
  *source = (struct adopt_source) ADOPT_SOURCE_INIT;
}

static bool exists (const char *directory, const char *name)
{
  autofree char *path = xasprintf ("%s/%s", directory, name);

  return faccessat (AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* SOURCE as written, or, for a word without "/", the container of that name. */
static char *find_path (const struct adopt_request *request)
{
  static const struct {
    enum adopt_type type;
    const char *directory;
  } places[] = {{ADOPT_LXC, "/var/lib/lxc"},
                {ADOPT_NSPAWN, "/var/lib/machines"},
                {ADOPT_VSERVER, "/etc/vservers"}};
  char *path = realpath (request->source, NULL);

  for (size_t i = 0; !path && errno == ENOENT && i < sizeof places / sizeof places[0]; i++) {
    if (places[i].type != request->type || strchr (request->source, '/'))
      continue;
    autofree char *there = xasprintf ("%s/%s", places[i].directory, request->source);
    path = realpath (there, NULL);
  }
  return path;
}

/* Where NAME.nspawn is, the caller's; NULL when there is none. */
static char *find_nspawn (const char *tree)
{
  static const char *const places[] = {"/etc/systemd/nspawn", "/run/systemd/nspawn", NULL};
  const char *name = strrchr (tree, '/') + 1;
  autofree char *file = xasprintf ("%s.nspawn", name);

  for (size_t i = 0; places[i]; i++)
    if (exists (places[i], file))
      return xasprintf ("%s/%s", places[i], file);
  autofree char *above = xstrndup (tree, (size_t) (name - tree - 1));
  return exists (above, file) ? xasprintf ("%s/%s", above, file) : NULL;
}

static bool looks_like_system (const char *path)
{
  return exists (path, "etc") || exists (path, "usr") || exists (path, "bin");
}

static int guess_type (const char *path, const struct stat *st, enum adopt_type *ret_type,
                       struct err *err)
{
  autofree char *nspawn = find_nspawn (path);

  if (S_ISREG (st->st_mode))
    *ret_type = ADOPT_EXPORT;
  else if (exists (path, "config") && exists (path, "rootfs"))
    *ret_type = ADOPT_LXC;
  else if (exists (path, "vdir") && !looks_like_system (path))
    *ret_type = ADOPT_VSERVER;
  else if (!looks_like_system (path))
    return err_code (err, ERR_USAGE,
                     "%s has neither etc, usr nor bin, and is no container's directory: say "
                     "--type if it is to be adopted",
                     path);
  else
    *ret_type =
        nspawn || strncmp (path, "/var/lib/machines/", 18) == 0 ? ADOPT_NSPAWN : ADOPT_CHROOT;
  return 0;
}

/* Where the configuration is: the caller's, or NULL without one. */
static char *find_config (const struct adopt_request *request, enum adopt_type type,
                          const char *path)
{
  if (request->config)
    return realpath (request->config, NULL);
  switch (type) {
  case ADOPT_LXC:
    return xasprintf ("%s/config", path);
  case ADOPT_NSPAWN:
    return find_nspawn (path);
  case ADOPT_VSERVER:
    return xstrdup (path);
  case ADOPT_AUTO:
  case ADOPT_CHROOT:
  case ADOPT_EXPORT:
    break;
  }
  return NULL;
}

static int translate (struct adopt_source *source, const char *path, struct err *err)
{
  struct translation *translation = &source->translation;

  switch (source->type) {
  case ADOPT_LXC:
    return configs_read_lxc (source->config, translation, err);
  case ADOPT_NSPAWN:
    return configs_read_nspawn (source->config, strrchr (path, '/') + 1, translation, err);
  case ADOPT_VSERVER:
    return configs_read_vserver (source->config, translation, err);
  case ADOPT_EXPORT:
    if (source->config)
      return configs_read_inspect (source->config, translation, err);
    translation_leave (translation, "inspect", "",
                       "an export has nothing of the container's configuration: say --config "
                       "INSPECT.JSON (the output of docker inspect or podman inspect)");
    return 0;
  case ADOPT_AUTO:
  case ADOPT_CHROOT:
    break;
  }
  return 0;
}

/* Where the tree is, by what the configuration says: the caller's, or NULL with @err set. */
static char *find_tree (const struct adopt_source *source, const char *path, struct err *err)
{
  autofree char *place = NULL;

  if (source->type == ADOPT_VSERVER)
    place = xasprintf ("%s/vdir", path);
  else if (source->type == ADOPT_LXC && exists (path, "rootfs"))
    place = xasprintf ("%s/rootfs", path);
  else if (source->type == ADOPT_LXC && source->translation.rootfs)
    place = xstrdup (source->translation.rootfs);
  else
    place = xstrdup (path);
  char *tree = realpath (place, NULL);
  if (!tree)
    err_errno (err, "find the tree of %s at %s", path, place);
  return tree;
}

static int open_tree (struct adopt_source *source, struct err *err)
{
  bool archive = source->type == ADOPT_EXPORT;
  char *slash = strrchr (source->tree, '/');
  autofree char *above = xstrndup (source->tree, (size_t) (slash - source->tree) + 1);

  source->base = slash + 1;
  if (!*source->base)
    return err_code (err, ERR_USAGE, "/ is the host itself");
  source->parent_fd = open (above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  source->fd = source->parent_fd < 0
                   ? -1
                   : fd_open (source->parent_fd, source->base,
                              O_RDONLY | O_NONBLOCK | O_NOCTTY | (archive ? 0 : O_DIRECTORY), 0);
  if (source->fd < 0 || fstat (source->fd, &source->st) < 0)
    return err_errno (err, "open %s", source->tree);
  if (archive && !S_ISREG (source->st.st_mode))
    return err_code (err, ERR_USAGE,
                     "%s is no file: an archive that docker export or podman export wrote is "
                     "expected",
                     source->tree);
  return 0;
}

static int open_source (const struct adopt_request *request, struct adopt_source *source,
                        struct err *err)
{
  autofree char *path = find_path (request);
  struct stat st;

  if (!path || stat (path, &st) < 0)
    return err_errno (err, "find %s", request->source);
  source->type = request->type;
  if (source->type == ADOPT_AUTO && guess_type (path, &st, &source->type, err) < 0)
    return -err->code;
  if (source->type == ADOPT_CHROOT && request->config)
    return err_code (err, ERR_USAGE, "--config: a chroot has no configuration; say --type");
  errno = 0;
  source->config = find_config (request, source->type, path);
  if (request->config && !source->config)
    return err_errno (err, "find %s", request->config);
  translation_init (&source->translation, request->name, request->cni);
  if (translate (source, path, err) < 0)
    return -err->code;
  source->tree = find_tree (source, path, err);
  if (!source->tree || open_tree (source, err) < 0)
    return -err->code;
  if (source->type != ADOPT_EXPORT)
    configs_read_hostname (source->fd, &source->translation);
  return 0;
}

int adopt_source_open (const struct adopt_request *request, struct adopt_source *ret_source,
                       struct err *err)
{
  struct translation *translation = &ret_source->translation;

  if (open_source (request, ret_source, err) < 0) {
    adopt_source_release (ret_source);
    return -err->code;
  }
  translation_finish (translation);
  return 0;
}
