/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy.h"
#include "util/fd.h"

/* etc/unify.policy as a string, made by the build: the two cannot differ. */
extern const char unify_policy_default[];

enum { POLICY_FILE_MAX = 1 << 20 };
#define BLANKS " \t\r"

static const struct kind {
  const char *word;
  unsigned mask;
  unsigned value;
} kinds[] = {
    {"private", FOLD_CLASS_MASK, FOLD_PRIVATE},    {"eager", FOLD_CLASS_MASK, FOLD_EAGER},
    {"shared", FOLD_CLASS_MASK, FOLD_SHARED},      {"drop", FOLD_CLASS_MASK, FOLD_DROP},
    {"any-mtime", FOLD_ANY_MTIME, FOLD_ANY_MTIME}, {"exact-mtime", FOLD_ANY_MTIME, 0},
};

void policy_release (struct policy *policy)
{
  rules_release (&policy->rules);
}

/* One line without its newline; comments and blank lines are nothing. */
static int parse_line (char *line, struct policy *policy, struct err *err)
{
  char *end;

  line[strcspn (line, "#")] = '\0';
  line += strspn (line, BLANKS);
  if (!*line)
    return 0;
  for (end = line + strlen (line); strchr (BLANKS, end[-1]); end--)
    ;
  *end = '\0';
  size_t word = strcspn (line, " \t");
  const char *pattern = line + word + strspn (line + word, " \t");
  if (!*pattern)
    return err_code (err, ERR_USAGE, "\"%s\" has no path", line);
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strlen (kinds[i].word) == word && strncmp (line, kinds[i].word, word) == 0)
      return rules_add (&policy->rules, pattern, kinds[i].mask, kinds[i].value, err);
  return err_code (err, ERR_USAGE,
                   "\"%.*s\" is not private, eager, shared, drop, any-mtime or exact-mtime",
                   (int) word, line);
}

int policy_parse (const char *text, const char *what, struct policy *policy, struct err *err)
{
  unsigned line_number = 1;

  for (;; line_number++) {
    size_t len = strcspn (text, "\n");
    autofree char *line = xstrndup (text, len);

    if (parse_line (line, policy, err) < 0)
      return err_wrap (err, "%s, line %u", what, line_number);
    if (!text[len])
      return 0;
    text += len + 1;
  }
}

static int parse_file (int dir_fd, const char *name, struct policy *policy, struct err *err)
{
  autofree char *text = NULL;

  if (fd_read_file (dir_fd, name, POLICY_FILE_MAX, &text, NULL, err) < 0)
    return -err->code;
  return policy_parse (text, name, policy, err);
}

int policy_load (int guest_fd, struct policy *ret_policy, struct err *err)
{
  autopolicy struct policy policy = {0};
  const char *env = getenv ("VGUEST_POLICY");
  const char *path = env && *env ? env : SYSCONFDIR "/vguest/unify.policy";

  if (faccessat (AT_FDCWD, path, F_OK, 0) == 0 || (env && *env) || errno != ENOENT) {
    if (parse_file (AT_FDCWD, path, &policy, err) < 0)
      return -err->code;
  } else if (policy_parse (unify_policy_default, "the built-in unify.policy", &policy, err) < 0) {
    return -err->code;
  }
  if (guest_fd >= 0 && faccessat (guest_fd, "unify.policy", F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
      parse_file (guest_fd, "unify.policy", &policy, err) < 0)
    return err_wrap (err, "the guest's own policy");
  *ret_policy = policy;
  policy = (struct policy){0};
  return 0;
}
