/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"
#include "identities.h"
#include "layers.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/metaentry.h"
#include <fcntl.h>
#include <stdarg.h>
#include <sys/xattr.h>

/* One inode, as the walk found it. */
struct seen {
  ino_t ino;
  nlink_t nlink;
  bool object;
  bool private_layer;
  bool undo;     /* in the history of a guest */
  bool failed;   /* in a layer that was kept */
  bool unshared; /* of a type that is never an object, or in quarantine */
  size_t names;
  int tree; /* the tree it was found in first; -1: none yet */
  bool in_two_trees;
  bool place;       /* in store/data */
  bool looked_into; /* for the marks of an entry */
  char *where;      /* owned: one place */
};

struct check {
  FILE *out;
  size_t problems;
  size_t objects;
  size_t trees;
  size_t names;
  int store_fd;  /* borrowed */
  char **places; /* owned; of store/data, "/ab/1…", sorted by strcmp */
  bool *used;    /* owned; an entry was found whose contents are there */
  size_t place_count;
  struct seen *seen; /* owned; open addressing by inode number */
  size_t seen_size;
  size_t seen_count;
};

static void problem (struct check *check, const char *format, ...)
    __attribute__ ((format (printf, 2, 3)));

static void problem (struct check *check, const char *format, ...)
{
  va_list ap;

  va_start (ap, format);
  fprintf (check->out, "check-root: ");
  vfprintf (check->out, format, ap);
  fputc ('\n', check->out);
  va_end (ap);
  check->problems++;
}

static struct seen *seen_place (struct seen *seen, size_t size, ino_t ino)
{
  size_t at = (size_t) ((ino * 0x9e3779b97f4a7c15ULL) >> 20) & (size - 1);

  while (seen[at].where && seen[at].ino != ino)
    at = (at + 1) & (size - 1);
  return &seen[at];
}

static struct seen *seen_put (struct check *check, const struct stat *st, const char *where)
{
  if (check->seen_count * 2 >= check->seen_size) {
    size_t size = check->seen_size ? check->seen_size * 2 : 1024;
    struct seen *seen = xcalloc (size, sizeof *seen);

    for (size_t i = 0; i < check->seen_size; i++)
      if (check->seen[i].where)
        *seen_place (seen, size, check->seen[i].ino) = check->seen[i];
    free (check->seen);
    check->seen = seen;
    check->seen_size = size;
  }
  struct seen *place = seen_place (check->seen, check->seen_size, st->st_ino);
  if (!place->where) {
    *place = (struct seen){
        .ino = st->st_ino, .nlink = st->st_nlink, .tree = -1, .where = xstrdup (where)};
    place->unshared = S_ISSOCK (st->st_mode) || (S_ISREG (st->st_mode) && st->st_size == 0) ||
                      (S_ISCHR (st->st_mode) && st->st_rdev == 0);
    check->seen_count++;
  }
  place->names++;
  return place;
}

static bool is_hex (const char *text, size_t len)
{
  return strspn (text, "0123456789abcdef") >= len;
}

/* Has the file the marks of an entry? Its place, which has a NUL at its end. */
static bool read_marks (int dir_fd, const char *name, char *place, size_t size)
{
  autofree char *path = fd_proc_path (dir_fd, name);
  unsigned char value[8];
  static const unsigned char marks[4] = {0, 4, 0, 0};

  memset (place, 0, size);
  return lgetxattr (path, "trusted.overlay.metacopy", value, sizeof value) == sizeof marks &&
         memcmp (value, marks, sizeof marks) == 0 &&
         lgetxattr (path, "trusted.overlay.redirect", place, size - 1) > 0;
}

