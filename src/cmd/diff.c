/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAME diff [TEMPLATE|GUEST]
 *
 * --json prints, and keeps to:
 *   {"guest", "against": {"kind": "template" | "guest", "name", "generation": number or null},
 *    "changes": [{"path", "change": "added" | "removed" | "changed", "what": ["type" | "contents" |
 *    "mode" | "owner" | "mtime" | "xattrs"], "type", "bytes_before": number or null,
 *    "bytes_after": number or null}]}
 * and with --stat, in place of "changes":
 *    "directories": [{"path", "added", "removed", "changed", "bytes_added", "bytes_removed"}] */
#include "cmd.h"
#include "cmd/listing.h"
#include "template/template.h"
#include "view/diff.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vguest NAME diff [--stat] [TEMPLATE[@GENERATION]|GUEST]\n"
    "Show what a guest has otherwise than the generation of the template that it\n"
    "was made from, than another template or than another guest. Without a lock,\n"
    "also while it runs. Equal names of a guest and a template mean the guest;\n"
    "with @GENERATION it is always the template.\n";

/* One line of --stat. */
struct sums {
  char *name; /* owned */
  uint64_t added, removed, changed;
  uint64_t bytes_added, bytes_removed;
};

struct show {
  struct context *context; /* borrowed */
  bool stat;
  uint64_t count;    /* of changes */
  struct sums *sums; /* owned */
  size_t sums_count;
};

static void show_release (struct show *show)
{
  for (size_t i = 0; i < show->sums_count; i++)
    free (show->sums[i].name);
  free (show->sums);
}
#define autoshow __attribute__ ((cleanup (show_release)))

static const char *const words[] = {"type", "contents", "mode", "owner", "mtime", "xattrs"};

static const char *change_name (unsigned what)
{
  return what & DIFF_ADDED ? "added" : what & DIFF_REMOVED ? "removed" : "changed";
}

/* The words of the changes: what is DIFF_TYPE << the index. */
static json_object *word_list (unsigned what)
{
  json_object *list = json_object_new_array ();

  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (what & (DIFF_TYPE << i))
      json_append (list, json_object_new_string (words[i]));
  return list;
}

static void print_change (const struct diff_change *change)
{
  autofree char *path = format_text (change->path);
  const char *separator = "  ";

  printf ("%-7s  %s", change_name (change->what), path);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (change->what & (DIFF_TYPE << i)) {
      printf ("%s%s", separator, words[i]);
      separator = ", ";
    }
  printf ("\n");
}

static void put_size (json_object *object, const char *key, const struct stat *st)
{
  json_put (object, key, st->st_mode ? json_object_new_int64 (st->st_size) : NULL);
}

static void add_json (struct show *show, const struct diff_change *change)
{
  json_object *object = json_object_new_object ();
  const struct stat *st = change->new_st.st_mode ? &change->new_st : &change->old_st;

  json_set_bytes (object, "path", change->path, strlen (change->path));
  json_set_string (object, "change", change_name (change->what));
  json_put (object, "what", word_list (change->what));
  json_set_string (object, "type", listing_type (st->st_mode));
  put_size (object, "bytes_before", &change->old_st);
  put_size (object, "bytes_after", &change->new_st);
  listing_add (object, show->count == 0);
}

/* The line of the top directory of @path; the walk goes through one after another. */
static struct sums *sums_of (struct show *show, const char *path)
{
  size_t len = 1 + strcspn (path + 1, "/");
  struct sums *last = show->sums_count ? &show->sums[show->sums_count - 1] : NULL;

  if (last && strlen (last->name) == len && strncmp (last->name, path, len) == 0)
    return last;
  if ((show->sums_count & (show->sums_count - 1)) == 0)
    show->sums =
        xreallocarray (show->sums, show->sums_count ? show->sums_count * 2 : 1, sizeof *show->sums);
  last = &show->sums[show->sums_count++];
  *last = (struct sums){.name = xstrndup (path, len)};
  return last;
}

static uint64_t bytes_of (const struct stat *st)
{
  return S_ISREG (st->st_mode) ? (uint64_t) st->st_size : 0;
}

static void add_sums (struct show *show, const struct diff_change *change)
{
  struct sums *sums = sums_of (show, change->path);

  if (change->what & DIFF_ADDED)
    sums->added++;
  else if (change->what & DIFF_REMOVED)
    sums->removed++;
  else
    sums->changed++;
  if (change->what & (DIFF_ADDED | DIFF_REMOVED | DIFF_TYPE | DIFF_CONTENTS)) {
    sums->bytes_added += bytes_of (&change->new_st);
    sums->bytes_removed += bytes_of (&change->old_st);
  }
}

static int take_change (void *data, const struct diff_change *change, struct err *err)
{
  struct show *show = data;

  (void) err;
  if (show->stat)
    add_sums (show, change);
  else if (show->context->json)
    add_json (show, change);
  else
    print_change (change);
  show->count++;
  return 0;
}

static void print_sums (const struct sums *sums)
{
  autofree char *name = format_text (sums->name);
  autofree char *added = format_bytes (sums->bytes_added);
  autofree char *removed = format_bytes (sums->bytes_removed);

  printf ("%-16s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %12s %12s\n", name, sums->added,
          sums->removed, sums->changed, added, removed);
}

