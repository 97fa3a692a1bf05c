/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/fetch.h: servers in trouble, mirrors, hosts that are down, stalls, signals, progress. */
#include "fetching.h"
#include "util/interrupt.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void ask_for_data (struct fetch_request *request)
{
  clear ("a");
  to_file (request, "a");
  request->checksums = &sha256;
  request->checksum_count = 1;
}

static void trouble_passes (void **state)
{
  static const char *const tails[] = {"data?fail=500,2", "data?fail=503,2", "data?fail=408,2",
                                      "data?fail=429,2", "data?drop=2"};
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
    ask_for_data (&request);
    run ((struct fetch_config){.retries = 2}, &request, tails[i], FETCH_DONE);
    assert_file ("a", data, SIZE);
    assert_int_equal (request.result.tries, 3);
    fetch_result_release (&request.result);
  }
}

static void trouble_that_stays_is_told (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  uint64_t start = clock_us ();

  (void) state;
  ask_for_data (&request);
  run ((struct fetch_config){.retries = 3, .pause_ms = 100}, &request, "data?fail=500",
       FETCH_NETWORK);
  /* 100, 200 and 400 ms, but for jitter. */
  assert_in_range (clock_us () - start, 700000 * 3 / 4, 3000000);
  assert_int_equal (httpd_logged (&httpd, "GET"), 4);
  assert_int_equal (request.result.status, 500);
  assert_non_null (strstr (request.result.err.msg, "HTTP status 500"));
  assert_string_equal (request.result.body, "this is why\n");
  assert_false (exists ("a.part"));
  fetch_result_release (&request.result);
}

static void refusals_are_final (void **state)
{
  static const struct {
    const char *tail;
    int code;
  } refusals[] = {{"missing", ENOENT},
                  {"data?fail=403", EACCES},
                  {"data?fail=410", ENOENT},
                  {"data?fail=418", EPROTO},
                  {"data?auth=a:b", EACCES}};
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    ask_for_data (&request);
    run ((struct fetch_config){0}, &request, refusals[i].tail, FETCH_REFUSED);
    assert_int_equal (request.result.err.code, refusals[i].code);
    assert_int_equal (httpd_logged (&httpd, "GET"), 1);
    fetch_result_release (&request.result);
  }
}

static void retry_after_is_obeyed_within_bounds (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  uint64_t start = clock_us ();

  (void) state;
  ask_for_data (&request);
  run ((struct fetch_config){0}, &request, "data?fail=429,1&retry_after=1", FETCH_DONE);
  assert_in_range (clock_us () - start, 1000000, 5000000);
  start = clock_us ();
  ask_for_data (&request);
  run ((struct fetch_config){.pause_max_ms = 1000}, &request, "data?fail=503,1&retry_after=3600",
       FETCH_DONE);
  assert_in_range (clock_us () - start, 1000000, 5000000);
  fetch_result_release (&request.result);
}

/* Each try brings it forward: then they do not count. */
static void cut_connections_are_continued (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  ask_for_data (&request);
  run ((struct fetch_config){.retries = 1}, &request, "data?cut=70000", FETCH_DONE);
  assert_file ("a", data, SIZE);
  assert_int_equal (request.result.received, SIZE);
  assert_int_equal (httpd_logged (&httpd, "GET"), 5);
  /* Too little each time. */
  ask_for_data (&request);
  run ((struct fetch_config){.retries = 2}, &request, "data?cut=1000", FETCH_NETWORK);
  assert_int_equal (httpd_logged (&httpd, "GET"), 3);
  assert_true (exists ("a.part"));
  /* From the start each time, and never to the end. */
  ask_for_data (&request);
  run ((struct fetch_config){.retries = 2}, &request, "data?cut=100000&norange", FETCH_NETWORK);
  assert_in_range (httpd_logged (&httpd, "GET"), 3, 4);
  /* The end comes too early without a word. */
  ask_for_data (&request);
  request.size = SIZE;
  run ((struct fetch_config){0}, &request, "data?cut=100000,1&nolength", FETCH_DONE);
  assert_int_equal (request.result.received, SIZE);
  ask_for_data (&request);
  run ((struct fetch_config){.retries = 1}, &request, "data?length=400000", FETCH_DONE);
  assert_int_equal (request.result.received, SIZE);
  fetch_result_release (&request.result);
}

