/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rules.h"
#include <fnmatch.h>

static void rule_release (struct rule *rule)
{
  for (size_t i = 0; i < rule->count; i++)
    free (rule->parts[i]);
  free (rule->parts);
  free (rule->literal);
}

void rules_release (struct rules *rules)
{
  for (size_t i = 0; i < rules->count; i++)
    rule_release (&rules->items[i]);
  free (rules->items);
  free (rules->floating);
  *rules = (struct rules){0};
}

int rules_add (struct rules *rules, const char *pattern, unsigned mask, unsigned value,
               struct err *err)
{
  struct rule rule = {.anchored = pattern[0] == '/', .mask = mask, .value = value};
  const char *p = pattern;

  if (!*pattern)
    return err_code (err, ERR_USAGE, "an empty pattern");
  while (*p == '/')
    p++;
  while (*p) {
    size_t len = strcspn (p, "/");

    if (!len || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.')) {
      rule_release (&rule);
      return err_code (err, ERR_USAGE, "the pattern \"%s\" has a \".\", \"..\" or empty component",
                       pattern);
    }
    rule.parts = xreallocarray (rule.parts, rule.count + 1, sizeof *rule.parts);
    rule.literal = xreallocarray (rule.literal, rule.count + 1, sizeof *rule.literal);
    rule.parts[rule.count] = xstrndup (p, len);
    rule.literal[rule.count] = !strpbrk (rule.parts[rule.count], "*?[\\");
    rule.count++;
    p += len;
    if (*p == '/')
      p++;
  }
  if (!rule.anchored && rule.count != 1) {
    rule_release (&rule);
    return err_code (err, ERR_USAGE, "the pattern \"%s\" has a \"/\" inside but none at its start",
                     pattern);
  }
  rules->items = xreallocarray (rules->items, rules->count + 1, sizeof *rules->items);
  if (!rule.anchored) {
    rules->floating =
        xreallocarray (rules->floating, rules->floating_count + 1, sizeof *rules->floating);
    rules->floating[rules->floating_count++] = rules->count;
  }
  rules->items[rules->count++] = rule;
  return 0;
}

static unsigned apply (const struct rule *rule, unsigned verdict)
{
  return (verdict & ~rule->mask) | (rule->value & rule->mask);
}

void rules_start (const struct rules *rules, unsigned initial, struct rules_state *ret_state)
{
  struct rules_state state = {.verdict = initial};

  state.live = xcalloc (rules->count, sizeof *state.live);
  for (size_t i = 0; i < rules->count; i++) {
    if (!rules->items[i].anchored)
      continue;
    if (rules->items[i].count == 0)
      state.verdict = apply (&rules->items[i], state.verdict);
    else
      state.live[state.count++] = i;
  }
  *ret_state = state;
}

static bool part_matches (const struct rule *rule, size_t part, const char *name)
{
  if (rule->literal[part])
    return strcmp (rule->parts[part], name) == 0;
  return fnmatch (rule->parts[part], name, 0) == 0;
}

void rules_enter (const struct rules *rules, const struct rules_state *parent, const char *name,
                  struct rules_state *ret_state)
{
  struct rules_state state = {.verdict = parent->verdict, .depth = parent->depth + 1};
  size_t next_live = 0, next_floating = 0;

  /* Only rules that can still match are looked at, in the order of the file. */
  while (next_live < parent->count || next_floating < rules->floating_count) {
    bool floating =
        next_live == parent->count || (next_floating < rules->floating_count &&
                                       rules->floating[next_floating] < parent->live[next_live]);
    size_t i = floating ? rules->floating[next_floating++] : parent->live[next_live++];
    const struct rule *rule = &rules->items[i];

    if (!part_matches (rule, floating ? 0 : parent->depth, name))
      continue;
    if (floating || rule->count == state.depth) {
      state.verdict = apply (rule, state.verdict);
      continue;
    }
    if (!state.live)
      state.live = xcalloc (parent->count, sizeof *state.live);
    state.live[state.count++] = i;
  }
  *ret_state = state;
}

void rules_state_copy (const struct rules_state *state, struct rules_state *ret_copy)
{
  *ret_copy = *state;
  if (!state->live)
    return;
  ret_copy->live = xcalloc (state->count ? state->count : 1, sizeof *state->live);
  memcpy (ret_copy->live, state->live, state->count * sizeof *state->live);
}

void rules_state_release (struct rules_state *state)
{
  int saved = errno;

  free (state->live);
  state->live = NULL;
  state->count = 0;
  errno = saved;
}

void rules_enter_path (const struct rules *rules, unsigned initial, const char *path,
                       struct rules_state *ret_state)
{
  struct rules_state state;

  rules_start (rules, initial, &state);
  while (*path) {
    size_t len = strcspn (path, "/");

    if (len) {
      autofree char *name = xstrndup (path, len);
      struct rules_state child;

      rules_enter (rules, &state, name, &child);
      rules_state_release (&state);
      state = child;
    }
    path += len;
    if (*path)
      path++;
  }
  *ret_state = state;
}

unsigned rules_verdict (const struct rules *rules, unsigned initial, const char *path)
{
  autorulesstate struct rules_state state = {0};

  rules_enter_path (rules, initial, path, &state);
  return state.verdict;
}
