/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What image servers say: lists of products, metadata.yaml, templates of files. */
#include "template/streams.h"
#include "template/streams_metadata.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autoerr struct err err = {0}, ignored = {0};
  autojson json_object *object = NULL;
  autostreamsimage struct streams_image image = {0};
  autostreamstemplates struct streams_templates templates = {0};

  if (json_parse_object (text, strlen (text), "input", &object, &ignored) == 0) {
    const char *path;

    for (size_t i = 0; (path = streams_index_path (object, i)); i++)
      if (!streams_path_is_good (path))
        abort ();
    if (streams_find (object, "debian/bookworm", "amd64", &image, &err) > 0 &&
        (!image.serial || !image.root.path || !streams_path_is_good (image.root.path)))
      abort ();
  }
  streams_templates_parse (text, &templates);
  for (size_t i = 0; i < templates.count; i++)
    if (templates.items[i].path[0] != '/' || strchr (templates.items[i].file, '/'))
      abort ();
  autofree char *filled = streams_template_fill (text, "name");
  if (filled && strstr (filled, "{{"))
    abort ();
  return 0;
}
