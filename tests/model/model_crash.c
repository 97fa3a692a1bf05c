/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stops commits, folds, unify, rollbacks and the making of full guests before each of their
 * changing system calls, one after another, and lets recovery go on from there; then fails each
 * call once with several errors. Afterwards the guest is in the old state or the new one, and its
 * history says which; all other guests and every object are what they were, and nothing is left
 * over.
 *
 *   model_crash [--seed N] [--seconds N] [--stage N] [--keep] [-v]
 *
 * $VGUEST_MODEL_SECONDS, or 30, as model_fold. */
#include "faults.h"
#include "guest/settle.h"
#include "undo.h"
#include "util/fd.h"
#include <inttypes.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>

enum stage { STAGE_PLAN, STAGE_CARRY_OUT, STAGE_UNIFY, STAGE_ROLLBACK, STAGE_THICKEN, STAGES };

static const char *const stage_names[] = {"plan", "carry out", "unify", "roll back", "thicken"};

struct test {
  struct rng rng;
  struct world world; /* as it was before the stage: never changed by a try */
  bool commit;
  bool verbose, keep;
  int only; /* the stage that is tried; -1: all */
  enum stage stage;
  unsigned nth;
  int error;                         /* 0: stop */
  struct manifest before;            /* g0 without the transaction */
  struct manifest after;             /* g0 with it, or with what was done in place */
  struct manifest others[GUESTS][2]; /* tree and private as they lie there */
  struct manifest objects;
  struct twin_choice choice;
  unsigned tries;
  bool sampled;    /* not every call: random steps, and an end at the deadline */
  time_t deadline; /* of a sampled run */
  struct rng steps;
};

static void say (const struct test *test, const char *what, const struct err *err)
{
  printf ("# %s, %s %u of %s%s%s: %s%s%s\n", test->commit ? "commit" : "in place",
          test->error ? "failing call" : "stopping before call", test->nth,
          stage_names[test->stage], test->error ? " with " : "",
          test->error ? strerrorname_np (test->error) : "", what, err ? ": " : "",
          err ? err_text (err) : "");
}

/* What vguest does in this stage. */
static int run_stage (const struct test *test, struct world *world, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  const struct history_note note = {.what = "model"};
  struct vroot root = undo_root (world);
  struct guest guest = undo_guest (world, 0);
  struct fold_options options = {
      .guest_fd = world->guests[0],
      .commit = test->commit,
      .rules = &world->policy.rules,
      .twin = twin_choose,
      .twin_data = (void *) &test->choice,
  };
  struct fold_counts counts;
  uint64_t id = 0;

  switch (test->stage) {
  case STAGE_PLAN:
    if (test->commit && history_prepare (&guest, &note, &id, err) < 0)
      return -err->code;
    return fold_plan (&options, &counts, err);
  case STAGE_CARRY_OUT:
    return guest_finish_fold (&root, &guest, &world->policy, &report, err);
  case STAGE_ROLLBACK:
    return undo_newest (world, 0, err);
  case STAGE_THICKEN:
    return world_thicken (world, 0, err);
  default:
    return guest_unify_tree (&root, &guest, &world->policy, /* dry_run= */ false, &report, err);
  }
}

/* As the next command that opens the guest does. */
static int recover (struct world *world, struct err *err)
{
  struct vroot root = undo_root (world);
  struct guest guest = undo_guest (world, 0);

  return guest_recover (&root, &guest, err) < 0 ? -err->code : staging_sweep (&root, err);
}

static const char *const layer_names[2] = {"tree", "private"};

/* What the history says about the guest: the transaction is there when @folded, or was undone. The
 * view that goes with it, or NULL. */
static const struct manifest *expected_view (struct test *test, struct world *world, bool folded,
                                             struct err *err)
{
  struct guest guest = undo_guest (world, 0);
  autohistory struct history history = {0};

  if (!test->commit)
    return &test->after;
  if (history_read (&guest, &history, err) < 0)
    return NULL;
  const struct history_entry *entry = history_find (&history, 1);
  if (!folded)
    return history.count ? NULL : &test->before;
  if (!entry || entry->has_undo == (entry->rolled_back_by != 0))
    return NULL;
  return entry->rolled_back_by ? &test->before : &test->after;
}

static bool views_are_right (struct test *test, struct world *world, bool folded)
{
  autoerr struct err err = {0};
  automanifest struct manifest view = {0};
  const struct manifest *want = expected_view (test, world, folded, &err);

  if (!want) {
    say (test, "the history is not as it should be", err.code ? &err : NULL);
    return false;
  }
  if (world_view (world, 0, /* commit= */ true, &view, &err) < 0) {
    say (test, "view", &err);
    return false;
  }
  if (manifest_compare (want, &view, "guest", world_any_mtime, world, stdout)) {
    say (test, "the guest's view changed", NULL);
    return false;
  }
  for (int i = 1; i < GUESTS; i++)
    for (int k = 0; k < 2; k++) {
      automanifest struct manifest now = {0};

      if (world_layer (world, i, layer_names[k], &now, &err) < 0) {
        say (test, "read a layer", &err);
        return false;
      }
      if (manifest_compare (&test->others[i][k], &now, "another", NULL, NULL, stdout)) {
        say (test, "another guest changed", NULL);
        return false;
      }
    }
  return true;
}

