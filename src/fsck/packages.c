/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which package to install again. */
#include "dpkg_lists.h"
#include "internal.h"
#include "pkg/find.h"
#include "pkg/lookup.h"
#include "util/dirread.h"
#include "util/fd.h"

enum { LIST_MAX = 32 << 20 };
#define INFO_DIR "var/lib/dpkg/info"

/* The uses in the tree of one guest that have no good file, by path. */
struct wanted {
  struct fsck_use **items; /* owned; they are borrowed */
  size_t count;
  const char *package; /* borrowed; whose list is being read */
  size_t package_len;
};

static int compare_paths (const void *a, const void *b)
{
  return strcmp ((*(struct fsck_use *const *) a)->path, (*(struct fsck_use *const *) b)->path);
}

static int compare_key (const void *key, const void *item)
{
  return strcmp (key, (*(struct fsck_use *const *) item)->path);
}

static void note_package (struct wanted *wanted, const char *path)
{
  struct fsck_use **found =
      bsearch (path, wanted->items, wanted->count, sizeof *wanted->items, compare_key);

  if (found && !(*found)->package)
    (*found)->package = xstrndup (wanted->package, wanted->package_len);
}

static void visit_path (void *data, const char *path, size_t len)
{
  autofree char *text = xstrndup (path, len);
  autofree char *merged = xasprintf ("usr/%s", text);

  note_package (data, text);
  /* Lists have /bin/ls where /bin is a link to usr/bin. */
  note_package (data, merged);
}

static int read_lists (const struct pkg_layers *layers, int dir_fd, struct wanted *wanted,
                       struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (dir_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    autofree char *path = xasprintf (INFO_DIR "/%s", name);
    autofree char *text = NULL;
    size_t len = 0;

    wanted->package = name;
    wanted->package_len = list.items[i].type == DT_REG ? dpkg_list_package (name) : 0;
    if (!wanted->package_len)
      continue;
    int found = pkg_lookup_file (layers->fds, layers->count, path, LIST_MAX, &text, &len, err);
    if (found < 0)
      return found;
    if (found)
      dpkg_list_each (text, len, visit_path, wanted);
  }
  return 0;
}

static int look_up (struct fsck *fsck, const struct fsck_place *place, struct wanted *wanted,
                    struct err *err)
{
  autoclose int fd = fsck_open_place (fsck, place, err);
  struct guest guest = {.name = place->name, .fd = fd, .lock_fd = -1};
  autopkglayers struct pkg_layers layers = {0};
  autopkglookup struct pkg_lookup info = {0};

  if (fd < 0)
    return fd;
  if (pkg_layers_open (&guest, &layers, err) < 0 ||
      pkg_lookup_dir (layers.fds, layers.count, INFO_DIR, &info, err) < 0)
    return -err->code;
  for (size_t i = 0; i < info.count; i++)
    if (read_lists (&layers, info.fds[i], wanted, err) < 0)
      return -err->code;
  return 0;
}

static void find_in (struct fsck *fsck, size_t place)
{
  struct wanted wanted = {0};
  autoerr struct err ignored = {0};

  for (size_t i = 0; i < fsck->object_count; i++)
    for (size_t k = 0; k < fsck->objects[i].noted_uses; k++) {
      struct fsck_use *use = &fsck->objects[i].uses[k];

      if (use->place != place || use->repaired || use->waits || strcmp (use->layer, "tree") != 0)
        continue;
      if ((wanted.count & (wanted.count - 1)) == 0)
        wanted.items =
            xreallocarray (wanted.items, wanted.count ? wanted.count * 2 : 1, sizeof *wanted.items);
      wanted.items[wanted.count++] = use;
    }
  if (wanted.count) {
    qsort (wanted.items, wanted.count, sizeof *wanted.items, compare_paths);
    /* It is advice only: a guest whose lists cannot be read gets none. */
    if (look_up (fsck, &fsck->places[place], &wanted, &ignored) < 0)
      err_release (&ignored);
  }
  free (wanted.items);
}

void fsck_find_packages (struct fsck *fsck)
{
  for (size_t i = 0; i < fsck->place_count && !fsck->widespread; i++)
    if (fsck->places[i].kind == FSCK_GUEST && fsck->places[i].uses)
      find_in (fsck, i);
}
