/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model test of fold and unify: rounds of random operations in guests that share a store. What
 * a guest sees is the same before and after fold and unify, whatever was done to it; what the
 * others see, and every object, never changes.
 *
 *   model_fold [--seed N] [--rounds N] [--ops N] [--entries N] [--seconds N] [--keep] [-v]
 *
 * With a seed, that one run; else runs with new seeds for so many seconds ($VGUEST_MODEL_SECONDS,
 * or 30). The seed of a failed run is printed; so is the command that repeats it. */
#include "undo.h"
#include "unify/unify.h"
#include "util/fd.h"
#include <inttypes.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>

struct options {
  uint64_t seed;
  bool one;
  unsigned rounds, ops, entries;
  unsigned seconds;
  bool keep, verbose;
};

struct run {
  const struct options *options;
  struct rng rng;
  struct world world;
  struct manifest expected[GUESTS]; /* what each guest sees while nothing is done to it */
  struct manifest base;             /* what thin guests lie over */
  bool all_unified;                 /* in this round: all guests may have other times now */
  unsigned operations;
};

static const char *failed (const char *what, struct err *err)
{
  printf ("# %s: %s\n", what, err_text (err));
  return what;
}

/* Operations on the mounted guest, with the mount renewed now and then. */
static const char *operate (struct run *run, int guest, bool commit, struct manifest *ret_after,
                            struct err *err)
{
  unsigned mounts = 1 + (rng_chance (&run->rng, 30) ? rng_below (&run->rng, 3) : 0);
  unsigned ops = 1 + rng_below (&run->rng, run->options->ops * 2);

  for (unsigned i = 0; i < mounts; i++) {
    int fd = -1;

    if (world_mount (&run->world, guest, commit, &fd, err) < 0)
      return failed ("mount", err);
    for (unsigned k = 0; k < ops / mounts + 1; k++) {
      const char *name = random_operation (&run->rng, fd);

      if (run->options->verbose)
        printf ("#   %s\n", name);
      run->operations++;
    }
    close (fd);
    if (world_unmount (&run->world, err) < 0)
      return failed ("unmount", err);
  }
  return world_view (&run->world, guest, commit, ret_after, err) < 0 ? failed ("view", err) : NULL;
}

/* Everything that is seen is as expected. @folded: without what the policy drops. */
static const char *check_views (struct run *run, int guest, const struct manifest *after,
                                bool folded, const char *when, struct err *err)
{
  for (int i = 0; i < GUESTS; i++) {
    automanifest struct manifest now = {0};
    const struct manifest *want = i == guest ? after : &run->expected[i];
    char what[64];

    snprintf (what, sizeof what, "%s: g%d", when, i);
    /* The real mount for the guest itself: upper layers have more ways to be strange. */
    if (i == guest) {
      if (world_view (&run->world, i, rng_chance (&run->rng, 50), &now, err) < 0)
        return failed ("view", err);
    } else {
      if (layers_guest_view (run->world.guests[i], -1, &now, err) < 0)
        return failed ("view", err);
    }
    if (i == guest && folded)
      manifest_filter (&now, world_drops, &run->world);
    if (manifest_compare (want, &now, what, i == guest || run->all_unified ? world_any_mtime : NULL,
                          &run->world, stdout))
      return "a guest's view changed";
  }
  return NULL;
}

