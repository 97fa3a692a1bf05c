/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "streams.h"
#include <strings.h>
#include <sys/utsname.h>

static void release_file (struct streams_file *file)
{
  free (file->path);
  *file = (struct streams_file){0};
}

void streams_image_release (struct streams_image *image)
{
  free (image->serial);
  release_file (&image->root);
  release_file (&image->metadata);
  *image = (struct streams_image){0};
}

const char *streams_arch (void)
{
  static const struct {
    const char *machine, *arch;
  } names[] = {{"x86_64", "amd64"},    {"aarch64", "arm64"},      {"armv7l", "armhf"},
               {"i686", "i386"},       {"ppc64le", "ppc64el"},    {"s390x", "s390x"},
               {"riscv64", "riscv64"}, {"loongarch64", "loong64"}};
  static struct utsname uts;

  if (uname (&uts) < 0)
    return "amd64";
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp (uts.machine, names[i].machine) == 0)
      return names[i].arch;
  return uts.machine;
}

bool streams_path_is_good (const char *path)
{
  static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "/._-+:~@=,%";

  return path[0] && path[0] != '/' && !path[strspn (path, good)] && !strstr (path, "..") &&
         !strstr (path, "://") && strlen (path) < 1024;
}

/* A member that is a string, or NULL; foreign documents may have anything there. */
static const char *string_of (json_object *object, const char *key)
{
  json_object *value = json_object_object_get (object, key);

  return json_object_is_type (value, json_type_string) ? json_object_get_string (value) : NULL;
}

static json_object *object_of (json_object *object, const char *key)
{
  json_object *value = json_object_object_get (object, key);

  return json_object_is_type (value, json_type_object) ? value : NULL;
}

const char *streams_index_path (json_object *index, size_t number)
{
  json_object *entries = object_of (index, "index");

  if (!entries)
    return NULL;
  json_object_object_foreach (entries, key, entry)
  {
    const char *datatype, *path;

    (void) key;
    if (!json_object_is_type (entry, json_type_object))
      continue;
    datatype = string_of (entry, "datatype");
    path = string_of (entry, "path");
    if (datatype && strcmp (datatype, "image-downloads") == 0 && path &&
        streams_path_is_good (path) && number-- == 0)
      return path;
  }
  return NULL;
}

/* Is @name in a list of names, separated by commas? "/default" may be left out. */
static bool in_aliases (const char *aliases, const char *name)
{
  size_t name_len = strlen (name);

  for (const char *at = aliases; *at;) {
    size_t len = strcspn (at, ",");

    if (strncasecmp (at, name, name_len) == 0 &&
        (len == name_len || (len == name_len + strlen ("/default") &&
                             strncasecmp (at + name_len, "/default", strlen ("/default")) == 0)))
      return true;
    at += len;
    at += *at == ',';
    while (*at == ' ')
      at++;
  }
  return false;
}

static bool matches (json_object *product, const char *name, const char *arch)
{
  const char *aliases = string_of (product, "aliases"), *its_arch = string_of (product, "arch");
  const char *os = string_of (product, "os"), *release = string_of (product, "release");
  const char *variant = string_of (product, "variant");

  if (!its_arch || strcmp (its_arch, arch) != 0)
    return false;
  if (aliases && in_aliases (aliases, name))
    return true;
  if (!os || !release)
    return false;
  autofree char *full = xasprintf ("%s/%s/%s", os, release, variant ? variant : "default");
  return in_aliases (full, name);
}

static int read_digest (json_object *item, const char *key, struct checksum *ret_checksum,
                        struct err *err)
{
  const char *hex = string_of (item, key);

  *ret_checksum = (struct checksum){.kind = CHECKSUM_NONE};
  if (!hex)
    return 0;
  if (checksum_parse ("sha256", hex, ret_checksum, err) < 0)
    return err_code (err, EBADMSG, "its \"%s\" is no SHA-256", key);
  return 0;
}

