/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net.h"
#include "util/clock.h"
#include "util/conf.h"
#include "util/fd.h"
#include "util/progress.h"
#include "util/strbuf.h"
#include <inttypes.h>
#include <strings.h>

int net_open (struct fetch **ret_fetch, struct err *err)
{
  autojson json_object *conf = NULL;
  struct fetch_config config = {0};

  if (conf_read (&conf, err) < 0)
    return -err->code;
  if (json_get_string (conf, "proxy", NULL, &config.proxy, err) < 0 ||
      json_get_string (conf, "no_proxy", NULL, &config.no_proxy, err) < 0 ||
      json_get_string (conf, "ca_file", NULL, &config.ca_file, err) < 0 ||
      json_get_string (conf, "ca_dir", NULL, &config.ca_dir, err) < 0)
    return conf_wrap (err);
  return fetch_open (&config, ret_fetch, err);
}

bool net_is_url (const char *text)
{
  return strncasecmp (text, "http://", 7) == 0 || strncasecmp (text, "https://", 8) == 0;
}

/* Where the path of a URL begins; the whole of what is no URL. */
static size_t path_start (const char *url)
{
  const char *host = net_is_url (url) ? strstr (url, "://") + 3 : url;

  return (size_t) (host - url) + (host == url ? 0 : strcspn (host, "/?#"));
}

char *net_resolve (const char *base, const char *reference)
{
  size_t start = path_start (base);
  size_t end = start + strcspn (base + start, net_is_url (base) ? "?#" : "");

  if (net_is_url (reference) || (reference[0] == '/' && !net_is_url (base)))
    return xstrdup (reference);
  if (reference[0] == '/')
    return xasprintf ("%.*s%s", (int) start, base, reference);
  while (end > start && base[end - 1] != '/')
    end--;
  return xasprintf ("%.*s%s%s", (int) end, base, end == start && net_is_url (base) ? "/" : "",
                    reference);
}

char *net_base_name (const char *url)
{
  size_t start = path_start (url);
  size_t end = start + strcspn (url + start, net_is_url (url) ? "?#" : "");
  size_t name = end;

  while (name > start && url[name - 1] != '/')
    name--;
  return xstrndup (url + name, end - name);
}

int net_get (struct fetch *fetch, const char *url, size_t maximum, char **ret_data, size_t *ret_len,
             struct err *err)
{
  const char *urls[] = {url, NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;

  if (!net_is_url (url))
    return fd_read_file (AT_FDCWD, url, maximum, ret_data, ret_len, err);
  request.urls = urls;
  request.sink = FETCH_TO_MEMORY;
  request.size_max = maximum;
  int ret = fetch_one (fetch, &request, err);
  if (ret == 0) {
    *ret_data = steal_ptr (&request.result.body);
    *ret_len = request.result.body_len;
    if (!*ret_data)
      *ret_data = xstrdup ("");
  }
  fetch_result_release (&request.result);
  return ret;
}

static void add_mib (struct strbuf *line, double bytes)
{
  strbuf_addf (line, "%.1f", bytes / (1 << 20));
}

void net_show (const char *what, uint64_t done, uint64_t total, uint64_t start_us)
{
  double seconds = clock_seconds_since (start_us);
  double rate = seconds > 0 ? (double) done / seconds : 0;
  autostrbuf struct strbuf line = STRBUF_INIT (4096);

  strbuf_addf (&line, "%s: ", what);
  add_mib (&line, (double) done);
  if (total) {
    strbuf_adds (&line, " of ");
    add_mib (&line, (double) total);
  }
  strbuf_adds (&line, " MiB, ");
  add_mib (&line, rate);
  strbuf_adds (&line, " MiB/s");
  if (total > done && rate > 0 && seconds > 0.5) {
    uint64_t left = (uint64_t) ((double) (total - done) / rate);

    strbuf_addf (&line, ", %" PRIu64 ":%02u left", left / 60, (unsigned) (left % 60));
  }
  progress_line (strbuf_str (&line));
}
