/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fold_plan.h"
#include "clone.h"
#include "util/fd.h"
#include <inttypes.h>

static void level_release (struct level *level)
{
  if (level->upper >= 0)
    close (level->upper);
  lower_close (&level->lower);
  rules_state_release (&level->rules);
}
#define autolevel __attribute__ ((cleanup (level_release)))

/* The name is gone from U once the tree has what it stands for; only when U is private itself, as a
 * transaction's upper is thrown away whole. */
static void drop_from_upper (struct plan *plan, const char *name)
{
  if (!plan->options->commit)
    journal_add (&plan->journal, 1, strbuf_str (&plan->path),
                 &(struct journal_step){.op = 'U', .name = (char *) name});
}

/* Takes the name out of both layers below and out of U. */
static int plan_nothing (struct plan *plan, struct level *level, const char *name, struct err *err)
{
  if (plan_remove (plan, &level->tree, 't', level->lower.tree, name, err) < 0 ||
      plan_remove (plan, &level->priv, 'p', level->lower.priv, name, err) < 0)
    return -err->code;
  drop_from_upper (plan, name);
  return 0;
}

static int plan_to_tree (struct plan *plan, struct level *level, const char *name,
                         const struct source *source, struct err *err)
{
  if (plan_put (plan, &level->tree, 't', source, name, err) < 0 ||
      plan_remove (plan, &level->priv, 'p', level->lower.priv, name, err) < 0)
    return -err->code;
  drop_from_upper (plan, name);
  plan->counts.moved++;
  return 0;
}

static int plan_to_private (struct plan *plan, struct level *level, const char *name,
                            const struct layer_entry *entry, const struct source *source,
                            struct err *err)
{
  const struct sink upper_itself = {
      .exists = true,
      .in_place = true,
      .stage_fd = -1,
      .base_fd = -1,
  };

  if (level->priv.exists) {
    if (plan_put (plan, &level->priv, 'p', source, name, err) < 0)
      return -err->code;
  } else if (entry->metacopy && plan_put (plan, &upper_itself, 'u', source, name, err) < 0) {
    return -err->code;
  }
  /* What the tree has under this name is hidden, and shared with nobody who sees it here. */
  return plan_remove (plan, &level->tree, 't', level->lower.tree, name, err);
}

static int plan_file (struct plan *plan, struct level *level, const char *name,
                      const struct layer_entry *entry, unsigned verdict, bool *ret_tree_has,
                      bool *ret_priv_has, struct err *err)
{
  enum destination destination = TO_NOWHERE;
  struct source source = {.dir_fd = -1};
  int ret;

  if (plan_class (verdict) == FOLD_DROP) {
    plan->counts.dropped++;
    return plan_nothing (plan, level, name, err);
  }
  if (plan_source (plan, level, name, entry, &source, err) < 0)
    return -err->code;
  ret = plan_decide (plan, name, entry, &source, verdict, &destination, err);
  if (ret == 0 && destination == TO_TREE) {
    *ret_tree_has = true;
    ret = plan_to_tree (plan, level, name, &source, err);
  } else if (ret == 0) {
    *ret_priv_has = true;
    ret = plan_to_private (plan, level, name, entry, &source, err);
  }
  free (source.name);
  return ret;
}

/* Does the directory @fd of a layer differ from that of U in what a guest sees? */
static int metadata_differs (int fd, int upper_fd, const struct stat *upper_st, struct err *err)
{
  autoxattrs struct xattrs a = {0}, b = {0};
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat a directory of a layer");
  if (st.st_mode != upper_st->st_mode || st.st_uid != upper_st->st_uid ||
      st.st_gid != upper_st->st_gid || st.st_mtim.tv_sec != upper_st->st_mtim.tv_sec ||
      st.st_mtim.tv_nsec != upper_st->st_mtim.tv_nsec)
    return 1;
  if (xattrs_read (fd, -1, NULL, false, &a, err) < 0 ||
      xattrs_read (upper_fd, -1, NULL, false, &b, err) < 0)
    return -err->code;
  return !xattrs_equal (&a, &b);
}

