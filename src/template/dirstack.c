/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dirstack.h"
#include "util/fd.h"
#include "util/strbuf.h"

/* Of a deep path only the last so many levels are open. */
enum { OPEN_MAX_LEVELS = 64 };

static void truncate_to (struct dirstack *stack, size_t count)
{
  while (stack->count > count) {
    struct level *level = &stack->levels[--stack->count];

    cleanup_close (&level->fd);
    free (level->name);
  }
}

/* The last level, which was closed when the stack was deeper, is opened again. */
static int open_last (struct dirstack *stack)
{
  struct level *last = &stack->levels[stack->count - 1];
  autostrbuf struct strbuf path = STRBUF_INIT (1 << 26);

  if (last->fd >= 0)
    return 0;
  for (size_t i = 0; i < stack->count; i++)
    strbuf_push_name (&path, stack->levels[i].name);
  last->fd = fd_open_dir_beneath (stack->top_fd, strbuf_str (&path));
  return last->fd < 0 ? -1 : 0;
}

static int push (struct dirstack *stack, const char *name, bool make, bool *ret_made)
{
  int dir_fd = stack->count ? stack->levels[stack->count - 1].fd : stack->top_fd;
  int fd = fd_open_dir (dir_fd, name);

  *ret_made = false;
  if (fd < 0 && errno == ENOENT && make) {
    if (mkdirat (dir_fd, name, 0700) < 0)
      return -1;
    *ret_made = true;
    fd = fd_open_dir (dir_fd, name);
  }
  if (fd < 0)
    return -1;
  if (stack->count == stack->size) {
    stack->size = stack->size ? stack->size * 2 : 16;
    stack->levels = xreallocarray (stack->levels, stack->size, sizeof *stack->levels);
  }
  stack->levels[stack->count++] = (struct level){.name = xstrdup (name), .fd = fd};
  if (stack->count > OPEN_MAX_LEVELS) {
    struct level *far = &stack->levels[stack->count - 1 - OPEN_MAX_LEVELS];

    cleanup_close (&far->fd);
    far->fd = -1;
  }
  return 0;
}

int dirstack_enter (struct dirstack *stack, char *const *parts, size_t count, bool make,
                    int *ret_fd, size_t *ret_found)
{
  size_t same = 0, found;

  while (same < count && same < stack->count && strcmp (stack->levels[same].name, parts[same]) == 0)
    same++;
  truncate_to (stack, same);
  if (same && open_last (stack) < 0)
    return -1;
  found = count;
  for (size_t i = same; i < count; i++) {
    bool made;

    if (push (stack, parts[i], make, &made) < 0)
      return -1;
    if (made && found == count)
      found = i;
  }
  *ret_fd = count ? stack->levels[count - 1].fd : stack->top_fd;
  if (ret_found)
    *ret_found = found;
  return 0;
}

void dirstack_clear (struct dirstack *stack)
{
  truncate_to (stack, 0);
}

void dirstack_release (struct dirstack *stack)
{
  int saved = errno;

  truncate_to (stack, 0);
  free (stack->levels);
  stack->levels = NULL;
  stack->size = 0;
  errno = saved;
}
