/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of images, their documents, and what registries ask. */
#include "test.h"
#include "template/image_document.h"
#include "template/image_guest.h"
#include "template/image_overlay.h"
#include "template/image_ref.h"
#include "template/registry_auth.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void references_have_one_full_form (void **state)
{
  static const struct {
    const char *text;
    const char *full; /* NULL: refused */
  } cases[] = {
      {"docker://debian", "docker://docker.io/library/debian:latest"},
      {"docker://debian:12", "docker://docker.io/library/debian:12"},
      {"docker://a/b", "docker://docker.io/a/b:latest"},
      {"docker://index.docker.io/a", "docker://docker.io/library/a:latest"},
      {"docker://localhost/a", "docker://localhost/a:latest"},
      {"docker://Host.Example:5000/a/b/c:T", "docker://host.example:5000/a/b/c:T"},
      {"docker://[::1]:5000/a", "docker://[::1]:5000/a:latest"},
      {"docker://a@sha256:" A, "docker://docker.io/library/a@sha256:" A},
      {"docker://a:t@sha256:" A, "docker://docker.io/library/a:t@sha256:" A},
      {"oci:/a/b", "oci:/a/b"},
      {"oci:a:v1.0", "oci:a:v1.0"},
      {"oci-archive:/a.tar:x", "oci-archive:/a.tar:x"},
      {"docker://", NULL},
      {"docker://Debian", NULL},
      {"docker://a//b", NULL},
      {"docker://a/../b", NULL},
      {"docker://a..b/c", NULL},
      {"docker://h.x:0/a", NULL},
      {"docker://h.x:70000/a", NULL},
      {"docker://h.x@evil/a", NULL},
      {"docker://a:", NULL},
      {"docker://a:-t", NULL},
      {"docker://a:t/b", NULL},
      {"docker://a@sha256:AA", NULL},
      {"docker://a@md5:d41d8cd98f00b204e9800998ecf8427e", NULL},
      {"docker://a?x=1", NULL},
      {"docker://h.x/a b", NULL},
      {"oci:", NULL},
      {"oci:a:", NULL},
      {"oci:a:\n", NULL},
      {"debian", NULL},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autoimageref struct image_ref ref = {0};
    autoerr struct err err = {0};
    int ret = image_ref_parse (cases[i].text, &ref, &err);

    if (!cases[i].full) {
      assert_int_equal (ret, -ERR_USAGE);
      continue;
    }
    assert_int_equal (ret, 0);
    autofree char *full = image_ref_format (&ref);
    assert_string_equal (full, cases[i].full);
  }
}

#define DESCRIPTOR(type, more)                                                                     \
  "{\"mediaType\": \"application/vnd.oci.image." type ".v1+json\", \"digest\": \"sha256:" A        \
  "\", \"size\": 3" more "}"
#define LAYER                                                                                      \
  "{\"mediaType\": \"application/vnd.oci.image.layer.v1.tar+gzip\", \"digest\": \"sha256:" B       \
  "\", \"size\": 4}"

static int parse (const char *text, enum image_kind *kind, struct image_index *index,
                  struct image_manifest *manifest)
{
  autoerr struct err err = {0};

  return image_parse (text, strlen (text), "text", kind, index, manifest, &err);
}

static void documents_are_what_they_say (void **state)
{
  static const char good[] =
      "{\"schemaVersion\": 2, \"config\": " DESCRIPTOR ("config", "") ", "
                                                                      "\"layers\": [" LAYER
                                                                      ", " LAYER "]}";
  static const char *const bad[] = {
      "[]",
      "{}",
      "{\"schemaVersion\": 2, \"manifests\": [], \"layers\": []}",
      "{\"schemaVersion\": 1, \"manifests\": []}",
      "{\"schemaVersion\": 1, \"fsLayers\": []}",
      "{\"schemaVersion\": 2, \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\", "
      "\"manifests\": []}",
      "{\"schemaVersion\": 2, \"manifests\": [1]}",
      "{\"schemaVersion\": 2, \"config\": " DESCRIPTOR ("config", "") "}",
      "{\"schemaVersion\": 2, \"config\": " DESCRIPTOR ("index", "") ", \"layers\": []}",
      "{\"schemaVersion\": 2, \"config\": " DESCRIPTOR ("config", "") ", \"layers\": [{}]}",
      "{\"schemaVersion\": 2, \"config\": {\"mediaType\": \"a\", \"digest\": \"sha256:../x\", "
      "\"size\": 1}, \"layers\": []}",
      "{\"schemaVersion\": 2, \"manifests\": [{\"mediaType\": \"x\", \"digest\": \"sha256:" A
      "\", \"size\": -1}]}",
  };
  autoimagemanifest struct image_manifest manifest = {0};
  struct image_index index = {0};
  enum image_kind kind = IMAGE_KIND_UNKNOWN;

  (void) state;
  assert_int_equal (parse (good, &kind, &index, &manifest), 0);
  assert_int_equal (kind, IMAGE_KIND_MANIFEST);
  assert_int_equal (manifest.layer_count, 2);
  assert_int_equal (manifest.layers[1].size, 4);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal (parse (bad[i], &kind, &index, &manifest), -EBADMSG);
}

