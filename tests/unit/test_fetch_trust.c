/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/fetch.h: certificates, redirects, who gets credentials, proxies. */
#include "fetching.h"
#include "util/subprocess.h"

static void ask (struct fetch_request *request, const char *const *urls)
{
  httpd_forget (&httpd);
  fetch_result_release (&request->result);
  *request = (struct fetch_request) FETCH_REQUEST_INIT;
  request->sink = FETCH_TO_MEMORY;
  request->size_max = SIZE;
  request->urls = urls;
}

/* With nothing but what @config says. */
static void run_with (struct fetch_config config, struct fetch_request *request,
                      enum fetch_outcome outcome)
{
  struct fetch *fetch = NULL;
  autoerr struct err err = {0};

  config.pause_ms = 1;
  config.retries = 2;
  assert_int_equal (fetch_open (&config, &fetch, &err), 0);
  assert_int_equal (fetch_run (fetch, request, 1, &err), 0);
  fetch_close (fetch);
  if (request->result.outcome != outcome)
    print_message ("%s: outcome %d: %s\n", request->urls[0], request->result.outcome,
                   err_text (&request->result.err));
  assert_int_equal (request->result.outcome, outcome);
}

static void fetch_from (enum httpd_port port, struct fetch_config config,
                        enum fetch_outcome outcome)
{
  autofree char *url = httpd_url (&httpd, port, "small");
  const char *urls[] = {url, NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;

  ask (&request, urls);
  run_with (config, &request, outcome);
  if (outcome == FETCH_FORBIDDEN) {
    /* Refused without a request, and not asked again. */
    assert_int_equal (request.result.err.code, EPERM);
    assert_int_equal (request.result.tries, 1);
    assert_int_equal (httpd_logged (&httpd, "GET"), 0);
  }
  fetch_result_release (&request.result);
}

static void certificates_are_verified (void **state)
{
  autofree char *ca = httpd_ca (&httpd, "ca.pem");
  autofree char *other = httpd_ca (&httpd, "other-ca.pem");
  struct fetch_config with_ca = {.ca_file = ca};

  (void) state;
  fetch_from (HTTPD_HTTPS, (struct fetch_config){0}, FETCH_FORBIDDEN);
  fetch_from (HTTPD_HTTPS, (struct fetch_config){.ca_file = other}, FETCH_FORBIDDEN);
  fetch_from (HTTPD_HTTPS, with_ca, FETCH_DONE);
  fetch_from (HTTPD_EXPIRED, with_ca, FETCH_FORBIDDEN);
  fetch_from (HTTPD_NAME, with_ca, FETCH_FORBIDDEN);
}

static void certificates_from_the_environment (void **state)
{
  autofree char *ca = httpd_ca (&httpd, "ca.pem");
  autofree char *other = httpd_ca (&httpd, "other-ca.pem");
  autofree char *dir = xasprintf ("%s/hashed", httpd.path);
  autofree char *link = xasprintf ("%s/hashed/ca.pem", httpd.path);
  const char *const rehash[] = {"openssl", "rehash", dir, NULL};
  autoerr struct err err = {0};
  struct fetch *fetch = NULL;
  int status = -1;

  (void) state;
  setenv ("SSL_CERT_FILE", ca, 1);
  fetch_from (HTTPD_HTTPS, (struct fetch_config){0}, FETCH_DONE);
  fetch_from (HTTPD_HTTPS, (struct fetch_config){.ca_file = other}, FETCH_FORBIDDEN);
  setenv ("CURL_CA_BUNDLE", other, 1);
  fetch_from (HTTPD_HTTPS, (struct fetch_config){0}, FETCH_FORBIDDEN);
  setenv ("CURL_CA_BUNDLE", ca, 1);
  unsetenv ("SSL_CERT_FILE");
  fetch_from (HTTPD_HTTPS, (struct fetch_config){0}, FETCH_DONE);
  unsetenv ("CURL_CA_BUNDLE");

  assert_int_equal (mkdir (dir, 0755), 0);
  assert_int_equal (symlink (ca, link), 0);
  assert_int_equal (
      subprocess_run (
          &(struct subprocess){.argv = rehash, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1},
          &status, &err),
      0);
  assert_int_equal (status, 0);
  setenv ("SSL_CERT_DIR", dir, 1);
  fetch_from (HTTPD_HTTPS, (struct fetch_config){0}, FETCH_DONE);
  setenv ("SSL_CERT_DIR", "/nowhere", 1);
  assert_int_equal (fetch_open (&(struct fetch_config){0}, &fetch, &err), -ERR_USAGE);
  assert_non_null (strstr (err.msg, "SSL_CERT_DIR"));
  unsetenv ("SSL_CERT_DIR");
}

/* Of a redirect from @from to @to: the caller's. */
static char *redirect (enum httpd_port from, enum httpd_port to, const char *tail)
{
  autofree char *there = httpd_url (&httpd, to, tail);
  autofree char *here = xasprintf ("redirect?redirect=%s", there);

  return httpd_url (&httpd, from, here);
}

static void redirects_are_followed (void **state)
{
  autofree char *ca = httpd_ca (&httpd, "ca.pem");
  struct fetch_config config = {.ca_file = ca};
  struct fetch_request request = FETCH_REQUEST_INIT;
  static const enum httpd_port pairs[][2] = {{HTTPD_HTTP, HTTPD_HTTP},
                                             {HTTPD_HTTP, HTTPD_OTHER},
                                             {HTTPD_HTTP, HTTPD_HTTPS},
                                             {HTTPD_HTTPS, HTTPD_HTTPS}};

  (void) state;
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    autofree char *url = redirect (pairs[i][0], pairs[i][1], "small");
    autofree char *target = httpd_url (&httpd, pairs[i][1], "small");
    const char *urls[] = {url, NULL};

    ask (&request, urls);
    run_with (config, &request, FETCH_DONE);
    assert_memory_equal (request.result.body, data, 1000);
    assert_string_equal (request.result.url, target);
  }
  autofree char *relative = httpd_url (&httpd, HTTPD_HTTP, "x/y?redirect=../small&code=308");
  ask (&request, (const char *const[]){relative, NULL});
  run_with (config, &request, FETCH_DONE);
  fetch_result_release (&request.result);
}

