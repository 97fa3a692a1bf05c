/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "changes.h"
#include "util/err.h"

/* Grows an array by doubling at the powers of two, which keeps adding linear. */
static void *grow (void *items, size_t count, size_t size)
{
  if (count & (count - 1))
    return items;
  return xreallocarray (items, count ? count * 2 : 1, size);
}

static bool is_word (const char *word, size_t len)
{
  if (!len || len > PKG_WORD_MAX)
    return false;
  for (size_t i = 0; i < len; i++)
    if ((unsigned char) word[i] <= ' ' || word[i] == 0x7f)
      return false;
  return true;
}

static void free_package (struct pkg_package *package)
{
  free (package->key);
  free (package->version);
  free (package->state);
}

void pkg_packages_release (struct pkg_packages *packages)
{
  int saved = errno;

  for (size_t i = 0; i < packages->count; i++)
    free_package (&packages->items[i]);
  free (packages->items);
  *packages = (struct pkg_packages){0};
  errno = saved;
}

int pkg_packages_add (struct pkg_packages *packages, const char *key, size_t key_len,
                      const char *version, size_t version_len, const char *state, uint64_t size,
                      struct err *err)
{
  if (packages->count >= PKG_PACKAGES_MAX)
    return err_code (err, E2BIG, "more than %d packages", PKG_PACKAGES_MAX);
  if (!is_word (key, key_len) || (version_len && !is_word (version, version_len)))
    return err_code (err, EINVAL, "a bad name or version of a package");
  packages->items = grow (packages->items, packages->count, sizeof packages->items[0]);
  packages->items[packages->count++] = (struct pkg_package){
      .key = xstrndup (key, key_len),
      .version = xstrndup (version_len ? version : "", version_len),
      .state = state ? xstrdup (state) : NULL,
      .size = size,
  };
  return 0;
}

static int compare_packages (const void *a, const void *b)
{
  const struct pkg_package *x = a, *y = b;
  int order = strcmp (x->key, y->key);

  return order ? order : strcmp (x->version, y->version);
}

void pkg_packages_sort (struct pkg_packages *packages)
{
  size_t kept = 0;

  if (packages->count > 1)
    qsort (packages->items, packages->count, sizeof packages->items[0], compare_packages);
  for (size_t i = 0; i < packages->count; i++)
    if (kept && compare_packages (&packages->items[kept - 1], &packages->items[i]) == 0)
      free_package (&packages->items[i]);
    else
      packages->items[kept++] = packages->items[i];
  packages->count = kept;
}

static int compare_key (const void *key, const void *package)
{
  return strcmp (key, ((const struct pkg_package *) package)->key);
}

const struct pkg_package *pkg_packages_find (const struct pkg_packages *packages, const char *key)
{
  if (!packages->count)
    return NULL;
  return bsearch (key, packages->items, packages->count, sizeof packages->items[0], compare_key);
}

void pkg_changes_release (struct pkg_changes *changes)
{
  int saved = errno;

  for (size_t i = 0; i < changes->count; i++) {
    free (changes->items[i].name);
    free (changes->items[i].old_version);
    free (changes->items[i].new_version);
  }
  free (changes->items);
  *changes = (struct pkg_changes){0};
  errno = saved;
}

int pkg_changes_add (struct pkg_changes *changes, enum pkg_action action, const char *name,
                     size_t name_len, const char *old_version, size_t old_len,
                     const char *new_version, size_t new_len, struct err *err)
{
  if (changes->count >= PKG_PACKAGES_MAX)
    return err_code (err, E2BIG, "more than %d changes", PKG_PACKAGES_MAX);
  if (!is_word (name, name_len) || (old_version && old_len && !is_word (old_version, old_len)) ||
      (new_version && new_len && !is_word (new_version, new_len)))
    return err_code (err, EINVAL, "a bad name or version of a package");
  changes->items = grow (changes->items, changes->count, sizeof changes->items[0]);
  changes->items[changes->count++] = (struct pkg_change){
      .action = action,
      .name = xstrndup (name, name_len),
      .old_version = old_version ? xstrndup (old_version, old_len) : NULL,
      .new_version = new_version ? xstrndup (new_version, new_len) : NULL,
  };
  return 0;
}