static void mirrors_are_tried_in_turn (void **state)
{
  autofree char *missing = httpd_url (&httpd, HTTPD_HTTP, "missing");
  autofree char *trouble = httpd_url (&httpd, HTTPD_HTTP, "data?fail=500");
  autofree char *wrong = httpd_url (&httpd, HTTPD_HTTP, "data.other");
  autofree char *broken = httpd_url (&httpd, HTTPD_HTTP, "data?cut=200000");
  autofree char *good = httpd_url (&httpd, HTTPD_OTHER, "data");
  const char *const lists[][4] = {
      {missing, good, NULL},  {trouble, good, NULL},
      {wrong, good, NULL},    {missing, "http://127.0.0.1:1/x", good, NULL},
      {"no URL", good, NULL}, {broken, good, NULL}};
  static const uint64_t received[] = {SIZE, SIZE, 2 * SIZE, SIZE, SIZE, SIZE};
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    uint64_t start = clock_us ();

    ask_for_data (&request);
    request.urls = lists[i];
    run ((struct fetch_config){.pause_ms = 10000}, &request, "mirrors", FETCH_DONE);
    assert_file ("a", data, SIZE);
    assert_int_equal (request.result.received, received[i]);
    assert_true (clock_us () - start < 5000000);
    fetch_result_release (&request.result);
  }
}

static void mirrors_that_all_fail (void **state)
{
  autofree char *missing = httpd_url (&httpd, HTTPD_HTTP, "missing");
  autofree char *trouble = httpd_url (&httpd, HTTPD_OTHER, "data?fail=500");
  autofree char *wrong = httpd_url (&httpd, HTTPD_HTTP, "data.other");
  const char *two[] = {missing, trouble, NULL}, *three[] = {wrong, wrong, wrong, NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  ask_for_data (&request);
  request.urls = two;
  run ((struct fetch_config){.retries = 2}, &request, "mirrors", FETCH_NETWORK);
  assert_int_equal (httpd_logged (&httpd, "missing"), 1);
  assert_int_equal (httpd_logged (&httpd, "fail=500"), 3);
  assert_non_null (strstr (request.result.err.msg, "last of 2 URLs"));
  ask_for_data (&request);
  request.urls = three;
  run ((struct fetch_config){0}, &request, "mirrors", FETCH_MISMATCH);
  assert_int_equal (httpd_logged (&httpd, "GET"), 2);
  fetch_result_release (&request.result);
}

static void stalls_end (void **state)
{
  struct fetch_config config = {.stall_s = 1, .stall_bytes = 1000, .retries = FETCH_NO_RETRIES};
  struct fetch_request request = FETCH_REQUEST_INIT;
  uint64_t start = clock_us ();

  (void) state;
  ask_for_data (&request);
  run (config, &request, "data?stall=100000", FETCH_NETWORK);
  assert_int_equal (request.result.err.code, ETIMEDOUT);
  assert_true (clock_us () - start < 8000000);
  assert_true (exists ("a.part"));
  /* It is continued. */
  request.checksum_count = 1;
  run (config, &request, "data", FETCH_DONE);
  assert_int_equal (request.result.received, SIZE - 100000);
  fetch_result_release (&request.result);
}

/* Each waits for the place that the other one has, if nobody gives it up. */
static void mirrors_crosswise (void **state)
{
  autofree char *first = httpd_url (&httpd, HTTPD_HTTP, "data?fail=500");
  autofree char *second = httpd_url (&httpd, HTTPD_OTHER, "data?fail=500");
  autofree char *first_good = httpd_url (&httpd, HTTPD_HTTP, "data");
  autofree char *second_good = httpd_url (&httpd, HTTPD_OTHER, "data");
  const char *const urls[2][3] = {{first, second_good, NULL}, {second, first_good, NULL}};
  autofetch struct fetch *fetch =
      open_session ((struct fetch_config){.parallel = 2, .parallel_host = 1});
  struct fetch_request requests[2] = {{0}};
  autoerr struct err err = {0};

  (void) state;
  clear ("a");
  clear ("b");
  for (size_t i = 0; i < 2; i++) {
    to_file (&requests[i], i ? "b" : "a");
    requests[i].urls = urls[i];
  }
  assert_int_equal (fetch_run (fetch, requests, 2, &err), 0);
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal (requests[i].result.outcome, FETCH_DONE);
    fetch_result_release (&requests[i].result);
  }
}

