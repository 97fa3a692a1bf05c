/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAME which PATH…
 *
 * --json prints, and keeps to:
 *   {"guest", "files": [{"path", "layer": "private" | "tree" | "template", "host_path",
 *    "contents": null, or where those of a file are that has only its metadata there:
 *    {"layer": the same, or "store", "host_path"}, "object": hash or null, "slot": number or null,
 *    "store_path": path or null}]} */
#include "cmd.h"
#include "cmd/listing.h"
#include "util/fd.h"
#include "store/objectnames.h"
#include "util/metaentry.h"
#include "view/view.h"

static const char usage[] =
    "Usage: vguest NAME which PATH…\n"
    "Tell where the bytes of files of a guest lie: the layer, the file on the host\n"
    "(never write to it), and the object of the store that it is. Symbolic links\n"
    "are not followed.\n";

/* One file, found. */
struct found {
  const char *path; /* borrowed */
  enum view_layer layer;
  char *host_path; /* owned */
  enum view_layer data_layer;
  char *data_path;   /* owned; NULL: as above */
  uint64_t ino;      /* of the file that has the data, or is the entry that has not */
  uint64_t data_ino; /* 0; of an entry, what has the data: */
  char *place;       /* owned; in store/data */
  bool is_dir;
};

struct files {
  struct found *items; /* owned */
  size_t count;
};

static void files_release (struct files *files)
{
  for (size_t i = 0; i < files->count; i++) {
    free (files->items[i].host_path);
    free (files->items[i].data_path);
    free (files->items[i].place);
  }
  free (files->items);
}
#define autofiles __attribute__ ((cleanup (files_release)))

/* The path of @name in a directory of the host that is open; the caller's string. */
static int host_path (int dir_fd, const char *name, char **ret_path, struct err *err)
{
  autofree char *link = fd_proc_path (dir_fd, NULL);
  autofree char *target = xmalloc (PATH_MAX);
  ssize_t len = readlink (link, target, PATH_MAX - 1);

  if (len < 0)
    return err_errno (err, "read %s", link);
  target[len] = '\0';
  *ret_path = name ? xasprintf ("%s/%s", target, name) : xstrdup (target);
  return 0;
}

/* The file may be an entry: the place of its contents. */
static int find_place (struct vroot *root, const struct view_data *data, const struct stat *st,
                       struct found *found, struct err *err)
{
  char place[METAENTRY_PLACE_SIZE];
  struct stat data_st;
  int is_entry = metaentry_read (-1, data->dir_fd, data->name, st, place);

  if (is_entry == 0)
    return 0;
  if (is_entry > 0) {
    found->place = xasprintf (METAENTRY_DATA "%s", place);
    if (fstatat (root->store->fd, found->place, &data_st, AT_SYMLINK_NOFOLLOW) == 0) {
      found->data_ino = data_st.st_ino;
      return 0;
    }
    errno = errno == ENOENT ? EUCLEAN : errno;
  }
  return err_errno (err, "%s: look for its contents", found->path);
}

