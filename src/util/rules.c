/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rules.h"
#include <fnmatch.h>

enum {
  PATTERN_MAX = 4096,
  INNER_STARS_MAX = 4,
};

static void rule_release (struct rule *rule)
{
  for (size_t i = 0; i < rule->count; i++)
    free (rule->parts[i]);
  free (rule->parts);
  free (rule->literal);
  free (rule->deep);
  free (rule->pattern);
}

void rules_release (struct rules *rules)
{
  for (size_t i = 0; i < rules->count; i++)
    rule_release (&rules->items[i]);
  free (rules->items);
  free (rules->floating);
  *rules = (struct rules){0};
}

/* The bit of the rule before @rule in its aspect, when that asks and says the same; else 0. So a
 * list of paths with one condition needs one bit. */
static unsigned shared_open (const struct rules *rules, const struct rule *rule)
{
  for (size_t i = rules->count; i-- > 0;) {
    const struct rule *last = &rules->items[i];

    if (!last->first || last->aspect != rule->aspect)
      continue;
    bool same = last->mask == rule->mask && last->value == rule->value &&
                memcmp (&last->condition, &rule->condition, sizeof rule->condition) == 0;
    return same ? last->open : 0;
  }
  return 0;
}

static int give_open (struct rules *rules, struct rule *rule, struct err *err)
{
  rule->open_above = rules->aspect_open[rule->aspect];
  if (!rule->open)
    return 0;
  rule->open = shared_open (rules, rule);
  if (!rule->open) {
    if (rules->open_count == RULES_CONDITIONS_MAX)
      return err_code (err, ERR_USAGE, "there are more than %d different conditions",
                       (int) RULES_CONDITIONS_MAX);
    rules->conditional[rules->open_count] = rules->count;
    rule->open = 1U << (RULES_OPEN_SHIFT + rules->open_count++);
  }
  rule->open_above &= ~rule->open;
  rules->aspect_open[rule->aspect] |= rule->open;
  return 0;
}

static void add_part (struct rule *rule, const char *part, bool deep)
{
  rule->parts = xreallocarray (rule->parts, rule->count + 1, sizeof *rule->parts);
  rule->literal = xreallocarray (rule->literal, rule->count + 1, sizeof *rule->literal);
  rule->deep = xreallocarray (rule->deep, rule->count + 1, sizeof *rule->deep);
  rule->parts[rule->count] = xstrdup (part);
  rule->literal[rule->count] = !strpbrk (part, "*?[\\");
  rule->deep[rule->count++] = deep;
}

/* The first "**" in a component: not behind a backslash, nor between brackets. Returns its length
 * with all further stars, and 0 when there is none. */
static size_t find_stars (const char *part, size_t *ret_at)
{
  for (const char *p = part; *p; p++) {
    if (*p == '\\' && p[1]) {
      p++;
    } else if (*p == '[') {
      const char *end = strchr (p + 1 + (p[1] == '!' || p[1] == '^'), ']');

      /* A bracket that is the first between them stands for itself. */
      if (end && end == p + 1 + (p[1] == '!' || p[1] == '^'))
        end = strchr (end + 1, ']');
      p = end ? end : p;
    } else if (p[0] == '*' && p[1] == '*') {
      *ret_at = (size_t) (p - part);
      return strspn (p, "*");
    }
  }
  return 0;
}

static int split (struct rules *rules, struct rule *rule, const char *rest, bool deep,
                  struct err *err);

static int add_rule (struct rules *rules, struct rule *rule, struct err *err)
{
  if (give_open (rules, rule, err) < 0)
    return -err->code;
  rules->items = xreallocarray (rules->items, rules->count + 1, sizeof *rules->items);
  if (rule->count && rule->deep[0]) {
    rules->floating =
        xreallocarray (rules->floating, rules->floating_count + 1, sizeof *rules->floating);
    rules->floating[rules->floating_count++] = rules->count;
  }
  rules->items[rules->count++] = *rule;
  *rule = (struct rule){0};
  return 0;
}