/* After a try and recovery. */
static bool result_is_right (struct test *test, struct world *world, bool folded)
{
  autoerr struct err err = {0};

  if (!views_are_right (test, world, folded))
    return false;
  if (!folded && !test->commit) {
    struct test again = *test;

    /* Still to be folded: it can be, now. */
    for (again.stage = STAGE_PLAN; again.stage <= STAGE_CARRY_OUT; again.stage++)
      if (run_stage (&again, world, &err) < 0) {
        say (test, "fold again", &err);
        return false;
      }
    if (!views_are_right (test, world, true))
      return false;
  }
  if (world_check_layers (world, 0, true) || world_check_objects (world, &test->objects) ||
      world_check_root (world)) {
    say (test, "the layers are not as they should be", NULL);
    return false;
  }
  return true;
}

/* The world of a try: a copy, at the point where the stage begins. A journal names inodes, so plans
 * are made in the copy. */
static int begin (struct test *test, struct world *world, struct err *err)
{
  if (test->stage == STAGE_CARRY_OUT) {
    struct test planning = *test;

    planning.stage = STAGE_PLAN;
    if (run_stage (&planning, world, err) < 0)
      return -err->code;
  }
  manifest_release (&test->objects);
  return manifest_read (world->store->fd, &test->objects, err);
}

/* Returns 1 when the fault was met and all is well, 0 when there are fewer calls, -1 when the test
 * failed. */
static int try_in (struct test *test, struct world *world)
{
  autoerr struct err err = {0};
  int status = 0;

  fflush (stdout);
  pid_t pid = fork ();
  if (pid == 0) {
    faults_arm (test->nth, test->error);
    int ret = run_stage (test, world, &err);
    bool met = faults_where () != NULL;
    if (test->verbose && met)
      printf ("#   %s: %s\n", faults_where (), ret < 0 ? err_text (&err) : "and went on");
    fflush (stdout);
    _exit (met ? FAULT_STOPPED : ret < 0 ? 1 : 0);
  }
  if (pid < 0 || waitpid (pid, &status, 0) < 0 || !WIFEXITED (status) ||
      (WEXITSTATUS (status) != 0 && WEXITSTATUS (status) != FAULT_STOPPED)) {
    say (test, "the process failed on its own", NULL);
    return -1;
  }
  int pending = fold_pending (world->guests[0], &err);
  if (pending < 0 || recover (world, &err) < 0) {
    say (test, "recovery failed", &err);
    return -1;
  }
  if (!result_is_right (test, world, pending || test->stage != STAGE_PLAN))
    return -1;
  test->tries++;
  return WEXITSTATUS (status) == FAULT_STOPPED;
}

static int copy_world (const struct world *from, struct world *to, struct err *err)
{
  autofree char *path = xasprintf ("%s-XXXXXX", from->path);

  if (!mkdtemp (path))
    return err_errno (err, "make the directory %s", path);
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return err_errno (err, "open %s", path);
  if (copy_all (from->fd, fd, err) < 0)
    return -err->code;
  return world_open (path, to, err);
}

/* One call after another, or some of them when it is a sample, until there are no more. */
static bool try_all (struct test *test)
{
  for (test->nth = 1;; test->nth += test->sampled ? 1 + rng_below (&test->steps, 8) : 1) {
    autoerr struct err err = {0};
    struct world world = {0};
    if (test->sampled && time (NULL) > test->deadline)
      return true;
    int ret = copy_world (&test->world, &world, &err);

    if (ret < 0) {
      say (test, "copy the world", &err);
      return false;
    }
    ret = begin (test, &world, &err);
    if (ret < 0)
      say (test, "begin", &err);
    else
      ret = try_in (test, &world);
    if (ret < 0 && test->keep)
      printf ("# kept: %s\n", world.path);
    world_release (&world, !(ret < 0 && test->keep));
    if (ret <= 0)
      return ret == 0;
  }
}

static bool try_stage (struct test *test, enum stage stage)
{
  static const int errors[] = {ENOSPC, EIO, EMLINK, EINTR, EXDEV};

  test->stage = stage;
  test->error = 0;
  if (!try_all (test))
    return false;
  test->error = errors[rng_below (&test->rng, sizeof errors / sizeof *errors)];
  return try_all (test);
}

