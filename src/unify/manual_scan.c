/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manual_internal.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"

struct scan {
  struct manual *manual;
  size_t top;
  struct strbuf path; /* owned; of the directory, below the top */
};

/* One step of a hash that is good enough for a table, and never trusted for equality. */
static uint64_t mix (uint64_t hash, uint64_t value)
{
  hash = (hash ^ value) * UINT64_C (0x9e3779b97f4a7c15);
  return hash ^ (hash >> 29);
}

static uint64_t key_of (const struct stat *st, bool reflink, unsigned flags)
{
  uint64_t key = mix (mix (flags, (uint64_t) st->st_dev), (uint64_t) st->st_size);

  if (reflink)
    return key;
  key = mix (mix (mix (key, st->st_mode), st->st_uid), st->st_gid);
  if (flags & IDENTITY_ANY_MTIME)
    return key;
  return mix (mix (key, (uint64_t) st->st_mtim.tv_sec), (uint64_t) st->st_mtim.tv_nsec);
}

static uint64_t add_name (struct manual *manual, const char *name)
{
  uint64_t at = manual->names.len;

  strbuf_add (&manual->names, name, strlen (name) + 1);
  return at;
}

static void add_dir (struct scan *scan)
{
  struct manual *manual = scan->manual;

  if (manual->dir_count == manual->dir_size) {
    manual->dir_size = manual->dir_size ? manual->dir_size * 2 : 256;
    manual->dirs = xreallocarray (manual->dirs, manual->dir_size, sizeof *manual->dirs);
  }
  manual->dirs[manual->dir_count++] =
      (struct manual_dir){scan->top, add_name (manual, strbuf_str (&scan->path))};
}

static void add_file (struct manual *manual, const char *name, const struct stat *st,
                      unsigned flags)
{
  if (manual->file_count == manual->file_size) {
    manual->file_size = manual->file_size ? manual->file_size * 2 : 4096;
    manual->files = xreallocarray (manual->files, manual->file_size, sizeof *manual->files);
  }
  manual->files[manual->file_count++] = (struct manual_file){
      .key = key_of (st, manual->options->reflink, flags),
      .ino = st->st_ino,
      .name = add_name (manual, name),
      .dir = (uint32_t) (manual->dir_count - 1),
      .flags = flags,
      .size = (uint64_t) st->st_size,
  };
}

/* *@dir_added: the directory is in the table already. */
static int scan_file (struct scan *scan, int dir_fd, const char *name, unsigned verdict,
                      bool *dir_added, struct err *err)
{
  struct manual *manual = scan->manual;
  bool reflink = manual->options->reflink;
  struct stat st;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s", name);
  if (!S_ISREG (st.st_mode) || !st.st_size)
    return 0;
  manual->report->files++;
  verdict = rules_settle (&manual->options->policy->rules, verdict, &st);
  if (verdict & MANUAL_EXCLUDED) {
    manual->report->excluded++;
    return 0;
  }
  if (!reflink && ((verdict & FOLD_CLASS_MASK) != FOLD_EAGER || st.st_mode & (S_ISUID | S_ISGID))) {
    manual->report->unsafe++;
    return 0;
  }
  if (!*dir_added)
    add_dir (scan);
  *dir_added = true;
  add_file (manual, name, &st, !reflink && verdict & FOLD_ANY_MTIME ? IDENTITY_ANY_MTIME : 0);
  return 0;
}

/* Counts what cannot be read, and goes on. */
static void fail_entry (struct scan *scan, const char *name, struct err *err)
{
  struct manual_report *report = scan->manual->report;

  err_wrap (err, "%s/%s%s%s", scan->manual->tops[scan->top].path, strbuf_str (&scan->path),
            scan->path.len ? "/" : "", name);
  report->failed++;
  if (!report->first_error)
    report->first_error = xstrdup (err_text (err));
  err_release (err);
}

static int scan_dir (struct scan *scan, int fd, const struct rules_state *state, struct err *err);

/* A directory below. What is mounted there is another tree, and so is a top: nothing comes twice.
 */
static int scan_child (struct scan *scan, int dir_fd, const char *name,
                       const struct rules_state *state, struct err *err)
{
  autoclose int fd = fd_open_dir (dir_fd, name);
  struct stat st;

  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
    return 0;
  if (fd < 0 || fstat (fd, &st) < 0)
    err_errno (err, "open the directory");
  if (err->code) {
    fail_entry (scan, name, err);
    return 0;
  }
  if (st.st_dev != scan->manual->tops[scan->top].dev || manual_is_top (scan->manual, &st) ||
      (!scan->path.len && strcmp (name, MANUAL_TEMP) == 0))
    return 0;
  size_t before = strbuf_push_name (&scan->path, name);
  int ret = scan_dir (scan, fd, state, err);
  strbuf_truncate (&scan->path, before);
  return ret;
}

static int scan_dir (struct scan *scan, int fd, const struct rules_state *state, struct err *err)
{
  const struct rules *rules = &scan->manual->options->policy->rules;
  autodirlist struct dirlist list = {0};
  bool dir_added = false;

  if (interrupt_check (err) < 0)
    return -err->code;
  if (dirread_all (fd, &list, err) < 0) {
    fail_entry (scan, "", err);
    return 0;
  }
  /* Files first: they are in the directory that was added last. */
  for (size_t pass = 0; pass < 2; pass++)
    for (size_t i = 0; i < list.count; i++) {
      const struct dirread_entry *entry = &list.items[i];
      autorulesstate struct rules_state child = {0};

      if (entry->type != (pass ? DT_DIR : DT_REG))
        continue;
      rules_enter (rules, state, entry->name, &child);
      if (pass && scan_child (scan, fd, entry->name, &child, err) < 0)
        return -err->code;
      if (!pass && scan_file (scan, fd, entry->name, child.verdict, &dir_added, err) < 0)
        fail_entry (scan, entry->name, err);
    }
  progress_show ("look", scan->manual->report->files, 0, "files");
  return 0;
}

int manual_scan (struct manual *manual, struct err *err)
{
  for (size_t i = 0; i < manual->top_count; i++) {
    struct scan scan = {.manual = manual, .top = i, .path = STRBUF_INIT (1 << 26)};
    autorulesstate struct rules_state state = {0};

    rules_start (&manual->options->policy->rules, FOLD_SHARED, &state);
    int ret = scan_dir (&scan, manual->tops[i].fd, &state, err);
    strbuf_release (&scan.path);
    if (ret < 0)
      return ret;
  }
  if (manual->dir_count > UINT32_MAX)
    return err_code (err, EFBIG, "there are too many directories for one run");
  return 0;
}
