/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "download_internal.h"
#include <inttypes.h>

enum { URLS_MAX = 16 };

/* An entry of the list with the key that it is sorted by. */
struct entry {
  struct pkgcache_file *file;
  struct checksum given;
  char *key; /* owned */
};

char *pkg_file_for_people (const struct pkgcache_file *file)
{
  if (file->name)
    return xstrdup (file->name);
  return file->uri ? fetch_url_for_people (file->uri) : xstrdup ("a package");
}

static void fail (struct pkgcache_file *file, enum fetch_outcome outcome, const char *text)
{
  autofree char *shown = pkg_file_for_people (file);

  file->state = PKG_FILE_FAILED;
  file->outcome = outcome;
  free (file->error);
  file->error = xasprintf ("%s: %s", shown, text);
}

/* What is known of the file, and is it enough? */
static bool read_digest (struct pkgcache_file *file, enum pkgcache_trust trust,
                         struct checksum *ret_given)
{
  autoerr struct err err = {0};

  *ret_given = (struct checksum){0};
  if (file->hash && file->hash_kind && checksum_kind_by_name (file->hash_kind) != CHECKSUM_NONE) {
    if (checksum_parse (file->hash_kind, file->hash, ret_given, &err) < 0) {
      fail (file, FETCH_FORBIDDEN, err_text (&err));
      return false;
    }
  }
  if (ret_given->kind == CHECKSUM_NONE && trust != PKGCACHE_ANY) {
    fail (file, FETCH_FORBIDDEN, "no digest of it is known, so that it cannot be verified");
    return false;
  }
  if (checksum_is_weak (ret_given->kind) && trust == PKGCACHE_STRONG) {
    autofree char *text = xasprintf ("only its %s digest is known, which can be forged",
                                     checksum_kind_name (ret_given->kind));

    fail (file, FETCH_FORBIDDEN, text);
    return false;
  }
  return true;
}

static char *make_key (const struct pkgcache_file *file, const struct checksum *given)
{
  char text[CHECKSUM_TEXT_SIZE];

  checksum_format (given, text);
  return checksum_is_weak (given->kind) ? xasprintf ("%s %s", text, file->uri ? file->uri : "")
                                        : xstrdup (text);
}

/* By key; equal ones keep their order. */
static int compare_entries (const void *a, const void *b)
{
  const struct entry *left = a, *right = b;
  int order = strcmp (left->key, right->key);

  if (order == 0)
    order = left->file < right->file ? -1 : left->file > right->file;
  return order;
}

struct url_list {
  const char **items;
  size_t *votes;
  size_t count;
};

static void vote (struct url_list *list, const char *url, size_t votes)
{
  for (size_t i = 0; i < list->count; i++)
    if (strcmp (list->items[i], url) == 0) {
      list->votes[i] += votes;
      return;
    }
  if (list->count == URLS_MAX)
    return;
  list->items[list->count] = url;
  list->votes[list->count++] = votes;
}

/* A guest's source that nobody else names is not the first that others have to wait for. */
static void collect_urls (struct pkgcache_unit *unit)
{
  size_t votes[URLS_MAX] = {0};
  struct url_list list = {xcalloc (URLS_MAX + 1, sizeof *list.items), votes, 0};

  for (size_t i = 0; i < unit->count; i++)
    if (unit->members[i]->uri)
      vote (&list, unit->members[i]->uri, 1);
  for (size_t i = 0; i < unit->count; i++)
    for (const char *const *url = unit->members[i]->mirrors; url && *url; url++)
      vote (&list, *url, 0);
  /* A stable sort of few. */
  for (size_t i = 1; i < list.count; i++)
    for (size_t j = i; j > 0 && votes[j] > votes[j - 1]; j--) {
      const char *url = list.items[j];
      size_t count = votes[j];

      list.items[j] = list.items[j - 1];
      list.items[j - 1] = url;
      votes[j] = votes[j - 1];
      votes[j - 1] = count;
    }
  unit->urls = list.items;
}

static void agree_on_size (struct pkgcache_unit *unit)
{
  unit->size = unit->members[0]->size;
  for (size_t i = 1; i < unit->count; i++)
    if (unit->members[i]->size != unit->size)
      unit->size = FETCH_SIZE_UNKNOWN;
}

/* The next one in order. */
static void add_entry (struct pkgcache_units *units, const struct entry *entry, size_t index,
                       bool begins_unit)
{
  units->members[index] = entry->file;
  if (begins_unit)
    units->items[units->count++] = (struct pkgcache_unit){
        .members = &units->members[index],
        .given = entry->given,
        .dir_fd = -1,
    };
  units->items[units->count - 1].count++;
}

void pkgcache_units_make (struct pkgcache_file *files, size_t count, enum pkgcache_trust trust,
                          struct pkgcache_units *ret_units)
{
  autofree struct entry *entries = xcalloc (count, sizeof *entries);
  struct pkgcache_units units = {
      .items = xcalloc (count, sizeof *units.items),
      .members = xcalloc (count, sizeof *units.members),
  };
  size_t left = 0;

  for (size_t i = 0; i < count; i++) {
    struct entry *entry = &entries[left];

    if (!read_digest (&files[i], trust, &entry->given))
      continue;
    entry->file = &files[i];
    entry->key = make_key (&files[i], &entry->given);
    left++;
  }
  qsort (entries, left, sizeof entries[0], compare_entries);
  for (size_t i = 0; i < left; i++)
    add_entry (&units, &entries[i], i, i == 0 || strcmp (entries[i - 1].key, entries[i].key) != 0);
  for (size_t i = 0; i < units.count; i++) {
    collect_urls (&units.items[i]);
    agree_on_size (&units.items[i]);
  }
  for (size_t i = 0; i < left; i++)
    free (entries[i].key);
  *ret_units = units;
}

void pkgcache_units_release (struct pkgcache_units *units)
{
  for (size_t i = 0; i < units->count; i++) {
    struct pkgcache_unit *unit = &units->items[i];

    free (unit->urls);
    free (unit->error);
  }
  free (units->items);
  free (units->members);
  *units = (struct pkgcache_units){0};
}

void pkgcache_unit_tell (const struct pkgcache_unit *unit)
{
  for (size_t i = 0; i < unit->count; i++) {
    struct pkgcache_file *file = unit->members[i];

    file->received = i == 0 ? unit->received : 0;
    file->outcome = unit->outcome;
    if (unit->error) {
      file->state = PKG_FILE_FAILED;
      free (file->error);
      file->error = xstrdup (unit->error);
      continue;
    }
    if (file->size != FETCH_SIZE_UNKNOWN && file->size != (uint64_t) unit->st.st_size) {
      autofree char *text = xasprintf ("it has %" PRIu64 " bytes, expected are %" PRIu64,
                                       (uint64_t) unit->st.st_size, file->size);

      fail (file, FETCH_MISMATCH, text);
      continue;
    }
    file->state = unit->fetched ? PKG_FILE_FETCHED : PKG_FILE_CACHED;
    file->digest = unit->digest;
  }
}

void pkgcache_files_release (struct pkgcache_file *files, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    free (files[i].error);
    files[i].error = NULL;
    files[i].state = PKG_FILE_NONE;
  }
}
