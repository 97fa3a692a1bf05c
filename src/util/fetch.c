/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch_internal.h"
#include "clock.h"
#include "interrupt.h"
#include <pthread.h>

static void *copy (const char *text)
{
  return text ? xstrdup (text) : NULL;
}

static const char *env (const char *name)
{
  const char *value = getenv (name);

  return value && *value ? value : NULL;
}

static void set_default (unsigned *value, unsigned fallback)
{
  if (!*value)
    *value = fallback;
}

/* The certificates that are trusted: from the configuration, or else from the environment. */
static int set_certificates (struct fetch_config *config, const struct fetch_config *from,
                             struct err *err)
{
  const char *file = from->ca_file, *file_from = "ca_file";
  const char *dir = from->ca_dir, *dir_from = "ca_dir";

  if (!file && !dir) {
    file_from = env ("CURL_CA_BUNDLE") ? "CURL_CA_BUNDLE" : "SSL_CERT_FILE";
    dir_from = "SSL_CERT_DIR";
    file = env (file_from);
    dir = env (dir_from);
  }
  if (file && access (file, R_OK) < 0)
    return err_code (err, ERR_USAGE, "read the certificates %s (from %s): %s", file, file_from,
                     strerror (errno));
  /* OpenSSL takes several, separated by colons. */
  if (dir && !strchr (dir, ':') && access (dir, R_OK | X_OK) < 0)
    return err_code (err, ERR_USAGE, "read the certificates in %s (from %s): %s", dir, dir_from,
                     strerror (errno));
  config->ca_file = copy (file);
  config->ca_dir = copy (dir);
  return 0;
}

static int set_config (struct fetch_config *config, const struct fetch_config *from,
                       struct err *err)
{
  *config = *from;
  config->ca_file = config->ca_dir = NULL;
  config->proxy = copy (from->proxy);
  config->no_proxy = copy (from->no_proxy);
  config->user_agent = copy (from->user_agent ? from->user_agent : "vguest/" PACKAGE_VERSION);
  set_default (&config->schemes, FETCH_HTTP | FETCH_HTTPS);
  set_default (&config->parallel, 8);
  set_default (&config->parallel_host, 4);
  set_default (&config->retries, 5);
  if (config->retries == FETCH_NO_RETRIES)
    config->retries = 0;
  set_default (&config->pause_ms, 500);
  set_default (&config->pause_max_ms, 60000);
  set_default (&config->connect_timeout_s, 30);
  set_default (&config->stall_s, 30);
  set_default (&config->stall_bytes, 100);
  return set_certificates (config, from, err);
}

static void global_init (void)
{
  if (libcurl.curl_global_init (CURL_GLOBAL_DEFAULT) != CURLE_OK)
    err_out_of_memory ();
}

int fetch_open (const struct fetch_config *config, struct fetch **ret_fetch, struct err *err)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  autofetch struct fetch *fetch = xcalloc (1, sizeof *fetch);

  if (libcurl_load (err) < 0)
    return -err->code;
  pthread_once (&once, global_init);
  if (set_config (&fetch->config, config, err) < 0)
    return -err->code;
  fetch->multi = libcurl.curl_multi_init ();
  fetch->share = libcurl.curl_share_init ();
  if (!fetch->multi || !fetch->share)
    err_out_of_memory ();
  fetch->last = &fetch->transfers;
  libcurl.curl_share_setopt (fetch->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  *ret_fetch = steal_ptr (&fetch);
  return 0;
}

void fetch_close (struct fetch *fetch)
{
  const struct fetch_config *config = &fetch->config;
  int saved = errno;

  if (fetch->multi)
    libcurl.curl_multi_cleanup (fetch->multi);
  if (fetch->share)
    libcurl.curl_share_cleanup (fetch->share);
  for (struct fetch_host *host = fetch->hosts, *next; host; host = next) {
    next = host->next;
    free (host->origin);
    free (host);
  }
  free ((char *) config->proxy);
  free ((char *) config->no_proxy);
  free ((char *) config->ca_file);
  free ((char *) config->ca_dir);
  free ((char *) config->user_agent);
  free (fetch);
  errno = saved;
}