/* A listener that accepts nobody: once its queue is full, connections hang. */
static void connections_that_hang (void **state)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), clients[4];
  struct fetch_config config = {.connect_timeout_s = 1, .retries = FETCH_NO_RETRIES};
  struct fetch_request request = FETCH_REQUEST_INIT;
  socklen_t len = sizeof address;
  uint64_t start;

  (void) state;
  assert_int_equal (bind (listener, (struct sockaddr *) &address, sizeof address), 0);
  assert_int_equal (listen (listener, 0), 0);
  assert_int_equal (getsockname (listener, (struct sockaddr *) &address, &len), 0);
  for (size_t i = 0; i < 4; i++) {
    clients[i] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void) connect (clients[i], (struct sockaddr *) &address, sizeof address);
  }
  usleep (100000);
  autofree char *url = xasprintf ("http://127.0.0.1:%u/x", ntohs (address.sin_port));
  request.sink = FETCH_HEAD;
  request.urls = (const char *const[]){url, NULL};
  start = clock_us ();
  run (config, &request, "hang", FETCH_NETWORK);
  assert_int_equal (request.result.err.code, ETIMEDOUT);
  assert_in_range (clock_us () - start, 900000, 4000000);
  for (size_t i = 0; i < 4; i++)
    close (clients[i]);
  close (listener);
  fetch_result_release (&request.result);
}

/* Many files of a host that does not answer take no longer than one. */
static void a_host_that_is_down_is_left_alone (void **state)
{
  enum { COUNT = 200 };
  static const char *const urls[] = {"http://127.0.0.1:1/x", NULL};
  struct fetch_request *requests = xcalloc (COUNT, sizeof *requests);
  autofetch struct fetch *fetch =
      open_session ((struct fetch_config){.retries = 2, .pause_ms = 100});
  autoerr struct err err = {0};
  uint64_t start = clock_us ();
  unsigned tries = 0;

  (void) state;
  for (size_t i = 0; i < COUNT; i++) {
    requests[i] = (struct fetch_request) FETCH_REQUEST_INIT;
    requests[i].sink = FETCH_HEAD;
    requests[i].urls = urls;
  }
  assert_int_equal (fetch_run (fetch, requests, COUNT, &err), 0);
  for (size_t i = 0; i < COUNT; i++) {
    assert_int_equal (requests[i].result.outcome, FETCH_NETWORK);
    assert_int_equal (requests[i].result.err.code, ENETUNREACH);
    tries += requests[i].result.tries;
    fetch_result_release (&requests[i].result);
  }
  assert_in_range (tries, 3, 12);
  assert_true (clock_us () - start < 3000000);
  free (requests);
}

