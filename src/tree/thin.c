/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thin.h"
#include "layer.h"
#include "merge.h"
#include "util/fd.h"
#include <fnmatch.h>
#include <inttypes.h>

/* One pass over a tree. */
struct pass {
  struct clone_counts counts;
  struct share *share;   /* borrowed */
  struct u64table *full; /* borrowed; inodes that had no room for another link */
  bool replace;          /* their names get the link that is there in their place */
  bool found;            /* some name is on one of them */
};

/* The inodes that had no room for another link. */
static int read_full (const struct share *share, struct u64table *full, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (share->temp_fd, &list, err) < 0)
    return err_wrap (err, "temporary links");
  for (size_t i = 0; i < list.count; i++)
    if (strncmp (list.items[i].name, STORE_PARTNER, strlen (STORE_PARTNER)) == 0)
      u64table_put (full, strtoull (list.items[i].name + strlen (STORE_PARTNER), NULL, 10), NULL);
  return 0;
}

static int replace_full (struct pass *pass, int fd, const struct dirread_entry *entry,
                         struct err *err)
{
  autofree char *link = xasprintf (STORE_PARTNER "%" PRIu64, entry->ino);
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat a directory");
  const struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (store_join (pass->share, pass->share->temp_fd, link, fd, entry->name, err) < 0)
    return -err->code;
  if (futimens (fd, times) < 0)
    return err_errno (err, "set the times of a directory");
  return 0;
}

static int walk (struct pass *pass, int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  pass->counts.directories++;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];

    if (entry->type != DT_DIR) {
      bool full = u64table_has (pass->full, entry->ino);

      pass->counts.files++;
      pass->found |= full;
      if (full && pass->replace && replace_full (pass, fd, entry, err) < 0)
        return err_wrap (err, "%s", entry->name);
      continue;
    }
    autoclose int child = fd_open_dir (fd, entry->name);
    if (child < 0)
      return err_errno (err, "open the directory %s", entry->name);
    if (walk (pass, child, err) < 0)
      return err_wrap (err, "%s", entry->name);
  }
  return 0;
}

int thin_clone_whole (const struct lower *lower, int to_fd, int temp_fd, const struct rules *rules,
                      struct share *share, struct clone_counts *ret_counts, struct err *err)
{
  autou64table struct u64table full = {0};
  struct clone_counts base = {0}, own = {0};
  struct pass pass = {.share = share, .full = &full, .replace = true};

  if (lower->base < 0)
    return clone_tree (lower->tree, to_fd, rules, share, ret_counts, err);
  /* Hard-link partners may be in both, so those of full inodes join in the end. */
  if (clone_thin_tree (lower->base, lower->tree, /* own= */ false, to_fd, rules, share, &base,
                       err) < 0 ||
      clone_thin_tree (lower->tree, lower->base, /* own= */ true, temp_fd, rules, share, &own,
                       err) < 0 ||
      merge_layer (temp_fd, to_fd, err) < 0 || read_full (share, &full, err) < 0 ||
      walk (&pass, to_fd, err) < 0)
    return -err->code;
  *ret_counts = pass.counts;
  ret_counts->skipped = base.skipped + own.skipped;
  return 0;
}

/* The names in the base cannot follow partners to another inode. */
static int check_partners (const struct lower *lower, struct share *share, struct err *err)
{
  autou64table struct u64table full = {0};
  struct pass pass = {.share = share, .full = &full};

  if (read_full (share, &full, err) < 0)
    return -err->code;
  if (!full.count)
    return 0;
  autoclose int fd = fd_open_dir (lower->base, ".");
  if (fd < 0)
    return err_errno (err, "open the base");
  if (walk (&pass, fd, err) < 0)
    return -err->code;
  return pass.found
             ? err_code (err, EMLINK,
                         "a file that the base has as well takes no other link: make a full clone")
             : 0;
}

static int clone_own (const struct lower *lower, int to_fd, struct share *share,
                      struct clone_counts *counts, struct err *err)
{
  if (lower->base < 0)
    return clone_directory_metadata (lower->tree, to_fd, err);
  if (clone_thin_tree (lower->tree, lower->base, /* own= */ true, to_fd, NULL, share, counts, err) <
      0)
    return -err->code;
  return check_partners (lower, share, err);
}

/* A directory that rules lead through. Its own tree's one is made when something in it is hidden.
 */
struct place {
  struct place *parent;     /* borrowed; NULL at the top */
  const char *name;         /* borrowed */
  struct lower lower;       /* owned; in the new tree, and the base; -1 where it is not */
  struct rules_state state; /* owned */
  bool made;
  bool touched;
  struct timespec times[2]; /* before it was touched */
};

struct leaving {
  const struct rules *rules;   /* borrowed */
  struct clone_counts *counts; /* borrowed */
};

static void place_release (struct place *place)
{
  lower_close (&place->lower);
  rules_state_release (&place->state);
}
#define autoplace __attribute__ ((cleanup (place_release)))

/* Makes the directory in the new tree, where only the base has it, and notes its times. */
static int touch (struct place *place, struct err *err)
{
  struct stat st;

  if (place->touched)
    return 0;
  if (place->lower.tree < 0) {
    if (touch (place->parent, err) < 0)
      return -err->code;
    place->lower.tree = fd_make_dir (place->parent->lower.tree, place->name, 0700);
    if (place->lower.tree < 0)
      return err_errno (err, "make the directory %s", place->name);
    place->made = true;
  } else {
    if (fstat (place->lower.tree, &st) < 0)
      return err_errno (err, "stat the directory %s", place->name);
    place->times[0] = st.st_atim;
    place->times[1] = st.st_mtim;
  }
  place->touched = true;
  return 0;
}

