/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source.h"
#include "template/template.h"
#include "util/fd.h"

static void close_template (void *template)
{
  template_close (template);
}

static int open_template (struct vroot *root, const char *text, struct build_source *ret_source,
                          struct err *err)
{
  struct template *template = NULL;
  json_object *guest = NULL;
  autofree char *name = NULL;
  unsigned generation = 0;

  if (template_split (text, &name, &generation, err) < 0 ||
      template_open (root, name, generation, &template, err) < 0)
    return -err->code;
  if (json_get_object (template->info, "guest", &guest, err) < 0) {
    template_close (template);
    return err_wrap (err, "template %s", name);
  }
  *ret_source = (struct build_source){
      .label = xasprintf ("template:%s", name),
      .layers = {.priv = -1, .tree = template->tree_fd, .base = -1},
      .template = template->name,
      .generation = template->generation,
      .config = guest,
      .guest_fd = template->fd,
      .owner = template,
      .base_lock_fd = -1,
      .close_owner = close_template,
  };
  return 0;
}

int source_open (struct vroot *root, const char *text, struct build_source *ret_source,
                 struct err *err)
{
  static const char template_prefix[] = "template:", guest_prefix[] = "guest:";

  if (strncmp (text, template_prefix, strlen (template_prefix)) == 0)
    return open_template (root, text + strlen (template_prefix), ret_source, err);
  if (strncmp (text, guest_prefix, strlen (guest_prefix)) == 0)
    return build_source_guest (root, text + strlen (guest_prefix), ret_source, err);
  if (strchr (text, '@'))
    return open_template (root, text, ret_source, err);
  if (name_check (text, "source", err) < 0)
    return -err->code;
  if (faccessat (root->templates_fd, text, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return open_template (root, text, ret_source, err);
  if (faccessat (root->guests_fd, text, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return build_source_guest (root, text, ret_source, err);
  if (open_template (root, text, ret_source, err) == 0)
    return 0; /* made just now */
  return err_code (err, ERR_NO_GUEST, "%s, and no guest either", err_text (err));
}

static void keep_import (void *import)
{
  (void) import;
}

void source_of_import (struct import *import, const char *method, struct build_source *ret_source)
{
  json_object *source = json_object_object_get (import->info, "source");

  *ret_source = (struct build_source){
      .label = xasprintf ("%s:%s", method, source ? json_object_get_string (source) : ""),
      .layers = {.priv = -1, .tree = import->tree_fd, .base = -1},
      .config = import->guest,
      .guest_fd = import->generation_fd,
      .owner = import,
      .base_lock_fd = -1,
      .close_owner = keep_import,
  };
}
