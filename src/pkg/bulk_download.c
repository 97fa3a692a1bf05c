/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The phases space and download. */
#include "bulk_internal.h"
#include "guest/space.h"

/* Unpacked, a package takes about so many times its compressed size; and so much more than the
 * files of packages is written by a run (databases, caches, logs). */
enum { UNPACKED = 4, RUN_BYTES = 64 << 20 };

/* Only what comes over the network, and has a digest that nobody can forge: all else is left to the
 * guest's own manager. */
static bool is_for_cache (const struct pkg_uri *uri)
{
  bool remote = pkg_starts_with (uri->uri, "http://") || pkg_starts_with (uri->uri, "https://") ||
                pkg_starts_with (uri->uri, "ftp://");

  return remote && uri->hash_kind &&
         (strcmp (uri->hash_kind, "sha256") == 0 || strcmp (uri->hash_kind, "sha512") == 0);
}

/* Is any member of the plan still there to be worked on? */
static bool is_wanted (const struct bulk *bulk, int plan)
{
  for (size_t i = 0; i < bulk->count; i++)
    if (bulk_is_open (bulk, i) && bulk->works[i].plan == plan &&
        bulk->report->rows[i].mode != BULK_RUNNING && bulk->report->rows[i].driver->packages_dir)
      return true;
  return false;
}

/* The files of all plans, one after another: each plan has a slice. */
static size_t gather (struct bulk *bulk)
{
  size_t total = 0, count = 0;

  for (size_t i = 0; i < bulk->plans.count; i++)
    total += bulk->plans.items[i].files.count;
  bulk->files = xcalloc (total + 1, sizeof *bulk->files);
  for (size_t i = 0; i < bulk->plans.count; i++) {
    struct bulk_group *group = &bulk->plans.items[i];

    group->first_file = count;
    if (group->failed || !is_wanted (bulk, (int) i))
      continue;
    for (size_t k = 0; k < group->files.count; k++) {
      const struct pkg_uri *uri = &group->files.items[k];

      if (is_for_cache (uri))
        bulk->files[count++] = (struct pkgcache_file){
            .uri = uri->uri,
            .name = uri->name,
            .size = uri->size,
            .hash_kind = uri->hash_kind,
            .hash = uri->hash,
        };
    }
    group->file_count = count - group->first_file;
  }
  bulk->file_count = count;
  return count;
}

static uint64_t plan_bytes (const struct bulk_group *group)
{
  uint64_t bytes = 0;

  for (size_t i = 0; i < group->files.count; i++)
    if (group->files.items[i].size != UINT64_MAX)
      bytes += group->files.items[i].size;
  return bytes;
}

/* What all downloads take, and the largest transactions that run at the same time. */
static uint64_t needed_bytes (const struct bulk *bulk, size_t open)
{
  uint64_t downloads = 0, largest = 0;
  uint64_t parallel = bulk->options->jobs < open ? bulk->options->jobs : open;

  for (size_t i = 0; i < bulk->plans.count; i++) {
    uint64_t bytes = plan_bytes (&bulk->plans.items[i]);

    downloads += bytes;
    if (bytes > largest)
      largest = bytes;
  }
  return downloads + parallel * (largest * UNPACKED + RUN_BYTES);
}

int bulk_check_space (struct bulk *bulk, struct err *err)
{
  size_t open = 0;

  for (size_t i = 0; i < bulk->count; i++)
    open += bulk_is_open (bulk, i);
  if (!open)
    return 0;
  autofree char *what =
      xasprintf ("download for and work on %u guests at the same time (--jobs)",
                 bulk->options->jobs < open ? bulk->options->jobs : (unsigned) open);
  return space_check (bulk->root, needed_bytes (bulk, open), what, err);
}

static void on_progress (void *data, const struct fetch_progress *progress)
{
  const struct bulk_options *options = data;

  if (options->on_download)
    options->on_download (options->data, progress->done, progress->total, progress->rate);
}

/* Guests that need a file which could not be had. */
static void fail_without (struct bulk *bulk)
{
  for (size_t i = 0; i < bulk->count; i++) {
    const struct bulk_work *work = &bulk->works[i];
    const struct bulk_group *group = work->plan == NO_GROUP ? NULL : &bulk->plans.items[work->plan];
    autoerr struct err err = {0};

    for (size_t k = 0; bulk_is_open (bulk, i) && group && k < group->file_count; k++) {
      const struct pkgcache_file *file = &bulk->files[group->first_file + k];

      if (file->state != PKG_FILE_FAILED)
        continue;
      err_code (&err, EIO, "download %s: %s%s", file->name, file->error ? file->error : "?",
                file->outcome == FETCH_REFUSED ? "; are the package lists too old? Try --refresh"
                                               : "");
      runlog_note (&bulk->works[i].log, "%s; the guest is as before", err_text (&err));
      bulk_end_row (bulk, i, &err);
      break;
    }
  }
}

int bulk_download (struct bulk *bulk, struct err *err)
{
  struct pkgcache_options options = {
      .trust = PKGCACHE_STRONG,
      .fetch = {.retries = bulk->options->retries ? bulk->options->retries : FETCH_NO_RETRIES,
                .on_progress = on_progress,
                .data = (void *) bulk->options},
  };
  struct pkgcache_report report = {0};

  if (!gather (bulk))
    return 0;
  bulk_tell_phase (bulk, "download");
  if (pkgcache_open (bulk->root, &bulk->cache, err) < 0 ||
      pkgcache_fetch (bulk->cache, bulk->files, bulk->file_count, &options, &report, err) < 0)
    return err_wrap (err, "download packages");
  bulk->report->downloaded_files = report.fetched;
  bulk->report->downloaded_bytes = report.received;
  bulk->report->cached_files = report.cached;
  fail_without (bulk);
  return 0;
}
