/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kind.h"

/* In the order in which they are asked about SOURCE of a command line: "file" takes what is left.
 */
/* clang-format off */
static const struct source_kind *const kinds[] = {
    &kind_bootstrap,
    &kind_guest,
    &kind_oci,
    &kind_rsync,
    &kind_simplestreams,
    &kind_skeleton,
    &kind_http,
    &kind_dir,
    &kind_file,
};
/* clang-format on */

enum { KINDS = sizeof kinds / sizeof kinds[0] };

const struct source_kind *kind_by_name (const char *name)
{
  /* The one kind that people know by two names. */
  const char *known = strcmp (name, "https") == 0 ? "http" : name;

  for (size_t i = 0; i < KINDS; i++)
    if (strcmp (kinds[i]->name, known) == 0)
      return kinds[i];
  return NULL;
}

const char *const *kind_names (void)
{
  static const char *names[KINDS + 2];

  for (size_t i = 0; i < KINDS; i++)
    names[i] = kinds[i]->name;
  names[KINDS] = "https";
  return names;
}

json_object *kind_source_from_text (const char *text, struct err *err)
{
  for (size_t i = 0; i < KINDS; i++) {
    autojson json_object *source = json_object_new_object ();

    if (!kinds[i]->from_text)
      continue;
    json_set_string (source, "type", kinds[i]->name);
    int ret = kinds[i]->from_text (text, source, err);
    if (ret < 0)
      return NULL;
    if (ret)
      return steal_ptr (&source);
  }
  err_code (err, ERR_USAGE, "\"%s\" is no source that vguest knows", text);
  return NULL;
}