static void signals_end_it (void **state)
{
  autofree char *url = httpd_url (&httpd, HTTPD_HTTP, "data?slow=10000");
  autofree char *other = httpd_url (&httpd, HTTPD_HTTP, "data?slow=10001");
  const char *urls[] = {url, NULL}, *others[] = {other, NULL};
  autofetch struct fetch *fetch = open_session ((struct fetch_config){.parallel = 1});
  struct fetch_request requests[2] = {{0}};
  autoerr struct err err = {0};
  uint64_t start = clock_us ();

  (void) state;
  interrupt_install ();
  clear ("a");
  clear ("b");
  to_file (&requests[0], "a");
  requests[0].urls = urls;
  to_file (&requests[1], "b");
  requests[1].urls = others;
  pid_t pid = fork ();
  if (pid == 0) {
    usleep (400000);
    kill (getppid (), SIGINT);
    _exit (0);
  }
  assert_int_equal (fetch_run (fetch, requests, 2, &err), -ERR_INTERRUPTED);
  /* Long before the server, which is slow, has sent it. */
  assert_true (clock_us () - start < 6000000);
  waitpid (pid, NULL, 0);
  interrupt_set_aside ();
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal (requests[i].result.outcome, FETCH_INTERRUPTED);
    assert_int_equal (requests[i].result.err.code, ERR_INTERRUPTED);
  }
  assert_true (exists ("a.part"));
  assert_false (exists ("a") || exists ("b") || exists ("b.part"));
  /* What is there is taken up, and the session works. */
  err_release (&err);
  assert_int_equal (fetch_run (fetch, requests, 1, &err), 0);
  assert_int_equal (requests[0].result.outcome, FETCH_DONE);
  assert_true (requests[0].result.received < SIZE);
  assert_file ("a", data, SIZE);
  fetch_result_release (&requests[0].result);
  fetch_result_release (&requests[1].result);
}

struct seen {
  size_t calls;
  struct fetch_progress last;
};

static void on_progress (void *user, const struct fetch_progress *progress)
{
  struct seen *seen = user;

  assert_true (progress->done >= seen->last.done && progress->ended >= seen->last.ended);
  assert_true (progress->files == 2 && progress->done <= 2 * SIZE);
  assert_true (progress->total == 2 * SIZE);
  seen->last = *progress;
  seen->calls++;
}

static void progress_is_told (void **state)
{
  autofree char *url = httpd_url (&httpd, HTTPD_HTTP, "data?slow=20000");
  const char *urls[] = {url, NULL};
  struct seen seen = {0};
  autofetch struct fetch *fetch =
      open_session ((struct fetch_config){.on_progress = on_progress, .data = &seen});
  struct fetch_request requests[2] = {{0}};
  autoerr struct err err = {0};

  (void) state;
  clear ("a");
  clear ("b");
  for (size_t i = 0; i < 2; i++) {
    to_file (&requests[i], i ? "b" : "a");
    requests[i].urls = urls;
    requests[i].size = SIZE;
  }
  assert_int_equal (fetch_run (fetch, requests, 2, &err), 0);
  assert_in_range (seen.calls, 3, 30);
  assert_in_range (seen.last.rate, 50000, 4000000);
  assert_true (seen.last.done > SIZE);
  fetch_result_release (&requests[0].result);
  fetch_result_release (&requests[1].result);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (trouble_passes),
      cmocka_unit_test (trouble_that_stays_is_told),
      cmocka_unit_test (refusals_are_final),
      cmocka_unit_test (retry_after_is_obeyed_within_bounds),
      cmocka_unit_test (cut_connections_are_continued),
      cmocka_unit_test (mirrors_are_tried_in_turn),
      cmocka_unit_test (mirrors_that_all_fail),
      cmocka_unit_test (mirrors_crosswise),
      cmocka_unit_test (stalls_end),
      cmocka_unit_test (connections_that_hang),
      cmocka_unit_test (a_host_that_is_down_is_left_alone),
      cmocka_unit_test (signals_end_it),
      cmocka_unit_test (progress_is_told),
  };

  return cmocka_run_group_tests (tests, setup_plain, teardown);
}
