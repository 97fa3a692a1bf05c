/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What image servers say. */
#include "test.h"
#include "template/streams.h"
#include "template/streams_metadata.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

#define ROOT "\"root.tar.xz\": {\"ftype\": \"root.tar.xz\", \"path\": \"images/r\", \"size\": 3}"
#define SQUASHFS "\"s\": {\"ftype\": \"squashfs\", \"path\": \"images/s\", \"sha256\": \"" A "\"}"
#define METADATA                                                                                   \
  "\"lxd.tar.xz\": {\"ftype\": \"lxd.tar.xz\", \"path\": \"images/m\", "                           \
  "\"combined_rootxz_sha256\": \"" A "\", \"combined_squashfs_sha256\": \"" B "\"}"
#define PRODUCTS(versions)                                                                         \
  "{\"products\": {\"debian:bookworm:amd64:default\": {\"arch\": \"amd64\", \"os\": \"Debian\", "  \
  "\"release\": \"bookworm\", \"aliases\": \"debian/bookworm/default,debian/12\", \"versions\": "  \
  "{" versions "}}}}"

static int find (const char *text, const char *name, const char *arch, struct streams_image *image)
{
  autojson json_object *products = NULL;
  autoerr struct err err = {0};

  *image = (struct streams_image){0};
  assert_int_equal (json_parse_object (text, strlen (text), "products", &products, &err), 0);
  return streams_find (products, name, arch, image, &err);
}

static void images_are_found (void **state)
{
  static const char both[] =
      PRODUCTS ("\"20240101\": {\"items\": {" ROOT "}}, "
                "\"20240301\": {\"items\": {" METADATA "}}, "
                "\"20240201\": {\"items\": {" SQUASHFS "," ROOT "," METADATA "}}");
  static const char *const names[] = {"debian/bookworm", "debian/bookworm/default", "debian/12",
                                      "Debian/bookworm", NULL};
  struct streams_image image;

  (void) state;
  for (const char *const *name = names; *name; name++) {
    assert_int_equal (find (both, *name, "amd64", &image), 1);
    /* The newest that has a root file system, and of those the archive. */
    assert_string_equal (image.serial, "20240201");
    assert_string_equal (image.root.path, "images/r");
    assert_int_equal (image.root.size, 3);
    assert_int_equal (image.combined.bytes[0], 0xaa);
    streams_image_release (&image);
  }
  assert_int_equal (find (PRODUCTS ("\"1\": {\"items\": {" SQUASHFS "," METADATA "}}"), "debian/12",
                          "amd64", &image),
                    1);
  assert_string_equal (image.root.path, "images/s");
  assert_int_equal (image.combined.bytes[0], 0xbb);
  streams_image_release (&image);
  assert_int_equal (find (both, "debian/bookworm", "arm64", &image), 0);
  assert_int_equal (find (both, "debian/bookwor", "amd64", &image), 0);
  assert_int_equal (find (both, "debian/bookworm/cloud", "amd64", &image), 0);
}

static void nonsense_is_refused (void **state)
{
  static const char *const texts[] = {
      "{}",
      "{\"products\": []}",
      PRODUCTS (""),
      PRODUCTS ("\"1\": {}"),
      PRODUCTS ("\"1\": {\"items\": {" METADATA "}}"),
      PRODUCTS ("\"1\": {\"items\": {\"r\": {\"ftype\": \"squashfs\"}}}"),
      PRODUCTS (
          "\"1\": {\"items\": {\"r\": {\"ftype\": \"squashfs\", \"path\": \"/etc/passwd\"}}}"),
      PRODUCTS ("\"1\": {\"items\": {\"r\": {\"ftype\": \"squashfs\", \"path\": \"a/../../b\"}}}"),
      PRODUCTS ("\"1\": {\"items\": {\"r\": {\"ftype\": \"squashfs\", \"path\": \"http://x/\"}}}"),
      PRODUCTS ("\"1\": {\"items\": {\"r\": {\"ftype\": \"squashfs\", \"path\": \"a?b\"}}}"),
      PRODUCTS (
          "\"1\": {\"items\": {\"r\": {\"ftype\": \"squashfs\", \"path\": \"a\", \"size\": -1}}}"),
      PRODUCTS ("\"1\": {\"items\": {\"r\": {\"ftype\": \"squashfs\", \"path\": \"a\", "
                "\"sha256\": \"12\"}}}"),
  };
  struct streams_image image;

  (void) state;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    assert_int_equal (find (texts[i], "debian/12", "amd64", &image), -EBADMSG);
}

static void templates_are_listed (void **state)
{
  static const char yaml[] = "architecture: \"amd64\"\n"
                             "properties:\n"
                             "  /etc/other:\n"
                             "    template: wrong.tpl\n"
                             "templates:\n"
                             "  /etc/hostname:\n"
                             "    when:\n"
                             "    - create\n"
                             "    template: hostname.tpl\n"
                             "  \"/etc/hosts\":\n"
                             "    template: 'hosts.tpl'\n"
                             "    properties: {}\n"
                             "  ../etc/passwd:\n"
                             "    template: a.tpl\n"
                             "  /etc/shadow:\n"
                             "    template: ../a.tpl\n"
                             "  /etc/empty:\n"
                             "more: x\n"
                             "  /etc/late:\n"
                             "    template: late.tpl\n";
  autostreamstemplates struct streams_templates templates = {0};

  (void) state;
  streams_templates_parse (yaml, &templates);
  assert_int_equal (templates.count, 2);
  assert_string_equal (templates.items[0].path, "/etc/hostname");
  assert_string_equal (templates.items[0].file, "hostname.tpl");
  assert_string_equal (templates.items[1].path, "/etc/hosts");
  assert_string_equal (templates.items[1].file, "hosts.tpl");
}

static void names_are_filled_in (void **state)
{
  static const struct {
    const char *text, *filled;
  } cases[] = {
      {"{{ container.name }}\n", "web\n"},
      {"127.0.1.1 {{instance.name}} {x}\n", "127.0.1.1 web {x}\n"},
      {"plain", "plain"},
      {"", ""},
      {"{{ config.user }}", NULL},
      {"{% if x %}", NULL},
      {"{{ container.name", NULL},
      {"{{ container.names }}", NULL},
      {"{", "{"},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    autofree char *filled = streams_template_fill (cases[i].text, "web");

    if (cases[i].filled)
      assert_string_equal (filled, cases[i].filled);
    else
      assert_null (filled);
  }
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (images_are_found),
      cmocka_unit_test (nonsense_is_refused),
      cmocka_unit_test (templates_are_listed),
      cmocka_unit_test (names_are_filled_in),
  };

  return cmocka_run_group_tests_name ("test_streams", tests, NULL, NULL);
}