static void add_metadata (struct plan *plan, int list, char layer, const struct stat *st)
{
  journal_add (&plan->journal, list, strbuf_str (&plan->path),
               &(struct journal_step){
                   .op = 'M',
                   .layer = layer,
                   .mode = st->st_mode & 07777,
                   .uid = st->st_uid,
                   .gid = st->st_gid,
                   .mtime = st->st_mtim,
               });
}

/* The directory's own metadata, when all its entries are planned: steps change its mtime. */
static int plan_metadata (struct plan *plan, struct level *level, const struct layer_entry *entry,
                          size_t steps_before, struct err *err)
{
  int upper = level->upper;
  bool touched = plan->journal.lists[0].len != steps_before;
  struct {
    const struct sink *sink;
    char layer;
    int fd;
  } sides[] = {{&level->tree, 't', level->lower.tree}, {&level->priv, 'p', level->lower.priv}};

  for (size_t i = 0; i < 2; i++) {
    if (!sides[i].sink->exists)
      continue;
    if (!sides[i].sink->in_place) {
      if (clone_directory_metadata (upper, sides[i].sink->stage_fd, err) < 0 ||
          (sides[i].layer == 'p' &&
           layer_copy_protattr (upper, -1, NULL, sides[i].sink->stage_fd, -1, NULL, err) < 0))
        return err_wrap (err, "%s", strbuf_str (&plan->path));
      continue;
    }
    int differs =
        touched || entry->protattr ? 1 : metadata_differs (sides[i].fd, upper, &entry->st, err);
    if (differs < 0)
      return differs;
    if (differs)
      add_metadata (plan, 0, sides[i].layer, &entry->st);
  }
  return 0;
}

static int plan_dir (struct plan *plan, struct level *level, const struct layer_entry *entry,
                     bool *ret_tree_has, bool *ret_priv_has, struct err *err);

/* What merges below the directory @name of U, and whether at the same path. */
static int find_lower (struct plan *plan, struct level *level, const char *name,
                       const struct layer_entry *entry, struct level *child, bool *ret_same,
                       struct err *err)
{
  *ret_same = !entry->opaque && !entry->redirect;
  if (entry->opaque)
    return 0;
  if (!entry->redirect)
    return lower_child (&level->lower, name, &child->lower, err);
  if (entry->redirect[0] == '/')
    return lower_lookup (&plan->root, entry->redirect, &child->lower, err);
  return lower_child (&level->lower, entry->redirect, &child->lower, err);
}

struct staged {
  char name[24]; /* in txn/fold, or "" when its parent is staged too */
  uint64_t number;
  int fd; /* owned */
};

static void staged_close (struct staged *staged)
{
  if (staged->fd >= 0)
    close (staged->fd);
}
#define autostaged __attribute__ ((cleanup (staged_close)))

static int stage_dir (struct plan *plan, const struct sink *parent, const char *name,
                      struct staged *staged, struct err *err)
{
  if (parent->in_place) {
    staged->number = plan->next_number++;
    snprintf (staged->name, sizeof staged->name, "%" PRIu64, staged->number);
    staged->fd = fd_make_dir (plan->stage_fd, staged->name, 0700);
  } else {
    staged->fd = fd_make_dir (parent->stage_fd, name, 0700);
  }
  if (staged->fd < 0)
    return err_errno (err, "make the directory %s in txn/fold", name);
  return 0;
}

