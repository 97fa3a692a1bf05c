/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "adopt.h"
#include "adopt/estimate.h"
#include "adopt/inuse.h"
#include "adopt/unshift.h"
#include "guest/adoption.h"
#include "guest/identity.h"
#include "guest/settle.h"
#include "template/unpack.h"
#include "tree/clone.h"
#include "tree/lower.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/lock.h"
#include <inttypes.h>

struct adoption {
  struct vroot *root; /* borrowed, as all but the descriptors */
  const struct adopt_request *request;
  struct adopt_source *source;
  const struct adopt_options *options;
  struct adopt_result *result;
  char *old_hostname;     /* owned; what the source has, when it gets another one; or NULL */
  struct staging staging; /* owned */
  struct guest *guest;    /* owned; in staging, then published; locked */
};

void adopt_result_release (struct adopt_result *result)
{
  scan_release (&result->scan);
  unify_report_release (&result->report);
}

static int check_new (const struct vroot *root, const char *name, struct err *err)
{
  if (name_check (name, "guest", err) < 0)
    return -err->code;
  if (faccessat (root->guests_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return err_code (err, EEXIST, "the guest %s/guests/%s exists: choose another name", root->path,
                     name);
  return errno == ENOENT ? 0 : err_errno (err, "look for %s/guests/%s", root->path, name);
}

/* The name that it shall have in place of the one that it had. */
static int choose_hostname (struct adoption *adoption, struct err *err)
{
  struct translation *translation = &adoption->source->translation;
  const char *wanted = adoption->request->hostname, *old = NULL;

  if (!wanted)
    return 0;
  if (hostname_check (wanted, err) < 0 ||
      json_get_string (translation->settings, "hostname", NULL, &old, err) < 0)
    return -err->code;
  adoption->old_hostname = old ? xstrdup (old) : NULL;
  json_set_string (translation->settings, "hostname", wanted);
  return 0;
}

static void leave_count (struct translation *translation, const char *key, uint64_t count,
                         const char *first, const char *why)
{
  autofree char *value =
      xasprintf ("%" PRIu64 "%s%s", count, first ? ", the first: " : "", first ? first : "");

  if (count)
    translation_leave (translation, key, value, why);
}

static int check_move (const struct adoption *adoption, const struct stat *guests, struct err *err)
{
  const struct adopt_source *source = adoption->source;

  if (source->type == ADOPT_EXPORT)
    return err_code (err, ERR_USAGE, "--move is for trees; an archive is unpacked");
  if (source->st.st_dev != guests->st_dev)
    return err_code (err, EXDEV,
                     "%s is not in the file system of %s: leave --move out, and remove it when the "
                     "guest runs well",
                     source->tree, adoption->root->path);
  if (unshift_needed (&source->translation))
    return err_code (err, ERR_USAGE,
                     "the ids in %s are shifted, and cannot be shifted back where they are: leave "
                     "--move out",
                     source->tree);
  if (adoption->result->scan.protected)
    return err_code (err, ERR_USAGE,
                     "%" PRIu64 " files of %s cannot be moved, as they are immutable or "
                     "append-only, the first: %s; use chattr -ia, or leave --move out",
                     adoption->result->scan.protected, source->tree,
                     adoption->result->scan.first_protected);
  return 0;
}

/* All that can be known before anything is written. */
static int check (struct adoption *adoption, struct err *err)
{
  struct adopt_source *source = adoption->source;
  struct adopt_result *result = adoption->result;
  struct stat root, guests;

  if (check_new (adoption->root, adoption->request->name, err) < 0 ||
      choose_hostname (adoption, err) < 0 || inuse_refuse (source, err) < 0)
    return -err->code;
  if (fstat (adoption->root->fd, &root) < 0 || fstat (adoption->root->guests_fd, &guests) < 0)
    return err_errno (err, "stat %s", adoption->root->path);
  if (source->type != ADOPT_EXPORT) {
    unshift_pick (&source->translation, &source->st);
    if (scan_tree (source->fd, &root, &result->scan, err) < 0)
      return err_wrap (err, "%s", source->tree);
  }
  if (adoption->options->move && check_move (adoption, &guests, err) < 0)
    return -err->code;
  if (!adoption->options->move)
    leave_count (&source->translation, "sockets", result->scan.sockets, NULL,
                 "they mean nothing without the process that listens, and are not copied");
  leave_count (&source->translation, "chattr", result->scan.protected, result->scan.first_protected,
               "copies are neither immutable nor append-only: set it again in the guest");
  return 0;
}

static int make_parts (const struct adoption *adoption, int fd, struct err *err)
{
  const struct adopt_source *source = adoption->source;
  autojson json_object *state = json_object_new_object ();
  autofree char *created = clock_utc (/* compact= */ false);
  autofree char *label = xasprintf ("%s:%s", adopt_type_name (source->type), source->tree);

  json_set_bytes (state, "source", label, strlen (label));
  json_set_string (state, "created", created);
  return guest_make_parts (fd, source->translation.settings, state, err);
}

/* Unpacks into @private_fd, with the means of templates: the store that they need is one of its own
 * in staging, and gone before anybody sees the guest. */
static int unpack (const struct adoption *adoption, int private_fd, struct err *err)
{
  int staging_fd = adoption->staging.fd;
  struct writer_report *report;
  autoclose int temp_fd = fd_make_dir (staging_fd, "temp", 0700);
  autostore struct store *store = NULL;

  if (temp_fd < 0)
    return err_errno (err, "make a directory in staging");
  if (store_open (staging_fd, &store, err) < 0)
    return -err->code;
  autowriter struct writer writer = {.file.fd = -1};
  if (writer_start (store, private_fd, temp_fd, &writer, err) < 0 ||
      unpack_archive (&writer, adoption->source->fd, err) < 0 || writer_finish (&writer, err) < 0)
    return err_wrap (err, "%s", adoption->source->tree);
  report = &writer.report;
  adoption->result->scan.files = report->files;
  adoption->result->scan.directories = report->directories + 1;
  adoption->result->scan.bytes = report->bytes;
  leave_count (&adoption->source->translation, "sockets", report->sockets, NULL,
               "they mean nothing without the process that listens, and are not unpacked");
  if (report->apart)
    return err_code (err, EIO, "%s: %" PRIu64 " files could not be unpacked, the first: %s",
                     adoption->source->tree, report->apart, report->first_error);
  return fd_remove_tree (staging_fd, "store", err);
}

static int fill_private (const struct adoption *adoption, int private_fd, struct err *err)
{
  struct adopt_source *source = adoption->source;
  struct clone_counts counts = {0};
  uint64_t foreign = 0;

  if (source->type == ADOPT_EXPORT)
    return unpack (adoption, private_fd, err);
  if (clone_copy_tree (source->fd, private_fd, NULL, /* keep_flags= */ false, &counts, err) < 0)
    return err_wrap (err, "copy %s", source->tree);
  if (!unshift_needed (&source->translation))
    return 0;
  if (unshift_tree (private_fd, &source->translation, &foreign, err) < 0)
    return -err->code;
  leave_count (
      &source->translation, "ids", foreign, NULL,
      "files of users outside of the container's belong to nobody (65534), as it saw them");
  return 0;
}

/* The host name in the guest's own files. */
static int rename_host (const struct adoption *adoption, int fd, struct err *err)
{
  autolower struct lower layers = LOWER_NONE;
  autoclose int txn_fd = fd_open_dir (fd, "txn");

  if (!adoption->old_hostname)
    return 0;
  if (txn_fd < 0)
    return err_errno (err, "open txn of the new guest");
  if (lower_open (fd, /* with_private= */ true, &layers, err) < 0 ||
      host_identity_rename (&layers, txn_fd, adoption->old_hostname, adoption->request->hostname,
                            err) < 0)
    return err_wrap (err, "set the host name");
  return 0;
}

/* Makes all of the guest in staging, but for the tree that is moved. */
static int make_guest (const struct adoption *adoption, int fd, struct err *err)
{
  const struct adopt_source *source = adoption->source;
  bool move = adoption->options->move;

  if (make_parts (adoption, fd, err) < 0)
    return -err->code;
  autoclose int tree_fd = fd_open_dir (fd, "tree");
  autoclose int private_fd = fd_open_dir (fd, "private");
  autoclose int ran_fd = fd_open (fd, GUEST_RAN, O_WRONLY | O_CREAT, 0600);
  if (tree_fd < 0 || private_fd < 0 || ran_fd < 0)
    return err_errno (err, "open the parts of the new guest");
  if (!move && fill_private (adoption, private_fd, err) < 0)
    return -err->code;
  if (clone_directory_metadata (move ? source->fd : private_fd, tree_fd, err) < 0)
    return -err->code;
  return move ? adoption_record (fd, source->tree, err) : rename_host (adoption, fd, err);
}

/* Moves the guest, which is locked from before anybody can find it, to its place. */
static int publish (struct adoption *adoption, struct err *err)
{
  struct vroot *root = adoption->root;
  struct guest *guest = adoption->guest;

  const struct lock_how how = {.rank = LOCK_RANK_GUEST, .mode = LOCK_EXCLUSIVE, .no_wait = true};

  if (lock_acquire (guest->fd, "lock", &how, "the new guest", &guest->lock_fd, err) < 0 ||
      fd_sync_fs (guest->fd, err) < 0 || interrupt_check (err) < 0)
    return -err->code;
  if (fd_rename (adoption->staging.fd, "guest", root->guests_fd, guest->name, RENAME_NOREPLACE) < 0)
    return errno == EEXIST
               ? check_new (root, guest->name, err)
               : err_errno (err, "move the new guest to %s/guests/%s", root->path, guest->name);
  if (fsync (root->guests_fd) < 0)
    return err_errno (err, "sync %s/guests", root->path);
  return 0;
}

static int settle (struct adoption *adoption, struct err *err)
{
  struct adopt_source *source = adoption->source;

  if (adoption->options->move &&
      (adoption_carry_out (adoption->root, adoption->guest, source->parent_fd, source->base,
                           &source->st, err) < 0 ||
       rename_host (adoption, adoption->guest->fd, err) < 0))
    return err_wrap (err, "move %s", source->tree);
  if (guest_settle_run (adoption->root, adoption->guest, &adoption->result->report, err) < 0)
    return err_wrap (err, "guest %s is made, and not yet unified", adoption->request->name);
  adoption->result->measured = true;
  return 0;
}

static int estimate (struct adoption *adoption, int fd, struct err *err)
{
  autopolicy struct policy policy = {0};

  if (policy_load (-1, &policy, err) < 0 ||
      estimate_settle (adoption->root->store, &policy, fd, &adoption->result->report, err) < 0)
    return err_wrap (err, "%s", adoption->source->tree);
  adoption->result->measured = true;
  return 0;
}

static int build (struct adoption *adoption, struct err *err)
{
  struct guest *guest;

  if (staging_make (adoption->root, "adopt", &adoption->staging, err) < 0)
    return -err->code;
  guest = adoption->guest = xcalloc (1, sizeof *guest);
  *guest = (struct guest){.name = xstrdup (adoption->request->name), .fd = -1, .lock_fd = -1};
  guest->fd = fd_make_dir (adoption->staging.fd, "guest", 0700);
  if (guest->fd < 0)
    return err_errno (err, "make a directory in staging");
  if (make_guest (adoption, guest->fd, err) < 0)
    return -err->code;
  if (!adoption->options->dry_run)
    return publish (adoption, err) < 0 || settle (adoption, err) < 0 ? -err->code : 0;
  autoclose int private_fd = fd_open_dir (guest->fd, "private");
  if (private_fd < 0)
    return err_errno (err, "open the unpacked tree");
  return estimate (adoption, private_fd, err);
}

static int adopt (struct adoption *adoption, struct err *err)
{
  const struct adopt_source *source = adoption->source;

  if (check (adoption, err) < 0)
    return -err->code;
  if (!adoption->options->dry_run || source->type == ADOPT_EXPORT)
    return build (adoption, err);
  /* Files are told apart by their owners: they would all be others when shifted. */
  return unshift_needed (&source->translation) ? 0 : estimate (adoption, source->fd, err);
}

int adopt_guest (struct vroot *root, const struct adopt_request *request,
                 struct adopt_source *source, const struct adopt_options *options,
                 struct adopt_result *ret_result, struct err *err)
{
  struct adoption adoption = {
      .root = root,
      .request = request,
      .source = source,
      .options = options,
      .result = ret_result,
      .staging = {.fd = -1},
  };
  int ret = adopt (&adoption, err);

  free (adoption.old_hostname);
  if (adoption.guest)
    guest_close (adoption.guest);
  if (ret < 0)
    staging_drop (&adoption.staging);
  else
    ret = staging_remove (&adoption.staging, err);
  return ret;
}
