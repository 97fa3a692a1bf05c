/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "guest/autostart.h"
#include "util/strbuf.h"
#include <string.h>

/* "NAME[!][:PRIORITY][ DEPENDS…]"; with "!" it is wanted. */
struct world {
  struct autostart_guest guests[16];
  struct names depends[16];
  char *texts[16];
  size_t count;
  struct autostart_plan plan;
};

static void make_world (struct world *world, const char *const *lines)
{
  *world = (struct world){0};
  for (; *lines; lines++) {
    struct autostart_guest *guest = &world->guests[world->count];
    char *save = NULL;
    char *text = world->texts[world->count] = xstrdup (*lines);
    char *name = strtok_r (text, " ", &save);
    char *colon = strchr (name, ':');

    if (colon) {
      guest->priority = strtol (colon + 1, NULL, 10);
      *colon = '\0';
    }
    if (name[strlen (name) - 1] == '!') {
      guest->wanted = true;
      name[strlen (name) - 1] = '\0';
    }
    guest->name = name;
    for (char *word; (word = strtok_r (NULL, " ", &save)) != NULL;)
      names_add (&world->depends[world->count], word);
    guest->depends = &world->depends[world->count++];
  }
  autostart_plan_make (world->guests, world->count, &world->plan);
}

static void release_world (struct world *world)
{
  autostart_plan_release (&world->plan);
  for (size_t i = 0; i < world->count; i++) {
    names_release (&world->depends[i]);
    free (world->texts[i]);
  }
}

static const char *step_name (const struct world *world, size_t step)
{
  return world->guests[world->plan.steps[step].guest].name;
}

static void assert_order (const char *const *lines, const char *expected)
{
  autostrbuf struct strbuf text = STRBUF_INIT (4096);
  struct world world;

  make_world (&world, lines);
  for (size_t i = 0; i < world.plan.count; i++)
    strbuf_addf (&text, "%s%s%s", i ? " " : "", step_name (&world, i),
                 world.plan.steps[i].problem ? "!" : "");
  assert_string_equal (strbuf_str (&text), expected);
  release_world (&world);
}

/* Rounds of all steps that may begin at once; those whose name is in @failing fail. */
static void assert_rounds (const char *const *lines, bool stop, const char *failing,
                           const char *expected)
{
  autostrbuf struct strbuf text = STRBUF_INIT (4096);
  struct world world;
  size_t step;

  make_world (&world, lines);
  for (;;) {
    size_t begun[16], count = 0;

    while (stop ? autostart_next_stop (&world.plan, &step)
                : autostart_next_start (&world.plan, world.guests, &step)) {
      world.plan.steps[step].state = AUTOSTART_BEGUN;
      begun[count++] = step;
    }
    if (!count)
      break;
    strbuf_adds (&text, "(");
    for (size_t i = 0; i < count; i++) {
      const char *name = step_name (&world, begun[i]);

      strbuf_addf (&text, "%s%s", i ? " " : "", name);
      world.plan.steps[begun[i]].state =
          strcmp (name, failing) == 0 ? AUTOSTART_FAILED : AUTOSTART_DONE;
    }
    strbuf_adds (&text, ")");
  }
  assert_string_equal (strbuf_str (&text), expected);
  for (size_t i = 0; i < world.plan.count; i++)
    assert_true (world.plan.steps[i].state == AUTOSTART_DONE ||
                 world.plan.steps[i].state == AUTOSTART_FAILED);
  release_world (&world);
}

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void priorities_then_names (void **state)
{
  (void) state;
  assert_order (LINES ("b!", "a!", "low!:-5", "high!:10", "off"), "high a b low");
  assert_order (LINES ("off"), "");
  assert_order ((const char *const[]){NULL}, "");
}

static void depends_come_first (void **state)
{
  (void) state;
  assert_order (LINES ("web! db cache", "cache", "db", "other!"), "other cache db web");
  assert_order (LINES ("a!:10 z", "m!:5", "z:-1"), "z a m");
  assert_order (LINES ("a! b", "b c", "c"), "c b a");
  assert_order (LINES ("a! b b", "b"), "b a");
}

static void missing_ones_are_told (void **state)
{
  struct world world;

  (void) state;
  assert_order (LINES ("a! nobody", "b!"), "a! b");
  make_world (&world, LINES ("a! nobody"));
  assert_string_equal (world.plan.steps[0].problem,
                       "it depends on \"nobody\", and there is no such guest");
  release_world (&world);
  assert_rounds (LINES ("a! nobody", "b! a", "c!"), false, "", "(c)");
}

static void cycles_are_told (void **state)
{
  struct world world;

  (void) state;
  assert_order (LINES ("a! a", "b!"), "a! b");
  make_world (&world, LINES ("a! b", "b c", "c b", "d!"));
  assert_string_equal (step_name (&world, 0), "c");
  assert_string_equal (world.plan.steps[0].problem, "it depends on itself: b -> c -> b");
  assert_string_equal (world.plan.steps[1].problem, "it depends on itself: b -> c -> b");
  assert_null (world.plan.steps[2].problem);
  release_world (&world);
  assert_rounds (LINES ("a! b", "b c", "c b", "d!"), false, "", "(d)");
  assert_rounds (LINES ("a! b c", "b a", "c b", "d!"), false, "", "(d)");
}

static void equals_go_side_by_side (void **state)
{
  (void) state;
  assert_rounds (LINES ("a!", "b!", "c!:-1", "d!:9"), false, "", "(d)(a b)(c)");
  assert_rounds (LINES ("a! c", "b!", "c"), false, "", "(c b)(a)");
  assert_rounds (LINES ("a! c", "b!", "c", "z!:-1 b"), false, "c", "(c b)(z)");
}

static void stop_is_the_reverse (void **state)
{
  (void) state;
  assert_rounds (LINES ("a!", "b!", "c!:-1", "d!:9"), true, "", "(c)(b a)(d)");
  assert_rounds (LINES ("web! db", "db!", "x!"), true, "web", "(x web)(db)");
  assert_rounds (LINES ("a! b", "b! a", "c! nobody"), true, "", "(c a)(b)");
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (priorities_then_names),  cmocka_unit_test (depends_come_first),
      cmocka_unit_test (missing_ones_are_told),  cmocka_unit_test (cycles_are_told),
      cmocka_unit_test (equals_go_side_by_side), cmocka_unit_test (stop_is_the_reverse),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
