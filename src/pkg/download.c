/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "download_internal.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/lock.h"

static int make_dir (int dir_fd, const char *name, int *ret_fd, struct err *err)
{
  autoclose int fd = fd_make_dir (dir_fd, name, 0755);
  struct stat st;

  /* Not less, whatever the umask; and not more. */
  if (fd < 0 || fstat (fd, &st) < 0 || ((st.st_mode & 07777) != 0755 && fchmod (fd, 0755) < 0))
    return err_errno (err, "make the directory %s of the package cache", name);
  *ret_fd = steal_fd (&fd);
  return 0;
}

int pkgcache_open_dir (struct vroot *root, int *ret_fd, struct err *err)
{
  autoclose int cache = fd_make_dir (root->fd, "cache", 0700);

  if (cache < 0)
    return err_errno (err, "open %s/cache", root->path);
  return make_dir (cache, "packages", ret_fd, err);
}

int pkgcache_open (struct vroot *root, struct pkgcache **ret_cache, struct err *err)
{
  autopkgcache struct pkgcache *cache = xcalloc (1, sizeof *cache);

  *cache = (struct pkgcache){.root = root, .fd = -1, .lock_fd = -1, .by_uri_fd = -1};
  for (size_t i = 0; i < PKGCACHE_SHARDS; i++)
    cache->shards[i] = -1;
  const struct lock_how how = root_lock_how (root, LOCK_RANK_CACHE, LOCK_SHARED);
  if (pkgcache_open_dir (root, &cache->fd, err) < 0 ||
      lock_acquire (cache->fd, "lock", &how, "the package cache", &cache->lock_fd, err) < 0)
    return -err->code;
  *ret_cache = steal_ptr (&cache);
  return 0;
}

void pkgcache_close (struct pkgcache *cache)
{
  int saved = errno;

  for (size_t i = 0; i < PKGCACHE_SHARDS; i++)
    if (cache->shards[i] >= 0)
      close (cache->shards[i]);
  if (cache->by_uri_fd >= 0)
    close (cache->by_uri_fd);
  if (cache->lock_fd >= 0)
    close (cache->lock_fd);
  if (cache->fd >= 0)
    close (cache->fd);
  free (cache);
  errno = saved;
}

int pkgcache_place (struct pkgcache *cache, const struct checksum *digest, int *ret_dir_fd,
                    char name[static CHECKSUM_TEXT_SIZE], struct err *err)
{
  int *shard = &cache->shards[digest->bytes[0]];
  char dir[3], hex[CHECKSUM_TEXT_SIZE];

  if (checksum_is_weak (digest->kind))
    return err_code (err, EINVAL, "the file is not in the package cache");
  snprintf (dir, sizeof dir, "%02x", digest->bytes[0]);
  if (*shard < 0 && make_dir (cache->fd, dir, shard, err) < 0)
    return -err->code;
  checksum_hex (digest, hex);
  snprintf (name, CHECKSUM_TEXT_SIZE, "%s-%.128s", checksum_kind_name (digest->kind), hex);
  *ret_dir_fd = *shard;
  return 0;
}

/* The place of what has no strong digest yet. */
static int place_by_uri (struct pkgcache *cache, struct pkgcache_unit *unit, struct err *err)
{
  autochecksummer struct checksummer *sum = NULL;
  char given[CHECKSUM_TEXT_SIZE];
  struct checksum hash;

  if (cache->by_uri_fd < 0 && make_dir (cache->fd, "by-uri", &cache->by_uri_fd, err) < 0)
    return -err->code;
  if (checksummer_new (CHECKSUM_SHA256, CHECKSUM_NONE, &sum, err) < 0)
    return -err->code;
  checksum_format (&unit->given, given);
  checksummer_add (sum, given, strlen (given) + 1);
  if (unit->urls[0])
    checksummer_add (sum, unit->urls[0], strlen (unit->urls[0]));
  checksummer_end (sum, &hash, NULL);
  checksum_hex (&hash, unit->name);
  unit->dir_fd = cache->by_uri_fd;
  return 0;
}

/* What is there, and what has to be fetched? */
static int look_up (struct pkgcache *cache, struct pkgcache_unit *unit,
                    struct pkgcache_report *report, struct err *err)
{
  if (checksum_is_weak (unit->given.kind))
    return place_by_uri (cache, unit, err);
  autoclose int fd = -1;
  unit->digest = unit->given;
  if (pkgcache_place (cache, &unit->digest, &unit->dir_fd, unit->name, err) < 0 ||
      pkgcache_check (unit->dir_fd, unit->name, &unit->digest, &unit->check, &fd, &unit->st, err) <
          0)
    return -err->code;
  unit->present = fd >= 0;
  report->read_again += unit->check == PKGCACHE_READ || unit->check == PKGCACHE_BAD;
  report->damaged += unit->check == PKGCACHE_BAD;
  return 0;
}

static void make_request (struct pkgcache_unit *unit, struct fetch_request *request)
{
  *request = (struct fetch_request) FETCH_REQUEST_INIT;
  request->urls = unit->urls;
  request->dir_fd = unit->dir_fd;
  request->name = unit->name;
  request->size = unit->size;
  request->size_max = PKGCACHE_FILE_MAX;
  request->checksums = &unit->given;
  request->checksum_count = unit->given.kind != CHECKSUM_NONE;
  request->want_sha256 = checksum_is_weak (unit->given.kind);
  /* Another process may have it by now. */
  request->keep = !checksum_is_weak (unit->given.kind);
}