static int add_removed (struct pkg_changes *changes, const struct pkg_package *old, struct err *err)
{
  return pkg_changes_add (changes, PKG_REMOVE, old->key, strlen (old->key), old->version,
                          strlen (old->version), NULL, 0, err);
}

static int add_installed (struct pkg_changes *changes, const struct pkg_package *new,
                          struct err *err)
{
  return pkg_changes_add (changes, PKG_INSTALL, new->key, strlen (new->key), NULL, 0, new->version,
                          strlen (new->version), err);
}

static bool same_state (const struct pkg_package *a, const struct pkg_package *b)
{
  return strcmp (a->state ? a->state : "", b->state ? b->state : "") == 0;
}

/* Of a package that both have. */
static int add_between (struct pkg_changes *changes, const struct pkg_package *old,
                        const struct pkg_package *new, struct err *err)
{
  enum pkg_action action = PKG_UPGRADE;

  if (old->removed != new->removed)
    return new->removed ? add_removed (changes, old, err) : add_installed (changes, new, err);
  if (strcmp (old->version, new->version) == 0) {
    if (same_state (old, new))
      return 0;
    action = PKG_CONFIGURE;
  }
  return pkg_changes_add (changes, action, old->key, strlen (old->key), old->version,
                          strlen (old->version), new->version, strlen (new->version), err);
}

/* The packages of one name: a part of a sorted list. */
struct range {
  const struct pkg_package *at, *end;
};

static struct range take_name (const struct pkg_package **at, const struct pkg_package *end)
{
  struct range range = {*at, *at};

  while (range.end < end && strcmp (range.end->key, range.at->key) == 0)
    range.end++;
  *at = range.end;
  return range;
}

static int compare_version (const void *version, const void *package)
{
  return strcmp (version, ((const struct pkg_package *) package)->version);
}

static const struct pkg_package *find_version (struct range range, const char *version)
{
  return bsearch (version, range.at, (size_t) (range.end - range.at), sizeof *range.at,
                  compare_version);
}

/* The next whose version is not among @others, or NULL. */
static const struct pkg_package *next_alone (struct range *range, struct range others)
{
  while (range->at < range->end && find_version (others, range->at->version))
    range->at++;
  return range->at < range->end ? range->at++ : NULL;
}

/* One name, of which several versions may be installed, as of a kernel: those that are in both
 * lists have only changed their states; of the others the first ones belong together, and so on. */
static int add_name (struct pkg_changes *changes, struct range before, struct range after,
                     struct err *err)
{
  struct range old_alone = before, new_alone = after;
  const struct pkg_package *old, *new;
  int ret = 0;

  for (old = before.at; ret == 0 && old < before.end; old++)
    if ((new = find_version (after, old->version)))
      ret = add_between (changes, old, new, err);
  do {
    old = next_alone (&old_alone, after);
    new = next_alone (&new_alone, before);
    if (ret == 0 && old && new)
      ret = add_between (changes, old, new, err);
    else if (ret == 0 && old)
      ret = add_removed (changes, old, err);
    else if (ret == 0 && new)
      ret = add_installed (changes, new, err);
  } while (ret == 0 && (old || new));
  return ret;
}

int pkg_changes_between (const struct pkg_packages *before, const struct pkg_packages *after,
                         struct pkg_changes *changes, struct err *err)
{
  const struct pkg_package *old = before->items, *old_end = old + before->count;
  const struct pkg_package *new = after->items, *new_end = new + after->count;
  int ret = 0;

  while (ret == 0 && (old < old_end || new < new_end)) {
    int order = old == old_end ? 1 : new == new_end ? -1 : strcmp (old->key, new->key);

    if (order < 0)
      ret = add_removed (changes, old++, err);
    else if (order > 0)
      ret = add_installed (changes, new ++, err);
    else
      ret = add_name (changes, take_name (&old, old_end), take_name (&new, new_end), err);
  }
  return ret;
}

