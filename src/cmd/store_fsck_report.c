/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd.h"
#include "store/quarantine.h"
#include "store_fsck.h"
#include "util/strbuf.h"
#include <inttypes.h>

/* "store/ab/…-0": the caller's. */
static char *object_path (const struct damage *damage)
{
  char text[DIGEST_TEXT_SIZE];

  digest_format (&damage->id, text);
  return xasprintf ("store/%.2s/%s-%u", text, text + 2, damage->slot);
}

static bool is_plain_tree (const struct fsck_use *use)
{
  return strcmp (use->layer, "tree") == 0;
}

/* What makes it good again: the caller's, or NULL. */
static char *command_for (const struct fsck_place *place, const struct fsck_use *use)
{
  if (place->kind != FSCK_GUEST || use->repaired || use->waits || !use->package)
    return NULL;
  return xasprintf ("vapt-get %s -- install --reinstall %s", place->name, use->package);
}

/* Why it has to wait. */
static void print_wait (const struct fsck_place *place)
{
  if (place->kind == FSCK_TEMPLATE)
    printf (": a thin guest over it is in use: repair it when that is stopped\n");
  else if (strcmp (place->state, "stopped") == 0)
    printf (": another guest over its template is in use: repair it when that is stopped\n");
  else
    printf (": it is %s: repair it when it is stopped\n", place->state);
}

/* The guests that see a file of a template, as they lie over it: "web3,web4", or NULL. The
 * caller's. */
static char *thin_guests (const struct fsck *fsck, size_t template)
{
  autostrbuf struct strbuf names = STRBUF_INIT (1 << 20);

  for (size_t i = 0; i < fsck->place_count; i++)
    if (fsck->places[i].thin && fsck->places[i].base == template)
      strbuf_addf (&names, "%s%s", names.len ? "," : "", fsck->places[i].name);
  return names.len ? strbuf_steal (&names) : NULL;
}

static void print_use (const struct fsck *fsck, const struct fsck_object *object,
                       const struct fsck_use *use)
{
  const struct fsck_place *place = &fsck->places[use->place];
  autofree char *name = fsck_place_name (place);
  autofree char *path = format_text (use->path);
  autofree char *command = command_for (place, use);
  autofree char *thin = thin_guests (fsck, use->place);

  printf ("  %s%s%s: %s%s/%s", name, thin ? ", and over it guest " : "", thin ? thin : "",
          is_plain_tree (use) ? "" : use->layer, is_plain_tree (use) ? "" : ":", path);
  if (use->repaired)
    printf (": repaired\n");
  else if (use->waits)
    print_wait (place);
  else if (command)
    printf (": to repair it: %s\n", command);
  else if (object->source || !fsck->options.repair)
    printf ("\n");
  else if (place->kind == FSCK_TEMPLATE)
    printf (": no good copy was found: make the template again\n");
  else if (!is_plain_tree (use))
    printf (": no good copy was found\n");
  else
    printf (": no good copy was found: install the package that it is of again\n");
}

static void print_object (const struct fsck *fsck, const struct fsck_object *object)
{
  autofree char *path = object_path (&object->damage);
  const char *quarantined = object->damage.quarantined;

  if (object->cured || (object->earlier && !object->use_count))
    return;
  if (object->earlier)
    printf ("store/" QUARANTINE_NAME "/%s: in quarantine, and still used\n", quarantined);
  else
    printf ("%s: damaged: %s\n", path, object->damage.detail ? object->damage.detail : "");
  if (!object->earlier && quarantined)
    printf ("  now store/" QUARANTINE_NAME "/%s\n", quarantined);
  for (size_t i = 0; i < object->noted_uses; i++)
    print_use (fsck, object, &object->uses[i]);
  if (!object->use_count)
    printf ("  nobody uses it\n");
}

static void print_findings (const struct fsck *fsck, bool summary)
{
  for (size_t i = 0; i < fsck->finding_count; i++) {
    const struct fsck_finding *finding = &fsck->findings[i];
    autofree char *where = format_text (finding->where);
    autofree char *text = format_text (finding->text);

    if (finding->error || summary)
      printf ("%s: %s%s%s\n", where, finding->error ? "" : "note: ", text,
              finding->corrected ? ": corrected" : "");
  }
}

