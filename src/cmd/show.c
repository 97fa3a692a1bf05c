/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAME show [PATH…]
 *
 * --json prints, and keeps to:
 *   {"guest", "directories": [{"path", "shared", "private", "shared_bytes", "private_bytes"}],
 *    "files": [{"path", "type", "state": "shared" | "private" | "contents", "layer": "private" |
 *    "tree" | "template", "bytes", "guests", "templates", "since": id or null}]}
 * "directories" is empty with -r, when "files" has all of them. */
#include "cmd.h"
#include "cmd/listing.h"
#include "view/states.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vguest NAME show [-r] [PATH…]\n"
    "Show which files of a guest are shared, with how many other guests, and since\n"
    "which transaction. What a directory has in it is counted name by name, unless\n"
    "-r is given; without PATH it is /. Without a lock, also while the guest runs.\n";

/* One name in a directory. */
struct sums {
  char *path; /* owned */
  uint64_t shared, private;
  uint64_t shared_bytes, private_bytes;
};

struct show {
  struct context *context; /* borrowed */
  bool recursive;
  bool header;       /* of the files: printed */
  uint64_t count;    /* of files that are printed */
  size_t depth;      /* of the directory that is summed up: slashes in its path */
  struct sums *sums; /* owned */
  size_t sums_count;
};

static void show_release (struct show *show)
{
  for (size_t i = 0; i < show->sums_count; i++)
    free (show->sums[i].path);
  free (show->sums);
}
#define autoshow __attribute__ ((cleanup (show_release)))

static const char *sharing_name (enum state_sharing sharing)
{
  static const char *const names[] = {"private", "shared", "contents"};

  return names[sharing];
}

static void print_file (struct show *show, const struct view_state *state)
{
  autofree char *path = format_text (state->path);
  autofree char *since = state->since ? xasprintf ("%" PRIu64, state->since) : xstrdup ("-");

  if (!show->header)
    printf ("%-8s  %-8s  %6s  %9s  %5s  %s\n", "STATE", "LAYER", "GUESTS", "TEMPLATES", "SINCE",
            "PATH");
  show->header = true;
  if (state->sharing == STATE_PRIVATE)
    printf ("%-8s  %-8s  %6s  %9s  %5s  %s\n", sharing_name (state->sharing),
            view_layer_name (state->layer), "-", "-", since, path);
  else
    printf ("%-8s  %-8s  %6" PRIu64 "  %9" PRIu64 "  %5s  %s\n", sharing_name (state->sharing),
            view_layer_name (state->layer), state->guests, state->templates, since, path);
}

static void add_file_json (struct show *show, const struct view_state *state)
{
  json_object *object = json_object_new_object ();

  json_set_bytes (object, "path", state->path, strlen (state->path));
  json_set_string (object, "type", listing_type (state->st.st_mode));
  json_set_string (object, "state", sharing_name (state->sharing));
  json_set_string (object, "layer", view_layer_name (state->layer));
  json_set_int (object, "bytes", state->st.st_size);
  json_set_int (object, "guests", (int64_t) state->guests);
  json_set_int (object, "templates", (int64_t) state->templates);
  json_put (object, "since", state->since ? json_object_new_int64 ((int64_t) state->since) : NULL);
  listing_add (object, show->count == 0);
}

static int take_file (void *data, const struct view_state *state, struct err *err)
{
  struct show *show = data;

  (void) err;
  if (show->context->json)
    add_file_json (show, state);
  else
    print_file (show, state);
  show->count++;
  return 0;
}

/* The first bytes of @path that are a name in the directory that is summed up. */
static size_t name_length (const struct show *show, const char *path)
{
  size_t len = 0;

  for (size_t i = 0; i <= show->depth && path[len]; i++)
    len += 1 + strcspn (path + len + 1, "/");
  return len;
}