static void copy_rule (const struct rule *rule, struct rule *ret_copy)
{
  *ret_copy = *rule;
  ret_copy->pattern = xstrdup (rule->pattern);
  ret_copy->parts = NULL;
  ret_copy->literal = ret_copy->deep = NULL;
  ret_copy->count = 0;
  for (size_t i = 0; i < rule->count; i++)
    add_part (ret_copy, rule->parts[i], rule->deep[i]);
}

/* A component with "**" inside, as several: "x**" is "x*" and any number behind it, "**y" any
 * number and "*y". "x**y" is two rules, as it may be one component as well. */
static int split_stars (struct rules *rules, struct rule *rule, const char *part, size_t at,
                        size_t stars, const char *rest, bool deep, struct err *err)
{
  const char *tail = part + at + stars;
  autofree char *head = xasprintf ("%.*s*", (int) at, part);

  if (!*tail) {
    /* At the very end all below "x*" is covered anyway. */
    add_part (rule, head, deep);
    return split (rules, rule, rest, /* deep= */ true, err);
  }
  autofree char *next = xasprintf ("*%s%s%s", tail, *rest ? "/" : "", rest);
  if (!at)
    return split (rules, rule, next, /* deep= */ true, err);
  autofree char *whole = xasprintf ("%.*s%s", (int) at, part, next);
  struct rule copy;
  copy_rule (rule, &copy);
  int ret = split (rules, &copy, whole, deep, err);
  rule_release (&copy);
  if (ret < 0)
    return ret;
  add_part (rule, head, deep);
  return split (rules, rule, next, /* deep= */ true, err);
}

/* Adds the components of @rest to @rule, and the rule to @rules; @deep: any number may be before
 * them. Takes what @rule owns when it succeeds. */
static int split (struct rules *rules, struct rule *rule, const char *rest, bool deep,
                  struct err *err)
{
  while (*rest) {
    size_t len = strcspn (rest, "/"), at = 0;
    autofree char *part = xstrndup (rest, len);

    rest += len + (rest[len] == '/');
    if (!len || strcmp (part, ".") == 0 || strcmp (part, "..") == 0)
      return err_code (err, ERR_USAGE, "the pattern \"%s\" has a \".\", \"..\" or empty component",
                       rule->pattern);
    size_t stars = find_stars (part, &at);
    if (stars && stars < len)
      return split_stars (rules, rule, part, at, stars, rest, deep, err);
    if (stars && *rest) {
      deep = true;
      continue;
    }
    /* At the end "**" is "*", as a rule holds for all below. */
    add_part (rule, stars ? "*" : part, stars && rule->count ? false : deep);
    deep = false;
  }
  return add_rule (rules, rule, err);
}

/* How often "**" is inside a component: so many times the rules double. */
static unsigned count_inner_stars (const char *pattern)
{
  unsigned count = 0;

  for (const char *p = strstr (pattern, "**"); p; p = strstr (p + strspn (p, "*"), "**"))
    count += p > pattern && p[-1] != '/' && !strchr ("/", p[strspn (p, "*")]);
  return count;
}

static int add (struct rules *rules, const char *pattern, struct rule *rule, struct err *err)
{
  if (!*pattern)
    return err_code (err, ERR_USAGE, "an empty pattern");
  if (strlen (pattern) > PATTERN_MAX)
    return err_code (err, ERR_USAGE, "a pattern has more than %d bytes", (int) PATTERN_MAX);
  if (count_inner_stars (pattern) > INNER_STARS_MAX)
    return err_code (err, ERR_USAGE, "the pattern \"%s\" has more than %d \"**\" inside names",
                     pattern, (int) INNER_STARS_MAX);
  rule->pattern = xstrdup (pattern);
  size_t before = rules->count;
  int ret = split (rules, rule, pattern + strspn (pattern, "/"), pattern[0] != '/', err);
  rule_release (rule);
  /* Of a pattern that is several rules, some may be there. */
  while (ret < 0 && rules->count > before) {
    rules->count--;
    if (rules->floating_count && rules->floating[rules->floating_count - 1] == rules->count)
      rules->floating_count--;
    rule_release (&rules->items[rules->count]);
  }
  return ret;
}