/* A whole directory of the tree hides one that the base has there. */
static int hide_base (const struct sink *parent, const char *name, int fd, struct err *err)
{
  struct stat st;

  if (parent->base_fd < 0 || fstatat (parent->base_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      !S_ISDIR (st.st_mode))
    return 0;
  return layer_set_opaque (fd, err) < 0 ? err_wrap (err, "%s in txn/fold", name) : 0;
}

/* The staged directory becomes the entry @name of its parent's sink, or is not wanted. */
static int place_dir (struct plan *plan, const struct sink *parent, char layer, int lower_fd,
                      const char *name, const struct staged *staged, bool keep, struct err *err)
{
  struct stat st;

  if (keep && !parent->in_place)
    return 0; /* it is there already */
  if (keep) {
    if (fstat (staged->fd, &st) < 0)
      return err_errno (err, "stat txn/fold/%s", staged->name);
    journal_add (&plan->journal, 0, strbuf_str (&plan->path),
                 &(struct journal_step){
                     .op = 'P',
                     .layer = layer,
                     .number = staged->number,
                     .ino = st.st_ino,
                     .name = (char *) name,
                 });
    return 0;
  }
  int at = parent->in_place ? plan->stage_fd : parent->stage_fd;
  if (unlinkat (at, parent->in_place ? staged->name : name, AT_REMOVEDIR) < 0)
    return err_errno (err, "remove the staged directory %s", name);
  return plan_remove (plan, parent, layer, lower_fd, name, err);
}

/* The same for one that merges with the base: it goes when it says nothing that the base does not
 * say as well. */
static int place_merging (struct plan *plan, const struct level *level, const struct level *child,
                          const struct layer_entry *entry, const char *name,
                          const struct staged *staged, struct err *err)
{
  const struct sink *parent = &level->tree;
  int at = parent->in_place ? plan->stage_fd : parent->stage_fd;
  int differs = metadata_differs (child->lower.base, child->upper, &entry->st, err);

  if (differs < 0)
    return differs;
  if (!differs) {
    if (unlinkat (at, parent->in_place ? staged->name : name, AT_REMOVEDIR) == 0)
      return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
      return err_errno (err, "remove the staged directory %s", name);
  }
  return place_dir (plan, parent, 't', level->lower.tree, name, staged, /* keep= */ true, err);
}

/* In place, a directory of U goes when nothing is left in it, or loses the overlay's marks. */
static void finish_upper_dir (struct plan *plan, const char *name, const struct layer_entry *entry,
                              bool stays, size_t steps_before)
{
  if (!stays) {
    drop_from_upper (plan, name);
    return;
  }
  size_t before = strbuf_push_name (&plan->path, name);
  if (entry->opaque || entry->x_whiteouts || entry->redirect)
    journal_add (&plan->journal, 1, strbuf_str (&plan->path), &(struct journal_step){.op = 'X'});
  if (plan->journal.lists[1].len != steps_before)
    add_metadata (plan, 1, 'u', &entry->st);
  strbuf_truncate (&plan->path, before);
}

static int plan_subdir (struct plan *plan, struct level *level, const char *name,
                        const struct layer_entry *entry, struct rules_state *rules,
                        bool *ret_tree_has, bool *ret_priv_has, struct err *err)
{
  autolevel struct level child = {.upper = -1, .lower = LOWER_NONE};
  autostaged struct staged tree = {.fd = -1}, priv = {.fd = -1};
  bool same = false, tree_has = false, priv_has = false;
  size_t upper_steps = plan->journal.lists[1].len;
  unsigned class = plan_class (rules->verdict);

  child.rules = *rules;
  *rules = (struct rules_state){0};
  child.x_whiteouts = entry->x_whiteouts;
  child.upper = fd_open_dir (level->upper, name);
  if (child.upper < 0)
    return err_errno (err, "open the directory %s of the upper layer", name);
  if (find_lower (plan, level, name, entry, &child, &same, err) < 0)
    return -err->code;
  child.tree = (struct sink){
      .exists = true,
      .in_place = same && level->tree.in_place && child.lower.tree >= 0,
      .merges = same && level->tree.base_fd >= 0 && child.lower.tree < 0 && child.lower.base >= 0,
      .stage_fd = -1,
      .base_fd = -1,
  };
  child.priv = (struct sink){
      .exists = level->priv.exists,
      .in_place = same && level->priv.in_place && child.lower.priv >= 0,
      .stage_fd = -1,
      .base_fd = -1,
  };
  if (!child.tree.in_place) {
    if (stage_dir (plan, &level->tree, name, &tree, err) < 0 ||
        (!child.tree.merges && hide_base (&level->tree, name, tree.fd, err) < 0))
      return -err->code;
    child.tree.stage_fd = tree.fd;
  }
  if (child.tree.in_place || child.tree.merges)
    child.tree.base_fd = child.lower.base;
  if (child.priv.exists && !child.priv.in_place) {
    if (stage_dir (plan, &level->priv, name, &priv, err) < 0)
      return -err->code;
    child.priv.stage_fd = priv.fd;
  }

  size_t before = strbuf_push_name (&plan->path, name);
  int ret = plan_dir (plan, &child, entry, &tree_has, &priv_has, err);
  strbuf_truncate (&plan->path, before);
  if (ret < 0)
    return ret;
  /* Only private can keep the protection flags. */
  priv_has |= entry->protattr;

  /* A directory lives in the tree unless all that it holds is private; an empty one where the
   * policy shares. */
  bool keep_tree =
      child.tree.in_place || child.tree.merges || tree_has || (class != FOLD_PRIVATE && !priv_has);
  bool keep_priv = child.priv.in_place || priv_has || !keep_tree;
  if (child.tree.merges) {
    if (place_merging (plan, level, &child, entry, name, &tree, err) < 0)
      return -err->code;
  } else if (!child.tree.in_place && place_dir (plan, &level->tree, 't', level->lower.tree, name,
                                                &tree, keep_tree, err) < 0) {
    return -err->code;
  }
  if (child.priv.exists && !child.priv.in_place &&
      place_dir (plan, &level->priv, 'p', level->lower.priv, name, &priv, keep_priv, err) < 0)
    return -err->code;
  if (!plan->options->commit)
    finish_upper_dir (plan, name, entry, keep_priv, upper_steps);
  *ret_tree_has |= keep_tree;
  *ret_priv_has |= keep_priv;
  return 0;
}

static int plan_entry (struct plan *plan, struct level *level, const char *name, bool *ret_tree_has,
                       bool *ret_priv_has, struct err *err)
{
  autolayerentry struct layer_entry entry = {0};
  autorulesstate struct rules_state rules = {0};

  if (layer_read (level->upper, name, level->x_whiteouts, &entry, err) < 0)
    return err_wrap (err, "the upper layer, in /%s", strbuf_str (&plan->path));
  if (entry.whiteout)
    return plan_nothing (plan, level, name, err);
  rules_enter (plan->options->rules, &level->rules, name, &rules);
  if (S_ISDIR (entry.st.st_mode))
    return plan_subdir (plan, level, name, &entry, &rules, ret_tree_has, ret_priv_has, err);
  unsigned verdict = rules_settle (plan->options->rules, rules.verdict, &entry.st);
  return plan_file (plan, level, name, &entry, verdict, ret_tree_has, ret_priv_has, err);
}

static int plan_dir (struct plan *plan, struct level *level, const struct layer_entry *entry,
                     bool *ret_tree_has, bool *ret_priv_has, struct err *err)
{
  autodirlist struct dirlist list = {0};
  size_t steps_before = plan->journal.lists[0].len;

  if (dirread_all (level->upper, &list, err) < 0)
    return err_wrap (err, "the upper layer, /%s", strbuf_str (&plan->path));
  for (size_t i = 0; i < list.count; i++)
    if (plan_entry (plan, level, list.items[i].name, ret_tree_has, ret_priv_has, err) < 0)
      return -err->code;
  if (plan_copy_lower (plan, &level->lower, &list, &level->tree, &level->priv, ret_tree_has,
                       ret_priv_has, err) < 0)
    return err_wrap (err, "/%s", strbuf_str (&plan->path));
  return plan_metadata (plan, level, entry, steps_before, err);
}

static int open_layers (struct plan *plan, struct level *top, struct err *err)
{
  int guest_fd = plan->options->guest_fd;

  plan->txn_fd = fd_open_dir (guest_fd, "txn");
  if (plan->txn_fd < 0)
    return err_errno (err, "open the directory txn");
  if (fd_remove_tree (plan->txn_fd, "fold", err) < 0)
    return -err->code;
  plan->stage_fd = fd_make_dir (plan->txn_fd, "fold", 0700);
  plan->upper_fd = plan->options->commit ? fd_open_dir (plan->txn_fd, "upper")
                                         : fd_open_dir (guest_fd, "private");
  top->upper = plan->upper_fd < 0 ? -1 : fd_open_dir (plan->upper_fd, ".");
  if (plan->stage_fd < 0 || top->upper < 0)
    return err_errno (err, "open the layers of the guest");
  if (lower_open (guest_fd, plan->options->commit, &plan->root, err) < 0 ||
      lower_lookup (&plan->root, "", &top->lower, err) < 0)
    return -err->code;
  top->tree = (struct sink){
      .exists = true,
      .in_place = true,
      .stage_fd = -1,
      .base_fd = top->lower.base,
  };
  top->priv = (struct sink){
      .exists = plan->options->commit,
      .in_place = plan->options->commit,
      .stage_fd = -1,
      .base_fd = -1,
  };
  return 0;
}

static void plan_release (struct plan *plan)
{
  int fds[] = {plan->txn_fd, plan->stage_fd, plan->upper_fd};

  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (fds[i] >= 0)
      close (fds[i]);
  lower_close (&plan->root);
  journal_writer_release (&plan->journal);
  u64table_release (&plan->groups);
  u64table_release (&plan->copies);
  strbuf_release (&plan->path);
}

static int make_plan (struct plan *plan, struct err *err)
{
  autolevel struct level top = {.upper = -1, .lower = LOWER_NONE};
  struct layer_entry entry = {0};
  bool tree_has = false, priv_has = false;

  if (open_layers (plan, &top, err) < 0)
    return -err->code;
  if (fstat (top.upper, &entry.st) < 0)
    return err_errno (err, "stat the upper layer");
  rules_start (plan->options->rules, FOLD_SHARED, &top.rules);
  if (plan_scan_groups (plan, top.upper, &top.rules, err) < 0 ||
      plan_dir (plan, &top, &entry, &tree_has, &priv_has, err) < 0)
    return -err->code;
  /* Steps on U change the mtime of its root as well. */
  if (!plan->options->commit && plan->journal.lists[1].len)
    add_metadata (plan, 1, 'u', &entry.st);
  return 0;
}

int fold_plan (const struct fold_options *options, struct fold_counts *ret_counts, struct err *err)
{
  struct plan plan = {
      .options = options,
      .txn_fd = -1,
      .stage_fd = -1,
      .upper_fd = -1,
      .root = LOWER_NONE,
      .path = STRBUF_INIT (1 << 26),
  };
  autoerr struct err ignored = {0};
  bool journal_left = false;
  int ret;

  journal_writer_start (&plan.journal);
  ret = make_plan (&plan, err);
  if (ret == 0 && !journal_empty (&plan.journal))
    ret = journal_write (&plan.journal, plan.txn_fd, JOURNAL_NAME, options->commit, err) < 0
              ? -err->code
              : 1;
  /* One that could not be taken back after an error keeps what it stands for. */
  if (ret < 0 && plan.txn_fd >= 0)
    journal_left = faccessat (plan.txn_fd, JOURNAL_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  if (ret > 0)
    *ret_counts = plan.counts;
  else if (plan.txn_fd >= 0 && !journal_left &&
           fd_remove_tree (plan.txn_fd, "fold", &ignored) < 0 && ret == 0)
    ret = err_code (err, ignored.code, "%s", err_text (&ignored));
  if (ret == 0)
    *ret_counts = (struct fold_counts){0};
  plan_release (&plan);
  return ret;
}