void pkg_changes_complete (struct pkg_changes *changes, const struct pkg_packages *installed,
                           bool news_only)
{
  for (size_t i = 0; i < changes->count; i++) {
    struct pkg_change *change = &changes->items[i];
    const struct pkg_package *old = pkg_packages_find (installed, change->name);

    if (!old || change->old_version || (change->action == PKG_INSTALL && !news_only))
      continue;
    change->old_version = xstrdup (old->version);
    if (change->action == PKG_INSTALL)
      change->action = change->new_version && strcmp (old->version, change->new_version) == 0
                           ? PKG_REINSTALL
                           : PKG_UPGRADE;
  }
}

static const char *const action_names[] = {
    [PKG_INSTALL] = "install",     [PKG_UPGRADE] = "upgrade", [PKG_DOWNGRADE] = "downgrade",
    [PKG_REINSTALL] = "reinstall", [PKG_REMOVE] = "remove",   [PKG_CONFIGURE] = "configure",
};

const char *pkg_action_name (enum pkg_action action)
{
  return action_names[action];
}

static void put_text (json_object *object, const char *key, const char *text)
{
  if (text)
    json_set_bytes (object, key, text, strlen (text));
  else
    json_put (object, key, NULL);
}

json_object *pkg_changes_json (const struct pkg_changes *changes)
{
  json_object *array = json_object_new_array ();

  for (size_t i = 0; i < changes->count; i++) {
    const struct pkg_change *change = &changes->items[i];
    json_object *object = json_object_new_object ();

    json_set_string (object, "action", pkg_action_name (change->action));
    put_text (object, "name", change->name);
    put_text (object, "old", change->old_version);
    put_text (object, "new", change->new_version);
    json_append (array, object);
  }
  return array;
}

static int find_action (const char *name, enum pkg_action *ret_action, struct err *err)
{
  for (size_t i = 0; i < sizeof action_names / sizeof action_names[0]; i++)
    if (strcmp (name, action_names[i]) == 0) {
      *ret_action = (enum pkg_action) i;
      return 0;
    }
  return err_code (err, EINVAL, "an unknown change \"%s\"", name);
}

int pkg_changes_from_json (json_object *array, struct pkg_changes *changes, struct err *err)
{
  for (size_t i = 0; i < json_object_array_length (array); i++) {
    json_object *object = json_object_array_get_idx (array, i);
    const char *name = NULL, *old = NULL, *new = NULL, *verb = NULL;
    enum pkg_action action = PKG_INSTALL;

    if (json_get_string (object, "action", "", &verb, err) < 0 ||
        json_get_string (object, "name", "", &name, err) < 0 ||
        json_get_string (object, "old", NULL, &old, err) < 0 ||
        json_get_string (object, "new", NULL, &new, err) < 0 ||
        find_action (verb, &action, err) < 0 ||
        pkg_changes_add (changes, action, name, strlen (name), old, old ? strlen (old) : 0, new,
                         new ? strlen (new) : 0, err) < 0)
      return -err->code;
  }
  return 0;
}

void pkg_files_release (struct pkg_files *files)
{
  int saved = errno;

  for (size_t i = 0; i < files->count; i++) {
    free (files->items[i].uri);
    free (files->items[i].name);
    free (files->items[i].hash_kind);
    free (files->items[i].hash);
  }
  free (files->items);
  *files = (struct pkg_files){0};
  errno = saved;
}

static bool is_file_name (const char *name, size_t len)
{
  return is_word (name, len) && len <= 255 && name[0] != '.' && !memchr (name, '/', len);
}

static bool is_uri (const char *uri, size_t len)
{
  if (!len || len > PKG_URI_MAX)
    return false;
  for (size_t i = 0; i < len; i++)
    if ((unsigned char) uri[i] <= ' ' || uri[i] == 0x7f)
      return false;
  return true;
}

static bool is_hex (const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
      return false;
  return true;
}

