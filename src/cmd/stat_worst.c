/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest-stat --worst-case: what it would take if nothing were shared any more. */
#include "cmd.h"
#include "stat.h"
#include <inttypes.h>

static void add_up (const struct stat_table *table, struct usage *ret_total)
{
  *ret_total = (struct usage){0};
  for (size_t i = 0; i < table->count; i++) {
    ret_total->own_bytes += table->rows[i].disk.own_bytes;
    ret_total->worst_bytes += table->rows[i].disk.worst_bytes;
    ret_total->worst_files += table->rows[i].disk.worst_files;
  }
}

/* The reserve counts as room: it is there for the worst. */
static bool is_enough (const struct usage *total, const struct space *space)
{
  return total->worst_bytes <= space->free_bytes &&
         (!space->total_files || total->worst_files <= space->free_files);
}

void stat_worst_to_json (const struct stat_row *row, json_object *guest)
{
  json_set_int (guest, "worst_case_bytes", (int64_t) row->disk.worst_bytes);
  json_set_int (guest, "worst_case_files", (int64_t) row->disk.worst_files);
}

void stat_worst_total_to_json (const struct stat_table *table, json_object *object)
{
  json_object *worst = json_object_new_object ();
  const struct space *space = &table->space;
  struct usage total;

  add_up (table, &total);
  json_set_int (worst, "bytes", (int64_t) total.worst_bytes);
  json_set_int (worst, "files", (int64_t) total.worst_files);
  json_set_int (worst, "free_bytes", (int64_t) space->free_bytes);
  json_set_int (worst, "reserve_bytes", (int64_t) space->reserve_bytes);
  json_object_object_add (worst, "free_files",
                          space->total_files ? json_object_new_int64 ((int64_t) space->free_files)
                                             : NULL);
  json_object_object_add (
      worst, "reserve_files",
      space->total_files ? json_object_new_int64 ((int64_t) space->reserve_files) : NULL);
  json_set_bool (worst, "enough", is_enough (&total, space));
  json_object_object_add (object, "worst_case", worst);
}

static void print_row (int width, const char *name, const char *state, const char *template,
                       const struct usage *usage)
{
  autofree char *own = format_bytes (usage->own_bytes);
  autofree char *worst = format_bytes (usage->worst_bytes);

  printf ("%-*s %-8s %-12s %10s %10s %9" PRIu64 "\n", width, name, state, template, own, worst,
          usage->worst_files);
}

static void print_total (const struct usage *total, const struct space *space)
{
  autofree char *worst = format_bytes (total->worst_bytes);
  autofree char *room = format_bytes (space->free_bytes);
  autofree char *reserve = format_bytes (space->reserve_bytes);

  printf ("\nIf every shared file were written to, it would take %s and %" PRIu64
          " inodes more.\n%s",
          worst, total->worst_files, room);
  if (space->total_files)
    printf (" and %" PRIu64 " inodes", space->free_files);
  printf (" are free, %s of it in reserve: %s.\n", reserve,
          is_enough (total, space) ? "enough" : "not enough");
}

void stat_print_worst (const struct stat_table *table)
{
  struct usage total;
  int width = 5;

  add_up (table, &total);
  for (size_t i = 0; i < table->count; i++)
    if ((int) strlen (table->rows[i].name) > width)
      width = (int) strlen (table->rows[i].name);
  printf ("%-*s %-8s %-12s %10s %10s %9s\n", width, "NAME", "STATE", "TEMPLATE", "OWN", "WORST",
          "INODES");
  for (size_t i = 0; i < table->count; i++) {
    const struct stat_row *row = &table->rows[i];

    print_row (width, row->name, row->state, row->template ? row->template : "-", &row->disk);
  }
  print_row (width, "total", "", "", &total);
  print_total (&total, &table->space);
}
