/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hostkeys.h"
#include "pkg/run.h"
#include "tree/lower.h"
#include "util/strbuf.h"
#include <fnmatch.h>

enum { SAID_MAX = 4096 };

/* Does one of the @count directories have the file @name? */
static int has_program (const struct lower *root, const char *const *directories, size_t count,
                        const char *name, struct err *err)
{
  for (size_t i = 0; i < count; i++) {
    autolower struct lower parent = LOWER_NONE;

    if (lower_lookup (root, directories[i], &parent, err) < 0)
      return -err->code;
    if (lower_find_file (&parent, name) >= 0)
      return 1;
  }
  return 0;
}

/* Is there one in etc/ssh? Its directory must be there, as it is where they go. */
static int wants_keys (const struct lower *root, struct err *err)
{
  autolower struct lower ssh = LOWER_NONE;
  autolowerlists struct lower_lists lists = {0};

  if (lower_lookup (root, "etc/ssh", &ssh, err) < 0)
    return -err->code;
  if (lower_top (&ssh) < 0)
    return 0;
  if (lower_read (&ssh, &lists, err) < 0)
    return -err->code;
  const struct dirlist *const all[] = {&lists.priv, &lists.tree, &lists.base};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    for (size_t k = 0; k < all[i]->count; k++)
      if (fnmatch ("ssh_host_*_key", all[i]->items[k].name, 0) == 0)
        return 0;
  return 1;
}

/* 1, 0 or negative. */
static int are_missing (struct guest *guest, struct err *err)
{
  static const char *const directories[] = {"usr/sbin", "usr/bin"};
  autolower struct lower root = LOWER_NONE;

  if (lower_open (guest->fd, /* with_private= */ true, &root, err) < 0)
    return -err->code;
  int ret = has_program (&root, directories, 2, "sshd", err);
  if (ret > 0)
    ret = has_program (&root, &directories[1], 1, "ssh-keygen", err);
  return ret > 0 ? wants_keys (&root, err) : ret;
}

static void take_output (void *data, size_t command, int stream, const char *bytes, size_t len)
{
  struct strbuf *said = data;

  (void) command;
  (void) stream;
  if (said->len + len <= SAID_MAX)
    strbuf_add (said, bytes, len);
}

static int make_keys (struct vroot *root, struct guest *guest, struct err *err)
{
  static const char *const args[] = {"ssh-keygen", "-A", NULL};
  static const char *const env[] = {BUNDLE_PATH_VARIABLE, "HOME=/root", NULL};
  const struct bundle_command command = {.args = args, .env = env, .cwd = "/"};
  autostrbuf struct strbuf said = STRBUF_INIT (SAID_MAX + 1);
  const struct run_options run = {
      .commands = &command,
      .command_count = 1,
      .stdin_fd = -1,
      .output = take_output,
      .output_data = &said,
  };
  autorunresult struct run_result result = {0};

  if (run_in_guest (root, guest, &run, &result, err) < 0)
    return err_wrap (err, "make ssh host keys");
  if (result.container.failed)
    return err_code (err, EIO, "make ssh host keys: ssh-keygen -A ended with exit status %d: %s",
                     result.container.status, strbuf_str (&said));
  return 0;
}

int hostkeys_ensure (struct vroot *root, struct guest *guest, struct err *err)
{
  int missing = are_missing (guest, err);

  return missing > 0 ? make_keys (root, guest, err) : missing;
}
