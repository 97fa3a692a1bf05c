/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest-stat: rows that both tables are made of. */
#ifndef VG_CMD_STAT_H
#define VG_CMD_STAT_H

#include "guest/space.h"
#include "guest/usage.h"
#include "runtime/live.h"

struct stat_row {
  char *name;     /* owned */
  char *template; /* owned; or NULL */
  bool thin;
  const char *state; /* "running", … */
  struct live_info info;
  struct live_usage usage; /* -1 where nothing is known */
  double cpu_percent;      /* of one CPU; -1 when not known */
  struct usage disk;       /* with --disk or --worst-case */
  int64_t soft_limit;      /* bytes; -1: none */
};

struct stat_table {
  struct stat_row *rows; /* owned */
  size_t count;
  size_t running;
  struct usage_map map; /* with --disk or --worst-case */
  struct space space;   /* with --worst-case */
};

void stat_table_release (struct stat_table *table);
#define autostattable __attribute__ ((cleanup (stat_table_release)))

/* All guests are scanned, as the bytes saved are the host's; the rows of @table get their part. */
int stat_scan_disk (struct vroot *root, const struct names *existing, struct stat_table *table,
                    struct err *err);

void stat_print_disk (const struct stat_table *table);

/* Adds the members of the disk to @guest, the object of a row. */
void stat_disk_to_json (const struct stat_row *row, json_object *guest);

/* Adds those that are of all guests together. */
void stat_store_to_json (const struct stat_table *table, json_object *object);

/* stat_worst.c: the same for --worst-case. */
void stat_print_worst (const struct stat_table *table);
void stat_worst_to_json (const struct stat_row *row, json_object *guest);
void stat_worst_total_to_json (const struct stat_table *table, json_object *object);

#endif
