/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unified.h"
#include "store/objectnames.h"
#include "util/dirread.h"
#include "util/dirwalk.h"
#include "util/fd.h"

enum { ITEMS_FIRST = 1024 };

struct item {
  size_t path; /* where it begins in the paths */
  uint64_t ino;
};

/* All names of the guest that are no directories. */
struct listing {
  struct item *items; /* owned */
  size_t count, size;
  struct strbuf paths;    /* owned; each ends with NUL */
  struct u64table inodes; /* owned; a set */
};

static void listing_release (struct listing *listing)
{
  free (listing->items);
  strbuf_release (&listing->paths);
  u64table_release (&listing->inodes);
}
#define autolisting __attribute__ ((cleanup (listing_release)))

static void add (struct listing *listing, const char *dir, const struct dirread_entry *entry)
{
  if (listing->count == listing->size) {
    listing->size = listing->size ? listing->size * 2 : ITEMS_FIRST;
    listing->items = xreallocarray (listing->items, listing->size, sizeof *listing->items);
  }
  listing->items[listing->count++] = (struct item){listing->paths.len, entry->ino};
  strbuf_adds (&listing->paths, *dir ? "/" : "");
  strbuf_adds (&listing->paths, dir);
  strbuf_adds (&listing->paths, "/");
  strbuf_add (&listing->paths, entry->name, strlen (entry->name) + 1);
  u64table_add (&listing->inodes, entry->ino);
}

static int visit (void *data, struct dirwalk_turn *turn, struct err *err)
{
  struct listing *listing = data;
  autodirread struct dirread dirread = {.fd = -1};
  struct dirread_entry entry = {0};
  int more;

  dirread_start (turn->fd, &dirread);
  while ((more = dirread_next (&dirread, &entry, err)) > 0)
    if (entry.type == DT_DIR)
      dirwalk_enter (turn, entry.name, NULL);
    else
      add (listing, turn->path, &entry);
  if (more == -ENOENT) { /* the directory was removed */
    err_release (err);
    more = 0;
  }
  return more < 0 ? err_wrap (err, "/%s", turn->path) : 0;
}

/* Keeps those that are objects. */
static void choose (struct listing *listing, const struct object_names *objects)
{
  size_t kept = 0;

  for (size_t i = 0; i < listing->count; i++)
    if (object_names_find (objects, listing->items[i].ino))
      listing->items[kept++] = listing->items[i];
  listing->count = kept;
}

static int compare_paths (const void *a, const void *b, void *data)
{
  const struct item *one = a, *other = b;
  const char *paths = data;

  return strcmp (paths + one->path, paths + other->path);
}

static void add_path (struct strbuf *text, const char *path)
{
  while (*path) {
    size_t len = strcspn (path, "\n\\");

    strbuf_add (text, path, len);
    path += len;
    if (*path)
      strbuf_addf (text, "\\%03o", (unsigned char) *path++);
  }
}

static void add_line (struct strbuf *text, const struct object_name *object, uint64_t ino,
                      const char *path)
{
  char hash[DIGEST_TEXT_SIZE];

  digest_format (&object->id, hash);
  strbuf_addf (text, "%s %llu ", hash, (unsigned long long) ino);
  add_path (text, path);
  strbuf_adds (text, "\n");
}

int unified_list (struct store *store, int root_fd, struct strbuf *ret_text, struct err *err)
{
  autolisting struct listing listing = {.paths = STRBUF_INIT (SIZE_MAX / 2)};
  autoobjectnames struct object_names objects = {0};
  const struct dirwalk walk = {.top_fd = root_fd,
                               .flags = O_NOATIME,
                               .may_vanish = true,
                               .threads = 1,
                               .visit = visit,
                               .data = &listing};

  if (dirwalk_run (&walk, err) < 0 || object_names_load (store, &listing.inodes, &objects, err) < 0)
    return -err->code;
  choose (&listing, &objects);
  if (listing.count)
    qsort_r (listing.items, listing.count, sizeof *listing.items, compare_paths,
             listing.paths.data);
  for (size_t i = 0; i < listing.count; i++) {
    const struct item *item = &listing.items[i];

    add_line (ret_text, object_names_find (&objects, item->ino), item->ino,
              listing.paths.data + item->path);
  }
  return 0;
}