static void redirects_that_are_refused (void **state)
{
  autofree char *ca = httpd_ca (&httpd, "ca.pem");
  struct fetch_config config = {.ca_file = ca, .schemes = 15};
  struct fetch_request request = FETCH_REQUEST_INIT;
  autofree char *down = redirect (HTTPD_HTTPS, HTTPD_HTTP, "small");
  autofree char *file = httpd_url (&httpd, HTTPD_HTTP, "r?redirect=file:///etc/passwd");
  autofree char *ftp = httpd_url (&httpd, HTTPD_HTTP, "r?redirect=ftp://127.0.0.1:1/x");
  const char *const refused[] = {down, file, ftp};

  (void) state;
  for (size_t i = 0; i < 3; i++) {
    ask (&request, (const char *const[]){refused[i], NULL});
    run_with (config, &request, FETCH_FORBIDDEN);
    assert_int_equal (request.result.err.code, EPERM);
    assert_int_equal (httpd_logged (&httpd, ""), 1);
  }
  fetch_result_release (&request.result);
}

static void redirects_without_an_end (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  autofree char *loop = httpd_url (&httpd, HTTPD_HTTP, "small?loop");

  (void) state;
  ask (&request, (const char *const[]){loop, NULL});
  run_with ((struct fetch_config){0}, &request, FETCH_FORBIDDEN);
  assert_int_equal (httpd_logged (&httpd, "GET"), FETCH_REDIRECTS_MAX + 1);
  fetch_result_release (&request.result);
}