#define FOR(architecture, variant)                                                                 \
  DESCRIPTOR ("manifest", ", \"platform\": {\"os\": \"linux\", \"architecture\": \"" architecture  \
                          "\", \"variant\": \"" variant "\"}")

static unsigned chosen (const struct image_index *index, const char *platform_text)
{
  struct image_platform platform;
  autoerr struct err err = {0};

  assert_int_equal (image_platform_parse (platform_text, &platform, &err), 0);
  const struct image_index_entry *entry = image_index_choose (index, NULL, &platform, &err);
  return entry ? (unsigned) (entry - index->entries) : 99;
}

static void the_best_variant_is_chosen (void **state)
{
  static const char text[] = "{\"schemaVersion\": 2, \"manifests\": [" FOR ("arm", "v5") ", " FOR (
      "arm", "v7") ", " FOR ("amd64", "") ", " FOR ("arm64", "v8") ", " FOR ("amd64", "v3") "]}";
  autoimageindex struct image_index index = {0};
  struct image_manifest manifest = {0};
  enum image_kind kind = IMAGE_KIND_UNKNOWN;

  (void) state;
  assert_int_equal (parse (text, &kind, &index, &manifest), 0);
  assert_int_equal (index.count, 5);
  assert_int_equal (chosen (&index, "linux/arm/v7"), 1);
  assert_int_equal (chosen (&index, "arm/v6"), 0);
  assert_int_equal (chosen (&index, "x86_64"), 2);
  assert_int_equal (chosen (&index, "amd64/v3"), 4);
  assert_int_equal (chosen (&index, "aarch64"), 3);
  assert_int_equal (chosen (&index, "s390x"), 99);
}

static void a_config_becomes_settings (void **state)
{
  static const char text[] =
      "{\"os\": \"linux\", \"architecture\": \"amd64\", \"rootfs\": {\"type\": \"layers\", "
      "\"diff_ids\": [\"sha256:" A
      "\"]}, \"config\": {\"Env\": [\"PATH=/a:/b\", \"1=x\", \"none\", "
      "\"E=\"], \"Entrypoint\": [\"/e\"], \"Cmd\": [\"a b\", \"\"], \"User\": \"www:33\", "
      "\"WorkingDir\": \"srv//app/\", \"StopSignal\": \"SIGRTMIN+3\"}}";
  static const char settings[] =
      "{\"command\":[\"/e\",\"a b\",\"\"],\"environment\":{\"PATH\":\"/a:/b\",\"E\":\"\"},"
      "\"working_dir\":\"/srv/app\",\"user\":\"www:33\",\"stop_signal\":\"SIGRTMIN+3\"}";
  autojson json_object *guest = json_object_new_object ();
  autoimageconfig struct image_config config = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (image_config_parse (text, strlen (text), "text", &config, &err), 0);
  assert_int_equal (config.diff_id_count, 1);
  assert_int_equal (image_guest (&config, guest, &err), 0);
  assert_string_equal (json_object_to_json_string_ext (guest, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE),
                       settings);
  free (config.stop_signal);
  config.stop_signal = xstrdup ("SIGNOTHING");
  assert_int_equal (image_guest (&config, guest, &err), -EBADMSG);
  assert_non_null (strstr (err_text (&err), "SIGNOTHING"));
}

