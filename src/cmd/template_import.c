/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate import NAME SOURCE */
#include "cmd.h"
#include "cmd/template_report.h"
#include "template/definition.h"
#include "template/import.h"
#include "template/kind.h"

/* Options that are keys of the source. */
struct arguments {
  const char *sha256;
  const char *sha512;
  const char *sums;
  const char *signature;
  const char *keyring;
  const char *key;
  const char *max_size;
  const char *max_unpacked;
  const char *platform;
  bool require_signature;
  bool devices;
};

static void set (json_object *object, const char *key, const char *value)
{
  if (value)
    json_set_string (object, key, value);
}

/* On a command line a file is named from where one is; else it is among the administrator's. */
static void set_file (json_object *object, const char *key, const char *value)
{
  autofree char *path = value ? realpath (value, NULL) : NULL;

  set (object, key, path ? path : value);
}

/* The signature's type is told by what it is verified with; signify's can be verified as those of
 * minisign are, but have no trusted comment. */
static int set_signature (json_object *source, const struct arguments *arguments, struct err *err)
{
  json_object *signature = NULL;

  if (!arguments->signature && !arguments->keyring && !arguments->key)
    return 0;
  if (arguments->keyring && arguments->key)
    return err_code (err, ERR_USAGE, "--keyring is for OpenPGP, --key for minisign and signify");
  signature = json_object_new_object ();
  json_set_string (signature, "type", arguments->keyring ? "openpgp" : "signify");
  set (signature, "url", arguments->signature);
  set_file (signature, "keyring", arguments->keyring);
  set_file (signature, "key", arguments->key);
  json_put (source, "signature", signature);
  return 0;
}

static int make_object (const char *text, const struct arguments *arguments,
                        json_object **ret_object, struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  json_object *source = kind_source_from_text (text, err);

  if (!source)
    return -err->code;
  json_put (object, "source", source);
  set (source, "sha256", arguments->sha256);
  set (source, "sha512", arguments->sha512);
  set (source, "sums", arguments->sums);
  set (source, "max_size", arguments->max_size);
  set (source, "max_unpacked", arguments->max_unpacked);
  set (source, "platform", arguments->platform);
  if (arguments->devices)
    json_set_bool (source, "devices", true);
  if (arguments->require_signature)
    json_set_bool (object, "require_signature", true);
  if (set_signature (source, arguments, err) < 0)
    return -err->code;
  *ret_object = steal_ptr (&object);
  return 0;
}

int cmd_template_import (struct context *context, int argc, char **argv, struct err *err)
{
  struct import_options import = {0};
  struct arguments arguments = {0};
  const struct option_spec specs[] = {
      {"sha256", 0, "HEX", "the archive's digest", NULL, &arguments.sha256, NULL},
      {"sha512", 0, "HEX", "the same", NULL, &arguments.sha512, NULL},
      {"sums", 0, "URL", "a file of digests, such as SHA256SUMS", NULL, &arguments.sums, NULL},
      {"signature", 0, "URL", "of that file, or else of the archive", NULL, &arguments.signature,
       NULL},
      {"keyring", 0, "FILE", "keys for an OpenPGP signature", NULL, &arguments.keyring, NULL},
      {"key", 0, "KEY", "for one of minisign or signify", NULL, &arguments.key, NULL},
      {"require-signature", 0, NULL, "refuse what no signature vouches for",
       &arguments.require_signature, NULL, NULL},
      {"max-size", 0, "SIZE", "of the archive, such as 500M", NULL, &arguments.max_size, NULL},
      {"max-unpacked", 0, "SIZE", "of what comes out of it", NULL, &arguments.max_unpacked, NULL},
      {"platform", 0, "PLATFORM", "of an image, such as linux/arm64", NULL, &arguments.platform,
       NULL},
      {"creds", 0, "USER:PASSWORD", "for the image's registry", NULL, &import.creds, NULL},
      {"devices", 0, NULL, "keep all device nodes of a fetched archive", &arguments.devices, NULL,
       NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  static const char usage[] =
      "Usage: vtemplate import [OPTION…] NAME SOURCE\n"
      "Makes a template from an archive (tar, cpio, zip, 7-zip, ISO 9660, xar or squashfs, plain "
      "or compressed): a file, a URL, or \"-\" for stdin; from a directory; or from an image of "
      "containers (docker://…, oci:…, oci-archive:…).\n";
  autojson json_object *object = NULL;
  autoroot struct vroot *root = NULL;
  autodefinition struct definition definition = {0};
  struct writer_report report = {0};
  int first, dashes;

  if (options_parse (context, specs, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if (argc - first != 2)
    return err_code (err, ERR_USAGE, "a name and a source are expected; see --help");
  if (make_object (argv[first + 1], &arguments, &object, err) < 0 ||
      definition_from_object (object, "import", &definition, err) < 0 ||
      context_open_root (context, /* write= */ true, &root, err) < 0 ||
      import_definition (root, argv[first], &definition, &import, &report, err) < 0)
    return -err->code;
  return template_report_print (context, argv[first], &report);
}