static int put_metadata (const struct place *place, struct err *err)
{
  if (!place->touched)
    return 0;
  if (place->made)
    return clone_directory_metadata (place->lower.base, place->lower.tree, err);
  if (futimens (place->lower.tree, place->times) < 0)
    return err_errno (err, "put back the times of a directory");
  return 0;
}

static int has (int dir_fd, const char *name, struct err *err)
{
  if (dir_fd < 0)
    return 0;
  if (faccessat (dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return 1;
  return errno == ENOENT ? 0 : err_errno (err, "look for %s", name);
}

/* By another rule, or in the source already? */
static bool is_hidden (const struct place *place, const char *name)
{
  struct stat st;

  return place->lower.tree >= 0 &&
         fstatat (place->lower.tree, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         layer_is_whiteout (&st);
}

static int hide (struct leaving *leaving, struct place *place, const char *name, struct err *err)
{
  int in_tree = has (place->lower.tree, name, err);
  int in_base = has (place->lower.base, name, err);

  if (in_tree < 0 || in_base < 0)
    return -err->code;
  if ((!in_tree && !in_base) || is_hidden (place, name))
    return 0;
  leaving->counts->skipped++;
  if (touch (place, err) < 0 || (in_tree && fd_remove_tree (place->lower.tree, name, err) < 0) ||
      (in_base && layer_whiteout (-1, NULL, place->lower.tree, name, err) < 0))
    return -err->code;
  return 0;
}

static int leave_out (struct leaving *leaving, struct place *place, struct err *err);

static int leave_out_name (struct leaving *leaving, struct place *place, const char *name,
                           struct err *err)
{
  autoplace struct place child = {.parent = place, .name = name, .lower = LOWER_NONE};

  rules_enter (leaving->rules, &place->state, name, &child.state);
  if (child.state.verdict & CLONE_SKIP)
    return hide (leaving, place, name, err);
  if (!child.state.count)
    return 0;
  if (lower_child (&place->lower, name, &child.lower, err) < 0)
    return -err->code;
  if (lower_top (&child.lower) < 0)
    return 0;
  return leave_out (leaving, &child, err) < 0 ? err_wrap (err, "%s", name) : 0;
}

/* Does an earlier one of the rules that can match here lead to the same name? */
static bool is_first (const struct leaving *leaving, const struct rules_state *state, size_t at)
{
  const struct rule *items = leaving->rules->items;
  const struct rules_live *live = state->live;
  const char *name = items[live[at].rule].parts[live[at].part];

  for (size_t i = 0; i < at; i++)
    if (items[live[i].rule].literal[live[i].part] &&
        strcmp (items[live[i].rule].parts[live[i].part], name) == 0)
      return false;
  return true;
}

/* The names of the directory that a wildcard matches. */
static int leave_out_matching (struct leaving *leaving, struct place *place, const char *pattern,
                               struct err *err)
{
  autolowerlists struct lower_lists lists = {0};

  if (lower_read (&place->lower, &lists, err) < 0)
    return -err->code;
  const struct dirlist *const both[] = {&lists.tree, &lists.base};
  for (size_t i = 0; i < 2; i++)
    for (size_t k = 0; k < both[i]->count; k++)
      if (fnmatch (pattern, both[i]->items[k].name, 0) == 0 &&
          leave_out_name (leaving, place, both[i]->items[k].name, err) < 0)
        return -err->code;
  return 0;
}

static int leave_out (struct leaving *leaving, struct place *place, struct err *err)
{
  const struct rules_state *state = &place->state;

  for (size_t i = 0; i < state->count; i++) {
    const struct rule *rule = &leaving->rules->items[state->live[i].rule];
    size_t part = state->live[i].part;
    int ret = 0;

    if (!rule->literal[part])
      ret = leave_out_matching (leaving, place, rule->parts[part], err);
    else if (is_first (leaving, state, i))
      ret = leave_out_name (leaving, place, rule->parts[part], err);
    if (ret < 0)
      return ret;
  }
  return put_metadata (place, err);
}

static int check_rules (const struct rules *rules, const struct rules_state *top, struct err *err)
{
  for (size_t i = 0; i < rules->count; i++)
    for (size_t k = 0; k < rules->items[i].count; k++)
      if (rules->items[i].deep[k])
        return err_code (err, ERR_USAGE,
                         "the pattern \"%s\" is for any depth, where a thin clone does not look: "
                         "begin it with \"/\", or make a full clone",
                         rules->items[i].pattern);
  if (top->verdict & CLONE_SKIP)
    return err_code (err, ERR_USAGE, "the pattern \"/\" leaves out all");
  return 0;
}

int thin_clone_own (const struct lower *lower, int to_fd, const struct rules *rules,
                    struct share *share, struct clone_counts *ret_counts, struct err *err)
{
  autoplace struct place top = {.name = "/", .lower = LOWER_NONE};
  struct clone_counts counts = {0};
  struct leaving leaving = {.rules = rules, .counts = &counts};

  rules_start (rules, 0, &top.state);
  if (check_rules (rules, &top.state, err) < 0)
    return -err->code;
  if (clone_own (lower, to_fd, share, &counts, err) < 0)
    return -err->code;
  top.lower.tree = fd_open_dir (to_fd, ".");
  top.lower.base = fd_open_dir (lower->base >= 0 ? lower->base : lower->tree, ".");
  if (top.lower.tree < 0 || top.lower.base < 0)
    return err_errno (err, "open the new tree and its base");
  if (leave_out (&leaving, &top, err) < 0)
    return err_wrap (err, "leave out what a clone does not inherit");
  *ret_counts = counts;
  return 0;
}
