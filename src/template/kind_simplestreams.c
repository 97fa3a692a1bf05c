/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image of a server that speaks simplestreams (streams.h): "url", the server; "image",
 * "OS/RELEASE[/VARIANT]"; "arch"; "keyring", when its documents are signed (*.sjson); and sizes and
 * devices as archives have them. */
#include "template/archive.h"
#include "template/kind.h"
#include "template/net.h"
#include "template/streams.h"
#include "template/streams_metadata.h"

#define DEFAULT_SERVER "https://images.linuxcontainers.org"
enum { DOCUMENT_MAX = 128 << 20, METADATA_MAX = 16 << 20 };

struct streams_source {
  char *url;   /* owned; without a slash in the end */
  char *image; /* owned */
  char *arch;  /* owned */
  struct trust documents;
  struct archive_source archive; /* without digests, which the server says */
};

static int from_text (const char *text, json_object *source, struct err *err)
{
  static const char prefix[] = "simplestreams:";

  if (strncmp (text, prefix, strlen (prefix)) != 0)
    return 0;
  text += strlen (prefix);
  const char *hash = strchr (text, '#');
  if (hash) {
    autofree char *url = xstrndup (text, (size_t) (hash - text));

    json_set_string (source, "url", url);
    text = hash + 1;
  }
  if (!*text)
    return err_code (err, ERR_USAGE, "simplestreams:[URL#]OS/RELEASE[/VARIANT] is expected");
  json_set_string (source, "image", text);
  return 1;
}

static bool image_name (const char *text)
{
  size_t parts = 1;

  for (const char *p = text; *p; p++)
    if (*p == '/') {
      if (p == text || p[1] == '/' || !p[1])
        return false;
      parts++;
    }
  return parts == 2 || parts == 3;
}

static void *parse (struct check *check, json_object *source)
{
  struct streams_source *streams = xcalloc (1, sizeof *streams);
  const char *url = check_string (check, source, "url", false);
  const char *image = check_string (check, source, "image", true);
  const char *arch = check_string (check, source, "arch", false);
  const char *keyring = check_string (check, source, "keyring", false);

  if (url && !net_is_url (url))
    check_add (check, "url", "must begin with https:// or http://");
  if (image && !image_name (image))
    check_add (check, "image", "must be OS/RELEASE or OS/RELEASE/VARIANT");
  streams->url = xstrdup (url ? url : DEFAULT_SERVER);
  for (size_t len = strlen (streams->url); len && streams->url[len - 1] == '/'; len--)
    streams->url[len - 1] = '\0';
  streams->image = image ? xstrdup (image) : NULL;
  streams->arch = xstrdup (arch ? arch : streams_arch ());
  trust_check_key_file (check, "keyring", keyring);
  if (keyring) {
    streams->documents.type = TRUST_OPENPGP;
    streams->documents.keyring = xstrdup (keyring);
  }
  streams->archive.max_size = check_size (check, source, "max_size", UINT64_MAX);
  streams->archive.max_unpacked = check_size (check, source, "max_unpacked", 0);
  streams->archive.devices = check_bool (check, source, "devices", false);
  return streams;
}

static void release (void *data)
{
  struct streams_source *streams = data;

  free (streams->url);
  free (streams->image);
  free (streams->arch);
  trust_release (&streams->documents);
  free (streams);
}

static char *describe (const void *data)
{
  const struct streams_source *streams = data;
  autofree char *url = fetch_url_for_people (streams->url);

  return xasprintf ("%s of %s (%s)", streams->image, url, streams->arch);
}

/* Gets the document at @path of the server; a signed one is called *.sjson, and verified. */
static int get_document (const struct streams_source *streams, struct fetch *fetch,
                         const char *path, struct import *import, json_object **ret_object,
                         struct err *err)
{
  static const char suffix[] = ".json";
  bool is_signed = streams->documents.type != TRUST_NONE;
  size_t stem = strlen (path);
  autofree char *text = NULL;
  autoerr struct err parse_err = {0};
  size_t len = 0;

  if (is_signed && stem > strlen (suffix) && strcmp (path + stem - strlen (suffix), suffix) == 0)
    stem -= strlen (suffix);
  autofree char *url =
      xasprintf ("%s/%.*s%s", streams->url, (int) stem, path, path[stem] ? ".sjson" : "");
  autofree char *what = net_base_name (url);
  if (net_get (fetch, url, DOCUMENT_MAX, &text, &len, err) < 0 ||
      trust_document (&streams->documents, fetch, url, what, import, &text, &len, err) < 0)
    return -err->code;
  /* What people write wrongly is a usage error; this is no people's. */
  if (json_parse_object (text, len, what, ret_object, &parse_err) < 0)
    return err_code (err, EBADMSG, "%s", err_text (&parse_err));
  return 0;
}

