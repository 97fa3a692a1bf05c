/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run_internal.h"
#include "guest/quota.h"
#include "guest/space.h"
#include "runtime/runtime.h"
#include "util/clock.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"

void run_result_release (struct run_result *result)
{
  unify_report_release (&result->report);
  free (result->keep_error);
  result->keep_error = NULL;
}

typedef int mount_fn (void *data, const char *target, struct err *err);

struct mount {
  struct guest *guest;
  const char *const *write_paths; /* may be NULL */
};

/* Opening a file for writing copies it up. */
static int copy_up_files (int dir_fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (dir_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    if (list.items[i].type != DT_REG)
      continue;
    autoclose int fd = fd_open (dir_fd, list.items[i].name, O_WRONLY | O_NONBLOCK, 0);
    if (fd < 0)
      return err_errno (err, "open %s for writing", list.items[i].name);
  }
  return 0;
}

static int mount_transaction (void *data, const char *target, struct err *err)
{
  const struct mount *mount = data;

  if (transaction_mount (mount->guest, target, err) < 0)
    return -err->code;
  autoclose int root_fd = open (target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root_fd < 0)
    return err_errno (err, "open the guest's root");
  for (const char *const *path = mount->write_paths; path && *path; path++) {
    autoclose int fd = fd_open_in_root (root_fd, *path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);

    if (fd >= 0 && copy_up_files (fd, err) < 0)
      return err_wrap (err, "copy up %s", *path);
  }
  return 0;
}

static int mount_failed (void *data, const char *target, struct err *err)
{
  const struct mount *mount = data;

  return failed_mount (mount->guest, target, err);
}

static int mount_query (void *data, const char *target, struct err *err)
{
  const struct mount *mount = data;

  return transaction_mount_query (mount->guest, target, err);
}

/* Adds the blocks of everything below @fd; a hard link counts once for each name, as nearly no
 * package has any. */