/* Who is affected, when there are too many uses to name them. */
static void print_places (const struct fsck *fsck)
{
  for (size_t i = 0; fsck->widespread && i < fsck->place_count; i++) {
    autofree char *name = fsck_place_name (&fsck->places[i]);

    if (fsck->places[i].uses)
      printf ("  %s: %" PRIu64 " files\n", name, fsck->places[i].uses);
  }
}

struct totals {
  uint64_t unshared;
  uint64_t unshared_bytes;
  uint64_t waiting; /* uses */
  uint64_t unused;  /* files in quarantine that nobody uses */
};

static struct totals add_up (const struct fsck *fsck)
{
  struct totals totals = {0};

  for (size_t i = 0; i < fsck->place_count; i++) {
    totals.unshared += fsck->places[i].unshared;
    totals.unshared_bytes += fsck->places[i].unshared_bytes;
  }
  for (size_t i = 0; i < fsck->object_count; i++) {
    totals.unused += fsck->objects[i].earlier && !fsck->objects[i].use_count;
    for (size_t k = 0; k < fsck->objects[i].noted_uses; k++)
      totals.waiting += fsck->objects[i].uses[k].waits;
  }
  return totals;
}

static bool has_finding (const struct fsck *fsck, enum fsck_class class)
{
  for (size_t i = 0; i < fsck->finding_count; i++)
    if (fsck->findings[i].class == class)
      return true;
  return false;
}

static void print_summary (const struct fsck *fsck)
{
  const struct verify *verify = &fsck->verify;
  struct totals totals = add_up (fsck);
  autofree char *read = format_bytes (verify->bytes_read);
  autofree char *orphans = format_bytes (verify->orphan_bytes);
  autofree char *unshared = format_bytes (totals.unshared_bytes);
  uint64_t errors = fsck_errors (fsck), left = fsck_errors_left (fsck);

  printf ("%" PRIu64 " objects, %s read, %zu trees\n", verify->objects, read, fsck->place_count);
  if (verify->unnoted)
    printf ("%" PRIu64 " objects were not looked at, as no full check has seen them yet\n",
            verify->unnoted);
  if (verify->orphans)
    printf ("%" PRIu64 " objects, %s, are used by no tree%s\n", verify->orphans, orphans,
            /* The finding says not to. */
            has_finding (fsck, FSCK_LINKS_LOST) ? "" : ": `vstore gc` removes them");
  if (totals.unshared)
    printf ("%" PRIu64 " files of trees, %s, are not in the store: vhashify shares them\n",
            totals.unshared, unshared);
  if (totals.unused)
    printf ("%" PRIu64 " files in store/" QUARANTINE_NAME " are used by nobody: they can be "
            "removed\n",
            totals.unused);
  if (!errors)
    printf ("no errors\n");
  else
    printf ("%" PRIu64 " errors, %" PRIu64 " corrected, %" PRIu64 " left%s\n", errors,
            errors - left, left,
            left && !fsck->options.repair && !fsck->widespread
                ? ": `vstore fsck --repair` repairs what can be"
                : "");
}

void fsck_print (const struct fsck *fsck, bool summary)
{
  for (size_t i = 0; i < fsck->object_count && !fsck->widespread; i++)
    print_object (fsck, &fsck->objects[i]);
  print_findings (fsck, summary);
  print_places (fsck);
  if (summary)
    print_summary (fsck);
}

static json_object *use_to_json (const struct fsck *fsck, const struct fsck_use *use)
{
  static const char *const kinds[] = {"template", "guest", "aside"};
  const struct fsck_place *place = &fsck->places[use->place];
  json_object *object = json_object_new_object ();
  autofree char *command = command_for (place, use);
  json_object *thin = place->kind == FSCK_TEMPLATE ? json_object_new_array () : NULL;

  for (size_t i = 0; thin && i < fsck->place_count; i++)
    if (fsck->places[i].thin && fsck->places[i].base == use->place)
      json_append (thin, json_object_new_string (fsck->places[i].name));
  json_set_string (object, "kind", kinds[place->kind]);
  json_set_string (object, "name", place->name);
  if (place->kind == FSCK_TEMPLATE)
    json_set_int (object, "generation", place->generation);
  if (thin)
    json_put (object, "thin", thin);
  json_set_string (object, "layer", use->layer);
  json_set_bytes (object, "path", use->path, strlen (use->path));
  json_set_bool (object, "repaired", use->repaired);
  json_set_bool (object, "waits", use->waits);
  if (use->package)
    json_set_string (object, "package", use->package);
  if (command)
    json_set_string (object, "command", command);
  return object;
}