/* A weak one goes to its place, unless another process that waited for the same file was faster. */
static int move_in (struct pkgcache *cache, struct pkgcache_unit *unit, struct err *err)
{
  enum pkgcache_check check = PKGCACHE_ABSENT;
  char name[CHECKSUM_TEXT_SIZE] = "";
  autoclose int fd = -1;
  int dir_fd = -1;

  if (pkgcache_place (cache, &unit->digest, &dir_fd, name, err) < 0)
    return -err->code;
  if (renameat (unit->dir_fd, unit->name, dir_fd, name) < 0) {
    int code = errno;

    if (pkgcache_check (dir_fd, name, &unit->digest, &check, &fd, &unit->st, err) < 0)
      return -err->code;
    if (fd < 0) {
      errno = code;
      return err_errno (err, "put a file into the package cache as %s", name);
    }
  }
  unit->dir_fd = dir_fd;
  memcpy (unit->name, name, sizeof name);
  return 0;
}

/* A file that was fetched. */
static int take_in (struct pkgcache *cache, struct pkgcache_unit *unit,
                    const struct fetch_result *result, struct err *err)
{
  if (checksum_is_weak (unit->given.kind)) {
    unit->digest = result->sha256;
    if (move_in (cache, unit, err) < 0)
      return -err->code;
  }
  if (fstatat (unit->dir_fd, unit->name, &unit->st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s in the package cache", unit->name);
  unit->present = true;
  unit->fetched = !result->existed;
  unit->check = PKGCACHE_READ;
  return 0;
}

static void take_result (struct pkgcache *cache, struct pkgcache_unit *unit,
                         const struct fetch_result *result, struct pkgcache_report *report)
{
  autoerr struct err err = {0};

  unit->received = result->received;
  report->received += result->received;
  unit->outcome = result->outcome;
  if (result->outcome != FETCH_DONE) {
    unit->error = xstrdup (err_text (&result->err));
  } else if (take_in (cache, unit, result, &err) < 0) {
    unit->outcome = FETCH_LOCAL;
    unit->error = xstrdup (err_text (&err));
  }
}

static int fetch_missing (struct pkgcache *cache, struct pkgcache_units *units,
                          const struct pkgcache_options *options, struct pkgcache_report *report,
                          struct err *err)
{
  autofree struct fetch_request *requests = xcalloc (units->count, sizeof *requests);
  struct fetch_config config = options->fetch;
  autofetch struct fetch *fetch = NULL;
  size_t count = 0;

  /* Nothing of this host's files, whatever a guest's sources say. */
  config.schemes = FETCH_HTTP | FETCH_HTTPS | FETCH_FTP;
  for (size_t i = 0; i < units->count; i++)
    if (!units->items[i].present)
      make_request (&units->items[i], &requests[count++]);
  if (!count)
    return 0;
  if (fetch_open (&config, &fetch, err) < 0)
    return -err->code;
  int ret = fetch_run (fetch, requests, count, err);
  count = 0;
  for (size_t i = 0; i < units->count; i++)
    if (!units->items[i].present) {
      take_result (cache, &units->items[i], &requests[count].result, report);
      fetch_result_release (&requests[count].result);
      count++;
    }
  return ret;
}

static void refuse_missing (struct pkgcache_units *units)
{
  for (size_t i = 0; i < units->count; i++) {
    struct pkgcache_unit *unit = &units->items[i];

    if (unit->present)
      continue;
    autofree char *shown = pkg_file_for_people (unit->members[0]);
    unit->outcome = FETCH_REFUSED;
    unit->error = xasprintf ("%s is not in the package cache", shown);
  }
}

/* Everything is on the disk before it is said to be good. */
static int write_down (struct pkgcache *cache, const struct pkgcache_units *units, struct err *err)
{
  bool any = false;

  for (size_t i = 0; i < units->count; i++)
    any = any || units->items[i].check == PKGCACHE_READ;
  if (any && fd_sync_fs (cache->fd, err) < 0)
    return -err->code;
  for (size_t i = 0; i < units->count; i++) {
    const struct pkgcache_unit *unit = &units->items[i];

    if (!unit->present)
      continue;
    autoclose int fd = fd_open (unit->dir_fd, unit->name, O_RDONLY | O_NONBLOCK, 0);
    if (fd >= 0)
      pkgcache_record (fd, &unit->st,
                       unit->check == PKGCACHE_READ ? PKGCACHE_WAS_READ : PKGCACHE_WAS_USED);
  }
  return 0;
}

int pkgcache_fetch (struct pkgcache *cache, struct pkgcache_file *files, size_t count,
                    const struct pkgcache_options *options, struct pkgcache_report *ret_report,
                    struct err *err)
{
  autopkgcacheunits struct pkgcache_units units = {0};
  struct pkgcache_report report = {0};
  autoerr struct err fetch_err = {0};
  int ret = 0;

  pkgcache_files_release (files, count);
  pkgcache_units_make (files, count, options->trust, &units);
  for (size_t i = 0; i < units.count; i++)
    if (interrupt_check (err) < 0 || look_up (cache, &units.items[i], &report, err) < 0)
      return -err->code;
  if (options->cached_only)
    refuse_missing (&units);
  else
    ret = fetch_missing (cache, &units, options, &report, &fetch_err);
  if (write_down (cache, &units, err) < 0)
    return -err->code;
  for (size_t i = 0; i < units.count; i++) {
    const struct pkgcache_unit *unit = &units.items[i];

    pkgcache_unit_tell (unit);
    report.fetched += unit->fetched && !unit->error;
    report.cached += !unit->fetched && !unit->error;
  }
  for (size_t i = 0; i < count; i++)
    report.failed += files[i].state == PKG_FILE_FAILED;
  *ret_report = report;
  return ret < 0 ? err_code (err, fetch_err.code, "%s", err_text (&fetch_err)) : 0;
}
