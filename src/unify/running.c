/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "running.h"
#include "tree/layer.h"
#include "util/copy.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/reflink.h"

#define COPY_NAME "reflink"

struct pass {
  struct store *store;          /* borrowed */
  const struct policy *policy;  /* borrowed */
  const struct timespec *since; /* borrowed */
  int temp_fd;                  /* borrowed */
  bool reflink;
  struct unify_report *report; /* borrowed */
};

/* Makes an object @id of the file, by a reflink copy. Returns 1, 0 when the file is not what it was
 * when it was hashed, negative on errors. */
static int publish (struct pass *pass, int dir_fd, const char *name, const struct stat *st,
                    const struct digest *id, unsigned flags, struct err *err)
{
  struct digest copy_id;

  if (copy_inode (dir_fd, name, st, -1, NULL, pass->temp_fd, COPY_NAME, err) < 0)
    return -err->code;
  int ret = identity_of (pass->store->hasher, pass->temp_fd, COPY_NAME, flags, &copy_id, NULL, err);
  if (ret == 0 && digest_equal (id, &copy_id))
    ret = store_publish (pass->store, id, pass->temp_fd, COPY_NAME, err) < 0 ? -err->code : 1;
  if (unlinkat (pass->temp_fd, COPY_NAME, 0) < 0 && ret >= 0)
    return err_errno (err, "remove a temporary copy");
  return ret;
}

static int share_blocks (struct pass *pass, int fd, const struct digest *id, struct err *err)
{
  uint64_t shared = 0;
  struct stat st, object_st;
  autoclose int object = store_open_object (pass->store, id, err);

  if (object < 0 && err->code == ENOENT) {
    err_release (err); /* gc took it since it was looked for */
    return 0;
  }
  if (object < 0)
    return object;
  if (fstat (fd, &st) < 0 || fstat (object, &object_st) < 0)
    return err_errno (err, "stat a file");
  if (st.st_size != object_st.st_size)
    return 0;
  int ret = reflink_share (object, fd, (uint64_t) st.st_size, &shared, err);
  if (shared) {
    pass->report->reflinked++;
    pass->report->reflinked_bytes += shared;
  }
  return ret;
}

static void count_waiting (struct pass *pass, const struct stat *st)
{
  pass->report->waiting++;
  pass->report->waiting_bytes += (uint64_t) st->st_blocks * 512;
}

static int share_file (struct pass *pass, int dir_fd, const char *name, const struct stat *st,
                       unsigned verdict, struct err *err)
{
  unsigned flags = verdict & FOLD_ANY_MTIME ? IDENTITY_ANY_MTIME : 0;
  bool eager = (verdict & FOLD_CLASS_MASK) == FOLD_EAGER;
  autoclose int fd = -1;
  struct digest id;

  int wanted = eager ? 1 : store_has_size (pass->store, (uint64_t) st->st_size, err);
  if (wanted <= 0)
    return wanted;
  count_waiting (pass, st);
  if (!pass->reflink)
    return 0;
  /* O_NONBLOCK: the guest may put a fifo here at any time. */
  fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
  if (fd < 0)
    return errno == ENOENT || errno == ELOOP ? 0 : err_errno (err, "open %s", name);
  if (identity_of_fd (pass->store->hasher, fd, flags, &id, NULL, err) < 0) {
    if (err->code != ESTALE)
      return -err->code;
    err_release (err);
    return 0;
  }
  pass->report->bytes += (uint64_t) st->st_size;
  int has = store_has (pass->store, &id, err);
  if (has == 0 && eager) {
    has = publish (pass, dir_fd, name, st, &id, flags, err);
    /* The copy has its blocks from the file already. */
    pass->report->published += has > 0;
    return has < 0 ? has : 0;
  }
  return has > 0 ? share_blocks (pass, fd, &id, err) : has;
}

static bool is_older (const struct timespec *a, const struct timespec *b)
{
  return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* A regular file of the upper layer, as the directory said: it may be another thing by now. */
static int visit_file (struct pass *pass, int dir_fd, const char *name, unsigned verdict,
                       struct err *err)
{
  const struct rules *rules = &pass->policy->rules;
  autolayerentry struct layer_entry entry = {0};

  if (!rules_can_be (rules, verdict, FOLD_CLASS_MASK, FOLD_SHARED) &&
      !rules_can_be (rules, verdict, FOLD_CLASS_MASK, FOLD_EAGER))
    return 0;
  if (layer_read (dir_fd, name, /* x_whiteouts= */ false, &entry, err) < 0) {
    if (err->code != ENOENT)
      return -err->code;
    err_release (err);
    return 0;
  }
  /* The data of a metacopy file is below, and is shared already. */
  if (!S_ISREG (entry.st.st_mode) || !entry.st.st_size || entry.metacopy ||
      is_older (&entry.st.st_ctim, pass->since))
    return 0;
  verdict = rules_settle (rules, verdict, &entry.st);
  unsigned class = verdict & FOLD_CLASS_MASK;
  if (class == FOLD_PRIVATE || class == FOLD_DROP)
    return 0;
  return share_file (pass, dir_fd, name, &entry.st, verdict, err);
}

static int visit_dir (struct pass *pass, int fd, const struct rules_state *state, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (interrupt_check (err) < 0 || dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    autorulesstate struct rules_state child = {0};

    if (list.items[i].type != DT_REG && list.items[i].type != DT_DIR)
      continue;
    rules_enter (&pass->policy->rules, state, name, &child);
    if (list.items[i].type == DT_REG) {
      if (visit_file (pass, fd, name, child.verdict, err) < 0) {
        err_wrap (err, "%s", name);
        unify_report_fail (pass->report, err);
      }
      continue;
    }
    autoclose int dir = fd_open_dir (fd, name);
    if (dir < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
      return err_errno (err, "open the directory %s", name);
    if (dir >= 0 && visit_dir (pass, dir, &child, err) < 0)
      return err_wrap (err, "%s", name);
  }
  return 0;
}

int unify_running (struct store *store, const struct policy *policy, int upper_fd, int temp_fd,
                   bool reflink, const struct timespec *since, struct unify_report *report,
                   struct err *err)
{
  autorulesstate struct rules_state state = {0};
  struct pass pass = {
      .store = store,
      .policy = policy,
      .since = since,
      .temp_fd = temp_fd,
      .reflink = reflink,
      .report = report,
  };

  rules_start (&policy->rules, FOLD_SHARED, &state);
  return visit_dir (&pass, upper_fd, &state, err);
}
