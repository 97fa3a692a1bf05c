/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest-stat [--disk] [--worst-case] [--interval S] [--json] [SELECTION] */
#include "stat.h"
#include "cmd.h"
#include "guest/base.h"
#include "guest/disklimit.h"
#include "util/clock.h"
#include "util/fd.h"
#include <inttypes.h>
#include <time.h>

static const char usage_text[] =
    "Usage: vguest-stat [OPTION…] [NAME…|--all]\n"
    "Shows the guests: what runs and what it takes, and with --disk what they share.\n"
    "PID is that of a guest's first process. %CPU, of one processor, is the average since the\n"
    "start, as ps tells it; with --interval it is that of these seconds, as top does. TIME is\n"
    "processor time in minutes and seconds.\n"
    "With --disk: SIZE is that of the files a guest sees; SHARED and OWN are on the disk, by\n"
    "blocks: together what du says of a full guest's directory. SHARED is used by another guest "
    "or\n"
    "a template as well; OWN is freed when the guest is deleted. The bytes saved are what all\n"
    "guests would take without sharing among them, minus what they take.\n"
    "With --worst-case: what it would take beside that if each guest wrote to every file it shares "
    "or could share, and whether that is free.\n";

/* What is shown. */
struct show {
  bool disk;
  bool worst;
};

void stat_table_release (struct stat_table *table)
{
  for (size_t i = 0; i < table->count; i++) {
    free (table->rows[i].name);
    free (table->rows[i].template);
    live_info_release (&table->rows[i].info);
  }
  free (table->rows);
  usage_map_release (&table->map);
}

static const char *state_name (struct vroot *root, struct guest *guest,
                               const struct live_info *info, struct err *err)
{
  switch (info->state) {
  case LIVE_STARTING:
    return "starting";
  case LIVE_RUNNING:
    return "running";
  case LIVE_STOPPING:
    return "stopping";
  default:
    return guest_state_name (root, guest, err);
  }
}

/* What a guest that ends just now has not any more is not known. */
static void read_usage (const struct live_info *info, struct live_usage *ret_usage)
{
  autoerr struct err ignored = {0};

  if (live_usage_read (info, ret_usage, &ignored) < 0)
    *ret_usage = (struct live_usage){-1, -1, -1, -1};
}

static int fill_row (struct vroot *root, struct guest *guest, struct stat_row *row, struct err *err)
{
  autoguestbase struct guest_base base = {0};
  const char *template = NULL;

  *row = (struct stat_row){.name = xstrdup (guest->name), .usage = {-1, -1, -1, -1}};
  if (live_info_read (root, guest, &row->info, err) < 0)
    return -err->code;
  row->state = state_name (root, guest, &row->info, err);
  if (!row->state || json_get_string (guest->state, "template", NULL, &template, err) < 0)
    return -err->code;
  row->template = template ? xstrdup (template) : NULL;
  if (guest_base_read (guest->fd, &base, err) < 0)
    return -err->code;
  row->thin = base.template != NULL;
  row->cpu_percent = -1;
  row->soft_limit = disk_soft_limit (guest);
  if (row->info.state == LIVE_STOPPED)
    return 0;
  read_usage (&row->info, &row->usage);
  int64_t seconds = (int64_t) time (NULL) - row->info.started;
  if (row->usage.cpu_us >= 0 && row->info.started > 0)
    row->cpu_percent = (double) row->usage.cpu_us / 1e4 / (double) (seconds > 0 ? seconds : 1);
  return 0;
}

