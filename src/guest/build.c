/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "build.h"
#include "guest/own.h"
#include "guest/rename.h"
#include "guest/settings.h"
#include "guest/space.h"
#include "tree/fold.h"
#include "util/clock.h"
#include "util/copy.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include <sys/resource.h>

void build_source_release (struct build_source *source)
{
  if (!source->owner)
    return;
  if (source->layers.priv >= 0)
    lower_close (&source->layers);
  cleanup_close (&source->base_lock_fd);
  source->close_owner (source->owner);
  free (source->label);
  *source = (struct build_source){0};
}

static void close_guest (void *guest)
{
  guest_close (guest);
}

/* The guest with a shared lock, and nothing of a commit or a run left half done. */
static int open_clean (struct vroot *root, const char *name, struct guest **ret_guest,
                       struct err *err)
{
  for (bool again = false;; again = true) {
    autoguest struct guest *guest = NULL, *recovered = NULL;

    if (guest_open (root, name, GUEST_SHARED, &guest, err) < 0)
      return -err->code;
    if (guest_refuse_used (root, guest, err) < 0)
      return -err->code;
    int ran = guest_has_run (guest, err);
    int pending = ran ? ran : fold_pending (guest->fd, err);
    /* Of a rename only what is done in other guests may still be left the second time. */
    if (!pending && !again)
      pending = rename_pending (guest, err);
    if (pending < 0)
      return err_wrap (err, "guest %s", name);
    if (!pending) {
      *ret_guest = steal_ptr (&guest);
      return 0;
    }
    guest_close (steal_ptr (&guest));
    if (guest_open (root, name, GUEST_LOCKED, &recovered, err) < 0)
      return -err->code;
  }
}

int build_source_guest (struct vroot *root, const char *name, struct build_source *ret_source,
                        struct err *err)
{
  autoguest struct guest *guest = NULL;
  autoguestbase struct guest_base base = {0};
  autolower struct lower layers = LOWER_NONE;
  autoclose int base_lock_fd = -1;
  struct build_source source = {0};

  if (open_clean (root, name, &guest, err) < 0)
    return -err->code;
  if (lower_open (guest->fd, /* with_private= */ true, &layers, err) < 0 ||
      guest_base_read (guest->fd, &base, err) < 0 ||
      (base.template && guest_base_lock (root, &base, &base_lock_fd, err) < 0))
    return err_wrap (err, "guest %s", name);
  if (json_get_string (guest->state, "template", NULL, &source.template, err) < 0 ||
      json_get_int (guest->state, "generation", 0, &source.generation, err) < 0)
    return err_wrap (err, "guest %s", name);
  source.label = xasprintf ("guest:%s", name);
  source.layers = layers;
  layers = LOWER_NONE;
  source.base_lock_fd = steal_fd (&base_lock_fd);
  source.config = guest->config;
  source.guest_fd = guest->fd;
  source.owner = steal_ptr (&guest);
  source.close_owner = close_guest;
  *ret_source = source;
  return 0;
}

void build_results_free (struct build_result *results, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    err_release (&results[i].err);
    free (results[i].hostname);
    free (results[i].aside);
  }
  free (results);
}