static int find_data (struct vroot *root, const struct view_dir *top,
                      const struct view_place *place, struct found *found, struct err *err)
{
  autoviewdata struct view_data data = {VIEW_PRIVATE, -1, NULL, VIEW_DIR_NONE};
  struct stat st;

  if (view_find_data (top, &place->dir, place->entry, &data, err) < 0)
    return -err->code;
  if (fstatat (data.dir_fd, data.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", found->path);
  found->ino = st.st_ino;
  found->data_layer = data.layer;
  if (find_place (root, &data, &st, found, err) < 0)
    return -err->code;
  return place->entry->form.metacopy ? host_path (data.dir_fd, data.name, &found->data_path, err)
                                     : 0;
}

static int find_one (struct vroot *root, const struct view_dir *top, const char *path,
                     struct found *found, struct err *err)
{
  autoviewplace struct view_place place = {.dir = VIEW_DIR_NONE};

  *found = (struct found){.path = path, .is_dir = true};
  if (view_lookup (top, path, &place, err) < 0)
    return -err->code;
  if (!place.entry) {
    found->layer = VIEW_PRIVATE;
    return host_path (view_dir_fd (&place.dir), NULL, &found->host_path, err);
  }
  found->layer = place.entry->layer;
  found->is_dir = place.entry->type == DT_DIR;
  if (host_path (place.entry->dir_fd, place.entry->name, &found->host_path, err) < 0)
    return -err->code;
  return found->is_dir ? 0 : find_data (root, top, &place, found, err);
}

/* @data_path: of an entry, the file of the store that has its contents. */
static void print_found (const struct found *found, const char *store_path, const char *data_path)
{
  autofree char *path = format_text (found->path), *host = format_text (found->host_path);

  printf ("%s: %s: %s\n", path, view_layer_name (found->layer), host);
  if (found->data_path) {
    autofree char *data = format_text (found->data_path);

    printf ("  contents: %s: %s\n", view_layer_name (found->data_layer), data);
  }
  if (store_path)
    printf ("  object: %s\n", store_path);
  if (data_path)
    printf ("  contents: store: %s\n", data_path);
}

static void add_json (const struct found *found, const struct object_name *object, const char *hash,
                      const char *store_path, const char *data_path, bool first)
{
  json_object *entry = json_object_new_object (), *data = NULL;

  json_set_bytes (entry, "path", found->path, strlen (found->path));
  json_set_string (entry, "layer", view_layer_name (found->layer));
  json_set_bytes (entry, "host_path", found->host_path, strlen (found->host_path));
  if (data_path) {
    data = json_object_new_object ();
    json_set_string (data, "layer", "store");
    json_set_bytes (data, "host_path", data_path, strlen (data_path));
  } else if (found->data_path) {
    data = json_object_new_object ();
    json_set_string (data, "layer", view_layer_name (found->data_layer));
    json_set_bytes (data, "host_path", found->data_path, strlen (found->data_path));
  }
  json_put (entry, "contents", data);
  json_put (entry, "object", object ? json_object_new_string (hash) : NULL);
  json_put (entry, "slot", object ? json_object_new_int64 (object->slot) : NULL);
  json_put (entry, "store_path", store_path ? json_object_new_string (store_path) : NULL);
  listing_add (entry, first);
}

/* The caller's string. */
static char *object_path (const struct vroot *root, const struct object_name *object)
{
  char hash[DIGEST_TEXT_SIZE], slot[SLOT_NAME_SIZE];

  digest_format (&object->id, hash);
  slot_name (&object->id, object->slot, slot);
  return xasprintf ("%s/store/%.2s/%s", root->path, hash, slot);
}

static void show (const struct context *context, const struct vroot *root,
                  const struct found *found, const struct object_names *objects, bool first)
{
  const struct object_name *object = found->is_dir ? NULL : object_names_find (objects, found->ino);
  autofree char *store_path = object ? object_path (root, object) : NULL, *data_path = NULL;
  char hash[DIGEST_TEXT_SIZE] = "";

  if (object)
    digest_format (&object->id, hash);
  if (found->place) {
    const struct object_name *data = object_names_find (objects, found->data_ino);

    /* What is damaged may be no object any more. */
    data_path =
        data ? object_path (root, data) : xasprintf ("%s/store/%s", root->path, found->place);
  }
  if (context->json)
    add_json (found, object, hash, store_path, data_path, first);
  else
    print_found (found, store_path, data_path);
}

/* Shows those that are found, whatever becomes of the others. */
static int run (const struct context *context, struct vroot *root, const char *name, char **paths,
                size_t count, struct err *err)
{
  autofiles struct files files = {.items = xcalloc (count, sizeof *files.items)};
  autoobjectnames struct object_names objects = {0};
  autoviewdir struct view_dir top = VIEW_DIR_NONE;
  autou64table struct u64table wanted = {0};
  autoguest struct guest *guest = NULL;
  autoerr struct err first = {0};

  if (guest_open (root, name, GUEST_PEEK, &guest, err) < 0)
    return -err->code;
  if (view_open (guest->fd, &top, err) < 0)
    return err_wrap (err, "guest %s", name);
  for (size_t i = 0; i < count; i++) {
    struct found *found = &files.items[files.count++];
    autoerr struct err one = {0};

    if (find_one (root, &top, paths[i], found, &one) < 0) {
      free (found->host_path);
      free (found->data_path);
      free (found->place);
      files.count--;
      if (first.code)
        print_error ("guest %s: %s", name, err_text (&one));
      else
        err_code (&first, one.code, "guest %s: %s", name, err_text (&one));
    } else if (!found->is_dir) {
      u64table_add (&wanted, found->ino);
      if (found->place)
        u64table_add (&wanted, found->data_ino);
    }
  }
  if (files.count && object_names_load (root->store, &wanted, &objects, err) < 0)
    return -err->code;
  if (context->json) {
    json_object *head = json_object_new_object ();

    json_set_string (head, "guest", name);
    listing_start (head, "files");
  }
  for (size_t i = 0; i < files.count; i++)
    show (context, root, &files.items[i], &objects, i == 0);
  if (context->json)
    listing_end ();
  return first.code ? err_code (err, first.code, "%s", err_text (&first)) : 0;
}

int cmd_which (struct context *context, int argc, char **argv, struct err *err)
{
  const struct option_spec specs[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (first >= argc)
    return err_code (err, ERR_USAGE, "a path in the guest is expected; see --help");
  if (context_select_one (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  return run (context, root, names.items[0], argv + first, (size_t) (argc - first), err);
}
