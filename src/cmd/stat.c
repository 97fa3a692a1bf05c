/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest-stat [--json] [SELECTION] */
#include "cmd/cmd.h"
#include "guest/usage.h"
#include "util/fd.h"
#include "util/progress.h"
#include <inttypes.h>

static const char usage_text[] =
    "Usage: vguest-stat [--json] [NAME…|--all] [--exclude PATTERN]\n"
    "Shows the guests and what they share. SIZE is that of the files a guest sees; SHARED and OWN\n"
    "are on the disk, by blocks: together what du says of the guest's directory. SHARED is used "
    "by\n"
    "another guest or a template as well; OWN is freed when the guest is deleted. The bytes saved\n"
    "are what all guests would take without sharing among them, minus what they take.\n";

struct row {
  char *name;
  char *state;
  char *template;
  struct usage usage;
};

struct table {
  struct row *rows; /* owned */
  size_t count;
};

static void table_release (struct table *table)
{
  for (size_t i = 0; i < table->count; i++) {
    free (table->rows[i].name);
    free (table->rows[i].state);
    free (table->rows[i].template);
  }
  free (table->rows);
}

static int add_row (struct vroot *root, struct guest *guest, const struct usage *usage,
                    struct table *table, struct err *err)
{
  const char *template = NULL;
  const char *state = guest_state_name (root, guest, err);

  if (!state || json_get_string (guest->state, "template", NULL, &template, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  table->rows[table->count++] = (struct row){
      .name = xstrdup (guest->name),
      .state = xstrdup (state),
      .template = template ? xstrdup (template) : NULL,
      .usage = *usage,
  };
  return 0;
}

/* All guests are scanned, as the bytes saved are the host's; the selected ones get a row. */
static int scan (struct vroot *root, const struct names *existing, const struct names *selected,
                 struct usage_map *map, struct table *table, struct err *err)
{
  if (usage_map_load (root, map, err) < 0)
    return -err->code;
  table->rows = xcalloc (existing->count, sizeof *table->rows);
  for (size_t i = 0; i < existing->count; i++) {
    const char *name = existing->items[i];
    autoguest struct guest *guest = NULL;
    struct usage usage;

    progress_show ("scan", i, existing->count, "guests");
    if (guest_open (root, name, GUEST_PEEK, &guest, err) < 0) {
      /* Deleted, or replaced, since the list was made. */
      if (faccessat (root->guests_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
        err_release (err);
        continue;
      }
      return -err->code;
    }
    if (usage_scan (map, &guest->fd, 1, &usage, err) < 0)
      return err_wrap (err, "guest %s", name);
    if (faccessat (root->guests_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
        names_has (selected, name) && add_row (root, guest, &usage, table, err) < 0)
      return -err->code;
  }
  return 0;
}

static void print_json_table (const struct usage_map *map, const struct table *table)
{
  autojson json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array (), *store = json_object_new_object ();

  for (size_t i = 0; i < table->count; i++) {
    const struct row *row = &table->rows[i];
    json_object *guest = json_object_new_object ();

    json_set_string (guest, "name", row->name);
    json_set_string (guest, "state", row->state);
    json_object_object_add (guest, "template",
                            row->template ? json_object_new_string (row->template) : NULL);
    json_set_int (guest, "apparent_bytes", (int64_t) row->usage.apparent_bytes);
    json_set_int (guest, "shared_bytes", (int64_t) row->usage.shared_bytes);
    json_set_int (guest, "own_bytes", (int64_t) row->usage.own_bytes);
    json_set_int (guest, "files", (int64_t) row->usage.files);
    json_object_array_add (guests, guest);
  }
  json_set_int (store, "objects", (int64_t) map->store_objects);
  json_set_int (store, "bytes", (int64_t) map->store_bytes);
  json_object_object_add (object, "guests", guests);
  json_object_object_add (object, "store", store);
  json_set_int (object, "saved_bytes", (int64_t) (map->guests_bytes - map->union_bytes));
  print_json (object);
}

static void print_row (int width, const char *name, const char *state, const char *template,
                       const struct usage *usage)
{
  autofree char *apparent = format_bytes (usage->apparent_bytes);
  autofree char *shared = format_bytes (usage->shared_bytes);
  autofree char *own = format_bytes (usage->own_bytes);

  printf ("%-*s %-7s %-12s %10s %10s %10s %7" PRIu64 "\n", width, name, state, template, apparent,
          shared, own, usage->files);
}

static void print_table (const struct usage_map *map, const struct table *table)
{
  struct usage total = {0};
  int width = 5;

  for (size_t i = 0; i < table->count; i++)
    if ((int) strlen (table->rows[i].name) > width)
      width = (int) strlen (table->rows[i].name);
  printf ("%-*s %-7s %-12s %10s %10s %10s %7s\n", width, "NAME", "STATE", "TEMPLATE", "SIZE",
          "SHARED", "OWN", "FILES");
  for (size_t i = 0; i < table->count; i++) {
    const struct row *row = &table->rows[i];

    print_row (width, row->name, row->state, row->template ? row->template : "-", &row->usage);
    total.apparent_bytes += row->usage.apparent_bytes;
    total.shared_bytes += row->usage.shared_bytes;
    total.own_bytes += row->usage.own_bytes;
    total.files += row->usage.files;
  }
  print_row (width, "total", "", "", &total);
  autofree char *store = format_bytes (map->store_bytes);
  autofree char *together = format_bytes (map->union_bytes);
  autofree char *saved = format_bytes (map->guests_bytes - map->union_bytes);
  printf ("\nAll guests together take %s, %s less than without sharing.\n"
          "The store has %" PRIu64 " objects, %s.\n",
          together, saved, map->store_objects, store);
}

int cmd_stat (struct context *context, int argc, char **argv, struct err *err)
{
  autoselection struct selection selection = {0};
  const struct option_spec specs[] = {
      {"all", 0, NULL, "all guests (the default)", &selection.all, NULL, NULL},
      {"exclude", 0, "PATTERN", "but not these", NULL, NULL, &selection.exclude},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  autonames struct names existing = {0}, selected = {0};
  autousagemap struct usage_map map = {0};
  struct table table = {0};
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage_text, argc, argv, &first,
                     &dashes, err) < 0)
    return -err->code;
  for (int i = first; i < argc; i++)
    if (strcmp (argv[i], "--") != 0)
      names_add (&selection.patterns, argv[i]);
  selection.all |= !selection.patterns.count;
  if (context_open_root (context, /* write= */ false, &root, err) < 0 ||
      guest_list (root, &existing, err) < 0)
    return -err->code;
  if ((existing.count || selection.patterns.count) &&
      selection_resolve (&selection, &existing, &selected, err) < 0)
    return -err->code;
  int ret = scan (root, &existing, &selected, &map, &table, err);
  progress_clear ();
  if (ret == 0 && context->json)
    print_json_table (&map, &table);
  else if (ret == 0)
    print_table (&map, &table);
  table_release (&table);
  return ret;
}
