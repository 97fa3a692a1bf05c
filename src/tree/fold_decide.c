/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the files of the upper layer belong. */
#include "fold_plan.h"
#include "util/fd.h"

int plan_scan_groups (struct plan *plan, int dir_fd, const struct rules_state *state,
                      struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (dir_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    autorulesstate struct rules_state child = {0};
    struct stat st;

    rules_enter (plan->options->rules, state, name, &child);
    if (list.items[i].type == DT_DIR) {
      autoclose int fd = fd_open_dir (dir_fd, name);

      if (fd < 0)
        return err_errno (err, "open the directory %s of the upper layer", name);
      if (plan_scan_groups (plan, fd, &child, err) < 0)
        return err_wrap (err, "%s", name);
      continue;
    }
    if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s of the upper layer", name);
    if (st.st_nlink < 2 || plan_is_as_is (plan, st.st_ino))
      continue;
    uint64_t *group = u64table_put (&plan->groups, st.st_ino, NULL);
    *group |= GROUP_SEEN;
    if (plan_class (rules_settle (plan->options->rules, child.verdict, &st)) != FOLD_EAGER)
      *group |= GROUP_NOT_EAGER;
  }
  return 0;
}

int plan_decide (struct plan *plan, const char *name, const struct layer_entry *entry,
                 const struct source *source, unsigned verdict, enum destination *ret_destination,
                 struct err *err)
{
  const uint64_t *group = u64table_get (&plan->groups, entry->st.st_ino);
  bool shareable = !entry->protattr && !S_ISSOCK (entry->st.st_mode);

  *ret_destination = TO_PRIVATE;
  if (plan_is_as_is (plan, entry->st.st_ino)) {
    *ret_destination = TO_TREE;
    return 0;
  }
  if (group) {
    if (shareable && !(*group & GROUP_NOT_EAGER))
      *ret_destination = TO_TREE;
    return 0;
  }
  if (!shareable || plan_class (verdict) == FOLD_PRIVATE)
    return 0;
  if (plan_class (verdict) == FOLD_EAGER) {
    *ret_destination = TO_TREE;
    return 0;
  }
  if (!plan->options->twin || !identity_can_share (&entry->st))
    return 0;
  int twin = plan->options->twin (plan->options->twin_data, source->dir_fd, source->name,
                                  &entry->st, verdict, err);
  if (twin < 0)
    return err_wrap (err, "%s/%s", strbuf_str (&plan->path), name);
  if (twin)
    *ret_destination = TO_TREE;
  return 0;
}
