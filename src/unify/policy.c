/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy.h"
#include "util/fd.h"

/* etc/unify.policy as a string, made by the build: the two cannot differ. */
extern const char unify_policy_default[];

enum { POLICY_FILE_MAX = 1 << 20 };
#define BLANKS " \t\r"

enum { ASPECT_CLASS, ASPECT_MTIME };
static const unsigned aspect_masks[RULES_ASPECTS] = {
    [ASPECT_CLASS] = FOLD_CLASS_MASK,
    [ASPECT_MTIME] = FOLD_ANY_MTIME,
};

static const struct kind {
  const char *word;
  unsigned mask;
  unsigned value;
  bool first; /* of the first-match rules */
} kinds[] = {
    {"private", FOLD_CLASS_MASK, FOLD_PRIVATE, false},
    {"eager", FOLD_CLASS_MASK, FOLD_EAGER, false},
    {"shared", FOLD_CLASS_MASK, FOLD_SHARED, false},
    {"drop", FOLD_CLASS_MASK, FOLD_DROP, false},
    {"any-mtime", FOLD_ANY_MTIME, FOLD_ANY_MTIME, false},
    {"exact-mtime", FOLD_ANY_MTIME, 0, false},
    /* Makes private shared and drop eager, and leaves the others as they are. */
    {"include", FOLD_PRIVATE, 0, true},
    {"exclude", FOLD_CLASS_MASK, FOLD_PRIVATE, true},
    {"relax-mtime", FOLD_ANY_MTIME, FOLD_ANY_MTIME, true},
    {"keep-mtime", FOLD_ANY_MTIME, 0, true},
};

static const struct {
  const char *word;
  size_t min, max; /* offsets in struct rule_condition */
  uint64_t largest;
  bool units;
} subjects[] = {
    {"size", offsetof (struct rule_condition, size_min), offsetof (struct rule_condition, size_max),
     INT64_MAX, true},
    {"owner", offsetof (struct rule_condition, uid_min), offsetof (struct rule_condition, uid_max),
     UINT32_MAX, false},
    {"group", offsetof (struct rule_condition, gid_min), offsetof (struct rule_condition, gid_max),
     UINT32_MAX, false},
};

void policy_release (struct policy *policy)
{
  for (size_t i = 0; i < policy->line_count; i++)
    free (policy->lines[i].text);
  for (size_t i = 0; i < policy->file_count; i++)
    free (policy->files[i]);
  cleanup_free (&policy->lines);
  cleanup_free (&policy->files);
  rules_release (&policy->rules);
  *policy = (struct policy){0};
}

/* "1", "64K" with @units. Returns 0, or -1 when it is no number up to @largest. */
static int parse_number (const char *text, uint64_t largest, bool units, uint64_t *ret_number)
{
  static const char suffixes[] = "KMGT";
  char *end;

  if (*text < '0' || *text > '9')
    return -1;
  errno = 0;
  unsigned long long number = strtoull (text, &end, 10);
  const char *suffix = units && *end ? strchr (suffixes, *end) : NULL;
  unsigned shift = suffix ? 10 * (unsigned) (suffix - suffixes + 1) : 0;
  if (errno || end[suffix != NULL] || number > largest >> shift)
    return -1;
  *ret_number = (uint64_t) number << shift;
  return 0;
}

/* Narrows the limits by "OP NUMBER". */
static int narrow (const char *op, uint64_t number, uint64_t *min, uint64_t *max)
{
  bool less = op[0] == '<', equal = op[0] == '=' || op[1] == '=';
  uint64_t from = 0, to = UINT64_MAX;

  if (less && !equal && !number)
    return -1;
  if (less)
    to = equal ? number : number - 1;
  else
    from = equal ? number : number + 1;
  if (op[0] == '=')
    to = number;
  *min = from > *min ? from : *min;
  *max = to < *max ? to : *max;
  return *min > *max ? -1 : 0;
}

