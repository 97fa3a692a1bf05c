/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "selection.h"
#include "util/fd.h"

enum { FILE_MAX = 16 << 20 };

void selecting_release (struct selecting *selecting)
{
  selection_release (&selecting->selection);
  names_release (&selecting->labels);
}

static bool has_filter (const struct selecting *s)
{
  return s->running || s->stopped || s->template || s->labels.count;
}

bool selecting_given (const struct selecting *selecting)
{
  return selecting->selection.all || selecting->from_file || has_filter (selecting);
}

/* One name, range or glob a line; "#" begins a comment. */
static int read_names (const char *path, struct names *patterns, struct err *err)
{
  bool is_stdin = strcmp (path, "-") == 0;
  autofree char *text = NULL;
  size_t before = patterns->count;

  if (fd_read_file (AT_FDCWD, is_stdin ? "/dev/stdin" : path, FILE_MAX, &text, NULL, err) < 0)
    return err_wrap (err, "--from-file %s", path);
  for (char *line = text, *next; line; line = next) {
    next = strchr (line, '\n');
    if (next)
      *next++ = '\0';
    line[strcspn (line, "#")] = '\0';
    line += strspn (line, " \t\r");
    size_t len = strlen (line);
    while (len && strchr (" \t\r", line[len - 1]))
      line[--len] = '\0';
    if (len)
      names_add (patterns, line);
  }
  if (patterns->count == before)
    return err_code (err, ERR_NO_GUEST, "--from-file %s names no guests", path);
  return 0;
}

/* Has the guest the label "KEY" or "KEY=VALUE"? */
static bool has_label (struct guest *guest, const char *label)
{
  size_t len = strcspn (label, "=");
  autofree char *key = xstrndup (label, len);
  json_object *labels = NULL, *value = NULL;

  if (!json_object_object_get_ex (guest->config, "labels", &labels) ||
      !json_object_is_type (labels, json_type_object) ||
      !json_object_object_get_ex (labels, key, &value) || !value)
    return false;
  return !label[len] || strcmp (json_object_get_string (value), label + len + 1) == 0;
}

struct filter {
  const char *option;
  const char *value; /* or NULL */
};

/* 1 or 0. */
static int passes (const struct filter *filter, struct guest *guest, struct err *err)
{
  const char *template = NULL;

  if (strcmp (filter->option, "label") == 0)
    return has_label (guest, filter->value);
  if (strcmp (filter->option, "template") == 0) {
    if (json_get_string (guest->state, "template", "", &template, err) < 0)
      return -err->code;
    return strcmp (template, filter->value) == 0;
  }
  int running = guest_running (guest, err);
  return running < 0 ? running : running == (strcmp (filter->option, "running") == 0);
}

/* Leaves in @names those that pass. */
static int apply (struct vroot *root, const struct filter *filter, struct names *names,
                  struct err *err)
{
  autonames struct names kept = {0};
  bool by_state =
      strcmp (filter->option, "running") == 0 || strcmp (filter->option, "stopped") == 0;

  for (size_t i = 0; i < names->count; i++) {
    autoguest struct guest *guest = NULL;
    int ret = guest_open (root, names->items[i], GUEST_PEEK, &guest, err);

    if (ret == -ERR_NO_GUEST) {
      err_release (err); /* deleted since the list was made */
      continue;
    }
    if (ret == 0)
      ret = passes (filter, guest, err);
    if (ret < 0)
      return ret;
    if (ret)
      names_add (&kept, names->items[i]);
  }
  if (!kept.count)
    return err_code (err, by_state ? ERR_NOTHING : ERR_NO_GUEST,
                     "--%s%s%s leaves none of %zu selected guest%s", filter->option,
                     filter->value ? " " : "", filter->value ? filter->value : "", names->count,
                     names->count == 1 ? "" : "s");
  names_release (names);
  *names = kept;
  kept = (struct names){0};
  return 0;
}

int selecting_resolve (struct vroot *root, struct selecting *selecting, struct names *ret_names,
                       struct err *err)
{
  struct selection *selection = &selecting->selection;
  const struct filter filters[] = {
      {"running", NULL}, {"stopped", NULL}, {"template", selecting->template}};
  const bool wanted[] = {selecting->running, selecting->stopped, selecting->template != NULL};
  autonames struct names existing = {0}, names = {0};

  if (selecting->running && selecting->stopped)
    return err_code (err, ERR_USAGE, "--running and --stopped exclude one another");
  if (selecting->from_file && read_names (selecting->from_file, &selection->patterns, err) < 0)
    return -err->code;
  selection->all |= !selection->patterns.count && has_filter (selecting);
  if (guest_list (root, &existing, err) < 0 ||
      selection_resolve (selection, &existing, &names, err) < 0)
    return -err->code;
  for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
    if (wanted[i] && apply (root, &filters[i], &names, err) < 0)
      return -err->code;
  for (size_t i = 0; i < selecting->labels.count; i++)
    if (apply (root, &(struct filter){"label", selecting->labels.items[i]}, &names, err) < 0)
      return -err->code;
  *ret_names = names;
  names = (struct names){0};
  return 0;
}