static const char *fold (struct run *run, int guest, bool commit, bool *ret_unified,
                         bool *ret_committed, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  autotwins struct twins twins = {.store = run->world.store, .report = &report};
  struct twin_choice choice = {.salt = rng_next (&run->rng)};
  unsigned twin = rng_below (&run->rng, TWIN_MODES + 2);
  struct fold_options options = {
      .guest_fd = run->world.guests[guest],
      .commit = commit,
      .rules = &run->world.policy.rules,
      .twin = twin < TWIN_MODES ? twin_choose : twins_find,
      .twin_data = twin < TWIN_MODES ? (void *) &choice : (void *) &twins,
  };
  struct fold_counts counts;

  struct vroot root = undo_root (&run->world);
  struct guest who = undo_guest (&run->world, guest);
  const struct history_note note = {.what = "model"};
  uint64_t id = 0;

  choice.mode = (enum twin_mode) twin;
  *ret_unified = rng_chance (&run->rng, 50);
  *ret_committed = false;
  if (commit && history_prepare (&who, &note, &id, err) < 0)
    return failed ("history_prepare", err);
  int planned = fold_plan (&options, &counts, err);
  if (planned < 0)
    return failed ("fold_plan", err);
  if (!planned)
    return fold_clear (options.guest_fd, err) < 0 ? failed ("fold_clear", err) : NULL;
  if (fold_pending (options.guest_fd, err) != 1)
    return "a plan was made and there is no journal";
  *ret_committed = commit;
  if (history_publish (&root, &who, err) < 0)
    return failed ("history_publish", err);
  if (fold_apply (options.guest_fd, err) < 0)
    return failed ("fold_apply", err);
  if (*ret_unified &&
      unify_folded (run->world.store, &run->world.policy, options.guest_fd, &report, err) < 0)
    return failed ("unify_folded", err);
  if (unify_recover (options.guest_fd, err) < 0)
    return failed ("unify_recover", err);
  if (history_prune (&root, &who, err) < 0)
    return failed ("history_prune", err);
  if (fold_finish (options.guest_fd, err) < 0)
    return failed ("fold_finish", err);
  if (report.failed) {
    printf ("# unify: %s\n", report.first_error);
    return "files could not be unified";
  }
  return NULL;
}

/* All guests at the same time, by processes of their own. */
static const char *unify_all (struct run *run, struct err *err)
{
  pid_t pids[GUESTS];
  int bad = 0;

  fflush (stdout);
  for (int i = 0; i < GUESTS; i++) {
    pids[i] = fork ();
    if (pids[i] == 0) {
      if (world_reopen_store (&run->world, err) < 0 || world_unify (&run->world, i, err) < 0) {
        failed ("unify", err);
        fflush (stdout);
        _exit (1);
      }
      _exit (0);
    }
  }
  for (int i = 0; i < GUESTS; i++) {
    int status = 1;

    bad |= pids[i] < 0 || waitpid (pids[i], &status, 0) < 0 || status != 0;
  }
  if (world_reopen_store (&run->world, err) < 0)
    return failed ("open the store", err);
  return bad ? "unifying all guests at once failed" : NULL;
}

/* What the transaction did, or an earlier one, is undone now and then. */
static const char *undo (struct run *run, int guest, bool committed, const struct manifest *after,
                         struct err *err)
{
  if (!committed)
    return rng_chance (&run->rng, 30) ? undo_late (&run->world, guest, err) : NULL;
  manifest_filter (&run->expected[guest], world_drops, &run->world);
  return undo_check (&run->rng, &run->world, guest, &run->expected[guest], after, err);
}

/* What thin guests lie over stays as it is, whatever is done to them. */
static const char *check_base (struct run *run, struct err *err)
{
  automanifest struct manifest now = {0};

  if (world_base (&run->world, &now, err) < 0)
    return failed ("read the base", err);
  return manifest_compare (&run->base, &now, "base", NULL, NULL, stdout) ? "the base changed"
                                                                         : NULL;
}

/* A thin guest becomes a full one now and then, which changes nothing that is seen. */
static const char *thicken (struct run *run, int guest, struct err *err)
{
  automanifest struct manifest before = {0};

  if (!world_thin (&run->world, guest) || !rng_chance (&run->rng, 8))
    return NULL;
  if (world_view (&run->world, guest, true, &before, err) < 0)
    return failed ("view", err);
  if (world_thicken (&run->world, guest, err) < 0)
    return failed ("thicken", err);
  if (world_thin (&run->world, guest))
    return "a guest stayed thin";
  const char *bad = check_views (run, guest, &before, /* folded= */ false, "after thicken", err);
  if (!bad && (world_check_layers (&run->world, guest, true) || world_check_root (&run->world)))
    bad = "the layers are not as they should be after thicken";
  return bad;
}

