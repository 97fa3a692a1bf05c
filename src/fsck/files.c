/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest's own files, and what killed commands left. */
#include "guest/history.h"
#include "guest/settings.h"
#include "internal.h"
#include "template/template.h"
#include "tree/journal.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <sys/file.h>
#include <time.h>

/* Clocks of hosts that were put right by a little are none of our business. */
enum { CLOCK_SLACK = 3600 };

/* Is @stamp, an UTC time, to come? */
static bool is_to_come (const char *stamp)
{
  struct tm tm = {0};
  const char *end = stamp ? strptime (stamp, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;

  return end && !*end && timegm (&tm) > time (NULL) + CLOCK_SLACK;
}

/* Reads a file with a format and perhaps a time; NULL when it cannot be used, which is told. */
static json_object *read_file (struct fsck *fsck, const char *where, int dir_fd, const char *name,
                               int64_t newest_format, const char *stamp)
{
  autojson json_object *object = NULL;
  autofree char *full = xasprintf ("%s/%s", where, name);
  autoerr struct err err = {0};
  const char *text = NULL;
  int64_t format = 0;

  if (json_read_file (dir_fd, name, name, &object, &err) < 0 ||
      json_get_int (object, "format", 0, &format, &err) < 0 ||
      (stamp && json_get_string (object, stamp, NULL, &text, &err) < 0)) {
    fsck_add (fsck, FSCK_FILE, true, full, "%s", err_text (&err));
    return NULL;
  }
  if (format < 1 || format > newest_format) {
    fsck_add (fsck, FSCK_FILE, true, full, "its format is none that this vguest knows");
    return NULL;
  }
  if (is_to_come (text))
    fsck_add (fsck, FSCK_CLOCK, false, full,
              "it is from %s, which is to come: did this host's clock go backwards?", text);
  return steal_ptr (&object);
}

static void check_json (struct fsck *fsck, const char *where, int dir_fd, const char *name,
                        int64_t newest_format, const char *stamp)
{
  autojson json_object *object = read_file (fsck, where, dir_fd, name, newest_format, stamp);
}

static void check_config (struct fsck *fsck, const struct fsck_place *place, int fd)
{
  autojson json_object *config =
      read_file (fsck, place->path, fd, "config.json", GUEST_FORMAT, NULL);
  struct settings settings = {0};
  autoerr struct err err = {0};

  if (!config)
    return;
  if (settings_parse (config, place->name, &settings, &err) < 0)
    fsck_add (fsck, FSCK_FILE, true, place->path, "config.json: %s", err_text (&err));
  else
    settings_release (&settings);
}

static int check_history (struct fsck *fsck, const struct fsck_place *place, int fd,
                          struct err *err)
{
  autoclose int history_fd = fd_open_dir (fd, "history");
  autodirlist struct dirlist list = {0};

  if (history_fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open history");
  if (dirread_all (history_fd, &list, err) < 0)
    return err_wrap (err, "history");
  for (size_t i = 0; i < list.count; i++) {
    autofree char *where = xasprintf ("%s/history/%s", place->path, list.items[i].name);
    autoclose int entry_fd = fd_open_dir (history_fd, list.items[i].name);

    if (entry_fd >= 0)
      check_json (fsck, where, entry_fd, "entry.json", HISTORY_FORMAT, "time");
    else if (errno != ENOENT)
      fsck_add (fsck, FSCK_FILE, true, where, "it is no entry of a history");
  }
  return 0;
}

static void check_part (struct fsck *fsck, const struct fsck_place *place, int fd, const char *name)
{
  struct stat st;

  if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR (st.st_mode))
    fsck_add (fsck, FSCK_PART, true, place->path, "the directory %s is missing", name);
}

/* Temporary names, of which no command that runs has any while we hold the lock. */
static int check_leftovers (struct fsck *fsck, const struct fsck_place *place, int fd,
                            struct err *err)
{
  autodirlist struct dirlist list = {0}, txn = {0};
  autoclose int txn_fd = -1;

  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;

    if (strncmp (name, ".vg-", 4) == 0 ||
        (place->kind == FSCK_TEMPLATE && strcmp (name, "repair") == 0))
      fsck_add (fsck, FSCK_LEFTOVER, false, place->path, "%s was left by a killed command", name);
  }
  if (place->kind == FSCK_TEMPLATE)
    return 0;
  if (faccessat (fd, GUEST_RAN, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    fsck_add (fsck, FSCK_LEFTOVER, false, place->path,
              "it was not settled after its last run: the next command does that");
  txn_fd = fd_open_dir (fd, "txn");
  if (txn_fd < 0)
    return 0;
  if (dirread_all (txn_fd, &txn, err) < 0)
    return err_wrap (err, "txn");
  if (dirlist_find (&txn, JOURNAL_NAME) || dirlist_find (&txn, JOURNAL_APPLIED))
    fsck_add (fsck, FSCK_LEFTOVER, false, place->path,
              "a change was interrupted: the next command finishes it");
  else if (txn.count)
    fsck_add (fsck, FSCK_LEFTOVER, false, place->path,
              "an unfinished transaction was left: the next command throws it away");
  return 0;
}

int fsck_check_files (struct fsck *fsck, const struct fsck_place *place, int fd, struct err *err)
{
  bool busy = strcmp (place->state, "busy") == 0;

  check_part (fsck, place, fd, "tree");
  if (place->kind == FSCK_TEMPLATE) {
    check_json (fsck, place->path, fd, "template.json", TEMPLATE_FORMAT, "created");
    return check_leftovers (fsck, place, fd, err);
  }
  check_part (fsck, place, fd, "private");
  check_part (fsck, place, fd, "txn");
  check_config (fsck, place, fd);
  check_json (fsck, place->path, fd, "state.json", GUEST_FORMAT, "created");
  if (check_history (fsck, place, fd, err) < 0)
    return -err->code;
  return busy || strcmp (place->state, "stopped") != 0 ? 0 : check_leftovers (fsck, place, fd, err);
}

int fsck_check_staging (struct fsck *fsck, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (fsck->root->staging_fd, &list, err) < 0)
    return err_wrap (err, "staging");
  for (size_t i = 0; i < list.count; i++) {
    autoclose int fd = fd_open_dir (fsck->root->staging_fd, list.items[i].name);

    /* Who builds there has it locked. */
    if (fd >= 0 && flock (fd, LOCK_SH | LOCK_NB) < 0)
      continue;
    if (fd >= 0 || errno != ENOENT)
      fsck_add (fsck, FSCK_LEFTOVER, false, "staging",
                "%s was left by a killed command: the next one removes it", list.items[i].name);
  }
  return 0;
}
