/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest-stat --disk: what the guests share. */
#include "stat.h"
#include "cmd.h"
#include "util/fd.h"
#include "util/progress.h"
#include <inttypes.h>

/* Deleted, or replaced, since the list was made. */
static bool is_gone (const struct vroot *root, const char *name)
{
  return faccessat (root->guests_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

int stat_scan_disk (struct vroot *root, const struct names *existing, struct stat_table *table,
                    struct err *err)
{
  size_t row = 0;

  if (usage_map_load (root, &table->map, err) < 0)
    return -err->code;
  for (size_t i = 0; i < existing->count; i++) {
    const char *name = existing->items[i];
    autoguest struct guest *guest = NULL;
    struct usage usage;

    progress_show ("scan", i, existing->count, "guests");
    if (guest_open (root, name, GUEST_PEEK, &guest, err) < 0) {
      if (!is_gone (root, name))
        return -err->code;
      err_release (err);
      continue;
    }
    if (usage_scan (&table->map, &guest->fd, 1, &usage, err) < 0)
      return err_wrap (err, "guest %s", name);
    while (row < table->count && strcmp (table->rows[row].name, name) < 0)
      row++;
    if (row < table->count && strcmp (table->rows[row].name, name) == 0)
      table->rows[row].disk = usage;
  }
  progress_clear ();
  return 0;
}

void stat_disk_to_json (const struct stat_row *row, json_object *guest)
{
  json_set_int (guest, "apparent_bytes", (int64_t) row->disk.apparent_bytes);
  json_set_int (guest, "shared_bytes", (int64_t) row->disk.shared_bytes);
  json_set_int (guest, "own_bytes", (int64_t) row->disk.own_bytes);
  json_set_int (guest, "files", (int64_t) row->disk.files);
}

void stat_store_to_json (const struct stat_table *table, json_object *object)
{
  json_object *store = json_object_new_object ();

  json_set_int (store, "objects", (int64_t) table->map.store_objects);
  json_set_int (store, "bytes", (int64_t) table->map.store_bytes);
  json_object_object_add (object, "store", store);
  json_set_int (object, "saved_bytes",
                (int64_t) (table->map.guests_bytes - table->map.union_bytes));
}

static void print_row (int width, const char *name, const char *state, const char *template,
                       const struct usage *usage)
{
  autofree char *apparent = format_bytes (usage->apparent_bytes);
  autofree char *shared = format_bytes (usage->shared_bytes);
  autofree char *own = format_bytes (usage->own_bytes);

  printf ("%-*s %-8s %-12s %10s %10s %10s %7" PRIu64 "\n", width, name, state, template, apparent,
          shared, own, usage->files);
}

void stat_print_disk (const struct stat_table *table)
{
  struct usage total = {0};
  int width = 5;

  for (size_t i = 0; i < table->count; i++)
    if ((int) strlen (table->rows[i].name) > width)
      width = (int) strlen (table->rows[i].name);
  printf ("%-*s %-8s %-12s %10s %10s %10s %7s\n", width, "NAME", "STATE", "TEMPLATE", "SIZE",
          "SHARED", "OWN", "FILES");
  for (size_t i = 0; i < table->count; i++) {
    const struct stat_row *row = &table->rows[i];

    print_row (width, row->name, row->state, row->template ? row->template : "-", &row->disk);
    total.apparent_bytes += row->disk.apparent_bytes;
    total.shared_bytes += row->disk.shared_bytes;
    total.own_bytes += row->disk.own_bytes;
    total.files += row->disk.files;
  }
  print_row (width, "total", "", "", &total);
  autofree char *store = format_bytes (table->map.store_bytes);
  autofree char *together = format_bytes (table->map.union_bytes);
  autofree char *saved = format_bytes (table->map.guests_bytes - table->map.union_bytes);
  printf ("\nAll guests together take %s, %s less than without sharing.\n"
          "The store has %" PRIu64 " objects, %s.\n",
          together, saved, table->map.store_objects, store);
}
