/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "settle.h"
#include "failed.h"
#include "transaction.h"
#include "tree/lower.h"
#include "util/dirread.h"
#include "util/fd.h"

/* The entry of a transaction. A failed layer lies over the guest as it was before. */
static int publish (struct vroot *root, struct guest *guest, struct err *err)
{
  uint64_t id = 0;

  if (history_prepared (guest, &id, err) < 0 || (id && failed_drop (guest, err) < 0))
    return -err->code;
  return history_publish (root, guest, err);
}

int guest_finish_fold (struct vroot *root, struct guest *guest, const struct policy *policy,
                       struct unify_report *report, struct err *err)
{
  autoerr struct err unify_err = {0};

  /* From here on the journal says what becomes of an accepted layer. */
  if (transaction_unmark (guest, err) < 0)
    return -err->code;
  /* Before everything in txn/ goes. */
  if (publish (root, guest, err) < 0)
    return -err->code;
  if (fold_apply (guest->fd, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  /* The guest is whole already: what cannot be shared now is shared by the next vhashify. But what
   * unify began must be finished before its notes in txn/ go. */
  if (unify_folded (root->store, policy, guest->fd, report, &unify_err) < 0)
    unify_report_fail (report, &unify_err);
  if (unify_recover (guest->fd, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  if (history_prune (root, guest, err) < 0)
    return -err->code;
  if (fold_finish (guest->fd, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  return 0;
}

int guest_settle (struct vroot *root, struct guest *guest, const struct policy *policy,
                  struct twins *wanted, struct unify_report *report, struct err *err)
{
  autotwins struct twins own = {.store = root->store, .report = report};
  struct fold_options options = {
      .guest_fd = guest->fd,
      .rules = &policy->rules,
      .twin = twins_find,
      .twin_data = wanted ? wanted : &own,
  };
  struct fold_counts counts = {0};
  int planned = fold_plan (&options, &counts, err);

  if (planned < 0)
    return err_wrap (err, "fold guest %s", guest->name);
  if (!planned)
    return 0;
  report->moved += counts.moved;
  report->dropped += counts.dropped;
  return guest_finish_fold (root, guest, policy, report, err);
}

int guest_unify_tree (struct vroot *root, struct guest *guest, const struct policy *policy,
                      bool dry_run, struct unify_report *report, struct err *err)
{
  autolower struct lower layers = LOWER_NONE;
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");

  if (txn_fd < 0)
    return err_errno (err, "open txn of guest %s", guest->name);
  if (lower_open (guest->fd, /* with_private= */ false, &layers, err) < 0)
    return err_wrap (err, "unify guest %s", guest->name);
  autoclose int temp_fd = fd_make_dir (txn_fd, "temp", 0700);
  if (temp_fd < 0)
    return err_errno (err, "make txn/temp of guest %s", guest->name);
  if (unify_tree (root->store, policy, layers.tree, layers.base, temp_fd, dry_run, report, err) <
      0) {
    autoerr struct err tidy_err = {0};

    /* Its notes go when nothing is left to be done by them; else recovery takes them. */
    if (unify_recover (guest->fd, &tidy_err) == 0)
      fd_remove_tree (txn_fd, "temp", &tidy_err);
    return err_wrap (err, "unify guest %s", guest->name);
  }
  return fd_remove_tree (txn_fd, "temp", err);
}

/* One walk over the candidates of a private layer. */
struct candidates {
  const struct policy *policy;
  int (*visit) (struct candidates *walk, int dir_fd, const char *name, const struct stat *st,
                unsigned verdict, struct err *err);
  struct private_sizes *sizes;
  struct u64table own_sizes; /* seen in this guest */
  uint64_t number;
  struct u64table *seen;
  struct twins *twins;
};

static int walk_candidates (struct candidates *walk, int fd, const struct rules_state *state,
                            struct err *err)
{
  const struct rules *rules = &walk->policy->rules;
  autodirlist struct dirlist list = {0};

  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    autorulesstate struct rules_state child = {0};
    struct stat st;

    rules_enter (rules, state, name, &child);
    if (list.items[i].type == DT_DIR) {
      autoclose int child_fd = fd_open_dir (fd, name);

      /* A subtree that no deeper rule shares is not even walked. */
      if (!rules_can_be (rules, child.verdict, FOLD_CLASS_MASK, FOLD_SHARED) &&
          rules_are_final (rules, &child, FOLD_CLASS_MASK))
        continue;
      if (child_fd < 0)
        return err_errno (err, "open the directory %s", name);
      if (walk_candidates (walk, child_fd, &child, err) < 0)
        return err_wrap (err, "%s", name);
      continue;
    }
    if (list.items[i].type != DT_REG ||
        !rules_can_be (rules, child.verdict, FOLD_CLASS_MASK, FOLD_SHARED))
      continue;
    if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s", name);
    unsigned verdict = rules_settle (rules, child.verdict, &st);
    if ((verdict & FOLD_CLASS_MASK) == FOLD_SHARED && identity_can_share (&st) &&
        st.st_nlink == 1 && walk->visit (walk, fd, name, &st, verdict, err) < 0)
      return err_wrap (err, "%s", name);
  }
  return 0;
}

static int walk_private (struct guest *guest, struct candidates *walk, struct err *err)
{
  autoclose int fd = fd_open_dir (guest->fd, "private");
  autorulesstate struct rules_state state = {0};

  if (fd < 0)
    return err_errno (err, "open private of guest %s", guest->name);
  rules_start (&walk->policy->rules, FOLD_SHARED, &state);
  int ret = walk_candidates (walk, fd, &state, err);
  u64table_release (&walk->own_sizes);
  return ret < 0 ? err_wrap (err, "private layer of guest %s", guest->name) : 0;
}

void private_sizes_release (struct private_sizes *sizes)
{
  u64table_release (&sizes->guests_by_size);
}

static int visit_size (struct candidates *walk, int dir_fd, const char *name, const struct stat *st,
                       unsigned verdict, struct err *err)
{
  bool is_new;

  (void) dir_fd;
  (void) name;
  (void) verdict;
  (void) err;
  u64table_put (&walk->own_sizes, (uint64_t) st->st_size, &is_new);
  if (is_new)
    ++*u64table_put (&walk->sizes->guests_by_size, (uint64_t) st->st_size, NULL);
  return 0;
}

int guest_note_sizes (struct guest *guest, const struct policy *policy, struct private_sizes *sizes,
                      struct err *err)
{
  struct candidates walk = {.policy = policy, .visit = visit_size, .sizes = sizes};

  return walk_private (guest, &walk, err);
}

static int visit_identity (struct candidates *walk, int dir_fd, const char *name,
                           const struct stat *st, unsigned verdict, struct err *err)
{
  const uint64_t *guests = u64table_get (&walk->sizes->guests_by_size, (uint64_t) st->st_size);
  unsigned flags = verdict & FOLD_ANY_MTIME ? IDENTITY_ANY_MTIME : 0;
  struct twins *twins = walk->twins;
  struct digest id;

  if (!guests || *guests < 2)
    return 0;
  if (identity_of (twins->store->hasher, dir_fd, name, flags, &id, NULL, err) < 0) {
    unify_report_fail (twins->report, err);
    return 0;
  }
  twins->report->bytes += (uint64_t) st->st_size;
  uint64_t *first = u64table_put (walk->seen, digest_key (&id), NULL);
  if (!*first)
    *first = walk->number;
  else if (*first != walk->number) {
    u64table_add (&twins->wanted, digest_key (&id));
    u64table_add (&twins->wanted_sizes, (uint64_t) st->st_size);
  }
  return 0;
}

int guest_note_identities (struct guest *guest, const struct policy *policy, uint64_t number,
                           const struct private_sizes *sizes, struct u64table *seen,
                           struct twins *twins, struct err *err)
{
  struct candidates walk = {
      .policy = policy,
      .visit = visit_identity,
      .sizes = (struct private_sizes *) sizes,
      .number = number,
      .seen = seen,
      .twins = twins,
  };

  return walk_private (guest, &walk, err);
}