static bool is_hash (const char *kind, const char *hash, size_t len)
{
  static const struct {
    const char *kind;
    size_t digits;
  } kinds[] = {{"md5", 32}, {"sha1", 40}, {"sha256", 64}, {"sha512", 128}};

  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strcmp (kind, kinds[i].kind) == 0)
      return len == kinds[i].digits && is_hex (hash, len);
  return false;
}

int pkg_files_add (struct pkg_files *files, const char *uri, size_t uri_len, const char *name,
                   size_t name_len, uint64_t size, const char *hash_kind, const char *hash,
                   size_t hash_len, struct err *err)
{
  if (files->count >= PKG_PACKAGES_MAX)
    return err_code (err, E2BIG, "more than %d files", PKG_PACKAGES_MAX);
  if (!is_uri (uri, uri_len))
    return err_code (err, EINVAL, "a bad address of a file");
  if (!is_file_name (name, name_len))
    return err_code (err, EINVAL, "a bad name of a file");
  if (hash_kind && !is_hash (hash_kind, hash, hash_len))
    return err_code (err, EINVAL, "a bad %s sum of a file", hash_kind);
  files->items = grow (files->items, files->count, sizeof files->items[0]);
  files->items[files->count++] = (struct pkg_uri){
      .uri = xstrndup (uri, uri_len),
      .name = xstrndup (name, name_len),
      .size = size,
      .hash_kind = hash_kind ? xstrdup (hash_kind) : NULL,
      .hash = hash_kind ? xstrndup (hash, hash_len) : NULL,
  };
  return 0;
}

json_object *pkg_files_json (const struct pkg_files *files)
{
  json_object *array = json_object_new_array ();

  for (size_t i = 0; i < files->count; i++) {
    const struct pkg_uri *file = &files->items[i];
    json_object *object = json_object_new_object ();

    put_text (object, "uri", file->uri);
    put_text (object, "name", file->name);
    if (file->size != UINT64_MAX)
      json_set_int (object, "size", (int64_t) file->size);
    put_text (object, "hash_kind", file->hash_kind);
    put_text (object, "hash", file->hash);
    json_append (array, object);
  }
  return array;
}

int pkg_files_from_json (json_object *array, struct pkg_files *files, struct err *err)
{
  for (size_t i = 0; i < json_object_array_length (array); i++) {
    json_object *object = json_object_array_get_idx (array, i);
    const char *uri = NULL, *name = NULL, *kind = NULL, *hash = NULL;
    int64_t size = -1;

    if (json_get_string (object, "uri", "", &uri, err) < 0 ||
        json_get_string (object, "name", "", &name, err) < 0 ||
        json_get_string (object, "hash_kind", NULL, &kind, err) < 0 ||
        json_get_string (object, "hash", "", &hash, err) < 0 ||
        json_get_int (object, "size", -1, &size, err) < 0 ||
        pkg_files_add (files, uri, strlen (uri), name, strlen (name),
                       size < 0 ? UINT64_MAX : (uint64_t) size, kind, hash, strlen (hash), err) < 0)
      return -err->code;
  }
  return 0;
}

void pkg_text_start (const char *text, size_t len, struct pkg_text *ret_text)
{
  *ret_text = (struct pkg_text){.at = text, .end = text + len};
}

bool pkg_text_line (struct pkg_text *text, const char **ret_line, size_t *ret_len)
{
  if (text->at == text->end)
    return false;
  size_t left = (size_t) (text->end - text->at);
  const char *newline = memchr (text->at, '\n', left);
  size_t len = newline ? (size_t) (newline - text->at) : left;

  *ret_line = text->at;
  *ret_len = len;
  text->at += len + (newline != NULL);
  text->number++;
  return true;
}

bool pkg_text_word (const char **at, const char *end, const char **ret_word, size_t *ret_len)
{
  while (*at < end && **at == ' ')
    ++*at;
  *ret_word = *at;
  while (*at < end && **at != ' ')
    ++*at;
  *ret_len = (size_t) (*at - *ret_word);
  return *ret_len > 0;
}