static int compare_places (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* An entry has its contents in a place of its own; @ret_fd is open there, or -1. */
static int check_marks (struct check *check, int dir_fd, const char *name, const struct stat *st,
                        const char *where, int *ret_fd, struct err *err)
{
  char place[64], *key = place;
  struct stat data;

  *ret_fd = -1;
  if (!S_ISREG (st->st_mode) || !read_marks (dir_fd, name, place, sizeof place))
    return 0;
  char **found = check->place_count ? bsearch (&key, check->places, check->place_count,
                                               sizeof *check->places, compare_places)
                                    : NULL;
  if (!found) {
    problem (check, "%s has its contents in %s, which is not there", where, place);
    return 0;
  }
  if (check->used[found - check->places])
    problem (check, "%s has its contents in %s, as another entry", where, place);
  check->used[found - check->places] = true;
  autofree char *path = xasprintf ("data%s", place);
  *ret_fd = fd_open (check->store_fd, path, O_RDONLY, 0);
  if (*ret_fd < 0 || fstat (*ret_fd, &data) < 0)
    return err_errno (err, "open store/%s", path);
  if (data.st_size != st->st_size)
    problem (check, "%s has %jd bytes, and its contents %jd", where, (intmax_t) st->st_size,
             (intmax_t) data.st_size);
  if (data.st_nlink < 2)
    problem (check, "store/%s is no object", path);
  return 0;
}

static int check_object (struct check *check, int fan_fd, const char *fan, const char *name,
                         struct err *err)
{
  autofree char *where = xasprintf ("store/%s/%s", fan, name);
  struct stat st;
  char text[IDENTITIES][65];
  autoclose int data_fd = -1;

  check->objects++;
  if (fstatat (fan_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", where);
  if (strlen (name) < 64 || !is_hex (name, 62) || name[62] != '-' ||
      name[63 + strspn (name + 63, "0123456789")]) {
    problem (check, "%s is no object's name", where);
    return 0;
  }
  if (S_ISDIR (st.st_mode) || S_ISSOCK (st.st_mode) || (S_ISREG (st.st_mode) && !st.st_size)) {
    problem (check, "%s is of a type that cannot be an object", where);
    return 0;
  }
  if (check_marks (check, fan_fd, name, &st, where, &data_fd, err) < 0 ||
      identities (fan_fd, name, &st, data_fd, text, err) < 0)
    return err_wrap (err, "store/%s", fan);
  bool named = false;
  for (int i = data_fd >= 0 ? 2 : 0; i < IDENTITIES; i++)
    named |= strncmp (text[i], fan, 2) == 0 && strncmp (text[i] + 2, name, 62) == 0;
  if (!named)
    problem (check, "%s is not what its name says: it would be %s", where, text[0]);
  struct seen *seen = seen_put (check, &st, where);
  if (seen->object)
    problem (check, "%s and %s are one inode", where, seen->where);
  seen->object = true;
  seen->looked_into = true;
  return 0;
}

/* store/data: links to objects, which are looked at with their entries. */
static int read_places (struct check *check, struct err *err)
{
  autoclose int data_fd = fd_open_dir (check->store_fd, "data");
  autodirlist struct dirlist fans = {0};

  if (data_fd < 0 && errno == ENOENT)
    return 0;
  if (data_fd < 0 || dirread_all (data_fd, &fans, err) < 0)
    return err_errno (err, "read store/data");
  for (size_t i = 0; i < fans.count; i++) {
    const char *fan = fans.items[i].name;
    autoclose int fd = fd_open_dir (data_fd, fan);
    autodirlist struct dirlist names = {0};

    if (fd < 0 || dirread_all (fd, &names, err) < 0)
      return err_errno (err, "read store/data/%s", fan);
    for (size_t k = 0; k < names.count; k++) {
      autofree char *where = xasprintf ("store/data/%s/%s", fan, names.items[k].name);
      struct stat st;

      if (fstatat (fd, names.items[k].name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno (err, "stat %s", where);
      if (strcmp (fan, "new") == 0) {
        problem (check, "%s is left over", where);
        continue;
      }
      seen_put (check, &st, where)->place = true;
      check->places = xreallocarray (check->places, check->place_count + 1, sizeof *check->places);
      check->places[check->place_count++] = xasprintf ("/%s/%s", fan, names.items[k].name);
    }
  }
  if (check->place_count)
    qsort (check->places, check->place_count, sizeof *check->places, compare_places);
  check->used = xcalloc (check->place_count + 1, sizeof *check->used);
  return 0;
}

static void check_places (struct check *check)
{
  for (size_t i = 0; i < check->place_count; i++) {
    if (!check->used[i])
      problem (check, "store/data%s belongs to no entry", check->places[i]);
    free (check->places[i]);
  }
  free (check->places);
  free (check->used);
}

/* Damaged objects, which trees may still use. */
static int check_quarantine (struct check *check, int store_fd, struct err *err)
{
  autoclose int fd = fd_open_dir (store_fd, "quarantine");
  autodirlist struct dirlist list = {0};

  if (fd < 0 || dirread_all (fd, &list, err) < 0)
    return err_errno (err, "read store/quarantine");
  for (size_t i = 0; i < list.count; i++) {
    autofree char *where = xasprintf ("store/quarantine/%s", list.items[i].name);
    struct stat st;

    if (fstatat (fd, list.items[i].name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s", where);
    if (!S_ISDIR (st.st_mode))
      seen_put (check, &st, where)->unshared = true;
    /* What is wrong with it was told; a link that it has is its own. */
    char place[64], *key = place;
    char **found = S_ISREG (st.st_mode) && check->place_count &&
                           read_marks (fd, list.items[i].name, place, sizeof place)
                       ? bsearch (&key, check->places, check->place_count, sizeof *check->places,
                                  compare_places)
                       : NULL;
    if (found)
      check->used[found - check->places] = true;
  }
  return 0;
}

static int check_store (struct check *check, int root_fd, struct err *err)
{
  autoclose int store_fd = fd_open_dir (root_fd, "store");
  autodirlist struct dirlist fans = {0};

  if (store_fd < 0 || dirread_all (store_fd, &fans, err) < 0)
    return err_errno (err, "read store");
  for (size_t i = 0; i < fans.count; i++) {
    const char *fan = fans.items[i].name;
    autodirlist struct dirlist names = {0};

    if (strcmp (fan, "contents") == 0 || strcmp (fan, "data") == 0)
      continue;
    if (strcmp (fan, "quarantine") == 0) {
      if (check_quarantine (check, store_fd, err) < 0)
        return -err->code;
      continue;
    }
    if (fans.items[i].type != DT_DIR || strlen (fan) != 2 || !is_hex (fan, 2)) {
      problem (check, "store/%s does not belong there", fan);
      continue;
    }
    autoclose int fan_fd = fd_open_dir (store_fd, fan);
    if (fan_fd < 0 || dirread_all (fan_fd, &names, err) < 0)
      return err_errno (err, "read store/%s", fan);
    for (size_t k = 0; k < names.count; k++)
      if (check_object (check, fan_fd, fan, names.items[k].name, err) < 0)
        return -err->code;
  }
  return 0;
}

/* What a layer may have of the overlay. @base_fd: of a thin guest's tree, or -1. */
static int check_forms (struct check *check, const struct manifest *manifest, const char *what,
                        int tree, int base_fd, struct err *err)
{
  automanifest struct manifest base = {0};

  if (base_fd < 0) {
    check->problems +=
        layers_check_clean (manifest, what, /* allow_origin= */ tree < 0, check->out);
    return 0;
  }
  if (manifest_read (base_fd, &base, err) < 0)
    return err_wrap (err, "the base of %s", what);
  check->problems += layers_check_thin (manifest, &base, what, check->out);
  return 0;
}

/* An entry that is no object, once for each inode. */
static int look_into (struct check *check, int layer_fd, const struct manifest_entry *entry,
                      const char *where, struct seen *seen, struct err *err)
{
  autoclose int data_fd = -1;
  const char *slash = strrchr (entry->path, '/');
  autofree char *dir = xstrndup (entry->path, slash ? (size_t) (slash - entry->path) : 0);

  if (seen->looked_into)
    return 0;
  seen->looked_into = true;
  autoclose int dir_fd = fd_open_dir_beneath (layer_fd, dir);
  if (dir_fd < 0)
    return err_errno (err, "open the directory of %s", where);
  return check_marks (check, dir_fd, slash ? slash + 1 : entry->path, &entry->st, where, &data_fd,
                      err);
}

/* A tree or, with @tree -1, a private layer. */
static int check_layer (struct check *check, int parent_fd, const char *name, const char *what,
                        int tree, int base_fd, struct err *err)
{
  autoclose int fd = fd_open_dir (parent_fd, name);
  automanifest struct manifest manifest = {0};

  if (fd < 0)
    return err_errno (err, "open %s", what);
  if (manifest_read (fd, &manifest, err) < 0)
    return err_wrap (err, "%s", what);
  if (check_forms (check, &manifest, what, tree, base_fd, err) < 0)
    return -err->code;
  check->names += manifest.count;
  for (size_t i = 0; i < manifest.count; i++) {
    const struct manifest_entry *entry = &manifest.items[i];
    autofree char *path = printable (entry->path, strlen (entry->path));
    autofree char *where = xasprintf ("%s/%s", what, path);

    if (S_ISDIR (entry->st.st_mode))
      continue;
    struct seen *seen = seen_put (check, &entry->st, where);
    if (tree < 0) {
      if (seen->object || seen->tree >= 0)
        problem (check, "%s lies in a private layer and is shared with %s", where, seen->where);
      seen->private_layer = true;
      continue;
    }
    if (look_into (check, fd, entry, where, seen, err) < 0)
      return -err->code;
    if (seen->private_layer || seen->failed)
      problem (check, "%s lies in a tree and is shared with %s", where, seen->where);
    if (seen->tree >= 0 && seen->tree != tree)
      seen->in_two_trees = true;
    seen->tree = tree;
  }
  return 0;
}

/* A layer of which nothing but hard links matters; @undo or else failed. */
static int check_links_of (struct check *check, int parent_fd, const char *name, const char *what,
                           bool undo, struct err *err)
{
  autofree char *layer = xasprintf ("%s/%s", what, name);
  autoclose int fd = fd_open_dir_beneath (parent_fd, name);
  automanifest struct manifest manifest = {0};

  if (fd < 0) {
    problem (check, "%s is missing", layer);
    return 0;
  }
  if (manifest_read (fd, &manifest, err) < 0)
    return err_wrap (err, "%s", layer);
  for (size_t i = 0; i < manifest.count; i++) {
    const struct manifest_entry *entry = &manifest.items[i];
    autofree char *path = printable (entry->path, strlen (entry->path));
    autofree char *where = xasprintf ("%s/%s", layer, path);

    if (S_ISDIR (entry->st.st_mode))
      continue;
    struct seen *seen = seen_put (check, &entry->st, where);
    if (undo)
      seen->undo = true;
    else
      seen->failed = true;
    if (undo && (strstr (entry->text, " trusted.overlay.metacopy=") ||
                 strstr (entry->text, " trusted.overlay.redirect=")))
      problem (check, "%s is a form of the overlay that undo layers do not have", where);
  }
  return 0;
}

static int check_entry (struct check *check, int history_fd, const char *id, const char *what,
                        struct err *err)
{
  autofree char *where = xasprintf ("%s/history/%s", what, id);
  autoclose int fd = fd_open_dir (history_fd, id);
  autodirlist struct dirlist list = {0};

  if (fd < 0) {
    problem (check, "%s does not belong there", where);
    return 0;
  }
  if (dirread_all (fd, &list, err) < 0)
    return err_wrap (err, "%s", where);
  if (!dirlist_find (&list, "entry.json"))
    problem (check, "%s has no entry.json", where);
  for (size_t i = 0; i < list.count; i++)
    if (strcmp (list.items[i].name, "entry.json") != 0 && strcmp (list.items[i].name, "undo") != 0)
      problem (check, "%s/%s is left over", where, list.items[i].name);
  if (!dirlist_find (&list, "undo"))
    return 0;
  if (check_links_of (check, fd, "undo/layer", where, true, err) < 0 ||
      check_links_of (check, fd, "undo/partners", where, true, err) < 0)
    return -err->code;
  return 0;
}

/* What is kept of transactions. */
static int check_history (struct check *check, int guest_fd, const char *what, struct err *err)
{
  autoclose int history_fd = fd_open_dir (guest_fd, "history");
  autodirlist struct dirlist list = {0};

  if (history_fd >= 0 && dirread_all (history_fd, &list, err) < 0)
    return err_wrap (err, "%s/history", what);
  for (size_t i = 0; i < list.count; i++)
    if (check_entry (check, history_fd, list.items[i].name, what, err) < 0)
      return -err->code;
  if (faccessat (guest_fd, "failed", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return 0;
  return check_links_of (check, guest_fd, "failed/upper", what, false, err);
}

static void check_empty (struct check *check, int parent_fd, const char *name, const char *what)
{
  autoclose int fd = fd_open_dir (parent_fd, name);
  autodirlist struct dirlist list = {0};
  autoerr struct err err = {0};

  if (fd < 0 && errno == ENOENT)
    return;
  if (fd < 0 || dirread_all (fd, &list, &err) < 0) {
    problem (check, "%s cannot be read", what);
    return;
  }
  for (size_t i = 0; i < list.count; i++)
    problem (check, "%s/%s is left over", what, list.items[i].name);
}

static int check_guest (struct check *check, int parent_fd, const char *parent, const char *name,
                        struct err *err)
{
  static const char *const parts[] = {"config.json",  "state.json", "lock", "tree", "private",
                                      "unify.policy", "work",       "txn",  "log",  NULL};
  autofree char *what = xasprintf ("%s/%s", parent, name);
  autofree char *tree = xasprintf ("%s/tree", what);
  autofree char *private_layer = xasprintf ("%s/private", what);
  autofree char *txn = xasprintf ("%s/txn", what);
  autoclose int fd = fd_open_dir (parent_fd, name);
  autodirlist struct dirlist list = {0};

  if (fd < 0 || dirread_all (fd, &list, err) < 0)
    return err_errno (err, "read %s", what);
  for (size_t i = 0; i < list.count; i++) {
    const char *const *part = parts;

    while (*part && strcmp (*part, list.items[i].name) != 0)
      part++;
    if (!*part && strncmp (list.items[i].name, ".vg-", 4) == 0)
      problem (check, "%s/%s is left over", what, list.items[i].name);
  }
  for (const char *const *part = parts; *part; part++)
    if (!dirlist_find (&list, *part) && strcmp (*part, "unify.policy") != 0)
      problem (check, "%s/%s is missing", what, *part);
  autoclose int base_fd = openat (fd, "base", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (base_fd < 0 && dirlist_find (&list, "base"))
    problem (check, "%s/base leads nowhere", what);
  if (check_layer (check, fd, "tree", tree, (int) check->trees++, base_fd, err) < 0 ||
      check_layer (check, fd, "private", private_layer, -1, -1, err) < 0 ||
      check_history (check, fd, what, err) < 0)
    return -err->code;
  check_empty (check, fd, "txn", txn);
  return 0;
}

static int check_guests (struct check *check, int root_fd, const char *parent, struct err *err)
{
  autoclose int fd = fd_open_dir (root_fd, parent);
  autodirlist struct dirlist list = {0};

  if (fd < 0 && errno == ENOENT)
    return 0;
  if (fd < 0 || dirread_all (fd, &list, err) < 0)
    return err_errno (err, "read %s", parent);
  for (size_t i = 0; i < list.count; i++)
    if (check_guest (check, fd, parent, list.items[i].name, err) < 0)
      return -err->code;
  return 0;
}

static int check_template (struct check *check, int templates_fd, const char *name, struct err *err)
{
  autoclose int fd = fd_open_dir (templates_fd, name);
  autodirlist struct dirlist generations = {0};

  if (fd < 0 || dirread_all (fd, &generations, err) < 0)
    return err_errno (err, "read templates/%s", name);
  for (size_t i = 0; i < generations.count; i++) {
    const char *generation = generations.items[i].name;
    autofree char *what = xasprintf ("templates/%s/%s/tree", name, generation);

    if (generations.items[i].type != DT_DIR)
      continue;
    autoclose int generation_fd = fd_open_dir (fd, generation);
    if (generation_fd < 0)
      return err_errno (err, "open templates/%s/%s", name, generation);
    if (faccessat (generation_fd, "template.json", F_OK, 0) < 0)
      problem (check, "templates/%s/%s has no template.json", name, generation);
    if (check_layer (check, generation_fd, "tree", what, (int) check->trees++, -1, err) < 0)
      return -err->code;
  }
  return 0;
}

static int check_templates (struct check *check, int root_fd, struct err *err)
{
  autoclose int fd = fd_open_dir (root_fd, "templates");
  autodirlist struct dirlist list = {0};

  if (fd < 0 && errno == ENOENT)
    return 0;
  if (fd < 0 || dirread_all (fd, &list, err) < 0)
    return err_errno (err, "read templates");
  for (size_t i = 0; i < list.count; i++)
    if (list.items[i].type == DT_DIR && check_template (check, fd, list.items[i].name, err) < 0)
      return -err->code;
  return 0;
}

/* After all layers: who links to what. */
static void check_links (struct check *check)
{
  for (size_t i = 0; i < check->seen_size; i++) {
    const struct seen *seen = &check->seen[i];

    if (!seen->where)
      continue;
    if (seen->in_two_trees && !seen->object && !seen->unshared)
      problem (check, "%s is in two trees and no object", seen->where);
    if (seen->undo && (seen->private_layer || seen->failed))
      problem (check, "%s is kept to undo a transaction, and can be written", seen->where);
    if (seen->failed && (seen->object || seen->private_layer))
      problem (check, "%s is in a failed layer and shared", seen->where);
    if (seen->names != seen->nlink)
      problem (check, "%s has %ju links, of which %zu were found", seen->where,
               (uintmax_t) seen->nlink, seen->names);
  }
}

static void check_mounts (struct check *check, const char *root)
{
  autofree char *real = realpath (root, NULL);
  autofree char *line = NULL;
  size_t size = 0;
  FILE *file = fopen ("/proc/self/mountinfo", "re");

  if (!file || !real) {
    problem (check, "the mounts cannot be read");
    if (file)
      fclose (file);
    return;
  }
  while (getline (&line, &size, file) > 0) {
    const char *at = strstr (line, real);
    char end = at ? at[strlen (real)] : '\0';

    if (end == '/')
      problem (check, "a mount is left over: %s", line);
  }
  fclose (file);
}

static int run (struct check *check, const char *root, bool mounts, struct err *err)
{
  autoclose int root_fd = open (root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (root_fd < 0)
    return err_errno (err, "open %s", root);
  autoclose int store_fd = fd_open_dir (root_fd, "store");
  check->store_fd = store_fd;
  metaentry_use_store (store_fd);
  if (store_fd < 0)
    return err_errno (err, "open store");
  if (read_places (check, err) < 0 || check_store (check, root_fd, err) < 0 ||
      check_templates (check, root_fd, err) < 0 ||
      check_guests (check, root_fd, "guests", err) < 0 ||
      check_guests (check, root_fd, "aside", err) < 0)
    return -err->code;
  check_empty (check, root_fd, "staging", "staging");
  check_places (check);
  check_links (check);
  if (mounts)
    check_mounts (check, root);
  return 0;
}

int check_root (const char *root, bool mounts, FILE *out, char **ret_summary, size_t *ret_problems,
                struct err *err)
{
  struct check check = {.out = out};
  int ret = run (&check, root, mounts, err);

  metaentry_forget_store (check.store_fd);

  for (size_t i = 0; i < check.seen_size; i++)
    free (check.seen[i].where);
  free (check.seen);
  if (ret < 0)
    return ret;
  if (ret_summary)
    *ret_summary = xasprintf ("%zu objects, %zu trees, %zu names, %zu problems", check.objects,
                              check.trees, check.names, check.problems);
  *ret_problems = check.problems;
  return 0;
}