static int prepare (struct test *test, struct err *err)
{
  int fd = -1;
  unsigned ops = 3 + rng_below (&test->rng, 12);
  /* Else the tree is still to be unified with its clone's. */
  bool publish = rng_chance (&test->rng, 60);

  if (world_make (&test->world, err) < 0 ||
      world_policy (&test->rng, &test->world, /* drops= */ false, err) < 0 ||
      world_grow (&test->rng, &test->world, 5 + rng_below (&test->rng, 15), publish, err) < 0 ||
      (!publish && world_unify (&test->world, 1, err) < 0) ||
      world_view (&test->world, 0, /* commit= */ true, &test->before, err) < 0 ||
      world_mount (&test->world, 0, test->commit, &fd, err) < 0)
    return -err->code;
  for (unsigned i = 0; i < ops; i++)
    random_operation (&test->rng, fd);
  close (fd);
  if (world_unmount (&test->world, err) < 0 ||
      world_view (&test->world, 0, test->commit, &test->after, err) < 0)
    return -err->code;
  for (int i = 1; i < GUESTS; i++)
    for (int k = 0; k < 2; k++)
      if (world_layer (&test->world, i, layer_names[k], &test->others[i][k], err) < 0)
        return -err->code;
  return manifest_read (test->world.store->fd, &test->objects, err);
}

static bool run_stages (struct test *test)
{
  autoerr struct err err = {0};

  if (prepare (test, &err) < 0) {
    say (test, "prepare", &err);
    return false;
  }
  for (enum stage stage = STAGE_PLAN; stage < STAGES; stage++) {
    if ((stage == STAGE_ROLLBACK && !test->commit) ||
        (stage == STAGE_THICKEN && !world_thin (&test->world, 0)))
      continue;
    /* There is no time for all of them. */
    bool tried = test->only >= 0 ? (int) stage == test->only
                                 : !test->sampled || rng_chance (&test->steps, 40);
    if (tried && !try_stage (test, stage))
      return false;
    /* Done, for the next stage. The plan is made again in each copy. */
    if (stage != STAGE_CARRY_OUT)
      continue;
    for (test->stage = STAGE_PLAN; test->stage <= STAGE_CARRY_OUT; test->stage++)
      if (run_stage (test, &test->world, &err) < 0) {
        say (test, "without a fault", &err);
        return false;
      }
  }
  return true;
}

static bool run_seed (uint64_t seed, time_t deadline, int only, bool verbose, bool keep,
                      unsigned *tries)
{
  struct test test = {
      .rng = {.state = seed},
      .verbose = verbose,
      .keep = keep,
      .only = only,
      .sampled = deadline != 0,
      .deadline = deadline,
      .steps = {.state = seed + 1},
  };

  test.commit = rng_chance (&test.rng, 50);
  test.choice = (struct twin_choice){.mode = (enum twin_mode) rng_below (&test.rng, TWIN_MODES),
                                     .salt = rng_next (&test.rng)};
  bool good = run_stages (&test);
  if (!good)
    printf ("not ok: seed %" PRIu64 "\n# again: tests/model/model_crash --seed %" PRIu64 "\n", seed,
            seed);
  fflush (stdout);
  *tries += test.tries;
  manifest_release (&test.before);
  manifest_release (&test.after);
  manifest_release (&test.objects);
  for (int i = 0; i < GUESTS; i++)
    for (int k = 0; k < 2; k++)
      manifest_release (&test.others[i][k]);
  if (test.world.path)
    world_release (&test.world, true);
  return good;
}

int main (int argc, char **argv)
{
  autoerr struct err err = {0};
  const char *text = getenv ("VGUEST_MODEL_SECONDS");
  unsigned seconds = text ? (unsigned) strtoul (text, NULL, 10) : 30, tries = 0, seeds = 0;
  uint64_t seed = 0;
  bool verbose = false, keep = false, one = false;
  int bad = 0, only = -1;

  for (int i = 1; i < argc; i++) {
    if (strcmp (argv[i], "--seed") == 0 && i + 1 < argc) {
      seed = strtoull (argv[++i], NULL, 10);
      one = true;
    } else if (strcmp (argv[i], "--seconds") == 0 && i + 1 < argc) {
      seconds = (unsigned) strtoul (argv[++i], NULL, 10);
    } else if (strcmp (argv[i], "--stage") == 0 && i + 1 < argc) {
      only = (int) strtol (argv[++i], NULL, 10);
    } else if (strcmp (argv[i], "--keep") == 0) {
      keep = true;
    } else if (strcmp (argv[i], "-v") == 0) {
      verbose = true;
    } else {
      fprintf (stderr, "usage: model_crash [--seed N] [--seconds N] [--stage N] [--keep] [-v]\n");
      return 2;
    }
  }
  if (!world_possible ())
    return 77;
  if (layers_own_namespace (&err) < 0) {
    printf ("%s\n", err_text (&err));
    return 1;
  }
  umask (0);
  /* A seed that is named is tried at every call, however long that takes. */
  time_t end = time (NULL) + (one ? 0 : seconds);
  do {
    if (!one && getrandom (&seed, 5, 0) != 5)
      return 1;
    bad += !run_seed (seed, one ? 0 : end, only, verbose, keep, &tries);
    seeds++;
  } while (time (NULL) < end && bad < 5);
  printf ("# %u seeds, %u faults, %d failed\n", seeds, tries, bad);
  return bad > 0;
}