static int read_file (json_object *item, struct streams_file *file, struct err *err)
{
  const char *path = string_of (item, "path");
  int64_t size = 0;

  if (!path || !streams_path_is_good (path))
    return err_code (err, EBADMSG, "a file of it has no path below the server's");
  if (json_get_int (item, "size", 0, &size, err) < 0 || size < 0)
    return err_code (err, EBADMSG, "a file of it has no size");
  if (read_digest (item, "sha256", &file->sha256, err) < 0)
    return -err->code;
  file->path = xstrdup (path);
  file->size = (uint64_t) size;
  return 0;
}

/* By the type of the file, in the order in which they are taken: archives are unpacked while they
 * come. */
static const struct {
  const char *ftype;
  const char *combined; /* where the metadata has the digest of both */
} roots[] = {
    {"root.tar.xz", "combined_rootxz_sha256"},
    {"root.tar.zst", "combined_rootzst_sha256"},
    {"root.tar.gz", "combined_sha256"},
    {"squashfs", "combined_squashfs_sha256"},
};
enum { ROOTS = sizeof roots / sizeof roots[0] };

static json_object *find_item (json_object *items, const char *ftype)
{
  json_object_object_foreach (items, key, item)
  {
    const char *type;

    (void) key;
    if (!json_object_is_type (item, json_type_object))
      continue;
    type = string_of (item, "ftype");
    if (type && strcmp (type, ftype) == 0)
      return item;
  }
  return NULL;
}

static json_object *find_metadata (json_object *items)
{
  json_object *item = find_item (items, "incus.tar.xz");

  return item ? item : find_item (items, "lxd.tar.xz");
}

/* Which kind of root file system a version has, by its number; ROOTS: none. */
static size_t find_root (json_object *version)
{
  json_object *items = object_of (version, "items");
  size_t i = 0;

  if (!items)
    return ROOTS;
  while (i < ROOTS && !find_item (items, roots[i].ftype))
    i++;
  return i;
}

static int read_image (json_object *version, const char *serial, struct streams_image *image,
                       struct err *err)
{
  size_t kind = find_root (version);
  json_object *items = object_of (version, "items");
  json_object *metadata = find_metadata (items);

  image->serial = xstrdup (serial);
  if (read_file (find_item (items, roots[kind].ftype), &image->root, err) < 0)
    return -err->code;
  if (!metadata)
    return 0;
  if (read_file (metadata, &image->metadata, err) < 0 ||
      read_digest (metadata, roots[kind].combined, &image->combined, err) < 0)
    return -err->code;
  if (image->combined.kind == CHECKSUM_NONE && strcmp (roots[kind].ftype, "root.tar.xz") == 0)
    return read_digest (metadata, "combined_sha256", &image->combined, err);
  return 0;
}

static int newest_version (json_object *product, struct streams_image *ret_image, struct err *err)
{
  json_object *versions = object_of (product, "versions"), *newest = NULL;
  autostreamsimage struct streams_image image = {0};
  const char *serial = NULL;

  if (!versions)
    return err_code (err, EBADMSG, "it has no versions");
  json_object_object_foreach (versions, key, version)
  {
    if (!json_object_is_type (version, json_type_object) || find_root (version) == ROOTS)
      continue;
    if (!serial || strcmp (key, serial) > 0) {
      serial = key;
      newest = version;
    }
  }
  if (!newest)
    return err_code (err, EBADMSG, "no version of it has a root file system");
  if (read_image (newest, serial, &image, err) < 0)
    return err_wrap (err, "version %s", serial);
  *ret_image = image;
  image = (struct streams_image){0};
  return 1;
}

int streams_find (json_object *products, const char *name, const char *arch,
                  struct streams_image *ret_image, struct err *err)
{
  json_object *list = object_of (products, "products");

  if (!list)
    return err_code (err, EBADMSG, "it is no list of products");
  json_object_object_foreach (list, key, product)
  {
    (void) key;
    if (json_object_is_type (product, json_type_object) && matches (product, name, arch))
      return newest_version (product, ret_image, err);
  }
  return 0;
}
