/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_find.h"

enum { NESTING_MAX = 4 };

static const char index_name[] = "index.json";

void image_release (struct image *image)
{
  image_manifest_release (&image->manifest);
  image_config_release (&image->config);
}

static void copy_descriptor (const struct image_descriptor *from, struct image_descriptor *ret_to)
{
  *ret_to = *from;
  ret_to->media_type = xstrdup (from->media_type);
}

/* A document on the way to the manifest. */
struct step {
  char *text; /* owned */
  size_t len;
  struct checksum digest;
};

static void release_step (struct step *step)
{
  free (step->text);
}
#define autostep __attribute__ ((cleanup (release_step)))

/* The entry of @index for @name and @platform becomes the step. */
static int go_on (const struct image_place *place, const struct image_index *index,
                  const char *name, const struct image_platform *platform, struct step *step,
                  struct err *err)
{
  const struct image_index_entry *entry = image_index_choose (index, name, platform, err);
  struct image_descriptor descriptor;

  if (!entry)
    return -err->code;
  copy_descriptor (&entry->descriptor, &descriptor);
  cleanup_free (&step->text);
  step->text = NULL;
  step->digest = descriptor.digest;
  int ret = image_place_document (place, &descriptor, &step->text, &step->len, err);
  free (descriptor.media_type);
  return ret;
}

/* Through indexes down to the manifest. */
static int go_down (const struct image_place *place, const struct image_platform *platform,
                    struct step *step, struct image *image, struct err *err)
{
  for (unsigned depth = 0; depth < NESTING_MAX; depth++) {
    autoimageindex struct image_index index = {0};
    enum image_kind kind = IMAGE_KIND_UNKNOWN;
    char what[CHECKSUM_TEXT_SIZE];

    checksum_format (&step->digest, what);
    if (image_parse (step->text, step->len, what, &kind, &index, &image->manifest, err) < 0)
      return -err->code;
    image->digest = step->digest;
    if (kind == IMAGE_KIND_MANIFEST)
      return 0;
    if (go_on (place, &index, NULL, platform, step, err) < 0)
      return -err->code;
  }
  return err_code (err, EBADMSG, "its indexes are nested too deeply");
}

static int parse_index (const char *text, size_t len, struct image_index *ret_index,
                        struct err *err)
{
  struct image_manifest manifest = {0};
  enum image_kind kind = IMAGE_KIND_UNKNOWN;

  if (image_parse (text, len, index_name, &kind, ret_index, &manifest, err) < 0)
    return -err->code;
  image_manifest_release (&manifest);
  if (kind != IMAGE_KIND_INDEX)
    return err_code (err, EBADMSG, "%s is no index", index_name);
  return 0;
}

static int start_layout (const struct image_place *place, const struct image_ref *ref,
                         const struct image_platform *platform, struct step *step, struct err *err)
{
  autoimageindex struct image_index index = {0};

  if (image_place_index (place, &step->text, &step->len, err) < 0 ||
      parse_index (step->text, step->len, &index, err) < 0)
    return -err->code;
  return go_on (place, &index, ref->name, platform, step, err);
}

int image_find_in_index (const char *text, size_t len, const struct image_ref *ref,
                         const struct image_platform *platform, struct checksum *ret_top,
                         struct err *err)
{
  autoimageindex struct image_index index = {0};

  if (parse_index (text, len, &index, err) < 0)
    return -err->code;
  const struct image_index_entry *entry = image_index_choose (&index, ref->name, platform, err);
  if (!entry)
    return -err->code;
  *ret_top = entry->descriptor.digest;
  return 0;
}

int image_find_manifest (const char *text, size_t len, const struct checksum *top,
                         const struct image_platform *platform, struct checksum *ret_digest,
                         struct err *err)
{
  autoimageindex struct image_index index = {0};
  autoimagemanifest struct image_manifest manifest = {0};
  enum image_kind kind = IMAGE_KIND_UNKNOWN;
  char what[CHECKSUM_TEXT_SIZE];

  checksum_format (top, what);
  if (image_parse (text, len, what, &kind, &index, &manifest, err) < 0)
    return -err->code;
  *ret_digest = *top;
  if (kind == IMAGE_KIND_MANIFEST)
    return 0;
  const struct image_index_entry *entry = image_index_choose (&index, NULL, platform, err);
  if (!entry)
    return -err->code;
  *ret_digest = entry->descriptor.digest;
  if (image_kind_by_media_type (entry->descriptor.media_type) != IMAGE_KIND_MANIFEST)
    ret_digest->kind = CHECKSUM_NONE;
  return 0;
}

/* An image that stands alone may be for something else than an index would have chosen. */
static int check_platform (const struct image_config *config, const struct image_platform *platform,
                           struct err *err)
{
  if (image_platform_match (platform, config->os, config->architecture, config->variant))
    return 0;
  autofree char *wanted = image_platform_format (platform);
  return err_code (err, ENOENT, "it is for %.30s/%.30s%s%.10s, and %s is wanted: see \"platform\"",
                   config->os, config->architecture, config->variant ? "/" : "",
                   config->variant ? config->variant : "", wanted);
}

static int find_config (const struct image_place *place, const struct image_platform *platform,
                        struct image *image, struct err *err)
{
  autofree char *text = NULL;
  char what[CHECKSUM_TEXT_SIZE];
  size_t len = 0;

  checksum_format (&image->manifest.config.digest, what);
  if (image_place_document (place, &image->manifest.config, &text, &len, err) < 0 ||
      image_config_parse (text, len, what, &image->config, err) < 0 ||
      check_platform (&image->config, platform, err) < 0)
    return -err->code;
  if (image->config.diff_id_count != image->manifest.layer_count)
    return err_code (err, EBADMSG, "its config has %zu layers, and its manifest %zu",
                     image->config.diff_id_count, image->manifest.layer_count);
  return 0;
}

int image_find (const struct image_place *place, const struct image_ref *ref,
                const struct image_platform *platform, struct image *ret_image, struct err *err)
{
  autoimage struct image image = {0};
  autostep struct step step = {0};
  int ret = ref->transport == IMAGE_REGISTRY
                ? image_place_top (place, ref->tag, &ref->digest, &step.text, &step.len,
                                   &step.digest, err)
                : start_layout (place, ref, platform, &step, err);

  if (ret < 0)
    return ret;
  image.top = step.digest;
  if (go_down (place, platform, &step, &image, err) < 0 ||
      find_config (place, platform, &image, err) < 0)
    return -err->code;
  *ret_image = image;
  image = (struct image){0};
  return 0;
}