int rules_add (struct rules *rules, const char *pattern, unsigned mask, unsigned value,
               struct err *err)
{
  struct rule rule = {.mask = mask, .value = value};

  return add (rules, pattern, &rule, err);
}

int rules_add_first (struct rules *rules, const char *pattern, unsigned aspect,
                     unsigned aspect_mask, unsigned mask, unsigned value,
                     const struct rule_condition *condition, struct err *err)
{
  struct rule rule = {
      .mask = mask,
      .value = value,
      .first = true,
      .aspect = aspect,
      .open = condition != NULL,
      .condition = condition ? *condition : RULE_CONDITION_NONE,
  };

  rules->aspect_mask[aspect] |= aspect_mask;
  return add (rules, pattern, &rule, err);
}

static unsigned apply (const struct rule *rule, unsigned verdict)
{
  return (verdict & ~rule->mask) | (rule->value & rule->mask);
}

/* The rule @i matches here. */
static void hit (const struct rules *rules, size_t i, struct rules_state *state)
{
  const struct rule *rule = &rules->items[i];

  if (!rule->first) {
    state->layered = apply (rule, state->layered);
    return;
  }
  size_t *decided = &state->decided[rule->aspect];
  if (*decided && *decided <= i)
    return;
  if (rule->open) {
    state->open |= rule->open;
    return;
  }
  *decided = i + 1;
  state->open &= ~rules->aspect_open[rule->aspect] | rule->open_above;
}

static void conclude (const struct rules *rules, struct rules_state *state)
{
  state->verdict = state->layered;
  for (size_t i = 0; i < RULES_ASPECTS; i++)
    if (state->decided[i])
      state->verdict = apply (&rules->items[state->decided[i] - 1], state->verdict);
  if (state->open)
    state->verdict |= state->open | (state->layered & RULES_FIRST_BITS) << RULES_LAYERED_SHIFT;
}

void rules_start (const struct rules *rules, unsigned initial, struct rules_state *ret_state)
{
  struct rules_state state = {.layered = initial};

  state.live = xcalloc (rules->count, sizeof *state.live);
  for (size_t i = 0; i < rules->count; i++) {
    const struct rule *rule = &rules->items[i];

    if (!rule->count)
      hit (rules, i, &state);
    else if (!rule->deep[0])
      state.live[state.count++] = (struct rules_live){i, 0};
  }
  conclude (rules, &state);
  *ret_state = state;
}

static bool part_matches (const struct rule *rule, size_t part, const char *name)
{
  if (rule->literal[part])
    return strcmp (rule->parts[part], name) == 0;
  return fnmatch (rule->parts[part], name, 0) == 0;
}

/* Adds a rule that can match below. Of one rule they come in ascending order. */
static void add_live (const struct rules *rules, const struct rules_state *parent,
                      struct rules_state *state, size_t rule, size_t part)
{
  const struct rules_live *last = state->count ? &state->live[state->count - 1] : NULL;

  if (last && last->rule == rule && last->part == part)
    return;
  if (!state->live)
    state->live =
        xreallocarray (NULL, 2 * parent->count + rules->floating_count, sizeof *state->live);
  state->live[state->count++] = (struct rules_live){rule, part};
}

void rules_enter (const struct rules *rules, const struct rules_state *parent, const char *name,
                  struct rules_state *ret_state)
{
  struct rules_state state = *parent;
  size_t next_live = 0, next_floating = 0;