static int add_blocks (int fd, uint64_t *bytes, struct err *err)
{
  autodirread struct dirread reader = {0};
  struct dirread_entry entry;
  int more;

  dirread_start (fd, &reader);
  while ((more = dirread_next (&reader, &entry, err)) > 0) {
    struct stat st;

    if (fstatat (fd, entry.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s", entry.name);
    *bytes += (uint64_t) st.st_blocks * 512;
    if (entry.type != DT_DIR)
      continue;
    autoclose int child = fd_open_dir (fd, entry.name);
    if (child < 0)
      return err_errno (err, "open the directory %s", entry.name);
    if (add_blocks (child, bytes, err) < 0)
      return err_wrap (err, "%s", entry.name);
  }
  return more;
}

static int measure_layer (struct guest *guest, uint64_t *ret_bytes, struct err *err)
{
  autoclose int upper = fd_open_dir_beneath (guest->fd, "txn/upper");

  if (upper < 0)
    return err_errno (err, "open the layer of guest %s", guest->name);
  return add_blocks (upper, ret_bytes, err);
}

static int run_container (struct vroot *root, struct guest *guest,
                          const struct run_options *options, mount_fn *mount,
                          struct container_result *ret_result, struct err *err)
{
  autofree char *id = guest_container_id (root, guest->name);
  autofree char *init = runtime_find_init ();
  autofree char *runtime = NULL;
  const char *hostname = NULL;
  struct mount mounted = {guest, options->write_paths};

  if (runtime_choose (root, guest, &runtime, err) < 0 ||
      json_get_string (guest->config, "hostname", guest->name, &hostname, err) < 0)
    return -err->code;
  autofree char *mount_on = runtime_mount_point (root, err);
  if (!mount_on)
    return -err->code;
  struct container container = {
      .runtime = runtime,
      .mount_on = mount_on,
      .id = id,
      .hostname = hostname,
      .init = init,
      .guest_files = true,
      .commands = options->commands,
      .command_count = options->command_count,
      .judge = options->judge,
      .judge_data = options->judge_data,
      .dir_fd = guest->fd,
      .mount = mount,
      .mount_data = &mounted,
      .binds = options->binds,
      .bind_count = options->bind_count,
      .login = options->login,
      .joined = options->joined,
      .terminal = options->terminal,
      .stdin_fd = options->stdin_fd,
      .output = options->output,
      .output_data = options->output_data,
  };
  return container_run (&container, ret_result, err);
}

int run_layer (struct vroot *root, struct guest *guest, const struct run_options *options,
               struct run_result *ret_result, struct err *err)
{
  if (options->prepare && options->prepare (options->hook_data, guest, err) < 0)
    return -err->code;
  if (options->command_count &&
      run_container (root, guest, options, mount_transaction, &ret_result->container, err) < 0)
    return -err->code;
  if (interrupt_check (err) < 0)
    return -err->code;
  if (ret_result->container.failed)
    return 0;
  /* Before accept, which may add what the host has: the commands have not written that. */
  if (measure_layer (guest, &ret_result->written_bytes, err) < 0)
    return -err->code;
  return options->accept ? options->accept (options->hook_data, guest, &ret_result->container, err)
                         : 0;
}

static int run_query (struct vroot *root, struct guest *guest, const struct run_options *options,
                      struct run_result *ret_result, struct err *err)
{
  *ret_result = (struct run_result){0};
  if (transaction_prepare_query (root, guest, err) < 0 ||
      run_container (root, guest, options, mount_query, &ret_result->container, err) < 0)
    return -err->code;
  return interrupt_check (err);
}

static int run_and_commit (struct vroot *root, struct guest *guest,
                           const struct run_options *options, struct run_result *result,
                           struct err *err)
{
  struct history_note note = {0};
  struct commit_options commit = {.note = options->note ? &note : NULL};

  if (run_layer (root, guest, options, result, err) < 0)
    return -err->code;
  if (result->container.failed || options->discard)
    return 0;
  uint64_t start = clock_us ();
  if (options->note)
    run_note (options, HISTORY_STOPPED, result, &note);
  if (transaction_commit (root, guest, &commit, &result->report, &result->history_id, err) < 0)
    return err_wrap (err, "commit");
  result->commit_us = clock_us () - start;
  result->committed = true;
  return 0;
}

int run_in_guest (struct vroot *root, struct guest *guest, const struct run_options *options,
                  struct run_result *ret_result, struct err *err)
{
  autoerr struct err abort_err = {0};

  if (options->query)
    return run_query (root, guest, options, ret_result, err);
  *ret_result = (struct run_result){0};
  if (space_check (root, 0, "begin a transaction", err) < 0)
    return -err->code;
  if (transaction_begin (root, guest, err) < 0)
    return err_wrap (err, "begin a transaction");
  int ret = quota_apply (root, guest, err);
  if (ret == 0)
    ret = run_and_commit (root, guest, options, ret_result, err);
  if (ret_result->committed)
    return ret;
  /* A commit that failed behind its journal is finished, not thrown away, by recovery. */
  int pending = fold_pending (guest->fd, &abort_err);
  ret_result->unfinished = pending > 0;
  if (pending > 0)
    return err_wrap (err, "the next command finishes the commit of guest %s", guest->name);
  if (pending == 0)
    run_undo (root, guest, options, HISTORY_STOPPED, /* failed= */ ret < 0, ret_result, &abort_err);
  if (abort_err.code && ret == 0)
    return err_code (err, abort_err.code, "throw the changes away: %s", err_text (&abort_err));
  return ret;
}

int run_in_failed (struct vroot *root, struct guest *guest, const struct run_options *options,
                   struct run_result *ret_result, struct err *err)
{
  autoerr struct err abort_err = {0};

  *ret_result = (struct run_result){0};
  int ret = failed_begin (root, guest, err);
  if (ret == 0)
    ret = run_container (root, guest, options, mount_failed, &ret_result->container, err);
  if (transaction_abort (root, guest, &abort_err) < 0 && ret == 0)
    return err_code (err, abort_err.code, "throw the changes away: %s", err_text (&abort_err));
  return ret;
}