static const char *round_of (struct run *run, unsigned number, struct err *err)
{
  int guest = (int) rng_below (&run->rng, GUESTS);
  bool commit = rng_chance (&run->rng, 50), unified = false, committed = false;
  automanifest struct manifest after = {0}, tree = {0}, private_layer = {0}, objects = {0};
  const char *bad;

  run->all_unified = false;
  if (run->options->verbose)
    printf ("# round %u: g%d, %s\n", number, guest, commit ? "commit" : "in place");
  if (rng_chance (&run->rng, 40) &&
      world_policy (&run->rng, &run->world, rng_chance (&run->rng, 25), err) < 0)
    return failed ("make a policy", err);
  if (world_layer (&run->world, guest, "tree", &tree, err) < 0 ||
      world_layer (&run->world, guest, "private", &private_layer, err) < 0 ||
      manifest_read (run->world.store->fd, &objects, err) < 0)
    return failed ("read the layers", err);
  bad = operate (run, guest, commit, &after, err);
  if (bad)
    return bad;
  if (commit && rng_chance (&run->rng, 8)) {
    if (fold_clear (run->world.guests[guest], err) < 0)
      return failed ("fold_clear", err);
    return check_views (run, guest, &run->expected[guest], /* folded= */ false, "after an abort",
                        err);
  }
  manifest_filter (&after, world_drops, &run->world);
  bad = fold (run, guest, commit, &unified, &committed, err);
  if (!bad)
    bad = check_views (run, guest, &after, /* folded= */ true, "after fold", err);
  if (bad)
    return bad;
  if (world_check_layers (&run->world, guest, true) ||
      (!unified && world_check_policy (&run->world, guest, &tree, &private_layer, commit)) ||
      world_check_objects (&run->world, &objects))
    return "a layer is not as it should be after fold";
  if (rng_chance (&run->rng, 50)) {
    run->all_unified = rng_chance (&run->rng, 30);
    if (run->all_unified)
      bad = unify_all (run, err);
    else if (world_unify (&run->world, guest, err) < 0)
      bad = failed ("unify", err);
    if (!bad)
      bad = check_views (run, guest, &after, /* folded= */ true, "after unify", err);
    if (bad)
      return bad;
    if (world_check_layers (&run->world, guest, true) ||
        world_check_objects (&run->world, &objects))
      return "a layer is not as it should be after unify";
  }
  if (world_check_root (&run->world))
    return "check-root found something";
  bad = undo (run, guest, committed, &after, err);
  if (!bad)
    bad = thicken (run, guest, err);
  if (!bad)
    bad = check_base (run, err);
  if (bad)
    return bad;
  /* Times that the policy lets differ may have changed once. */
  for (int i = 0; i < GUESTS; i++) {
    if (i != guest && !run->all_unified)
      continue;
    manifest_release (&run->expected[i]);
    if (world_view (&run->world, i, true, &run->expected[i], err) < 0)
      return failed ("view", err);
  }
  return NULL;
}

static const char *run_rounds (struct run *run, struct err *err)
{
  const struct options *options = run->options;
  unsigned entries = options->entries ? options->entries : 10 + rng_below (&run->rng, 120);

  if (world_make (&run->world, err) < 0)
    return failed ("make a world", err);
  if (world_policy (&run->rng, &run->world, rng_chance (&run->rng, 25), err) < 0)
    return failed ("make a policy", err);
  if (world_grow (&run->rng, &run->world, entries, rng_chance (&run->rng, 85), err) < 0)
    return failed ("grow trees", err);
  for (int i = 0; i < GUESTS; i++)
    if (world_view (&run->world, i, true, &run->expected[i], err) < 0)
      return failed ("view", err);
  if (world_base (&run->world, &run->base, err) < 0)
    return failed ("read the base", err);
  for (unsigned i = 0; i < options->rounds; i++) {
    const char *bad = round_of (run, i, err);

    if (bad) {
      printf ("# in round %u\n", i);
      return bad;
    }
  }
  return NULL;
}