static int compare_strings (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

int build_check_names (const struct names *names, const struct build_options *options,
                       struct err *err)
{
  autofree const char **sorted = xcalloc (names->count, sizeof *sorted);

  if (options->hostname && names->count > 1)
    return err_code (err, ERR_USAGE, "--hostname is for one guest, not for %zu", names->count);
  if (options->hostname && hostname_check (options->hostname, err) < 0)
    return -err->code;
  for (size_t i = 0; i < names->count; i++) {
    autofree char *hostname = NULL;

    if (name_check (names->items[i], "guest", err) < 0)
      return -err->code;
    if (!options->hostname && hostname_for_guest (names->items[i], &hostname, err) < 0)
      return -err->code;
    sorted[i] = names->items[i];
  }
  qsort (sorted, names->count, sizeof *sorted, compare_strings);
  for (size_t i = 1; i < names->count; i++)
    if (strcmp (sorted[i - 1], sorted[i]) == 0)
      return err_code (err, ERR_USAGE, "the guest %s is named twice", sorted[i]);
  return 0;
}

/* One run of build_clones. */
struct build {
  struct vroot *root;          /* borrowed */
  struct build_source *source; /* borrowed */
  const struct build_options *options;
  int guests_fd; /* owned; staging/NAME/guests: the guests, by name */
  int links_fd;  /* owned; for store_clone_full */
  int own_fd;    /* owned; for thin_clone_whole, else -1 */
};

static int make_parts (const struct build *build, int fd, const char *hostname, struct err *err)
{
  const struct build_source *source = build->source;
  autojson json_object *config = NULL;
  autojson json_object *state = json_object_new_object ();
  autofree char *created = clock_utc (/* compact= */ false);

  if (source->config && json_object_deep_copy (source->config, &config, NULL) < 0)
    err_out_of_memory ();
  if (!config)
    config = json_object_new_object ();
  settings_drop_own (config);
  json_set_string (config, "hostname", hostname);
  if (source->template) {
    json_set_string (state, "template", source->template);
    json_set_int (state, "generation", source->generation);
  }
  json_set_string (state, "source", source->label);
  json_set_string (state, "created", created);
  return guest_make_parts (fd, config, state, err);
}

/* The sharing policy that the source guest has of its own. */
static int copy_policy (const struct build_source *source, int fd, struct err *err)
{
  struct stat st;

  if (source->guest_fd < 0)
    return 0;
  if (fstatat (source->guest_fd, "unify.policy", &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat unify.policy of the source");
  return copy_inode (source->guest_fd, "unify.policy", &st, -1, NULL, fd, "unify.policy", err);
}

/* The generation that the source is, or lies over, is what the new guest lies over. */
static int write_base (const struct build_source *source, int fd, struct err *err)
{
  autoguestbase struct guest_base base = {0};

  if (source->layers.base >= 0 && guest_base_read (source->guest_fd, &base, err) < 0)
    return -err->code;
  if (source->layers.base < 0)
    base = (struct guest_base){xstrdup (source->template), source->generation};
  return guest_base_write (fd, &base, err);
}

/* A guest that is being made. */
struct making {
  const char *name;            /* borrowed */
  struct build_result *result; /* borrowed */
  int fd;                      /* owned, as what follows; -1 when it has failed */
  int tree_fd;
  int private_fd;
  int temp_fd; /* for store_clone_full */
  struct u64set inodes;
  struct share share;
};

static void making_release (struct making *making)
{
  cleanup_close (&making->fd);
  cleanup_close (&making->tree_fd);
  cleanup_close (&making->private_fd);
  cleanup_close (&making->temp_fd);
  share_release (&making->share);
  u64set_release (&making->inodes);
}

/* What can be removed of a guest that failed is; the rest goes with the staging directory. */
static void give_up (const struct build *build, struct making *making)
{
  autoerr struct err remove_err = {0};

  if (making->fd < 0)
    return;
  close (steal_fd (&making->fd));
  if (fd_remove_tree (build->guests_fd, making->name, &remove_err) < 0)
    err_release (&remove_err);
}

/* The guest without its files. */
static int begin (const struct build *build, struct making *making, struct err *err)
{
  making->fd = fd_make_dir (build->guests_fd, making->name, 0700);
  if (making->fd < 0)
    return err_errno (err, "make a directory in staging");
  if (make_parts (build, making->fd, making->result->hostname, err) < 0 ||
      copy_policy (build->source, making->fd, err) < 0)
    return -err->code;
  making->tree_fd = fd_open_dir (making->fd, "tree");
  making->private_fd = fd_open_dir (making->fd, "private");
  if (making->tree_fd < 0 || making->private_fd < 0)
    return err_errno (err, "open the new layers");
  making->temp_fd = fd_make_dir (build->links_fd, making->name, 0700);
  if (making->temp_fd < 0)
    return err_errno (err, "make a directory for temporary links");
  making->share = (struct share){
      .store = build->root->store, .inodes = &making->inodes, .temp_fd = making->temp_fd};
  return 0;
}

/* The tree by itself, of a source that is thin, or for a guest that is. */
static int make_tree (const struct build *build, struct making *making, struct err *err)
{
  const struct lower *layers = &build->source->layers;
  const struct rules *rules = &build->options->policy->rules;
  struct clone_counts *counts = &making->result->counts;

  if (build->options->thin) {
    if (write_base (build->source, making->fd, err) < 0)
      return -err->code;
    return thin_clone_own (layers, making->tree_fd, rules, &making->share, counts, err);
  }
  autoclose int own_fd = fd_make_dir (build->own_fd, making->name, 0700);
  if (own_fd < 0)
    return err_errno (err, "make a directory in staging");
  return thin_clone_whole (layers, making->tree_fd, own_fd, rules, &making->share, counts, err);
}

/* The layers of the new guest, whose base, if it is thin, is known by the source's alone as long as
 * the guest is in staging. Borrowed. */
static struct lower layers_of_clone (const struct build *build, int tree_fd, int private_fd)
{
  const struct lower *source = &build->source->layers;
  struct lower clone = {.priv = private_fd, .tree = tree_fd, .base = -1};

  if (build->options->thin)
    clone.base = source->base >= 0 ? source->base : source->tree;
  return clone;
}

/* What comes behind the tree. */
static int complete (const struct build *build, struct making *making, struct err *err)
{
  const struct build_source *source = build->source;
  struct build_result *result = making->result;
  struct clone_counts more = {0};

  if (source->layers.priv < 0) {
    if (clone_directory_metadata (making->tree_fd, making->private_fd, err) < 0)
      return -err->code;
  } else if (clone_copy_tree (source->layers.priv, making->private_fd,
                              &build->options->policy->rules, /* keep_flags= */ true, &more,
                              err) < 0) {
    return err_wrap (err, "copy the private layer of %s", source->label);
  }
  result->counts.files += more.files;
  result->counts.directories += more.directories;
  result->counts.skipped += more.skipped;
  const struct lower clone = layers_of_clone (build, making->tree_fd, making->private_fd);
  if (host_identity_write (&source->layers, &clone, build->options->policy, result->hostname, err) <
      0)
    return err_wrap (err, "write the guest's identity");
  if (own_copy (&clone, &build->options->policy->own, err) < 0)
    return err_wrap (err, "copy what the guest has of its own");
  return 0;
}

static int exists_already (const struct vroot *root, const char *name, struct err *err)
{
  return err_code (err, EEXIST,
                   "the guest %s/guests/%s exists: choose another name, or say --force to move it "
                   "aside",
                   root->path, name);
}

/* What can be known before the work is done. */
static int check_new (const struct build *build, const char *name, struct err *err)
{
  struct vroot *root = build->root;

  if (faccessat (root->guests_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "look for %s/guests/%s", root->path, name);
  if (!build->options->force)
    return exists_already (root, name, err);
  /* Without a lock: it may be the source as well. */
  autoclose int fd = fd_open_dir (root->guests_fd, name);
  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open %s/guests/%s", root->path, name);
  struct guest old = {.name = (char *) name, .fd = fd, .lock_fd = -1};
  return guest_refuse_used (root, &old, err);
}

static int start_one (const struct build *build, struct making *making)
{
  struct build_result *result = making->result;
  struct err *err = &result->err;

  if (check_new (build, making->name, err) < 0)
    return -err->code;
  if (build->options->hostname)
    result->hostname = xstrdup (build->options->hostname);
  else if (hostname_for_guest (making->name, &result->hostname, err) < 0)
    return -err->code;
  return begin (build, making, err);
}

/* Trees that are made one by one. */
static int make_trees (const struct build *build, struct making *makings, size_t count,
                       struct err *err)
{
  for (size_t i = 0; i < count; i++) {
    struct err *own = &makings[i].result->err;

    if (interrupt_check (err) < 0)
      return -err->code;
    if (!own->code && make_tree (build, &makings[i], own) < 0)
      err_wrap (own, "clone the tree of %s", build->source->label);
  }
  return 0;
}

/* Clones the source's tree into all of them, reading it once. */
static int clone_into (const struct build *build, struct making *makings, size_t count,
                       struct err *err)
{
  const struct build_source *source = build->source;
  autofree struct clone_target *targets = xcalloc (count, sizeof *targets);
  autofree struct making **of = xcalloc (count, sizeof (struct making *));
  size_t used = 0;

  for (size_t i = 0; i < count; i++) {
    if (makings[i].result->err.code)
      continue;
    targets[used] = (struct clone_target){.to_fd = makings[i].tree_fd, .share = &makings[i].share};
    of[used++] = &makings[i];
  }
  int ret =
      used ? clone_trees (source->layers.tree, &build->options->policy->rules, targets, used, err)
           : 0;
  if (ret < 0)
    err_wrap (err, "clone the tree of %s", source->label);
  for (size_t i = 0; i < used; i++) {
    struct build_result *result = of[i]->result;

    result->counts = targets[i].counts;
    result->err = targets[i].err;
    if (result->err.code)
      err_wrap (&result->err, "clone the tree of %s", source->label);
    else if (ret < 0)
      err_code (&result->err, err->code, "%s", err_text (err));
  }
  return ret;
}

/* Makes some guests in staging. Returns how many were made; negative after a signal. */
static int make_batch (const struct build *build, const struct names *names, size_t first,
                       size_t count, struct build_result *results, struct err *err)
{
  autofree struct making *makings = xcalloc (count, sizeof *makings);
  autoerr struct err clone_err = {0};
  uint64_t start = clock_us ();
  int made = 0;

  for (size_t i = 0; i < count; i++) {
    makings[i] =
        (struct making){names->items[first + i], &results[first + i], -1, -1, -1, -1, {0}, {0}};
    if (start_one (build, &makings[i]) < 0)
      give_up (build, &makings[i]);
  }
  bool at_once = !build->options->thin && build->source->layers.base < 0;
  int ret = at_once ? clone_into (build, makings, count, &clone_err)
                    : make_trees (build, makings, count, &clone_err);
  for (size_t i = 0; i < count; i++) {
    struct build_result *result = makings[i].result;

    if (result->err.code || complete (build, &makings[i], &result->err) < 0)
      give_up (build, &makings[i]);
    else
      made++;
    making_release (&makings[i]);
  }
  for (size_t i = 0; i < count; i++)
    results[first + i].seconds = clock_seconds_since (start) / (double) count;
  if (ret == -ERR_INTERRUPTED)
    return err_code (err, clone_err.code, "%s", err_text (&clone_err));
  return made;
}

/* Puts the finished guest into aside/ first and exchanges it with the old one there: so the name is
 * whole at every instant, and the old guest never lies where a sweep could take it. */
static int publish_over (const struct build *build, const char *name, struct build_result *result)
{
  struct vroot *root = build->root;
  struct err *err = &result->err;
  autoguest struct guest *old = NULL;
  autofree char *stamp = clock_utc (/* compact= */ true);
  autofree char *aside = xasprintf ("%s.%s", name, stamp);

  if (guest_open (root, name, GUEST_TAKEN, &old, err) < 0 || guest_refuse_used (root, old, err) < 0)
    return -err->code;
  for (unsigned n = 2;
       fd_rename (build->guests_fd, name, root->aside_fd, aside, RENAME_NOREPLACE) < 0; n++) {
    if (errno != EEXIST)
      return err_errno (err, "move the new guest to %s/aside", root->path);
    free (aside);
    aside = xasprintf ("%s.%s-%u", name, stamp, n);
  }
  if (fd_rename (root->aside_fd, aside, root->guests_fd, name, RENAME_EXCHANGE) < 0) {
    err_errno (err, "exchange %s/guests/%s with the new guest", root->path, name);
    /* Back to staging, which is swept. */
    if (fd_rename (root->aside_fd, aside, build->guests_fd, name, RENAME_NOREPLACE) < 0)
      return err_wrap (err, "a clone is left in %s/aside/%s", root->path, aside);
    return -err->code;
  }
  result->aside = xasprintf ("%s/aside/%s", root->path, aside);
  return 0;
}

static int publish (const struct build *build, const char *name, struct build_result *result)
{
  struct vroot *root = build->root;
  struct err *err = &result->err;

  for (;;) {
    if (fd_rename (build->guests_fd, name, root->guests_fd, name, RENAME_NOREPLACE) == 0)
      return 0;
    if (errno != EEXIST)
      return err_errno (err, "move the new guest to %s/guests/%s", root->path, name);
    if (!build->options->force)
      return exists_already (root, name, err);
    int ret = publish_over (build, name, result);
    if (ret != -ERR_NO_GUEST)
      return ret;
    err_release (err); /* somebody deleted the old one in between */
  }
}

/* How many guests are made at once. Each has descriptors here, and one in each thread that clones.
 */
static size_t batch_size (void)
{
  static const size_t each = 8, others = 128, most = 128;
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= most * each + others)
    return most;
  return limit.rlim_cur > others + each ? (size_t) (limit.rlim_cur - others) / each : 1;
}

static int build_all (struct build *build, const struct names *names, struct build_result *results,
                      struct err *err)
{
  struct vroot *root = build->root;
  size_t made = 0, batch = batch_size ();

  for (size_t i = 0; i < names->count; i += batch) {
    size_t count = names->count - i < batch ? names->count - i : batch;

    if (interrupt_check (err) < 0)
      return -err->code;
    int ret = make_batch (build, names, i, count, results, err);
    if (ret < 0)
      return ret;
    made += (size_t) ret;
  }
  /* A guest as source may be one that is replaced. A template stays locked, also that of a thin
   * source, so that nobody takes its generation for one without guests before ours are there. */
  autoclose int base_lock_fd = steal_fd (&build->source->base_lock_fd);
  if (build->source->layers.priv >= 0)
    build_source_release (build->source);
  if (!made)
    return 0;
  if (fd_sync_fs (build->guests_fd, err) < 0 || interrupt_check (err) < 0)
    return -err->code;
  for (size_t i = 0; i < names->count; i++)
    if (!results[i].err.code && publish (build, names->items[i], &results[i]) < 0)
      made--;
  if (fsync (root->guests_fd) < 0 || fsync (root->aside_fd) < 0)
    return err_errno (err, "sync %s/guests", root->path);
  return 0;
}

static int check_thin (const struct build_source *source, struct err *err)
{
  if (source->layers.base >= 0 || (source->layers.priv < 0 && source->template))
    return 0;
  return err_code (err, ERR_USAGE,
                   "%s is no template and no thin guest: a thin clone has nothing to lie over",
                   source->label);
}

int build_clones (struct vroot *root, struct build_source *source, const struct names *names,
                  const struct build_options *options, struct build_result *results,
                  struct err *err)
{
  autostaging struct staging staging = {.fd = -1};
  struct build build = {.root = root, .source = source, .options = options};

  if (build_check_names (names, options, err) < 0 ||
      (options->thin && check_thin (source, err) < 0) ||
      space_check (root, 0, "clone guests", err) < 0 ||
      staging_make (root, "clone", &staging, err) < 0)
    return -err->code;
  autoclose int guests_fd = fd_make_dir (staging.fd, "guests", 0700);
  autoclose int links_fd = fd_make_dir (staging.fd, "links", 0700);
  /* A directory that nobody needs would still be made, and removed, on the disk. */
  bool own = !options->thin && source->layers.base >= 0;
  autoclose int own_fd = own ? fd_make_dir (staging.fd, "own", 0700) : -1;
  if (guests_fd < 0 || links_fd < 0 || (own && own_fd < 0))
    return err_errno (err, "make a directory in staging");
  build.guests_fd = guests_fd;
  build.links_fd = links_fd;
  build.own_fd = own_fd;
  if (build_all (&build, names, results, err) < 0)
    return -err->code;
  return staging_remove (&staging, err);
}
