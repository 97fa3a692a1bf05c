/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* entry.json. */
#include "history.h"
#include "util/clock.h"

enum { WHAT_MAX = 1000 };

void history_entry_release (struct history_entry *entry)
{
  free (entry->time);
  free (entry->what);
  free (entry->log);
  if (entry->packages)
    json_object_put (entry->packages);
  *entry = (struct history_entry){0};
}

void history_release (struct history *history)
{
  for (size_t i = 0; i < history->count; i++)
    history_entry_release (&history->items[i]);
  free (history->items);
  *history = (struct history){0};
}

const char *history_mode_name (enum history_mode mode)
{
  return mode == HISTORY_RUNNING ? "running" : mode == HISTORY_OFFLINE ? "offline" : "stopped";
}

/* Such that nobody takes one word for two. */
static void add_word (struct strbuf *text, const char *word)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "-_=+./:,@%^~*?[]{}";

  strbuf_adds (text, " ");
  if (*word && strspn (word, plain) == strlen (word)) {
    strbuf_adds (text, word);
    return;
  }
  strbuf_adds (text, "'");
  for (; *word; word++)
    if (*word == '\'')
      strbuf_adds (text, "'\\''");
    else
      strbuf_add (text, word, 1);
  strbuf_adds (text, "'");
}

char *history_what (const char *tool, const char *const *args)
{
  autostrbuf struct strbuf text = STRBUF_INIT (SIZE_MAX / 2);

  strbuf_adds (&text, tool);
  for (; args && *args; args++)
    add_word (&text, *args);
  return strbuf_steal (&text);
}

bool history_has_effect (const struct history_entry *entry)
{
  return !entry->minor && (!entry->failed || entry->mode == HISTORY_RUNNING);
}

const struct history_entry *history_find (const struct history *history, uint64_t id)
{
  for (size_t i = 0; i < history->count; i++)
    if (history->items[i].id == id)
      return &history->items[i];
  return NULL;
}

static void set_version (json_object *object, const char *key, const char *version)
{
  if (version)
    json_set_bytes (object, key, version, strlen (version));
  else
    json_put (object, key, NULL);
}

json_object *history_packages_json (const struct history_package *packages, size_t count)
{
  json_object *array = json_object_new_array ();

  if (!array)
    err_out_of_memory ();
  for (size_t i = 0; i < count && i < HISTORY_PACKAGES_MAX; i++) {
    json_object *object = json_object_new_object ();

    if (!object)
      err_out_of_memory ();
    json_set_bytes (object, "name", packages[i].name, strlen (packages[i].name));
    set_version (object, "old", packages[i].old_version);
    set_version (object, "new", packages[i].new_version);
    json_append (array, object);
  }
  return array;
}

json_object *history_note_json (const struct history_note *note)
{
  autofree char *time = clock_utc (/* compact= */ false);
  json_object *object = json_object_new_object ();
  size_t len = strlen (note->what);

  if (!object)
    err_out_of_memory ();
  json_set_int (object, "format", HISTORY_FORMAT);
  json_set_string (object, "time", time);
  json_set_bytes (object, "what", note->what, len < WHAT_MAX ? len : WHAT_MAX);
  json_set_string (object, "mode", history_mode_name (note->mode));
  json_set_string (object, "result", note->failed ? "failed" : "done");
  /* The guest's directory may get another name. */
  if (note->log) {
    const char *slash = strrchr (note->log, '/');
    autofree char *log = xasprintf ("log/%s", slash ? slash + 1 : note->log);

    json_set_string (object, "log", log);
  }
  if (note->minor)
    json_set_bool (object, "minor", true);
  json_set_int (object, "written_bytes", (int64_t) note->written_bytes);
  json_set_int (object, "milliseconds", (int64_t) note->milliseconds);
  json_set_int (object, "packages_changed", (int64_t) note->packages_changed);
  if (note->packages)
    json_put (object, "packages", history_packages_json (note->packages, note->package_count));
  if (note->undoes) {
    json_set_int (object, "undoes", (int64_t) note->undoes);
    json_set_int (object, "rolls_back_to", (int64_t) note->rolls_back_to);
  }
  return object;
}

static char *get_text (json_object *object, const char *key, const char *fallback)
{
  autoerr struct err ignored = {0};
  const char *text = NULL;

  if (json_get_string (object, key, fallback, &text, &ignored) < 0)
    text = fallback;
  return text ? xstrdup (text) : NULL;
}

static uint64_t get_number (json_object *object, const char *key)
{
  autoerr struct err ignored = {0};
  int64_t number = 0;

  if (json_get_int (object, key, 0, &number, &ignored) < 0)
    return 0;
  return number < 0 ? 0 : (uint64_t) number;
}

void history_entry_parse (json_object *object, struct history_entry *ret_entry)
{
  autofree char *mode = get_text (object, "mode", ""), *result = get_text (object, "result", "");
  json_object *packages = NULL;

  *ret_entry = (struct history_entry){
      .id = get_number (object, "id"),
      .time = get_text (object, "time", "unknown"),
      .what = get_text (object, "what", "unknown"),
      .failed = strcmp (result, "failed") == 0,
      .minor = json_object_get_boolean (json_object_object_get (object, "minor")),
      .log = get_text (object, "log", NULL),
      .written_bytes = get_number (object, "written_bytes"),
      .milliseconds = get_number (object, "milliseconds"),
      .packages_changed = get_number (object, "packages_changed"),
      .undoes = get_number (object, "undoes"),
      .rolls_back_to = get_number (object, "rolls_back_to"),
  };
  for (enum history_mode each = HISTORY_STOPPED; each <= HISTORY_RUNNING; each++)
    if (strcmp (mode, history_mode_name (each)) == 0)
      ret_entry->mode = each;
  if (json_object_object_get_ex (object, "packages", &packages) &&
      json_object_is_type (packages, json_type_array))
    ret_entry->packages = json_object_get (packages);
}
