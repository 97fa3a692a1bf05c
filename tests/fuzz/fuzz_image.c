/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What names images and registries answer: references, indexes, manifests, configs, auth.json,
 * WWW-Authenticate, tokens, whiteouts. The first byte chooses. */
#include "template/image_document.h"
#include "template/image_guest.h"
#include "template/image_overlay.h"
#include "template/image_ref.h"
#include "template/registry_auth.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What parses must come out as something that parses to the same. */
static void try_reference (const char *text)
{
  autoimageref struct image_ref ref = {0}, again = {0};
  autoerr struct err err = {0};

  if (image_ref_parse (text, &ref, &err) < 0)
    return;
  autofree char *formatted = image_ref_format (&ref);
  if (image_ref_parse (formatted, &again, &err) < 0)
    abort ();
  autofree char *formatted_again = image_ref_format (&again);
  if (strcmp (formatted, formatted_again) != 0)
    abort ();
  if (ref.transport == IMAGE_REGISTRY && (strstr (ref.repository, "..") || strchr (ref.host, '/')))
    abort ();
}

static void try_platform (const char *text)
{
  struct image_platform platform, again;
  autoerr struct err err = {0};

  if (image_platform_parse (text, &platform, &err) < 0)
    return;
  autofree char *formatted = image_platform_format (&platform);
  if (image_platform_parse (formatted, &again, &err) < 0 ||
      strcmp (platform.architecture, again.architecture) != 0 || platform.variant != again.variant)
    abort ();
}

static void try_document (const char *text, size_t len)
{
  autoimageindex struct image_index index = {0};
  autoimagemanifest struct image_manifest manifest = {0};
  const struct image_platform platform = {"arm", 7};
  enum image_kind kind;
  autoerr struct err err = {0}, other = {0};

  if (image_parse (text, len, "input", &kind, &index, &manifest, &err) < 0)
    return;
  if (kind == IMAGE_KIND_INDEX)
    image_index_choose (&index, "name", &platform, &other);
  else if (!manifest.config.media_type || manifest.layer_count > IMAGE_LAYERS_MAX)
    abort ();
}

static void try_config (const char *text, size_t len)
{
  autojson json_object *guest = json_object_new_object ();
  autoimageconfig struct image_config config = {0};
  autoerr struct err err = {0};

  if (image_config_parse (text, len, "input", &config, &err) == 0)
    image_guest (&config, guest, &err);
}

static void try_auth (const char *text, size_t len)
{
  autocreds struct registry_creds creds = {0};
  autoerr struct err err = {0};

  if (registry_creds_from_json (text, len, "input", "localhost:5000", "a/b", &creds, &err) > 0 &&
      (!creds.user || !creds.password))
    abort ();
}

static void try_answers (const char *text, size_t len)
{
  autochallenge struct registry_challenge challenge = {0};
  autofree char *token = NULL;
  autoerr struct err err = {0};
  const char *name = NULL;

  registry_challenge_add (&challenge, text);
  registry_challenge_add (&challenge, text);
  if (challenge.scheme == REGISTRY_AUTH_BEARER && !challenge.realm)
    abort ();
  if (registry_token_parse (text, len, &token, &err) == 0 && strpbrk (token, "\r\n "))
    abort ();
  if (whiteout_kind (text, &name) == WHITEOUT_NAME && !*name)
    abort ();
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (!size)
    return 0;
  autofree char *text = xstrndup ((const char *) data + 1, size - 1);
  size_t len = strlen (text);

  switch (data[0] % 6) {
  case 0:
    try_reference (text);
    break;
  case 1:
    try_platform (text);
    break;
  case 2:
    try_document (text, len);
    break;
  case 3:
    try_config (text, len);
    break;
  case 4:
    try_auth (text, len);
    break;
  default:
    try_answers (text, len);
  }
  return 0;
}
