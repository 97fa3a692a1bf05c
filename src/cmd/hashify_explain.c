/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hashify_explain.h"
#include "unify/policy.h"
#include "util/fd.h"
#include "view/view.h"

/* A path in a guest, or in none. */
struct question {
  const char *guest; /* borrowed; or NULL */
  const char *path;
  const char *layer; /* "tree" or "private"; NULL when there is no such file, or no guest */
  struct stat st;    /* where there is a layer */
};

static const char *const results[] = {
    [FOLD_SHARED] = "shared",
    [FOLD_PRIVATE] = "private",
    [FOLD_EAGER] = "eager",
    [FOLD_DROP] = "dropped",
};

static const char *const consequences[] = {
    [FOLD_SHARED] = "shared, once the store or another guest has the same file",
    [FOLD_PRIVATE] = "private: stays in the guest's own layer",
    [FOLD_EAGER] = "shared, also before another guest has the same file",
    [FOLD_DROP] = "dropped when a transaction is committed",
};

/* Finds the file in the layers of the guest. */
static int find_file (const struct view_dir *top, struct question *question, struct err *err)
{
  autoviewplace struct view_place place = {.dir = VIEW_DIR_NONE};

  if (view_lookup (top, question->path, &place, err) < 0) {
    if (err->code != ENOENT && err->code != ENOTDIR)
      return -err->code;
    err_release (err);
    return 0;
  }
  int ret = place.entry ? fstatat (place.entry->dir_fd, place.entry->name, &question->st,
                                   AT_SYMLINK_NOFOLLOW)
                        : fstat (view_dir_fd (&place.dir), &question->st);
  if (ret < 0)
    return err_errno (err, "stat %s", question->path);
  question->layer = place.entry && place.entry->layer != VIEW_PRIVATE ? "tree" : "private";
  return 0;
}

static json_object *line_to_json (const struct policy_line *line)
{
  if (!line)
    return NULL;
  json_object *object = json_object_new_object ();
  json_set_string (object, "file", line->file);
  json_set_int (object, "line", line->number);
  json_set_bytes (object, "text", line->text, strlen (line->text));
  return object;
}

static json_object *answer_to_json (const struct question *question,
                                    const struct policy_reason *reason)
{
  json_object *object = json_object_new_object ();

  json_set_string (object, "guest", question->guest);
  json_set_bytes (object, "path", question->path, strlen (question->path));
  json_set_string (object, "layer", question->layer);
  json_set_string (object, "result", results[reason->verdict & FOLD_CLASS_MASK]);
  json_put (object, "rule", line_to_json (reason->by_class));
  json_set_string (object, "mtime", reason->verdict & FOLD_ANY_MTIME ? "relaxed" : "exact");
  json_put (object, "mtime_rule", line_to_json (reason->by_mtime));
  return object;
}

static void print_line (const char *consequence, const struct policy_line *line)
{
  printf ("  %s\n", consequence);
  if (line) {
    autofree char *text = format_text (line->text);

    printf ("    %s:%u: %s\n", line->file, line->number, text);
  } else {
    printf ("    no rule: this is the default\n");
  }
}

static void print_answer (const struct question *question, const struct policy_reason *reason)
{
  autofree char *path = format_text (question->path);
  const char *now = ": not there";

  if (!question->guest)
    now = "";
  else if (question->layer)
    now = strcmp (question->layer, "tree") == 0 ? ": in the shared layer" : ": in private";
  printf ("%s%s%s%s\n", question->guest ? question->guest : "", question->guest ? ": " : "", path,
          now);
  print_line (consequences[reason->verdict & FOLD_CLASS_MASK], reason->by_class);
  print_line (reason->verdict & FOLD_ANY_MTIME ? "the mtime may differ" : "the mtime must be equal",
              reason->by_mtime);
}

/* Answers for one guest, or for none: @guest is NULL. */
static int explain_in (const struct guest *guest, const struct names *paths, json_object *answers,
                       struct err *err)
{
  autopolicy struct policy policy = {0};
  autoviewdir struct view_dir top = VIEW_DIR_NONE;

  if (policy_load (guest ? guest->fd : -1, &policy, err) < 0)
    return -err->code;
  if (guest && view_open (guest->fd, &top, err) < 0)
    return -err->code;
  for (size_t i = 0; i < paths->count; i++) {
    struct question question = {.guest = guest ? guest->name : NULL, .path = paths->items[i]};
    struct policy_reason reason;

    if (guest && find_file (&top, &question, err) < 0)
      return -err->code;
    bool is_file = question.layer && !S_ISDIR (question.st.st_mode);
    policy_explain (&policy, question.path, is_file ? &question.st : NULL, &reason);
    if (answers)
      json_object_array_add (answers, answer_to_json (&question, &reason));
    else
      print_answer (&question, &reason);
  }
  return 0;
}

static int explain_guests (const struct context *context, struct selecting *selecting,
                           const struct names *paths, json_object *answers, struct err *err)
{
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};

  if (context_open_root (context, /* write= */ false, &root, err) < 0 ||
      selecting_resolve (root, selecting, &names, err) < 0)
    return -err->code;
  for (size_t i = 0; i < names.count; i++) {
    autoguest struct guest *guest = NULL;

    if (guest_open (root, names.items[i], GUEST_PEEK, &guest, err) < 0)
      return -err->code;
    if (explain_in (guest, paths, answers, err) < 0)
      return err_wrap (err, "guest %s", names.items[i]);
  }
  return 0;
}

int hashify_explain (const struct context *context, struct selecting *selecting,
                     const struct names *paths, struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  json_object *answers = json_object_new_array ();
  bool guests = selecting_given (selecting) || selecting->selection.patterns.count;

  json_put (object, "paths", answers);
  for (size_t i = 0; i < paths->count; i++)
    if (paths->items[i][0] != '/')
      return err_code (err, ERR_USAGE, "--explain wants a path from a guest's root, not \"%s\"",
                       paths->items[i]);
  json_object *into = context->json ? answers : NULL;
  int ret = guests ? explain_guests (context, selecting, paths, into, err)
                   : explain_in (NULL, paths, into, err);
  if (ret < 0)
    return ret;
  if (context->json)
    print_json (object);
  return 0;
}