static int take_sum (void *data, const struct view_state *state, struct err *err)
{
  struct show *show = data;
  size_t len = name_length (show, state->path);
  struct sums *last = show->sums_count ? &show->sums[show->sums_count - 1] : NULL;

  (void) err;
  if (!last || strlen (last->path) != len || strncmp (last->path, state->path, len) != 0) {
    if ((show->sums_count & (show->sums_count - 1)) == 0)
      show->sums = xreallocarray (show->sums, show->sums_count ? show->sums_count * 2 : 1,
                                  sizeof *show->sums);
    last = &show->sums[show->sums_count++];
    *last = (struct sums){.path = xstrndup (state->path, len)};
  }
  uint64_t bytes = S_ISREG (state->st.st_mode) ? (uint64_t) state->st.st_size : 0;
  if (state->sharing == STATE_PRIVATE) {
    last->private ++;
    last->private_bytes += bytes;
  } else {
    last->shared++;
    last->shared_bytes += bytes;
  }
  return 0;
}

/* How many names are in @path. */
static size_t path_depth (const char *path)
{
  size_t depth = 0;

  while (*path) {
    size_t len = strcspn (path, "/");

    depth += len && !(len == 1 && *path == '.');
    path += len;
    path += *path == '/';
  }
  return depth;
}

static void print_sums (const struct show *show)
{
  if (show->sums_count)
    printf ("%8s  %8s  %12s  %13s  %s\n", "SHARED", "PRIVATE", "SHARED BYTES", "PRIVATE BYTES",
            "PATH");
  for (size_t i = 0; i < show->sums_count; i++) {
    const struct sums *sums = &show->sums[i];
    autofree char *path = format_text (sums->path);
    autofree char *shared = format_bytes (sums->shared_bytes);
    autofree char *private = format_bytes (sums->private_bytes);

    printf ("%8" PRIu64 "  %8" PRIu64 "  %12s  %13s  %s\n", sums->shared, sums->private, shared,
            private, path);
  }
}

static json_object *head_json (const struct show *show, const char *name)
{
  json_object *head = json_object_new_object (), *list = json_object_new_array ();

  json_set_string (head, "guest", name);
  for (size_t i = 0; i < show->sums_count; i++) {
    const struct sums *sums = &show->sums[i];
    json_object *object = json_object_new_object ();

    json_set_bytes (object, "path", sums->path, strlen (sums->path));
    json_set_int (object, "shared", (int64_t) sums->shared);
    json_set_int (object, "private", (int64_t) sums->private);
    json_set_int (object, "shared_bytes", (int64_t) sums->shared_bytes);
    json_set_int (object, "private_bytes", (int64_t) sums->private_bytes);
    json_append (list, object);
  }
  json_put (head, "directories", list);
  return head;
}

static int run (struct show *show, struct vroot *root, const char *name, char **paths, size_t count,
                struct err *err)
{
  autofree bool *is_dir = xcalloc (count, sizeof *is_dir);
  autostates struct states states = {.top = VIEW_DIR_NONE};
  autoguest struct guest *guest = NULL;
  bool json = show->context->json;
  int ret = 0;

  if (guest_open (root, name, GUEST_PEEK, &guest, err) < 0 ||
      states_open (root, guest, paths, count, is_dir, &states, err) < 0)
    return -err->code;
  for (size_t i = 0; i < count && !show->recursive; i++) {
    show->depth = path_depth (paths[i]);
    if (is_dir[i] && states_each (&states, paths[i], take_sum, show, err) < 0)
      return -err->code;
  }
  if (json)
    listing_start (head_json (show, name), "files");
  for (size_t i = 0; i < count && ret == 0; i++)
    if (show->recursive || !is_dir[i])
      ret = states_each (&states, paths[i], take_file, show, err);
  if (json)
    listing_end ();
  else
    print_sums (show);
  return ret;
}

int cmd_show (struct context *context, int argc, char **argv, struct err *err)
{
  autoshow struct show show = {.context = context};
  const struct option_spec specs[] = {
      {"recursive", 'r', NULL, "a line for each file below directories", &show.recursive, NULL,
       NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  char top[] = "/";
  char *tops[] = {top};
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (context_select_one (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  return first < argc
             ? run (&show, root, names.items[0], argv + first, (size_t) (argc - first), err)
             : run (&show, root, names.items[0], tops, 1, err);
}