/* Behind a redirect as before one. */
static void redirected_files_are_continued (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  autofree char *url = redirect (HTTPD_HTTP, HTTPD_OTHER, "data%3Fcut=100000");

  (void) state;
  ask (&request, (const char *const[]){url, NULL});
  run_with ((struct fetch_config){0}, &request, FETCH_DONE);
  assert_memory_equal (request.result.body, data, SIZE);
  assert_int_equal (request.result.received, SIZE);
  fetch_result_release (&request.result);
}

static void basic_authentication (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  autofree char *url = httpd_url (&httpd, HTTPD_HTTP, "small?auth=user:s%3Acret");
  autofree char *with = xasprintf ("http://user:s%%3Acret@127.0.0.1:%u/small?auth=user:s%%3Acret",
                                   httpd.ports[HTTPD_HTTP]);
  autofree char *wrong = xasprintf ("http://user:hidden@127.0.0.1:%u/small?auth=user:s%%3Acret",
                                    httpd.ports[HTTPD_HTTP]);

  (void) state;
  ask (&request, (const char *const[]){url, NULL});
  run_with ((struct fetch_config){0}, &request, FETCH_REFUSED);
  assert_int_equal (request.result.err.code, EACCES);
  assert_string_equal (fetch_header (&request.result, "WWW-Authenticate"), "Basic realm=\"test\"");
  ask (&request, (const char *const[]){url, NULL});
  request.user = "user";
  request.password = "s:cret";
  run_with ((struct fetch_config){0}, &request, FETCH_DONE);
  ask (&request, (const char *const[]){with, NULL});
  run_with ((struct fetch_config){0}, &request, FETCH_DONE);
  ask (&request, (const char *const[]){wrong, NULL});
  run_with ((struct fetch_config){0}, &request, FETCH_REFUSED);
  assert_null (strstr (request.result.err.msg, "hidden"));
  assert_null (strstr (request.result.url, "hidden"));
  fetch_result_release (&request.result);
}