static void sums_json (const struct show *show)
{
  for (size_t i = 0; i < show->sums_count; i++) {
    const struct sums *sums = &show->sums[i];
    json_object *object = json_object_new_object ();

    json_set_bytes (object, "path", sums->name, strlen (sums->name));
    json_set_int (object, "added", (int64_t) sums->added);
    json_set_int (object, "removed", (int64_t) sums->removed);
    json_set_int (object, "changed", (int64_t) sums->changed);
    json_set_int (object, "bytes_added", (int64_t) sums->bytes_added);
    json_set_int (object, "bytes_removed", (int64_t) sums->bytes_removed);
    listing_add (object, i == 0);
  }
}

static void print_stat (const struct show *show)
{
  struct sums total = {.name = (char *) "total"};

  printf ("%-16s %8s %8s %8s %12s %12s\n", "DIRECTORY", "ADDED", "REMOVED", "CHANGED", "BYTES NEW",
          "BYTES GONE");
  for (size_t i = 0; i < show->sums_count; i++) {
    print_sums (&show->sums[i]);
    total.added += show->sums[i].added;
    total.removed += show->sums[i].removed;
    total.changed += show->sums[i].changed;
    total.bytes_added += show->sums[i].bytes_added;
    total.bytes_removed += show->sums[i].bytes_removed;
  }
  print_sums (&total);
}

/* What the guest is compared with. */
struct against {
  bool is_guest;
  char *name; /* owned */
  unsigned generation;
  struct view_dir top; /* owned */
};

static void against_release (struct against *against)
{
  free (against->name);
  view_dir_close (&against->top);
}
#define autoagainst __attribute__ ((cleanup (against_release)))

static int open_template (struct vroot *root, struct against *against, struct err *err)
{
  autotemplate struct template *template = NULL;

  if (template_peek (root, against->name, against->generation, &template, err) < 0)
    return -err->code;
  against->generation = template->generation;
  return view_open_tree (template->tree_fd, &against->top, err);
}

/* The generation that the guest was made from. */
static int open_own (struct vroot *root, struct guest *guest, struct against *against,
                     struct err *err)
{
  const char *name = NULL;
  int64_t generation = 0;

  if (json_get_string (guest->state, "template", NULL, &name, err) < 0 ||
      json_get_int (guest->state, "generation", 0, &generation, err) < 0)
    return err_wrap (err, "guest %s: state.json", guest->name);
  if (!name)
    return err_code (err, ERR_USAGE,
                     "guest %s was not made from a template: say what it is to be compared with",
                     guest->name);
  against->name = xstrdup (name);
  against->generation = (unsigned) generation;
  if (open_template (root, against, err) < 0)
    return err_wrap (err, "guest %s was made from %s@%u", guest->name, name, against->generation);
  return 0;
}

static int open_named (struct vroot *root, const char *text, struct against *against,
                       struct err *err)
{
  autoguest struct guest *guest = NULL;

  if (!strchr (text, '@') && name_check (text, "guest", err) == 0 &&
      guest_open (root, text, GUEST_PEEK, &guest, err) == 0) {
    against->is_guest = true;
    against->name = xstrdup (text);
    return view_open (guest->fd, &against->top, err);
  }
  if (err->code && err->code != ERR_NO_GUEST && err->code != ERR_USAGE)
    return -err->code;
  err_release (err);
  if (template_split (text, &against->name, &against->generation, err) < 0)
    return -err->code;
  int ret = open_template (root, against, err);
  if (ret == -ERR_NO_GUEST && !against->generation)
    return err_code (err, ERR_NO_GUEST, "there is no guest and no template \"%s\"", text);
  return ret;
}

static json_object *head_json (const char *guest, const struct against *against)
{
  json_object *head = json_object_new_object (), *object = json_object_new_object ();

  json_set_string (head, "guest", guest);
  json_set_string (object, "kind", against->is_guest ? "guest" : "template");
  json_set_string (object, "name", against->name);
  json_put (object, "generation",
            against->is_guest ? NULL : json_object_new_int64 (against->generation));
  json_put (head, "against", object);
  return head;
}

static int run (struct show *show, struct vroot *root, const char *name, const char *other,
                struct err *err)
{
  autoagainst struct against against = {.top = VIEW_DIR_NONE};
  autoviewdir struct view_dir top = VIEW_DIR_NONE;
  autoguest struct guest *guest = NULL;
  bool json = show->context->json;

  if (guest_open (root, name, GUEST_PEEK, &guest, err) < 0 ||
      (other ? open_named (root, other, &against, err) : open_own (root, guest, &against, err)) < 0)
    return -err->code;
  if (view_open (guest->fd, &top, err) < 0)
    return err_wrap (err, "guest %s", name);
  if (json)
    listing_start (head_json (name, &against), show->stat ? "directories" : "changes");
  int ret = diff_views (&against.top, &top, take_change, show, err);
  if (ret < 0)
    err_wrap (err, "guest %s", name);
  if (json && show->stat)
    sums_json (show);
  else if (show->stat)
    print_stat (show);
  if (json)
    listing_end ();
  return ret;
}

int cmd_diff (struct context *context, int argc, char **argv, struct err *err)
{
  autoshow struct show show = {.context = context};
  const struct option_spec specs[] = {
      {"stat", 0, NULL, "only counts and bytes by top directory", &show.stat, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (argc - first > 1)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first + 1]);
  if (context_select_one (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  return run (&show, root, names.items[0], first < argc ? argv[first] : NULL, err);
}