static void challenges (void **state)
{
  static const struct {
    const char *values[2];
    enum registry_scheme scheme;
    const char *realm;
  } cases[] = {
      {{"Basic realm=\"r\""}, REGISTRY_AUTH_BASIC, "r"},
      {{"bearer realm=\"https://a/t\",service=\"s\", scope=\"x\""},
       REGISTRY_AUTH_BEARER,
       "https://a/t"},
      {{"Basic realm=b, Bearer realm=\"c\\\"d\""}, REGISTRY_AUTH_BEARER, "c\"d"},
      {{"Bearer realm=c", "Basic realm=b"}, REGISTRY_AUTH_BEARER, "c"},
      {{"Negotiate abc, Basic realm=b"}, REGISTRY_AUTH_BASIC, "b"},
      {{"Bearer service=s"}, REGISTRY_AUTH_NONE, NULL},
      {{"Bearer realm=\"open"}, REGISTRY_AUTH_NONE, NULL},
      {{"Bearer realm=\"a\r\nb\""}, REGISTRY_AUTH_NONE, NULL},
      {{"Digest realm=x"}, REGISTRY_AUTH_NONE, NULL},
      {{""}, REGISTRY_AUTH_NONE, NULL},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autochallenge struct registry_challenge challenge = {0};

    for (size_t value = 0; value < 2 && cases[i].values[value]; value++)
      registry_challenge_add (&challenge, cases[i].values[value]);
    assert_int_equal (challenge.scheme, cases[i].scheme);
    if (cases[i].realm)
      assert_string_equal (challenge.realm, cases[i].realm);
  }
}

/* "YTpi" and the like are the base64 of "a:b", … */
static void passwords_by_the_longest_path (void **state)
{
  static const char text[] =
      "{\"auths\": {\"h.x\": {\"auth\": \"aG9zdDpw\"}, \"h.x/a\": {\"auth\": \"YTpwOnE=\"}, "
      "\"h.x/a/b\": {\"username\": \"ab\", \"password\": \"x\"}, \"h.x/empty\": {}, "
      "\"https://index.docker.io/v1/\": {\"auth\": \"aHViOnA=\"}}, \"credHelpers\": {}}";
  static const struct {
    const char *host, *repository, *user, *password;
  } cases[] = {
      {"h.x", "other", "host", "p"},
      {"h.x", "a/c", "a", "p:q"},
      {"h.x", "a/b/c", "ab", "x"},
      {"h.x", "ab", "host", "p"},
      {"docker.io", "library/debian", "hub", "p"},
      {"h.y", "a", NULL, NULL},
      {"h.x", "empty", NULL, NULL},
  };
  static const char *const bad[] = {"{\"auths\": []}", "{\"auths\": {\"h.x\": {\"auth\": \"!\"}}}",
                                    "{\"auths\": {\"h.x\": {\"auth\": \"AAAA\"}}}",
                                    "{\"auths\": {\"h.x\": 3}}"};

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autocreds struct registry_creds creds = {0};
    autoerr struct err err = {0};

    assert_int_equal (registry_creds_from_json (text, strlen (text), "auth.json", cases[i].host,
                                                cases[i].repository, &creds, &err),
                      cases[i].user ? 1 : 0);
    if (!cases[i].user)
      continue;
    assert_string_equal (creds.user, cases[i].user);
    assert_string_equal (creds.password, cases[i].password);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    autocreds struct registry_creds creds = {0};
    autoerr struct err err = {0};

    assert_int_equal (
        registry_creds_from_json (bad[i], strlen (bad[i]), "auth.json", "h.x", "a", &creds, &err),
        -ERR_USAGE);
  }
}

static void whiteouts (void **state)
{
  const char *name = NULL;

  (void) state;
  assert_int_equal (whiteout_kind ("wh.a", &name), WHITEOUT_NONE);
  assert_int_equal (whiteout_kind (".wh.a", &name), WHITEOUT_NAME);
  assert_string_equal (name, "a");
  assert_int_equal (whiteout_kind (".wh..wh..opq", &name), WHITEOUT_OPAQUE);
  assert_int_equal (whiteout_kind (".wh..wh.plnk", &name), WHITEOUT_NOTE);
  assert_int_equal (whiteout_kind (".wh.", &name), WHITEOUT_BAD);
  assert_int_equal (whiteout_kind (".wh...", &name), WHITEOUT_BAD);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (references_have_one_full_form),
      cmocka_unit_test (documents_are_what_they_say),
      cmocka_unit_test (the_best_variant_is_chosen),
      cmocka_unit_test (a_config_becomes_settings),
      cmocka_unit_test (challenges),
      cmocka_unit_test (passwords_by_the_longest_path),
      cmocka_unit_test (whiteouts),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