/* Begins where it may: takes a place of the session and of the host. */
static bool take_place (struct transfer *transfer)
{
  struct fetch *fetch = transfer->fetch;
  struct fetch_host *host = transfer->places[transfer->at].host;

  if (!transfer->begun && fetch->begun >= fetch->config.parallel)
    return false;
  if (transfer->host != host) {
    if (host->users >= fetch->config.parallel_host)
      return false;
    if (transfer->host) /* a part made it change its mind */
      transfer->host->users--;
    transfer->host = host;
    host->users++;
  }
  if (!transfer->begun)
    fetch->begun++;
  transfer->begun = true;
  return true;
}

void fetch_leave (struct transfer *transfer)
{
  if (transfer->begun)
    transfer->fetch->begun--;
  transfer->begun = false;
  if (transfer->host)
    transfer->host->users--;
  transfer->host = NULL;
}

/* The part is opened when the first try is due. True: a try may start. */
static bool open_part (struct transfer *transfer)
{
  bool existed = false;

  if (transfer->request->sink != FETCH_TO_FILE || transfer->part_fd >= 0)
    return true;
  int opened = fetch_part_open (transfer, &existed, &transfer->err);
  if (opened < 0) {
    fetch_end_failed (transfer, FETCH_LOCAL);
    return false;
  }
  if (opened == 0) {
    fetch_leave (transfer);
    transfer->due_us = clock_us () + FETCH_LOCK_POLL_MS * 1000;
    return false;
  }
  if (existed) {
    transfer->request->result.existed = true;
    fetch_end (transfer, FETCH_DONE);
    return false;
  }
  if (transfer->offset && transfer->offset == transfer->request->size) {
    /* Complete, but for the renaming. */
    fetch_finish (transfer);
    return false;
  }
  return true;
}

static void start (struct transfer *transfer)
{
  struct fetch_host *host = transfer->places[transfer->at].host;

  if (host->down) {
    autofree char *shown = fetch_url_for_people (fetch_transfer_url (transfer));

    err_code (&transfer->err, ENETUNREACH, "fetch %s: %s has not answered before", shown,
              host->origin);
    fetch_place_failed (transfer, FETCH_NETWORK, /* again= */ false, 0);
    return;
  }
  if (!take_place (transfer) || !open_part (transfer))
    return;
  /* A part without a digest belongs to the URL that it came from. */
  if (transfer->host != transfer->places[transfer->at].host && !take_place (transfer))
    return;
  if (fetch_try_start (transfer, &transfer->err) < 0) {
    fetch_try_release (transfer);
    fetch_end_failed (transfer, FETCH_LOCAL);
  }
}

/* Starts what is due; @ret_wait_us is at most the time until something else is. */
static void start_due (struct fetch *fetch, uint64_t *ret_wait_us)
{
  uint64_t now = clock_us ();

  for (struct transfer *transfer = fetch->transfers, *next; transfer; transfer = next) {
    next = transfer->next;
    if (transfer->state == TRANSFER_WAITING && transfer->due_us <= now)
      start (transfer);
    if (transfer->state == TRANSFER_WAITING && transfer->due_us > now &&
        transfer->due_us - now < *ret_wait_us)
      *ret_wait_us = transfer->due_us - now;
  }
}

static void take_answers (struct fetch *fetch)
{
  const CURLMsg *message;
  int left = 0;

  while ((message = libcurl.curl_multi_info_read (fetch->multi, &left))) {
    CURLcode code = message->data.result;
    char *data = NULL;

    if (message->msg != CURLMSG_DONE)
      continue;
    curl_easy_getinfo (message->easy_handle, CURLINFO_PRIVATE, &data);
    fetch_answer ((struct transfer *) (void *) data, code);
  }
}

