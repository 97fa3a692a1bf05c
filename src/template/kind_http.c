/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An archive of a web server as a source: "url", and the keys of archives. */
#include "template/archive.h"
#include "template/kind.h"
#include "template/net.h"

struct http_source {
  char *url; /* owned */
  struct archive_source archive;
};

static int from_text (const char *text, json_object *source, struct err *err)
{
  (void) err;
  if (!net_is_url (text))
    return 0;
  json_set_string (source, "url", text);
  return 1;
}

static void *parse (struct check *check, json_object *source)
{
  struct http_source *http = xcalloc (1, sizeof *http);
  const char *url = check_string (check, source, "url", true);

  if (url && !net_is_url (url))
    check_add (check, "url", "must begin with https:// or http://");
  http->url = url ? xstrdup (url) : NULL;
  archive_parse (check, source, /* devices= */ false, &http->archive);
  return http;
}

static void release (void *data)
{
  struct http_source *http = data;

  free (http->url);
  archive_release (&http->archive);
  free (http);
}

static char *describe (const void *data)
{
  const struct http_source *http = data;

  return fetch_url_for_people (http->url);
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  const struct http_source *http = data;
  autofetch struct fetch *session = NULL;

  if (net_open (&session, err) < 0)
    return -err->code;
  return archive_from_url (&http->archive, session, http->url, import, err);
}

/* Asks for its head on the condition that it is not what we have. */
static int probe (const void *data, json_object *version, struct freshness *ret_freshness,
                  struct err *err)
{
  const struct http_source *http = data;
  const char *urls[] = {http->url, NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;
  autofetch struct fetch *session = NULL;
  const char *etag = NULL, *modified = NULL;

  if (version && (json_get_string (version, "etag", NULL, &etag, err) < 0 ||
                  json_get_string (version, "last_modified", NULL, &modified, err) < 0))
    return -err->code;
  if (net_open (&session, err) < 0)
    return -err->code;
  request.urls = urls;
  request.sink = FETCH_HEAD;
  request.if_none_match = etag;
  request.if_modified_since = etag ? NULL : modified;
  int ret = fetch_one (session, &request, err);
  if (ret == 0) {
    const char *now = fetch_header (&request.result, "ETag");
    const char *date = fetch_header (&request.result, "Last-Modified");

    /* Servers that do not know conditions say it all again. */
    bool same = request.result.outcome == FETCH_NOT_MODIFIED ||
                (etag && now && strcmp (etag, now) == 0) ||
                (!etag && modified && date && strcmp (modified, date) == 0);
    ret_freshness->newer = !same;
    ret_freshness->what = date ? xstrdup (date) : NULL;
  }
  fetch_result_release (&request.result);
  return ret;
}

static const char *const keys[] = {"url", ARCHIVE_KEYS, NULL};
const struct source_kind kind_http = {
    .name = "http",
    .summary = "an archive of a web server",
    .keys = keys,
    .from_text = from_text,
    .parse = parse,
    .release = release,
    .describe = describe,
    .fetch = fetch,
    .probe = probe,
};