/* The image, from whichever list of products has it. */
static int find_image (const struct streams_source *streams, struct fetch *fetch,
                       struct import *import, struct streams_image *ret_image, struct err *err)
{
  autojson json_object *index = NULL;
  const char *path;
  int found = 0;

  if (get_document (streams, fetch, "streams/v1/index.json", import, &index, err) < 0)
    return -err->code;
  for (size_t i = 0; !found && (path = streams_index_path (index, i)); i++) {
    autojson json_object *products = NULL;

    if (get_document (streams, fetch, path, import, &products, err) < 0)
      return -err->code;
    found = streams_find (products, streams->image, streams->arch, ret_image, err);
    if (found < 0)
      return err_wrap (err, "%s", path);
  }
  if (!found)
    return err_code (err, ENOENT, "the server has no image %s for %s", streams->image,
                     streams->arch);
  if (!ret_image->root.path ||
      (ret_image->root.sha256.kind == CHECKSUM_NONE && ret_image->combined.kind == CHECKSUM_NONE))
    return err_code (err, EBADMSG, "the server says no digest of the image");
  return 0;
}

static int get_metadata (const struct streams_source *streams, struct fetch *fetch,
                         const struct streams_image *image, struct fetch_request *request,
                         struct err *err)
{
  autofree char *url = xasprintf ("%s/%s", streams->url, image->metadata.path);
  const char *urls[] = {url, NULL};

  request->urls = urls;
  request->sink = FETCH_TO_MEMORY;
  request->size_max = METADATA_MAX;
  if (image->metadata.sha256.kind != CHECKSUM_NONE) {
    request->checksums = &image->metadata.sha256;
    request->checksum_count = 1;
  }
  int ret = fetch_one (fetch, request, err);
  request->urls = NULL;
  return ret;
}

static int get_root (const struct streams_source *streams, struct fetch *fetch,
                     const struct streams_image *image, const struct fetch_result *metadata,
                     struct import *import, struct err *err)
{
  autofree char *url = xasprintf ("%s/%s", streams->url, image->root.path);
  struct archive_source archive = streams->archive;

  if (image->root.sha256.kind != CHECKSUM_NONE)
    archive.trust.digests[archive.trust.digest_count++] = image->root.sha256;
  if (image->combined.kind != CHECKSUM_NONE) {
    archive.trust.combined = image->combined;
    archive.trust.before = metadata->body;
    archive.trust.before_len = metadata->body_len;
  }
  return archive_from_url (&archive, fetch, url, import, err);
}

static int fetch_image (const struct streams_source *streams, struct fetch *fetch,
                        const struct streams_image *image, struct import *import, struct err *err)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  struct fetch_result *metadata = &request.result;
  int ret = 0;

  if (image->metadata.path)
    ret = get_metadata (streams, fetch, image, &request, err);
  if (ret == 0)
    ret = get_root (streams, fetch, image, metadata, import, err);
  if (ret == 0 && metadata->body_len)
    ret = streams_metadata_apply (import, metadata->body, metadata->body_len,
                                  import->name ? import->name : "localhost", err);
  fetch_result_release (metadata);
  return ret;
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  const struct streams_source *streams = data;
  autostreamsimage struct streams_image image = {0};
  autofetch struct fetch *session = NULL;

  if (net_open (&session, err) < 0 || find_image (streams, session, import, &image, err) < 0 ||
      fetch_image (streams, session, &image, import, err) < 0)
    return -err->code;
  import_note_version (import, "serial", image.serial);
  return 0;
}

static int probe (const void *data, json_object *version, struct freshness *ret_freshness,
                  struct err *err)
{
  const struct streams_source *streams = data;
  autostreamsimage struct streams_image image = {0};
  autofetch struct fetch *session = NULL;
  const char *serial = NULL;

  if (version && json_get_string (version, "serial", NULL, &serial, err) < 0)
    return -err->code;
  if (net_open (&session, err) < 0 || find_image (streams, session, NULL, &image, err) < 0)
    return -err->code;
  ret_freshness->newer = !serial || strcmp (image.serial, serial) != 0;
  ret_freshness->what = steal_ptr (&image.serial);
  return 0;
}

static const char *const keys[] = {"url",      "image",        "arch",    "keyring",
                                   "max_size", "max_unpacked", "devices", NULL};
const struct source_kind kind_simplestreams = {
    .name = "simplestreams",
    .summary = "an image of an image server",
    .keys = keys,
    .from_text = from_text,
    .parse = parse,
    .release = release,
    .describe = describe,
    .fetch = fetch,
    .probe = probe,
};