static int one_run (const struct options *options, uint64_t seed, unsigned *operations)
{
  autoerr struct err err = {0};
  struct run run = {.options = options, .rng = {.state = seed}};
  const char *bad = run_rounds (&run, &err);

  *operations += run.operations;
  if (bad) {
    printf ("not ok: seed %" PRIu64 ": %s\n", seed, bad);
    printf ("# again: tests/model/model_fold --seed %" PRIu64 " --rounds %u --ops %u", seed,
            options->rounds, options->ops);
    if (options->entries)
      printf (" --entries %u", options->entries);
    printf ("\n");
    if (options->keep)
      printf ("# kept: %s\n", run.world.path);
  }
  fflush (stdout);
  for (int i = 0; i < GUESTS; i++)
    manifest_release (&run.expected[i]);
  manifest_release (&run.base);
  if (run.world.path)
    world_release (&run.world, !(bad && options->keep));
  return bad ? 1 : 0;
}

static bool number_option (int argc, char **argv, int *at, const char *name, uint64_t *ret_value)
{
  if (strcmp (argv[*at], name) != 0 || *at + 1 >= argc)
    return false;
  *ret_value = strtoull (argv[++*at], NULL, 10);
  return true;
}

static bool parse (int argc, char **argv, struct options *options)
{
  const char *seconds = getenv ("VGUEST_MODEL_SECONDS");

  *options = (struct options){.rounds = 8, .ops = 25, .seconds = 30};
  if (seconds)
    options->seconds = (unsigned) strtoul (seconds, NULL, 10);
  for (int i = 1; i < argc; i++) {
    uint64_t value = 0;

    if (number_option (argc, argv, &i, "--seed", &options->seed))
      options->one = true;
    else if (number_option (argc, argv, &i, "--rounds", &value))
      options->rounds = (unsigned) value;
    else if (number_option (argc, argv, &i, "--ops", &value))
      options->ops = (unsigned) value;
    else if (number_option (argc, argv, &i, "--entries", &value))
      options->entries = (unsigned) value;
    else if (number_option (argc, argv, &i, "--seconds", &value))
      options->seconds = (unsigned) value;
    else if (strcmp (argv[i], "--keep") == 0)
      options->keep = true;
    else if (strcmp (argv[i], "-v") == 0)
      options->verbose = true;
    else
      return false;
  }
  return true;
}

int main (int argc, char **argv)
{
  autoerr struct err err = {0};
  struct options options;
  unsigned runs = 0, operations = 0;
  int bad = 0;

  if (!parse (argc, argv, &options)) {
    fprintf (stderr, "usage: model_fold [--seed N] [--rounds N] [--ops N] [--entries N] "
                     "[--seconds N] [--keep] [-v]\n");
    return 2;
  }
  if (!world_possible ())
    return 77;
  if (layers_own_namespace (&err) < 0) {
    printf ("%s\n", err_text (&err));
    return 1;
  }
  umask (0);
  if (options.one)
    return one_run (&options, options.seed, &operations);
  time_t end = time (NULL) + options.seconds;
  do {
    uint64_t seed = 0;

    if (getrandom (&seed, 5, 0) != 5)
      return 1;
    bad += one_run (&options, seed, &operations);
    runs++;
  } while (time (NULL) < end && bad < 5);
  printf ("# %u runs, %u operations, %d failed\n", runs, operations, bad);
  return bad > 0;
}
