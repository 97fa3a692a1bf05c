/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch_internal.h"
#include <strings.h>

enum { SHOWN_MAX = 200 };

static void cleanup_curlu (CURLU **url)
{
  if (*url)
    libcurl.curl_url_cleanup (*url);
}

static void cleanup_curl_free (char **text)
{
  libcurl.curl_free (*text);
}

#define autocurlu __attribute__ ((cleanup (cleanup_curlu)))
#define autocurlfree __attribute__ ((cleanup (cleanup_curl_free)))

/* NULL for what is no URL with a scheme, and without libcurl: of what is called before there is a
 * session, messages do without. */
static CURLU *parse (const char *text)
{
  autoerr struct err missing = {0};

  if (libcurl_load (&missing) < 0)
    return NULL;
  CURLU *url = libcurl.curl_url ();
  if (!url)
    err_out_of_memory ();
  if (libcurl.curl_url_set (url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
    return url;
  libcurl.curl_url_cleanup (url);
  return NULL;
}

static char *get_part (CURLU *url, CURLUPart part, unsigned flags)
{
  autocurlfree char *text = NULL;

  return libcurl.curl_url_get (url, part, &text, flags) == CURLUE_OK && text ? xstrdup (text)
                                                                             : NULL;
}

static void drop_secrets (CURLU *url)
{
  libcurl.curl_url_set (url, CURLUPART_USER, NULL, 0);
  libcurl.curl_url_set (url, CURLUPART_PASSWORD, NULL, 0);
  libcurl.curl_url_set (url, CURLUPART_OPTIONS, NULL, 0);
}

char *fetch_url_strip (const char *text)
{
  autocurlu CURLU *url = parse (text);

  if (!url)
    return NULL;
  drop_secrets (url);
  return get_part (url, CURLUPART_URL, 0);
}

char *fetch_url_for_people (const char *text)
{
  autocurlu CURLU *url = parse (text);
  char *shown = NULL;

  if (url) {
    drop_secrets (url);
    libcurl.curl_url_set (url, CURLUPART_QUERY, NULL, 0);
    libcurl.curl_url_set (url, CURLUPART_FRAGMENT, NULL, 0);
    shown = get_part (url, CURLUPART_URL, 0);
  }
  if (shown)
    return shown;
  /* What cannot be taken apart: nothing before an @, as it may be a password, and no query. */
  const char *at = strrchr (text, '@');
  const char *from = at ? at + 1 : text;
  size_t len = strcspn (from, "?#");
  shown = xasprintf ("\"%.*s\"", len < SHOWN_MAX ? (int) len : SHOWN_MAX, from);
  for (char *p = shown; *p; p++)
    if ((unsigned char) *p < ' ' || *p == 0x7f)
      *p = '?';
  return shown;
}

char *fetch_url_origin (const char *text)
{
  autocurlu CURLU *url = parse (text);

  if (!url)
    return NULL;
  autofree char *scheme = get_part (url, CURLUPART_SCHEME, 0);
  autofree char *host = get_part (url, CURLUPART_HOST, 0);
  autofree char *port = get_part (url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (!scheme)
    return NULL;
  char *origin = xasprintf ("%s://%s:%s", scheme, host ? host : "", port ? port : "");
  for (char *p = origin; *p; p++)
    if (*p >= 'A' && *p <= 'Z')
      *p = (char) (*p - 'A' + 'a');
  return origin;
}

unsigned fetch_url_scheme (const char *url)
{
  static const struct {
    const char *start;
    unsigned scheme;
  } schemes[] = {
      {"http:", FETCH_HTTP}, {"https:", FETCH_HTTPS}, {"ftp:", FETCH_FTP}, {"file:", FETCH_FILE}};

  for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
    if (strncasecmp (url, schemes[i].start, strlen (schemes[i].start)) == 0)
      return schemes[i].scheme;
  return 0;
}

static struct fetch_host *find_host (struct fetch *fetch, const char *origin)
{
  struct fetch_host *host = fetch->hosts;

  while (host && strcmp (host->origin, origin) != 0)
    host = host->next;
  if (host)
    return host;
  host = xcalloc (1, sizeof *host);
  host->origin = xstrdup (origin);
  host->next = fetch->hosts;
  return fetch->hosts = host;
}

int fetch_place_init (struct fetch *fetch, const char *text, struct fetch_place *ret_place,
                      struct err *err)
{
  autofree char *shown = fetch_url_for_people (text);
  autocurlu CURLU *url = parse (text);
  autofree char *origin = fetch_url_origin (text);

  if (!url || !origin)
    return err_code (err, EPERM, "%s is no URL", shown);
  if (!(fetch_url_scheme (origin) & fetch->config.schemes))
    return err_code (err, EPERM, "%s: a URL with \"%.*s:\" is not fetched", shown,
                     (int) strcspn (origin, ":"), origin);
  *ret_place = (struct fetch_place){
      .user = get_part (url, CURLUPART_USER, CURLU_URLDECODE),
      .password = get_part (url, CURLUPART_PASSWORD, CURLU_URLDECODE),
      .host = find_host (fetch, origin),
  };
  drop_secrets (url);
  ret_place->url = get_part (url, CURLUPART_URL, 0);
  if (!ret_place->url) {
    fetch_place_release (ret_place);
    return err_code (err, EPERM, "%s is no URL", shown);
  }
  return 0;
}

void fetch_place_release (struct fetch_place *place)
{
  free (place->url);
  free (place->user);
  free (place->password);
  *place = (struct fetch_place){0};
}

const char *fetch_transfer_url (const struct transfer *transfer)
{
  return transfer->redirected ? transfer->redirected : transfer->places[transfer->at].url;
}