int fetch_step (struct fetch *fetch, int wait_ms, struct err *err)
{
  uint64_t wait_us = (uint64_t) wait_ms * 1000;
  int running = 0;

  start_due (fetch, &wait_us);
  /* Wait first: what has come then is the caller's at once. What was begun, or goes on after a
   * pause, does not wait. */
  CURLMcode code = wait_us ? libcurl.curl_multi_poll (fetch->multi, NULL, 0,
                                                      (int) ((wait_us + 999) / 1000), NULL)
                           : CURLM_OK;
  if (code == CURLM_OK)
    code = libcurl.curl_multi_perform (fetch->multi, &running);
  if (code != CURLM_OK)
    return err_code (err, EIO, "libcurl: %s", libcurl.curl_multi_strerror (code));
  take_answers (fetch);
  return interrupt_check (err);
}

/* What is known of all requests together. */
static void sum_up (const struct transfer *transfers, size_t count,
                    struct fetch_progress *ret_progress)
{
  struct fetch_progress progress = {.files = count};

  for (size_t i = 0; i < count; i++) {
    const struct transfer *transfer = &transfers[i];
    const struct fetch_result *result = &transfer->request->result;
    bool ended = transfer->state == TRANSFER_ENDED;
    uint64_t done = ended && result->existed ? result->size : transfer->offset;
    uint64_t total = ended ? done : transfer->request->size;

    if (total == FETCH_SIZE_UNKNOWN)
      total = transfer->total;
    progress.ended += ended;
    progress.done += done;
    if (total == FETCH_SIZE_UNKNOWN || progress.total == FETCH_SIZE_UNKNOWN)
      progress.total = FETCH_SIZE_UNKNOWN;
    else
      progress.total += total;
  }
  *ret_progress = progress;
}

static void show_progress (struct fetch *fetch, const struct transfer *transfers, size_t count)
{
  const struct fetch_config *config = &fetch->config;
  uint64_t now = clock_us (), passed = now - fetch->shown_us;
  struct fetch_progress progress;

  if (!config->on_progress || passed < 100000)
    return;
  double seconds = (double) passed / 1e6;
  double rate = (double) (fetch->received - fetch->shown_received) / seconds;
  /* Over about two seconds. */
  double weight = fetch->shown_us && seconds < 2 ? seconds / 2 : 1;
  fetch->rate = fetch->shown_us ? fetch->rate + (rate - fetch->rate) * weight : 0;
  fetch->shown_us = now;
  fetch->shown_received = fetch->received;
  sum_up (transfers, count, &progress);
  progress.rate = (uint64_t) fetch->rate;
  config->on_progress (config->data, &progress);
}

static size_t count_running (const struct transfer *transfers, size_t count)
{
  size_t running = 0;

  for (size_t i = 0; i < count; i++)
    running += transfers[i].state != TRANSFER_ENDED;
  return running;
}

int fetch_run (struct fetch *fetch, struct fetch_request *requests, size_t count, struct err *err)
{
  autofree struct transfer *transfers = xcalloc (count, sizeof *transfers);
  int ret = 0;

  for (struct fetch_host *host = fetch->hosts; host; host = host->next) {
    host->failures = 0;
    host->down = false;
  }
  for (size_t i = 0; i < count; i++)
    fetch_transfer_init (&transfers[i], fetch, &requests[i]);
  while (ret == 0 && count_running (transfers, count)) {
    ret = fetch_step (fetch, FETCH_POLL_MS, err);
    show_progress (fetch, transfers, count);
  }
  for (size_t i = 0; i < count; i++) {
    struct transfer *transfer = &transfers[i];

    if (transfer->state != TRANSFER_ENDED) {
      err_code (&transfer->err, err->code, "fetch: %s", err_text (err));
      fetch_end_failed (transfer, err->code == ERR_INTERRUPTED ? FETCH_INTERRUPTED : FETCH_LOCAL);
    }
    fetch_transfer_release (transfer);
  }
  return ret;
}

int fetch_one (struct fetch *fetch, struct fetch_request *request, struct err *err)
{
  struct fetch_result *result = &request->result;

  if (fetch_run (fetch, request, 1, err) < 0)
    return -err->code;
  if (result->outcome == FETCH_DONE || result->outcome == FETCH_NOT_MODIFIED)
    return 0;
  err_release (err);
  *err = result->err;
  result->err = (struct err){0};
  return -err->code;
}