static int fill_table (struct vroot *root, const struct names *selected, struct stat_table *table,
                       struct err *err)
{
  table->rows = xcalloc (selected->count + 1, sizeof *table->rows);
  for (size_t i = 0; i < selected->count; i++) {
    const char *name = selected->items[i];
    autoguest struct guest *guest = NULL;

    if (guest_open (root, name, GUEST_PEEK, &guest, err) < 0) {
      /* Deleted, or replaced, since the list was made. */
      if (faccessat (root->guests_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
        err_release (err);
        continue;
      }
      return -err->code;
    }
    struct stat_row *row = &table->rows[table->count++];
    if (fill_row (root, guest, row, err) < 0)
      return err_wrap (err, "guest %s", name);
    table->running += row->info.state != LIVE_STOPPED;
  }
  return 0;
}

/* Waits, and makes the percentages those of that time. */
static void sample (struct stat_table *table, double interval)
{
  uint64_t start = clock_us ();
  time_t seconds = (time_t) interval;
  struct timespec pause = {.tv_sec = seconds,
                           .tv_nsec = (long) ((interval - (double) seconds) * 1e9)};

  while (nanosleep (&pause, &pause) < 0 && errno == EINTR)
    ;
  for (size_t i = 0; i < table->count; i++) {
    struct stat_row *row = &table->rows[i];
    int64_t before = row->usage.cpu_us;

    if (row->info.state == LIVE_STOPPED)
      continue;
    read_usage (&row->info, &row->usage);
    double took = (double) (clock_us () - start);
    row->cpu_percent = before < 0 || row->usage.cpu_us < before
                           ? -1
                           : (double) (row->usage.cpu_us - before) * 100 / took;
  }
}

static void add_number (json_object *object, const char *key, int64_t value, int64_t unknown)
{
  json_object_object_add (object, key, value == unknown ? NULL : json_object_new_int64 (value));
}

static json_object *row_to_json (const struct stat_row *row, const struct show *show)
{
  json_object *guest = json_object_new_object (), *addresses = json_object_new_array ();
  bool known = row->info.state != LIVE_STOPPED && row->info.started > 0;
  const struct live_usage *usage = &row->usage;

  for (size_t i = 0; i < row->info.addresses.count; i++)
    json_object_array_add (addresses, json_object_new_string (row->info.addresses.items[i]));
  json_set_string (guest, "name", row->name);
  json_set_string (guest, "state", row->state);
  json_object_object_add (guest, "template",
                          row->template ? json_object_new_string (row->template) : NULL);
  json_set_bool (guest, "thin", row->thin);
  add_number (guest, "pid", row->info.init_pid, 0);
  add_number (guest, "monitor_pid", row->info.monitor_pid, 0);
  add_number (guest, "started", known ? row->info.started : 0, 0);
  add_number (guest, "uptime_seconds", known ? time (NULL) - row->info.started : -1, -1);
  add_number (guest, "processes", usage->processes, -1);
  add_number (guest, "memory_bytes", usage->memory_bytes, -1);
  add_number (guest, "memory_limit_bytes", usage->memory_limit_bytes, -1);
  add_number (guest, "cpu_us", usage->cpu_us, -1);
  autofree char *percent = xasprintf ("%.2f", row->cpu_percent);
  json_object_object_add (
      guest, "cpu_percent",
      row->cpu_percent < 0 ? NULL : json_object_new_double_s (row->cpu_percent, percent));
  json_object_object_add (guest, "addresses", addresses);
  add_number (guest, "soft_limit_bytes", row->soft_limit, -1);
  if (show->disk)
    stat_disk_to_json (row, guest);
  if (show->worst)
    stat_worst_to_json (row, guest);
  return guest;
}

static void print_json_table (const struct stat_table *table, const struct show *show)
{
  autojson json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array ();

  for (size_t i = 0; i < table->count; i++)
    json_object_array_add (guests, row_to_json (&table->rows[i], show));
  json_object_object_add (object, "guests", guests);
  json_set_int (object, "running", (int64_t) table->running);
  if (show->disk)
    stat_store_to_json (table, object);
  if (show->worst)
    stat_worst_total_to_json (table, object);
  print_json (object);
}

/* "42s", "12m05s", "3h07m", "12d04h": the caller's string. */
static char *format_uptime (int64_t started)
{
  int64_t s = (int64_t) time (NULL) - started;

  if (started <= 0)
    return xstrdup ("-");
  if (s < 0)
    s = 0;
  if (s < 60)
    return xasprintf ("%" PRId64 "s", s);
  if (s < 3600)
    return xasprintf ("%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
  if (s < 86400)
    return xasprintf ("%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
  return xasprintf ("%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
}

/* Without the length of the prefix, which is a matter of configuration. */
static char *format_addresses (const struct names *addresses)
{
  autostrbuf struct strbuf text = STRBUF_INIT (4096);

  for (size_t i = 0; i < addresses->count; i++)
    strbuf_addf (&text, "%s%.*s", i ? "," : "", (int) strcspn (addresses->items[i], "/"),
                 addresses->items[i]);
  return xstrdup (text.len ? strbuf_str (&text) : "-");
}

static char *number_or_dash (int64_t number, int64_t unknown)
{
  return number == unknown ? xstrdup ("-") : xasprintf ("%" PRId64, number);
}

static void print_row (const struct stat_row *row, int name_width, int address_width)
{
  const struct live_usage *usage = &row->usage;
  autofree char *pid = number_or_dash (row->info.init_pid, 0);
  autofree char *uptime = format_uptime (row->info.state == LIVE_STOPPED ? 0 : row->info.started);
  autofree char *processes = number_or_dash (usage->processes, -1);
  autofree char *memory =
      usage->memory_bytes < 0 ? xstrdup ("-") : format_bytes ((uint64_t) usage->memory_bytes);
  autofree char *percent =
      row->cpu_percent < 0 ? xstrdup ("-") : xasprintf ("%.1f", row->cpu_percent);
  autofree char *cpu_time = usage->cpu_us < 0
                                ? xstrdup ("-")
                                : xasprintf ("%" PRId64 ":%05.2f", usage->cpu_us / 60000000,
                                             (double) (usage->cpu_us % 60000000) / 1e6);
  autofree char *addresses = format_addresses (&row->info.addresses);

  printf ("%-*s %-8s %7s %7s %5s %10s %5s %8s %-*s %s\n", name_width, row->name, row->state, pid,
          uptime, processes, memory, percent, cpu_time, address_width, addresses,
          row->template ? row->template : "-");
}

static void print_table (const struct stat_table *table)
{
  int name_width = 4, address_width = 7;

  for (size_t i = 0; i < table->count; i++) {
    autofree char *addresses = format_addresses (&table->rows[i].info.addresses);

    if ((int) strlen (table->rows[i].name) > name_width)
      name_width = (int) strlen (table->rows[i].name);
    if ((int) strlen (addresses) > address_width)
      address_width = (int) strlen (addresses);
  }
  printf ("%-*s %-8s %7s %7s %5s %10s %5s %8s %-*s %s\n", name_width, "NAME", "STATE", "PID",
          "UPTIME", "PROCS", "MEMORY", "%CPU", "TIME", address_width, "ADDRESS", "TEMPLATE");
  for (size_t i = 0; i < table->count; i++)
    print_row (&table->rows[i], name_width, address_width);
}

static int parse_interval (const char *text, double *ret_interval, struct err *err)
{
  char *end;

  *ret_interval = strtod (text, &end);
  if (end == text || *end || !(*ret_interval > 0 && *ret_interval <= 3600))
    return err_code (err, ERR_USAGE, "bad --interval \"%s\": seconds are expected, above 0", text);
  return 0;
}

/* Where the disk was not scanned only guests with a limit are. */
static void warn_of_limits (struct vroot *root, const struct stat_table *table,
                            const struct show *show)
{
  autonames struct names limited = {0};

  for (size_t i = 0; i < table->count; i++) {
    const struct stat_row *row = &table->rows[i];

    if (row->soft_limit < 0)
      continue;
    if (!show->disk && !show->worst)
      names_add (&limited, row->name);
    else if (row->disk.own_bytes > (uint64_t) row->soft_limit)
      warn_of_disk_limit (row->name, row->disk.own_bytes, (uint64_t) row->soft_limit);
  }
  warn_of_disk_limits (root, &limited);
}

static void print_tables (const struct stat_table *table, const struct show *show)
{
  if (show->disk)
    stat_print_disk (table);
  if (show->disk && show->worst)
    putchar ('\n');
  if (show->worst)
    stat_print_worst (table);
  if (!show->disk && !show->worst)
    print_table (table);
}

int cmd_stat (struct context *context, int argc, char **argv, struct err *err)
{
  autoselecting struct selecting selecting = {0};
  struct show show = {0};
  const char *interval_text = NULL;
  const struct option_spec specs[] = {
      SELECTING_OPTIONS (&selecting),
      {"disk", 0, NULL, "files and disk space, and what is shared", &show.disk, NULL, NULL},
      {"worst-case", 0, NULL, "disk space needed if nothing were shared", &show.worst, NULL, NULL},
      {"interval", 0, "SECONDS", "take %CPU over these seconds", NULL, &interval_text, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  autonames struct names existing = {0}, selected = {0};
  autostattable struct stat_table table = {0};
  double interval = 0;
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage_text, argc, argv, &first,
                     &dashes, err) < 0 ||
      (interval_text && parse_interval (interval_text, &interval, err) < 0))
    return -err->code;
  for (int i = first; i < argc; i++)
    if (strcmp (argv[i], "--") != 0)
      names_add (&selecting.selection.patterns, argv[i]);
  selecting.selection.all |= !selecting.selection.patterns.count && !selecting.from_file;
  if (context_open_root (context, /* write= */ false, &root, err) < 0 ||
      guest_list (root, &existing, err) < 0)
    return -err->code;
  if ((existing.count || !selecting.selection.all) &&
      selecting_resolve (root, &selecting, &selected, err) < 0)
    return -err->code;
  if (fill_table (root, &selected, &table, err) < 0 ||
      ((show.disk || show.worst) && stat_scan_disk (root, &existing, &table, err) < 0) ||
      (show.worst && space_read (root, &table.space, err) < 0))
    return -err->code;
  if (interval > 0 && table.running)
    sample (&table, interval);
  if (context->json)
    print_json_table (&table, &show);
  else
    print_tables (&table, &show);
  warn_of_limits (root, &table, &show);
  return 0;
}
