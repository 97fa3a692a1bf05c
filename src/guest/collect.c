/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "collect.h"
#include "util/fd.h"
#include "util/lock.h"

/* So many unused objects, less than a distribution has, are no question where a command left a
 * note: all that a first import published is unused when it does not come to its end. */
enum { FEW_OBJECTS = 10000 };

int root_want_gc (struct vroot *root, struct err *err)
{
  autoclose int fd = fd_open (root->fd, "gc-wanted", O_WRONLY | O_CREAT, 0600);

  if (fd < 0)
    return err_errno (err, "create %s/gc-wanted", root->path);
  return 0;
}

static int has_note (struct vroot *root, const char *name, struct err *err)
{
  if (faccessat (root->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return 1;
  return errno == ENOENT ? 0 : err_errno (err, "look for %s/%s", root->path, name);
}

static int is_wanted (struct vroot *root, struct err *err)
{
  int wanted = has_note (root, "gc-wanted", err);

  return wanted ? wanted : has_note (root, "gc-running", err);
}

/* Others who leave objects from now on leave a note of their own. */
static int take_note (struct vroot *root, struct err *err)
{
  if (renameat (root->fd, "gc-wanted", root->fd, "gc-running") == 0)
    return 0;
  if (errno != ENOENT)
    return err_errno (err, "rename %s/gc-wanted", root->path);
  autoclose int fd = fd_open (root->fd, "gc-running", O_WRONLY | O_CREAT, 0600);
  return fd < 0 ? err_errno (err, "create %s/gc-running", root->path) : 0;
}

static uint64_t no_question (uint64_t expected, bool noted)
{
  return noted && expected < FEW_OBJECTS ? FEW_OBJECTS : expected;
}

static int collect (struct vroot *root, const struct collect_options *options, bool noted,
                    struct gc_result *ret_result, struct err *err)
{
  autostaging struct staging staging = {.fd = -1};

  if (take_note (root, err) < 0 || staging_make (root, STAGING_GC, &staging, err) < 0)
    return -err->code;
  const struct gc_options gc = {.force = options->force,
                                .expected = no_question (options->expected, noted),
                                .away_fd = staging.fd};
  int ret = store_gc (root->store, &gc, ret_result, err);
  /* After an error an object may be there that is in use. */
  autoerr struct err sweep_err = {0};
  if (store_gc_sweep (root->store, staging.fd, &sweep_err) < 0) {
    staging_leave (&staging);
    return ret < 0 ? ret : err_code (err, sweep_err.code, "%s", err_text (&sweep_err));
  }
  if (ret < 0 || staging_remove (&staging, err) < 0)
    return -err->code;
  if (unlinkat (root->fd, "gc-running", 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s/gc-running", root->path);
  return 0;
}

/* Whoever asked for it is told by an error; others go on. */
static int tell_refusal (struct vroot *root, const struct collect_options *options,
                         const struct gc_result *result, struct err *err)
{
  if (gc_refuse (result, err) < 0 && options->wait)
    return -err->code;
  if (root->on_warning)
    root->on_warning (err_text (err));
  err_release (err);
  return 0;
}

int root_collect (struct vroot *root, const struct collect_options *options,
                  struct gc_result *ret_result, struct err *err)
{
  struct lock_how how = root_lock_how (root, LOCK_RANK_COLLECT, LOCK_EXCLUSIVE);
  autoclose int lock_fd = -1;

  *ret_result = (struct gc_result){0};
  how.no_wait |= !options->wait;
  int wanted = is_wanted (root, err);
  if (wanted < 0 || (!wanted && !options->always))
    return wanted;
  if (lock_acquire (root->fd, ROOT_COLLECT_LOCK, &how, "the collection of unused objects", &lock_fd,
                    err) < 0) {
    if (err->code != ERR_LOCKED || options->wait)
      return -err->code;
    err_release (err);
    return 0;
  }
  if (collect (root, options, wanted, ret_result, err) < 0)
    return err_wrap (err, "collect unused objects");
  return ret_result->refused ? tell_refusal (root, options, ret_result, err) : 1;
}

int root_collect_look (struct vroot *root, struct gc_result *ret_result, struct err *err)
{
  int noted = is_wanted (root, err);
  const struct gc_options gc = {
      .dry_run = true, .expected = no_question (0, noted > 0), .away_fd = -1};

  return noted < 0 ? noted : store_gc (root->store, &gc, ret_result, err);
}

int root_collect_after (struct vroot *root, uint64_t expected, struct gc_result *ret_result,
                        struct err *err)
{
  const struct collect_options options = {.always = true, .expected = expected};

  return root_collect (root, &options, ret_result, err);
}
