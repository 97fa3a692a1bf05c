/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cleanup.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/rules.h"

struct cleanup {
  struct import *import; /* borrowed */
  const struct rules *rules;
};

static int clean_directory (struct cleanup *cleanup, int dir_fd, const struct rules_state *state,
                            struct err *err);

static int clean_entry (struct cleanup *cleanup, int dir_fd, const struct dirread_entry *entry,
                        const struct rules_state *parent, struct err *err)
{
  autorulesstate struct rules_state state = {0};

  rules_enter (cleanup->rules, parent, entry->name, &state);
  if (state.verdict) {
    cleanup->import->writer.replaced = true;
    return fd_remove_tree (dir_fd, entry->name, err);
  }
  /* All patterns are anchored: where none can match any more, nothing is looked at. */
  if (!state.count || entry->type != DT_DIR)
    return 0;
  autoclose int fd = fd_open_dir (dir_fd, entry->name);
  if (fd < 0)
    return err_errno (err, "open the directory");
  return clean_directory (cleanup, fd, &state, err);
}

static int clean_directory (struct cleanup *cleanup, int dir_fd, const struct rules_state *state,
                            struct err *err)
{
  autodirlist struct dirlist list = {0};
  struct stat st;

  if (interrupt_check (err) < 0)
    return -err->code;
  if (fstat (dir_fd, &st) < 0)
    return err_errno (err, "stat the directory");
  if (dirread_all (dir_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++)
    if (clean_entry (cleanup, dir_fd, &list.items[i], state, err) < 0) {
      autofree char *quoted = path_quote (list.items[i].name);

      return err_wrap (err, "%s", quoted);
    }
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  return futimens (dir_fd, times) < 0 ? err_errno (err, "set the times of a directory") : 0;
}

int template_cleanup (struct import *import, json_object *list, struct err *err)
{
  autorules struct rules rules = {0};
  autorulesstate struct rules_state state = {0};
  struct cleanup cleanup = {.import = import, .rules = &rules};

  for (size_t i = 0; i < json_object_array_length (list); i++)
    if (rules_add (&rules, json_object_get_string (json_object_array_get_idx (list, i)), 1, 1,
                   err) < 0)
      return -err->code;
  rules_start (&rules, 0, &state);
  if (clean_directory (&cleanup, import->tree_fd, &state, err) < 0)
    return err_wrap (err, "clean up the new tree");
  return 0;
}