  state.depth++;
  state.count = 0;
  state.live = NULL;
  /* Only rules that can still match are looked at, in the order of the file. */
  while (next_live < parent->count || next_floating < rules->floating_count) {
    bool floating = next_live == parent->count ||
                    (next_floating < rules->floating_count &&
                     rules->floating[next_floating] <= parent->live[next_live].rule);
    struct rules_live at = floating ? (struct rules_live){rules->floating[next_floating++], 0}
                                    : parent->live[next_live++];
    const struct rule *rule = &rules->items[at.rule];

    if (!floating && rule->deep[at.part])
      add_live (rules, parent, &state, at.rule, at.part);
    if (!part_matches (rule, at.part, name))
      continue;
    if (at.part + 1 == rule->count)
      hit (rules, at.rule, &state);
    else
      add_live (rules, parent, &state, at.rule, at.part + 1);
  }
  conclude (rules, &state);
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

bool rule_condition_holds (const struct rule_condition *condition, const struct stat *st)
{
  uint64_t size = (uint64_t) st->st_size;

  return size >= condition->size_min && size <= condition->size_max &&
         st->st_uid >= condition->uid_min && st->st_uid <= condition->uid_max &&
         st->st_gid >= condition->gid_min && st->st_gid <= condition->gid_max;
}

/* What becomes of the verdict's value when the open condition @number holds. */
static unsigned value_when (const struct rules *rules, unsigned verdict, unsigned value,
                            unsigned number)
{
  const struct rule *rule = &rules->items[rules->conditional[number]];
  unsigned mask = rules->aspect_mask[rule->aspect];
  unsigned layered = (verdict >> RULES_LAYERED_SHIFT) & RULES_FIRST_BITS;

  return (value & ~mask) | (apply (rule, layered) & mask);
}

unsigned rules_settle (const struct rules *rules, unsigned verdict, const struct stat *st)
{
  unsigned value = verdict & RULES_VALUE_BITS, settled = 0;

  for (unsigned i = 0; i < rules->open_count && verdict >> (RULES_OPEN_SHIFT + i); i++) {
    if (!(verdict & 1U << (RULES_OPEN_SHIFT + i)))
      continue;
    const struct rule *rule = &rules->items[rules->conditional[i]];
    if (settled & 1U << rule->aspect || !rule_condition_holds (&rule->condition, st))
      continue;
    settled |= 1U << rule->aspect;
    value = value_when (rules, verdict, value, i);
  }
  return value;
}

bool rules_can_be (const struct rules *rules, unsigned verdict, unsigned mask, unsigned value)
{
  if ((verdict & mask) == value)
    return true;
  for (unsigned i = 0; i < rules->open_count; i++)
    if (verdict & 1U << (RULES_OPEN_SHIFT + i) &&
        (value_when (rules, verdict, verdict & RULES_VALUE_BITS, i) & mask) == value)
      return true;
  return false;
}

bool rules_are_final (const struct rules *rules, const struct rules_state *state, unsigned mask)
{
  for (size_t i = 0; i < state->count; i++)
    if (rules->items[state->live[i].rule].mask & mask)
      return false;
  for (size_t i = 0; i < rules->floating_count; i++)
    if (rules->items[rules->floating[i]].mask & mask)
      return false;
  return true;
}

bool rule_matches (const struct rule *rule, const char *path, size_t *ret_depth)
{
  autofree bool *at = xcalloc (rule->count + 1, sizeof *at);
  bool found = rule->count == 0;

  *ret_depth = 0;
  at[0] = true;
  path += strspn (path, "/");
  for (size_t depth = 1; *path && rule->count; depth++) {
    size_t len = strcspn (path, "/");
    autofree char *name = xstrndup (path, len);

    /* From the end, so that each name takes a place one component further at most. */
    for (size_t part = rule->count; part-- > 0;) {
      if (at[part] && part_matches (rule, part, name))
        at[part + 1] = true;
      at[part] = at[part] && rule->deep[part];
    }
    if (at[rule->count]) {
      found = true;
      *ret_depth = depth;
      at[rule->count] = false;
    }
    path += len + strspn (path + len, "/");
  }
  return found;
}
