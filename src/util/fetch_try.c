/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch_internal.h"
#include <inttypes.h>

static size_t on_header (char *data, size_t size, size_t count, void *user)
{
  struct transfer *transfer = user;

  /* What comes after the body has begun are trailers. */
  if (transfer->body == FETCH_BODY_UNKNOWN)
    fetch_headers_add (&transfer->headers, data, size * count);
  return size * count;
}

static size_t on_write (char *data, size_t size, size_t count, void *user)
{
  struct transfer *transfer = user;
  size_t len = size * count;

  if (transfer->body == FETCH_BODY_UNKNOWN && fetch_body_begin (transfer) < 0)
    return 0;
  if (transfer->body == FETCH_BODY_FILE && transfer->stream &&
      fetch_stream_full (transfer->stream)) {
    transfer->paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (len && fetch_body_add (transfer, data, len) < 0)
    return 0;
  return len;
}

/* May the rest alone be asked for? */
static bool can_continue (const struct transfer *transfer)
{
  return transfer->offset && !transfer->no_range &&
         (transfer->expected || (transfer->validator && transfer->validator_at == transfer->at));
}

static void add_header (struct transfer *transfer, const char *line)
{
  struct curl_slist *list = libcurl.curl_slist_append (transfer->list, line);

  if (!list)
    err_out_of_memory ();
  transfer->list = list;
}

static void add_header_value (struct transfer *transfer, const char *name, const char *value)
{
  autofree char *line = xasprintf ("%s: %s", name, value);

  add_header (transfer, line);
}

static void set_range (struct transfer *transfer)
{
  transfer->range_from = can_continue (transfer) ? transfer->offset : 0;
  if (!transfer->range_from)
    return;
  autofree char *range = xasprintf ("%" PRIu64 "-", transfer->range_from);
  curl_easy_setopt (transfer->easy, CURLOPT_RANGE, range);
  if (transfer->validator && transfer->validator_at == transfer->at)
    add_header_value (transfer, "If-Range", transfer->validator);
}

static void set_credentials (struct transfer *transfer)
{
  const struct fetch_request *request = transfer->request;
  const struct fetch_place *place = &transfer->places[transfer->at];
  const struct fetch_host *home = transfer->places[0].host;
  autofree char *origin = fetch_url_origin (fetch_transfer_url (transfer));
  bool at_home = origin && home && strcmp (origin, home->origin) == 0;
  const char *user = NULL, *password = NULL;

  if (at_home && request->user) {
    user = request->user;
    password = request->password;
  } else if (place->user && origin && strcmp (origin, place->host->origin) == 0) {
    user = place->user;
    password = place->password;
  }
  if (user) {
    curl_easy_setopt (transfer->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt (transfer->easy, CURLOPT_USERNAME, user);
    curl_easy_setopt (transfer->easy, CURLOPT_PASSWORD, password ? password : "");
  }
  if (!at_home)
    return;
  if (request->bearer && !user) {
    autofree char *value = xasprintf ("Bearer %s", request->bearer);

    add_header_value (transfer, "Authorization", value);
  }
  for (size_t i = 0; request->headers && request->headers[i]; i++)
    add_header (transfer, request->headers[i]);
}

static void set_conditions (struct transfer *transfer)
{
  const struct fetch_request *request = transfer->request;

  if (request->if_none_match)
    add_header_value (transfer, "If-None-Match", request->if_none_match);
  if (request->if_modified_since)
    add_header_value (transfer, "If-Modified-Since", request->if_modified_since);
  if (transfer->no_cache)
    add_header (transfer, "Cache-Control: no-cache");
}

static void set_protocols (CURL *easy, unsigned schemes)
{
#if LIBCURL_VERSION_NUM >= 0x075500
  autofree char *names = xasprintf (
      "%s%s%s%s", schemes & FETCH_HTTP ? "http," : "", schemes & FETCH_HTTPS ? "https," : "",
      schemes & FETCH_FTP ? "ftp," : "", schemes & FETCH_FILE ? "file," : "");

  names[strlen (names) - 1] = '\0';
  curl_easy_setopt (easy, CURLOPT_PROTOCOLS_STR, names);
#else
  long mask =
      (schemes & FETCH_HTTP ? CURLPROTO_HTTP : 0) | (schemes & FETCH_HTTPS ? CURLPROTO_HTTPS : 0) |
      (schemes & FETCH_FTP ? CURLPROTO_FTP : 0) | (schemes & FETCH_FILE ? CURLPROTO_FILE : 0);

  curl_easy_setopt (easy, CURLOPT_PROTOCOLS, mask);
#endif
}

static void set_host_options (CURL *easy, const struct fetch_config *config)
{
  if (config->proxy)
    curl_easy_setopt (easy, CURLOPT_PROXY, config->proxy);
  if (config->no_proxy)
    curl_easy_setopt (easy, CURLOPT_NOPROXY, config->no_proxy);
  curl_easy_setopt (easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt (easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt (easy, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt (easy, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
  curl_easy_setopt (easy, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
  /* What is said replaces what the host has. */
  if (config->ca_file || config->ca_dir) {
    curl_easy_setopt (easy, CURLOPT_CAINFO, config->ca_file);
    curl_easy_setopt (easy, CURLOPT_CAPATH, config->ca_dir);
    curl_easy_setopt (easy, CURLOPT_PROXY_CAINFO, config->ca_file);
    curl_easy_setopt (easy, CURLOPT_PROXY_CAPATH, config->ca_dir);
  }
}

static void set_options (struct transfer *transfer)
{
  const struct fetch_config *config = &transfer->fetch->config;
  CURL *easy = transfer->easy;

  curl_easy_setopt (easy, CURLOPT_PRIVATE, transfer);
  curl_easy_setopt (easy, CURLOPT_URL, fetch_transfer_url (transfer));
  set_protocols (easy, config->schemes);
  curl_easy_setopt (easy, CURLOPT_SHARE, transfer->fetch->share);
  curl_easy_setopt (easy, CURLOPT_ERRORBUFFER, transfer->message);
  curl_easy_setopt (easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (easy, CURLOPT_USERAGENT, config->user_agent);
  /* Redirects are followed here, not there: each is judged, and takes no credentials along. */
  curl_easy_setopt (easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt (easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  curl_easy_setopt (easy, CURLOPT_CONNECTTIMEOUT, (long) config->connect_timeout_s);
  curl_easy_setopt (easy, CURLOPT_LOW_SPEED_LIMIT, (long) config->stall_bytes);
  curl_easy_setopt (easy, CURLOPT_LOW_SPEED_TIME, (long) config->stall_s);
  curl_easy_setopt (easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt (easy, CURLOPT_BUFFERSIZE, 128L << 10);
  curl_easy_setopt (easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt (easy, CURLOPT_WRITEFUNCTION, on_write);
  curl_easy_setopt (easy, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt (easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt (easy, CURLOPT_HEADERDATA, transfer);
  if (transfer->request->sink == FETCH_HEAD)
    curl_easy_setopt (easy, CURLOPT_NOBODY, 1L);
  set_host_options (easy, config);
}

int fetch_try_start (struct transfer *transfer, struct err *err)
{
  transfer->easy = libcurl.curl_easy_init ();
  if (!transfer->easy)
    return err_code (err, ENOMEM, "libcurl gave no handle");
  transfer->message[0] = '\0';
  transfer->body = FETCH_BODY_UNKNOWN;
  transfer->skip = 0;
  transfer->fault = FETCH_PENDING;
  transfer->enough = false;
  transfer->paused = false;
  transfer->refusal_received = 0;
  strbuf_truncate (&transfer->refusal, 0);
  fetch_headers_release (&transfer->headers);
  err_release (&transfer->err);

  set_options (transfer);
  set_range (transfer);
  set_credentials (transfer);
  set_conditions (transfer);
  curl_easy_setopt (transfer->easy, CURLOPT_HTTPHEADER, transfer->list);
  CURLMcode code = libcurl.curl_multi_add_handle (transfer->fetch->multi, transfer->easy);
  if (code != CURLM_OK)
    return err_code (err, EIO, "libcurl: %s", libcurl.curl_multi_strerror (code));
  transfer->request->result.tries++;
  transfer->state = TRANSFER_TRYING;
  return 0;
}

void fetch_try_release (struct transfer *transfer)
{
  if (transfer->easy) {
    libcurl.curl_multi_remove_handle (transfer->fetch->multi, transfer->easy);
    libcurl.curl_easy_cleanup (transfer->easy);
    transfer->easy = NULL;
  }
  libcurl.curl_slist_free_all (transfer->list);
  transfer->list = NULL;
}
