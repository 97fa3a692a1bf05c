/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"
#include "unify/policy.h"
#include "util/strbuf.h"
#include "util/xattr.h"
#include "view.h"

enum { PATH_LENGTH_MAX = 16 << 20 };

struct check {
  struct view_dir top;    /* owned */
  struct policy policy;   /* owned */
  struct strbuf path;     /* owned; of the directory the walk is in */
  struct u64table names;  /* owned; inode of the shared layers -> names below package-owned paths */
  struct u64table groups; /* owned; those with several -> number */
  bool counting;          /* the first walk: only that */
  void (*found) (void *data, const struct check_finding *finding);
  void *data;
};

static void check_release (struct check *check)
{
  view_dir_close (&check->top);
  policy_release (&check->policy);
  strbuf_release (&check->path);
  u64table_release (&check->names);
  u64table_release (&check->groups);
}
#define autocheck __attribute__ ((cleanup (check_release)))

const char *check_kind_name (enum check_kind kind)
{
  static const char *const names[] = {"group", "form", "lost", "set-id", "stray-id"};

  return names[kind];
}

bool check_is_problem (enum check_kind kind)
{
  return kind == CHECK_FORM || kind == CHECK_LOST || kind == CHECK_SET_ID;
}

static void report (const struct check *check, enum check_kind kind, uint64_t group,
                    const char *text)
{
  const struct check_finding finding = {
      .kind = kind, .path = strbuf_str (&check->path), .group = group, .text = text};

  check->found (check->data, &finding);
}

/* The attributes of layers that a fold reads, or may leave behind. */
static bool known_form (const char *name)
{
  static const char *const known[] = {"opaque", "redirect", "metacopy",   "origin",
                                      "impure", "nlink",    "uuid",       "protattr",
                                      "upper",  "whiteout", "xwhiteouts", NULL};
  const char *rest = name + strlen (XATTR_OVERLAY);

  for (const char *const *word = known; *word; word++)
    if (strcmp (rest, *word) == 0)
      return true;
  return false;
}

static int check_attributes (struct check *check, const struct view_entry *entry,
                             const struct stat *st, bool owned, struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};
  bool regular = S_ISREG (st->st_mode);
  bool set_id = regular && (st->st_mode & (S_ISUID | S_ISGID));

  if (xattrs_read (-1, entry->dir_fd, entry->name, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  for (size_t i = 0; i < xattrs.count; i++)
    if (xattr_is_overlay (xattrs.items[i].name) && !known_form (xattrs.items[i].name))
      report (check, CHECK_FORM, 0, xattrs.items[i].name);
  if (set_id && (st->st_mode & S_IWOTH))
    report (check, CHECK_SET_ID, 0, "everybody may write to it");
  else if (!owned && set_id)
    report (check, CHECK_STRAY_ID, 0, st->st_mode & S_ISUID ? "set-user-id" : "set-group-id");
  else if (!owned && regular && xattrs_find (&xattrs, "security.capability"))
    report (check, CHECK_STRAY_ID, 0, "capabilities");
  return 0;
}

static int check_private (struct check *check, const struct view_dir *dir,
                          const struct view_entry *entry, bool owned, struct err *err)
{
  autoviewdata struct view_data data = {VIEW_PRIVATE, -1, NULL, VIEW_DIR_NONE};

  if (entry->form.metacopy && view_find_data (&check->top, dir, entry, &data, err) < 0) {
    if (err->code != EUCLEAN)
      return -err->code;
    err_release (err);
    report (check, CHECK_LOST, 0, "its contents are in no layer below");
  }
  if (check_attributes (check, entry, &entry->form.st, owned, err) == 0 || err->code != ENOENT)
    return -err->code;
  err_release (err); /* it went away */
  return 0;
}

static void check_shared (struct check *check, const struct view_entry *entry, bool owned)
{
  if (!owned)
    return;
  if (check->counting) {
    ++*u64table_put (&check->names, entry->ino, NULL);
    return;
  }
  const uint64_t *names = u64table_get (&check->names, entry->ino);
  if (!names || *names < 2)
    return;
  uint64_t *number = u64table_put (&check->groups, entry->ino, NULL);
  if (!*number)
    *number = check->groups.count;
  report (check, CHECK_GROUP, *number, "");
}

static int walk (struct check *check, const struct view_dir *dir, const struct rules_state *state,
                 struct err *err);

static int check_entry (struct check *check, const struct view_dir *dir,
                        const struct view_entry *entry, const struct rules_state *state,
                        struct err *err)
{
  autorulesstate struct rules_state below = {0};
  autoviewdir struct view_dir child = VIEW_DIR_NONE;
  int ret = 0;

  rules_enter (&check->policy.rules, state, entry->name, &below);
  bool owned = (below.verdict & FOLD_CLASS_MASK) == FOLD_EAGER;
  if (entry->layer == VIEW_PRIVATE && !check->counting)
    ret = check_private (check, dir, entry, owned, err);
  else if (entry->layer != VIEW_PRIVATE && entry->type != DT_DIR)
    check_shared (check, entry, owned);
  if (ret < 0 || entry->type != DT_DIR)
    return ret;
  ret = view_child (&check->top, dir, entry, &child, err);
  if (ret == 0)
    ret = walk (check, &child, &below, err);
  if (ret == -ENOENT) {
    err_release (err); /* it went away */
    ret = 0;
  }
  return ret;
}

static int walk (struct check *check, const struct view_dir *dir, const struct rules_state *state,
                 struct err *err)
{
  autoviewlist struct view_list list = {0};
  int ret = 0;

  if (view_read (dir, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; ret == 0 && i < list.count; i++) {
    size_t len = strbuf_push_below (&check->path, list.items[i].name);

    ret = check_entry (check, dir, &list.items[i], state, err);
    strbuf_truncate (&check->path, len);
  }
  return ret;
}

int check_guest (struct guest *guest, void (*found) (void *data, const struct check_finding *),
                 void *data, struct err *err)
{
  autocheck struct check check = {
      .top = VIEW_DIR_NONE, .path = STRBUF_INIT (PATH_LENGTH_MAX), .found = found, .data = data};
  autorulesstate struct rules_state state = {0};

  if (policy_load (guest->fd, &check.policy, err) < 0 || view_open (guest->fd, &check.top, err) < 0)
    return -err->code;
  rules_start (&check.policy.rules, FOLD_SHARED, &state);
  for (int pass = 0; pass < 2; pass++) {
    check.counting = pass == 0;
    if (walk (&check, &check.top, &state, err) < 0)
      return -err->code;
  }
  return 0;
}