/* The first URL's host gets them, and no other: mirrors, targets of redirects. */
static void credentials_stay_at_home (void **state)
{
  static const char *const headers[] = {"X-Test: mine", NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;
  autofree char *at_home = redirect (HTTPD_HTTP, HTTPD_HTTP, "small?bearer=token");
  autofree char *away = redirect (HTTPD_HTTP, HTTPD_OTHER, "small");
  autofree char *missing = httpd_url (&httpd, HTTPD_HTTP, "missing");
  autofree char *mirror = httpd_url (&httpd, HTTPD_OTHER, "small");
  autofree char *localhost = xasprintf ("http://127.0.0.1:%u/x?redirect=http://localhost:%u/small",
                                        httpd.ports[HTTPD_HTTP], httpd.ports[HTTPD_HTTP]);
  const char *const lists[][3] = {{away, NULL}, {missing, mirror, NULL}, {localhost, NULL}};

  (void) state;
  ask (&request, (const char *const[]){at_home, NULL});
  request.bearer = "token";
  request.headers = headers;
  run_with ((struct fetch_config){0}, &request, FETCH_DONE);
  assert_int_equal (httpd_logged (&httpd, "Authorization=Bearer token X-Test=mine"), 2);
  for (size_t i = 0; i < 3; i++) {
    for (int basic = 0; basic < 2; basic++) {
      ask (&request, lists[i]);
      request.bearer = basic ? NULL : "token";
      request.user = basic ? "user" : NULL;
      request.password = "token";
      request.headers = headers;
      run_with ((struct fetch_config){0}, &request, FETCH_DONE);
      assert_int_equal (httpd_logged (&httpd, "GET"), 2);
      assert_int_equal (httpd_logged (&httpd, "Authorization="), 1);
      assert_int_equal (httpd_logged (&httpd, "X-Test="), 1);
    }
  }
  fetch_result_release (&request.result);
}

/* "user:password@" in a redirect is nobody's: it is not sent. */
static void credentials_in_redirects (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  autofree char *url =
      xasprintf ("http://127.0.0.1:%u/x?redirect=http://evil:one@127.0.0.1:%u/small",
                 httpd.ports[HTTPD_HTTP], httpd.ports[HTTPD_OTHER]);

  (void) state;
  ask (&request, (const char *const[]){url, NULL});
  run_with ((struct fetch_config){0}, &request, FETCH_DONE);
  assert_int_equal (httpd_logged (&httpd, "Authorization="), 0);
  fetch_result_release (&request.result);
}

/* "files.test" is known to the proxy only. */
static void proxies_from_the_environment (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  autofree char *ca = httpd_ca (&httpd, "ca.pem");
  autofree char *proxy = httpd_url (&httpd, HTTPD_PROXY, "");
  autofree char *http = xasprintf ("http://files.test:%u/small", httpd.ports[HTTPD_HTTP]);
  autofree char *https = httpd_url (&httpd, HTTPD_HTTPS, "small");
  autofree char *direct = httpd_url (&httpd, HTTPD_HTTP, "small");
  const char *const http_urls[] = {http, NULL};
  const char *const https_urls[] = {https, NULL};
  const char *const direct_urls[] = {direct, NULL};

  (void) state;
  setenv ("http_proxy", proxy, 1);
  setenv ("HTTPS_PROXY", proxy, 1);
  setenv ("no_proxy", "localhost,127.0.0.2", 1);
  ask (&request, http_urls);
  run_with ((struct fetch_config){0}, &request, FETCH_DONE);
  assert_int_equal (httpd_logged (&httpd, "proxy GET http://files.test:"), 1);
  ask (&request, https_urls);
  run_with ((struct fetch_config){.ca_file = ca}, &request, FETCH_DONE);
  assert_int_equal (httpd_logged (&httpd, "proxy CONNECT 127.0.0.1:"), 1);
  setenv ("no_proxy", "localhost,127.0.0.1", 1);
  ask (&request, direct_urls);
  run_with ((struct fetch_config){0}, &request, FETCH_DONE);
  assert_int_equal (httpd_logged (&httpd, "proxy"), 0);
  unsetenv ("no_proxy");
  ask (&request, direct_urls);
  run_with ((struct fetch_config){.proxy = ""}, &request, FETCH_DONE);
  assert_int_equal (httpd_logged (&httpd, "proxy"), 0);
  unsetenv ("http_proxy");
  unsetenv ("HTTPS_PROXY");
  ask (&request, http_urls);
  run_with ((struct fetch_config){.proxy = proxy}, &request, FETCH_DONE);
  assert_int_equal (httpd_logged (&httpd, "proxy GET http://files.test:"), 1);
  fetch_result_release (&request.result);
}

static void urls_for_people (void **state)
{
  static const char *const pairs[][2] = {{"http://u:secret@host/a?token=secret#x", "http://host/a"},
                                         {"https://host:8443/a%20b", "https://host:8443/a%20b"},
                                         {"http://u:secret@host:port/", "\"host:port/\""},
                                         {"no\nURL", "\"no?URL\""}};

  (void) state;
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    autofree char *shown = fetch_url_for_people (pairs[i][0]);

    assert_string_equal (shown, pairs[i][1]);
  }
}

static int setup (void **state)
{
  static const char *const names[] = {
      "http_proxy", "https_proxy", "HTTPS_PROXY",    "all_proxy",     "ALL_PROXY",
      "no_proxy",   "NO_PROXY",    "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"};

  (void) state;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    unsetenv (names[i]);
  return start_server (/* tls= */ true);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (certificates_are_verified),
      cmocka_unit_test (certificates_from_the_environment),
      cmocka_unit_test (redirects_are_followed),
      cmocka_unit_test (redirects_that_are_refused),
      cmocka_unit_test (redirects_without_an_end),
      cmocka_unit_test (redirected_files_are_continued),
      cmocka_unit_test (basic_authentication),
      cmocka_unit_test (credentials_stay_at_home),
      cmocka_unit_test (credentials_in_redirects),
      cmocka_unit_test (proxies_from_the_environment),
      cmocka_unit_test (urls_for_people),
  };

  return cmocka_run_group_tests (tests, setup, teardown);
}