static json_object *object_to_json (const struct fsck *fsck, const struct fsck_object *damaged)
{
  json_object *object = json_object_new_object ();
  json_object *uses = json_object_new_array ();
  const struct damage *damage = &damaged->damage;
  autofree char *path = object_path (damage);

  json_set_string (object, "object", path);
  json_set_string (object, "problem", fsck_damage_name (damage->kind));
  if (damage->detail)
    json_set_bytes (object, "detail", damage->detail, strlen (damage->detail));
  if (damage->quarantined) {
    autofree char *quarantined = xasprintf ("store/" QUARANTINE_NAME "/%s", damage->quarantined);
    json_set_string (object, "quarantined", quarantined);
  }
  json_set_bool (object, "earlier", damaged->earlier);
  if (damaged->source)
    json_set_string (object, "source", damaged->source);
  json_set_int (object, "uses_count", (int64_t) damaged->use_count);
  for (size_t i = 0; i < damaged->noted_uses; i++)
    json_append (uses, use_to_json (fsck, &damaged->uses[i]));
  json_put (object, "uses", uses);
  return object;
}

static json_object *finding_to_json (const struct fsck_finding *finding)
{
  json_object *object = json_object_new_object ();

  json_set_string (object, "class", fsck_class_name (finding->class));
  json_set_bool (object, "error", finding->error);
  json_set_bool (object, "corrected", finding->corrected);
  json_set_bytes (object, "where", finding->where, strlen (finding->where));
  json_set_bytes (object, "text", finding->text, strlen (finding->text));
  return object;
}

static json_object *place_to_json (const struct fsck_place *place)
{
  static const char *const kinds[] = {"template", "guest", "aside"};
  json_object *object = json_object_new_object ();

  json_set_string (object, "kind", kinds[place->kind]);
  json_set_string (object, "name", place->name);
  if (place->kind == FSCK_TEMPLATE)
    json_set_int (object, "generation", place->generation);
  else
    json_set_string (object, "state", place->state);
  if (place->kind != FSCK_TEMPLATE)
    json_set_bool (object, "thin", place->thin);
  json_set_int (object, "files", (int64_t) place->names);
  json_set_int (object, "unshared", (int64_t) place->unshared);
  json_set_int (object, "unshared_bytes", (int64_t) place->unshared_bytes);
  json_set_int (object, "damaged", (int64_t) place->uses);
  return object;
}

json_object *fsck_to_json (const struct fsck *fsck)
{
  const struct verify *verify = &fsck->verify;
  json_object *object = json_object_new_object ();
  json_object *damaged = json_object_new_array (), *findings = json_object_new_array ();
  json_object *places = json_object_new_array ();

  json_set_bool (object, "quick", fsck->options.quick);
  json_set_bool (object, "repair", fsck->options.repair);
  json_set_int (object, "objects", (int64_t) verify->objects);
  json_set_int (object, "bytes_read", (int64_t) verify->bytes_read);
  json_set_int (object, "unnoted", (int64_t) verify->unnoted);
  json_set_int (object, "orphans", (int64_t) verify->orphans);
  json_set_int (object, "orphan_bytes", (int64_t) verify->orphan_bytes);
  json_set_bool (object, "widespread", fsck->widespread);
  for (size_t i = 0; i < fsck->object_count && !fsck->widespread; i++)
    if (!fsck->objects[i].cured)
      json_append (damaged, object_to_json (fsck, &fsck->objects[i]));
  for (size_t i = 0; i < fsck->finding_count; i++)
    json_append (findings, finding_to_json (&fsck->findings[i]));
  for (size_t i = 0; i < fsck->place_count; i++)
    json_append (places, place_to_json (&fsck->places[i]));
  json_put (object, "damaged", damaged);
  json_put (object, "findings", findings);
  json_put (object, "places", places);
  json_set_int (object, "errors", (int64_t) fsck_errors (fsck));
  json_set_int (object, "errors_left", (int64_t) fsck_errors_left (fsck));
  return object;
}
