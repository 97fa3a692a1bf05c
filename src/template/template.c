/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "template.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/lock.h"

static int has_mark (int dir_fd, const char *mark, struct err *err)
{
  if (faccessat (dir_fd, mark, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return 1;
  return errno == ENOENT ? 0 : err_errno (err, "look for templates/%s", mark);
}

int template_is_deleted (int name_fd, struct err *err)
{
  return has_mark (name_fd, TEMPLATE_DELETED, err);
}

int template_list (struct vroot *root, struct names *ret_names, struct names *ret_deleted,
                   struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (root->templates_fd, &list, err) < 0)
    return err_wrap (err, "%s/templates", root->path);
  for (size_t i = 0; i < list.count; i++) {
    autofree char *mark = xasprintf ("%s/" TEMPLATE_DELETED, list.items[i].name);

    if (list.items[i].type != DT_DIR)
      continue;
    int deleted = has_mark (root->templates_fd, mark, err);
    if (deleted < 0)
      return deleted;
    if (!deleted)
      names_add (ret_names, list.items[i].name);
    else if (ret_deleted)
      names_add (ret_deleted, list.items[i].name);
  }
  return 0;
}

static int no_such_template (struct vroot *root, const char *name, struct err *err)
{
  autonames struct names existing = {0};

  if (template_list (root, &existing, NULL, err) < 0)
    return -err->code;
  if (!existing.count)
    return err_code (err, ERR_NO_GUEST,
                     "no template is called \"%s\": there are none yet; \"vtemplate build "
                     "debian-12\" makes one",
                     name);
  autofree const char **known = xcalloc (existing.count + 1, sizeof *known);
  for (size_t i = 0; i < existing.count; i++)
    known[i] = existing.items[i];
  const char *near = nearest_word (name, known);
  if (near)
    return err_code (err, ERR_NO_GUEST, "no template is called \"%s\"; did you mean \"%s\"?", name,
                     near);
  return err_code (err, ERR_NO_GUEST,
                   "no template is called \"%s\"; \"vtemplate list\" shows those there are", name);
}

/* It may be deleted, and made again, while we wait for the lock: then the name leads elsewhere, and
 * we begin again. */
int template_lock_any (struct vroot *root, const char *name, enum lock_mode mode, int *ret_fd,
                       int *ret_lock_fd, struct err *err)
{
  const struct lock_how how = root_lock_how (root, LOCK_RANK_TEMPLATE, mode);
  autofree char *what = xasprintf ("template %s", name);

  for (;;) {
    struct stat by_fd, by_name;
    autoclose int fd = fd_open_dir (root->templates_fd, name);
    autoclose int lock_fd = -1;

    if (fd < 0 && errno == ENOENT)
      return no_such_template (root, name, err);
    if (fd < 0)
      return err_errno (err, "open %s/templates/%s", root->path, name);
    if (lock_acquire (fd, "lock", &how, what, &lock_fd, err) < 0) {
      if (err->code != ENOENT)
        return -err->code;
      err_release (err); /* deleted since it was opened */
      continue;
    }
    if (fstat (fd, &by_fd) < 0)
      return err_errno (err, "stat %s/templates/%s", root->path, name);
    if (fstatat (root->templates_fd, name, &by_name, AT_SYMLINK_NOFOLLOW) < 0 ||
        by_fd.st_ino != by_name.st_ino)
      continue;
    *ret_fd = steal_fd (&fd);
    *ret_lock_fd = steal_fd (&lock_fd);
    return 0;
  }
}

int template_lock (struct vroot *root, const char *name, enum lock_mode mode, int *ret_fd,
                   int *ret_lock_fd, struct err *err)
{
  autoclose int fd = -1, lock_fd = -1;

  if (template_lock_any (root, name, mode, &fd, &lock_fd, err) < 0)
    return -err->code;
  int deleted = template_is_deleted (fd, err);
  if (deleted)
    return deleted < 0 ? deleted : no_such_template (root, name, err);
  *ret_fd = steal_fd (&fd);
  *ret_lock_fd = steal_fd (&lock_fd);
  return 0;
}

/* The number that a directory name is, or 0. */
static unsigned parse_generation (const char *name)
{
  size_t digits = strspn (name, "0123456789");

  if (!digits || digits > 9 || name[digits] || name[0] == '0')
    return 0;
  return (unsigned) strtoul (name, NULL, 10);
}

void generations_release (struct generations *generations)
{
  free (generations->items);
  *generations = (struct generations){0};
}

static int compare_numbers (const void *a, const void *b)
{
  unsigned x = *(const unsigned *) a, y = *(const unsigned *) b;

  return (x > y) - (x < y);
}

int template_generations (int name_fd, struct generations *ret_generations, struct err *err)
{
  autodirlist struct dirlist list = {0};
  struct generations generations = {0};

  if (dirread_all (name_fd, &list, err) < 0)
    return -err->code;
  generations.items = xcalloc (list.count + 1, sizeof *generations.items);
  for (size_t i = 0; i < list.count; i++) {
    unsigned number = parse_generation (list.items[i].name);

    if (list.items[i].type == DT_DIR && number)
      generations.items[generations.count++] = number;
  }
  qsort (generations.items, generations.count, sizeof *generations.items, compare_numbers);
  *ret_generations = generations;
  return 0;
}

static int newest_generation (int fd, unsigned *ret_generation, struct err *err)
{
  autogenerations struct generations generations = {0};

  if (template_generations (fd, &generations, err) < 0)
    return -err->code;
  if (!generations.count)
    return err_code (err, ENOENT, "it has no generation");
  *ret_generation = generations.items[generations.count - 1];
  return 0;
}

int template_split (const char *text, char **ret_name, unsigned *ret_generation, struct err *err)
{
  size_t len = strcspn (text, "@");
  unsigned generation = text[len] ? parse_generation (text + len + 1) : 0;
  autofree char *name = xstrndup (text, len);

  if (name_check (name, "template", err) < 0)
    return -err->code;
  if (text[len] && !generation)
    return err_code (err, ERR_USAGE,
                     "\"%.80s\": behind \"@\" the number of a generation is expected", text);
  *ret_name = steal_ptr (&name);
  *ret_generation = generation;
  return 0;
}

static int open_generation (int name_fd, unsigned generation, struct template *template,
                            struct err *err)
{
  char number[16];
  int64_t format = 0;

  if (!generation && newest_generation (name_fd, &generation, err) < 0)
    return -err->code;
  snprintf (number, sizeof number, "%u", generation);
  template->generation = generation;
  template->fd = fd_open_dir (name_fd, number);
  if (template->fd < 0 && errno == ENOENT)
    return err_code (err, ERR_NO_GUEST,
                     "there is no generation %u; \"vtemplate list\" shows those there are",
                     generation);
  if (template->fd < 0)
    return err_errno (err, "open the generation %u", generation);
  template->tree_fd = fd_open_dir (template->fd, "tree");
  if (template->tree_fd < 0)
    return err_errno (err, "open %u/tree", generation);
  if (json_read_file (template->fd, "template.json", "template.json", &template->info, err) < 0 ||
      json_get_int (template->info, "format", 0, &format, err) < 0)
    return -err->code;
  if (format < 1 || format > TEMPLATE_FORMAT)
    return err_code (err, ERR_USAGE, "template.json has a format that this vguest does not know");
  return 0;
}

int template_open (struct vroot *root, const char *name, unsigned generation,
                   struct template **ret_template, struct err *err)
{
  autotemplate struct template *template = xcalloc (1, sizeof *template);
  autoclose int name_fd = -1;

  *template = (struct template){.name = xstrdup (name), .fd = -1, .tree_fd = -1, .lock_fd = -1};
  if (name_check (name, "template", err) < 0 ||
      template_lock (root, name, LOCK_SHARED, &name_fd, &template->lock_fd, err) < 0)
    return -err->code;
  if (open_generation (name_fd, generation, template, err) < 0)
    return err_wrap (err, "template %s", name);
  *ret_template = steal_ptr (&template);
  return 0;
}

/* Was it deleted since it was opened? */
static bool is_gone (int name_fd, unsigned generation)
{
  char number[16];

  snprintf (number, sizeof number, "%u", generation);
  return generation && faccessat (name_fd, number, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
         errno == ENOENT;
}

int template_peek (struct vroot *root, const char *name, unsigned generation,
                   struct template **ret_template, struct err *err)
{
  autotemplate struct template *template = xcalloc (1, sizeof *template);

  *template = (struct template){.name = xstrdup (name), .fd = -1, .tree_fd = -1, .lock_fd = -1};
  if (name_check (name, "template", err) < 0)
    return -err->code;
  autoclose int name_fd = fd_open_dir (root->templates_fd, name);
  if (name_fd < 0 && errno == ENOENT)
    return no_such_template (root, name, err);
  if (name_fd < 0)
    return err_errno (err, "open %s/templates/%s", root->path, name);
  int deleted = template_is_deleted (name_fd, err);
  if (deleted)
    return deleted < 0 ? deleted : no_such_template (root, name, err);
  if (open_generation (name_fd, generation, template, err) < 0) {
    if (err->code == ENOENT && is_gone (name_fd, template->generation))
      return err_code (err, ERR_NO_GUEST, "the generation %u of the template %s was just deleted",
                       template->generation, name);
    return err_wrap (err, "template %s", name);
  }
  *ret_template = steal_ptr (&template);
  return 0;
}

void template_close (struct template *template)
{
  int saved = errno;
  int fds[] = {template->tree_fd, template->fd, template->lock_fd};

  if (template->info)
    json_object_put (template->info);
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (fds[i] >= 0)
      close (fds[i]);
  free (template->name);
  free (template);
  errno = saved;
}

int template_check_new (struct vroot *root, const char *name, struct err *err)
{
  if (name_check (name, "template", err) < 0)
    return -err->code;
  autofree char *mark = xasprintf ("%s/" TEMPLATE_DELETED, name);
  int deleted = has_mark (root->templates_fd, mark, err);
  if (deleted < 0)
    return deleted;
  if (deleted)
    return err_code (err, EEXIST,
                     "the template %s was deleted, and thin guests lie over what is left of it: "
                     "choose another name, or make them full ones first (vguest NAMES thicken)",
                     name);
  if (faccessat (root->templates_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return err_code (err, EEXIST,
                     "the template %s exists: choose another name, or remove it first with "
                     "\"vtemplate delete %s\"",
                     name, name);
  if (errno != ENOENT)
    return err_errno (err, "look for %s/templates/%s", root->path, name);
  return 0;
}

uint64_t template_files (int name_fd, const struct generations *generations)
{
  uint64_t total = 0;

  for (size_t i = 0; i < generations->count; i++) {
    autojson json_object *info = NULL;
    autoerr struct err ignored = {0};
    int64_t files = 0;
    char number[16];

    snprintf (number, sizeof number, "%u", generations->items[i]);
    autoclose int fd = fd_open_dir (name_fd, number);
    if (fd >= 0 && json_read_file (fd, "template.json", "template.json", &info, &ignored) == 0 &&
        json_get_int (info, "files", 0, &files, &ignored) == 0 && files > 0)
      total += (uint64_t) files;
  }
  return total;
}
