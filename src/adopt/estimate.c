/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules are those of tree/fold_decide.c (what moves) and store/share.c (to which slot). */
#include "estimate.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"

/* Bits about a group of hard links. */
enum { GROUP_SEEN = 1, GROUP_APART = 2, GROUP_LINKED = 4, GROUP_PUBLISHED = 8 };

struct walk {
  struct store *store;
  const struct policy *policy;
  struct unify_report *report;
  struct twins twins;         /* owned */
  struct u64table groups;     /* owned: inode -> bits */
  struct u64table next_slots; /* owned: digest_key -> the first slot that is free here */
  int (*visit) (struct walk *walk, int dir_fd, const char *name, const struct stat *st,
                unsigned verdict, struct err *err);
};

static int each (struct walk *walk, int fd, const struct rules_state *state, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (interrupt_check (err) < 0 || dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    autorulesstate struct rules_state child = {0};
    struct stat st;

    rules_enter (&walk->policy->rules, state, name, &child);
    if (list.items[i].type == DT_DIR) {
      autoclose int child_fd = fd_open_dir (fd, name);

      if (child_fd < 0)
        return err_errno (err, "open the directory %s", name);
      if (each (walk, child_fd, &child, err) < 0)
        return err_wrap (err, "%s", name);
      continue;
    }
    if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s", name);
    unsigned verdict = rules_settle (&walk->policy->rules, child.verdict, &st);
    if (walk->visit (walk, fd, name, &st, verdict, err) < 0)
      return err_wrap (err, "%s", name);
  }
  return 0;
}

static int note_group (struct walk *walk, int dir_fd, const char *name, const struct stat *st,
                       unsigned verdict, struct err *err)
{
  (void) dir_fd;
  (void) name;
  (void) err;
  if (st->st_nlink > 1)
    *u64table_put (&walk->groups, st->st_ino, NULL) |=
        GROUP_SEEN | ((verdict & FOLD_CLASS_MASK) != FOLD_EAGER ? GROUP_APART : 0);
  return 0;
}

/* Would it move to the tree? 1, 0 or negative. */
static int moves (struct walk *walk, int dir_fd, const char *name, const struct stat *st,
                  unsigned verdict, struct err *err)
{
  unsigned class = verdict & FOLD_CLASS_MASK;

  if (S_ISSOCK (st->st_mode))
    return 0;
  if (st->st_nlink > 1) {
    const uint64_t *group = u64table_get (&walk->groups, st->st_ino);

    return group && !(*group & GROUP_APART);
  }
  if (class != FOLD_SHARED)
    return class == FOLD_EAGER;
  return identity_can_share (st) ? twins_find (&walk->twins, dir_fd, name, st, verdict, err) : 0;
}

/* The k-th equal file of a tree takes slot k. 1 when an object is there for it, 0 when it would
 * become one. */
static int find_slot (struct walk *walk, const struct digest *id, struct err *err)
{
  uint64_t *next = u64table_put (&walk->next_slots, digest_key (id), NULL);

  for (unsigned slot = (unsigned) *next;; slot++) {
    struct stat st;
    int has = store_stat_slot (walk->store, id, slot, &st, err);

    if (has < 0)
      return has;
    if (has && st.st_nlink >= STORE_LINKS_MAX)
      continue;
    *next = slot + 1;
    return has;
  }
}

static int share (struct walk *walk, int dir_fd, const char *name, const struct stat *st,
                  unsigned verdict, struct err *err)
{
  unsigned flags = verdict & FOLD_ANY_MTIME ? IDENTITY_ANY_MTIME : 0;
  struct unify_report *report = walk->report;
  struct digest id;

  if (identity_of (walk->store->hasher, dir_fd, name, flags, &id, NULL, err) < 0)
    return -err->code;
  if (S_ISREG (st->st_mode))
    report->bytes += (uint64_t) st->st_size;
  int linked = find_slot (walk, &id, err);
  if (linked < 0)
    return linked;
  if (st->st_nlink > 1)
    *u64table_put (&walk->groups, st->st_ino, NULL) |= linked ? GROUP_LINKED : GROUP_PUBLISHED;
  else if (linked)
    report->linked_bytes += (uint64_t) st->st_blocks * 512;
  report->linked += linked != 0;
  report->published += !linked;
  return 0;
}

static int settle (struct walk *walk, int dir_fd, const char *name, const struct stat *st,
                   unsigned verdict, struct err *err)
{
  if ((verdict & FOLD_CLASS_MASK) == FOLD_DROP) {
    walk->report->dropped++;
    return 0;
  }
  int moved = moves (walk, dir_fd, name, st, verdict, err);
  if (moved <= 0)
    return moved;
  walk->report->moved++;
  if (!identity_can_share (st))
    return 0;
  const uint64_t *group = st->st_nlink > 1 ? u64table_get (&walk->groups, st->st_ino) : NULL;
  /* A name of an inode that is an object by now is not looked at again. */
  if (group && (*group & GROUP_PUBLISHED))
    return 0;
  walk->report->files++;
  if (group && (*group & GROUP_LINKED)) {
    walk->report->linked++;
    return 0;
  }
  if (share (walk, dir_fd, name, st, verdict, err) < 0)
    unify_report_fail (walk->report, err);
  return 0;
}

int estimate_settle (struct store *store, const struct policy *policy, int fd,
                     struct unify_report *report, struct err *err)
{
  struct walk walk = {
      .store = store,
      .policy = policy,
      .report = report,
      .twins = {.store = store, .report = report},
      .visit = note_group,
  };
  autorulesstate struct rules_state state = {0};
  autoclose int top = fd_open_dir (fd, ".");

  if (top < 0)
    return err_errno (err, "open the tree");
  rules_start (&policy->rules, FOLD_SHARED, &state);
  int ret = each (&walk, top, &state, err);
  walk.visit = settle;
  if (ret == 0)
    ret = each (&walk, top, &state, err);
  twins_release (&walk.twins);
  u64table_release (&walk.groups);
  u64table_release (&walk.next_slots);
  return ret;
}