/* One word of a rule: 1 when it is a condition, which is added to @condition, 0 when it is none. */
static int parse_condition (const char *word, struct rule_condition *condition, struct err *err)
{
  for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
    size_t len = strlen (subjects[i].word);
    const char *op = word + len;
    uint64_t number;

    if (strncmp (word, subjects[i].word, len) != 0 || !*op || !strchr ("<=>", *op))
      continue;
    const char *text = op + 1 + (op[0] != '=' && op[1] == '=');
    if (parse_number (text, subjects[i].largest, subjects[i].units, &number) < 0)
      return err_code (err, ERR_USAGE, "\"%s\" wants a number%s, not \"%s\"", subjects[i].word,
                       subjects[i].units ? ", with K, M, G or T if you like" : "", text);
    if (narrow (op, number, (uint64_t *) (void *) ((char *) condition + subjects[i].min),
                (uint64_t *) (void *) ((char *) condition + subjects[i].max)) < 0)
      return err_code (err, ERR_USAGE, "no file can have \"%s\"", word);
    return 1;
  }
  return 0;
}

/* A first-match rule: conditions and pattern in @rest. */
static int add_first (struct policy *policy, const struct kind *kind, const char *rest,
                      struct err *err)
{
  unsigned aspect = kind->mask & FOLD_ANY_MTIME ? ASPECT_MTIME : ASPECT_CLASS;
  struct rule_condition condition = RULE_CONDITION_NONE;
  bool any = false;

  while (*rest) {
    size_t len = strcspn (rest, BLANKS);
    autofree char *word = xstrndup (rest, len);
    int is = parse_condition (word, &condition, err);

    if (is < 0)
      return is;
    if (!is)
      break;
    any = true;
    rest += len + strspn (rest + len, BLANKS);
  }
  return rules_add_first (&policy->rules, *rest ? rest : "/", aspect, aspect_masks[aspect],
                          kind->mask, kind->value, any ? &condition : NULL, err);
}

/* Which rules of a text are wanted. */
enum { WANT_LAYERED = 1, WANT_FIRST = 2 };

static int add_rule (struct policy *policy, const char *line, unsigned want, struct err *err)
{
  size_t word = strcspn (line, " \t");
  const char *rest = line + word + strspn (line + word, " \t");

  if (!*rest)
    return err_code (err, ERR_USAGE, "\"%s\" has no path", line);
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    const struct kind *kind = &kinds[i];

    if (strlen (kind->word) != word || strncmp (line, kind->word, word) != 0)
      continue;
    if (!(want & (kind->first ? WANT_FIRST : WANT_LAYERED)))
      return 0;
    return kind->first ? add_first (policy, kind, rest, err)
                       : rules_add (&policy->rules, rest, kind->mask, kind->value, err);
  }
  return err_code (err, ERR_USAGE,
                   "\"%.*s\" is not private, eager, shared, drop, any-mtime, exact-mtime, include, "
                   "exclude, relax-mtime or keep-mtime",
                   (int) word, line);
}

/* One line without its newline; comments and blank lines are nothing. */
static int parse_line (char *line, const char *file, unsigned number, unsigned want,
                       struct policy *policy, struct err *err)
{
  size_t before = policy->rules.count;
  char *end;

  line[strcspn (line, "#")] = '\0';
  line += strspn (line, BLANKS);
  if (!*line)
    return 0;
  for (end = line + strlen (line); strchr (BLANKS, end[-1]); end--)
    ;
  *end = '\0';
  int ret = add_rule (policy, line, want, err);
  /* A pattern may be several rules. */
  if (policy->rules.count > before)
    policy->lines = xreallocarray (policy->lines, policy->rules.count, sizeof *policy->lines);
  for (size_t i = before; i < policy->rules.count; i++)
    policy->lines[policy->line_count++] = (struct policy_line){file, number, xstrdup (line)};
  return ret;
}

static int parse (const char *text, const char *what, unsigned want, struct policy *policy,
                  struct err *err)
{
  char *file = xstrdup (what);

  policy->files = xreallocarray (policy->files, policy->file_count + 1, sizeof *policy->files);
  policy->files[policy->file_count++] = file;
  for (unsigned number = 1;; number++) {
    size_t len = strcspn (text, "\n");
    autofree char *line = xstrndup (text, len);

    if (parse_line (line, file, number, want, policy, err) < 0)
      return err_wrap (err, "%s, line %u", what, number);
    if (!text[len])
      return 0;
    text += len + 1;
  }
}

int policy_parse (const char *text, const char *what, struct policy *policy, struct err *err)
{
  return parse (text, what, WANT_LAYERED | WANT_FIRST, policy, err);
}

static int parse_host (struct policy *policy, struct err *err)
{
  const char *env = getenv ("VGUEST_POLICY");
  bool named = env && *env;
  const char *path = named ? env : SYSCONFDIR "/vguest/unify.policy";
  autofree char *text = NULL;

  if (!named && faccessat (AT_FDCWD, path, F_OK, 0) < 0 && errno == ENOENT)
    return policy_parse (unify_policy_default, "the built-in unify.policy", policy, err);
  if (fd_read_file (AT_FDCWD, path, POLICY_FILE_MAX, &text, NULL, err) < 0)
    return -err->code;
  return policy_parse (text, path, policy, err);
}

int policy_load (int guest_fd, struct policy *ret_policy, struct err *err)
{
  static const char what[] = "the guest's unify.policy";
  autopolicy struct policy policy = {0};
  autofree char *own = NULL;

  if (guest_fd >= 0 && faccessat (guest_fd, "unify.policy", F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
      fd_read_file (guest_fd, "unify.policy", POLICY_FILE_MAX, &own, NULL, err) < 0)
    return err_wrap (err, "the guest's own policy");
  /* The guest's rules go before the host's: of two kinds the later ones win, of the other the
   * first. */
  if (own && parse (own, what, WANT_FIRST, &policy, err) < 0)
    return -err->code;
  if (parse_host (&policy, err) < 0)
    return -err->code;
  if (own && parse (own, what, WANT_LAYERED, &policy, err) < 0)
    return -err->code;
  *ret_policy = policy;
  policy = (struct policy){0};
  return 0;
}

/* What decides of one aspect. */
static void explain_aspect (const struct policy *policy, const char *path, const struct stat *st,
                            unsigned aspect, unsigned *verdict, const struct policy_line **ret_line)
{
  const struct rules *rules = &policy->rules;
  size_t deepest = 0, at, layered = rules->count;

  *ret_line = NULL;
  for (size_t i = 0; i < rules->count; i++) {
    const struct rule *rule = &rules->items[i];

    if (rule->first || !(rule->mask & aspect_masks[aspect]) || !rule_matches (rule, path, &at) ||
        at < deepest)
      continue;
    deepest = at;
    layered = i;
  }
  if (layered < rules->count) {
    *verdict = (*verdict & ~rules->items[layered].mask) | rules->items[layered].value;
    *ret_line = &policy->lines[layered];
  }
  for (size_t i = 0; i < rules->count; i++) {
    const struct rule *rule = &rules->items[i];

    if (!rule->first || rule->aspect != aspect || !rule_matches (rule, path, &at) ||
        (rule->open && (!st || !rule_condition_holds (&rule->condition, st))))
      continue;
    *verdict = (*verdict & ~rule->mask) | rule->value;
    *ret_line = &policy->lines[i];
    return;
  }
}

void policy_explain (const struct policy *policy, const char *path, const struct stat *st,
                     struct policy_reason *ret_reason)
{
  struct policy_reason reason = {.verdict = FOLD_SHARED};

  explain_aspect (policy, path, st, ASPECT_CLASS, &reason.verdict, &reason.by_class);
  explain_aspect (policy, path, st, ASPECT_MTIME, &reason.verdict, &reason.by_mtime);
  *ret_reason = reason;
}
