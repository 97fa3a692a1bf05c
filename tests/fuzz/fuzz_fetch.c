/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What servers say (the heads of their answers) and what guests' sources do (URLs, digests). */
#include "util/checksum.h"
#include "util/fetch.h"
#include "util/fetch_header.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void read_head (const char *data, size_t size)
{
  struct fetch_headers headers = {0};

  while (size) {
    const char *end = memchr (data, '\n', size);
    size_t len = end ? (size_t) (end - data) + 1 : size;

    fetch_headers_add (&headers, data, len);
    data += len;
    size -= len;
  }
  const char *validator = fetch_validator (&headers);
  if (validator && !fetch_header_safe (validator))
    abort ();
  for (size_t i = 0; i < headers.count; i++)
    if (!fetch_header_safe (headers.lines[i]) || !strstr (headers.lines[i], ": "))
      abort ();
  fetch_headers_release (&headers);
}

static void read_range (const char *text)
{
  uint64_t from = 0, to = 0, total = 0;

  if (!fetch_content_range (text, &from, &to, &total))
    return;
  if (from == UINT64_MAX ? total == UINT64_MAX : from > to || to >= total)
    abort ();
}

static void read_digest (const char *text)
{
  struct checksum checksum, again;
  autoerr struct err err = {0};
  char formatted[CHECKSUM_TEXT_SIZE];

  if (checksum_parse_tagged (text, &checksum, &err) < 0)
    return;
  checksum_format (&checksum, formatted);
  if (checksum_parse_tagged (formatted, &again, &err) < 0 || !checksum_equal (&checksum, &again))
    abort ();
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autofree char *shown = fetch_url_for_people (text);

  for (const char *p = shown; *p; p++)
    if ((unsigned char) *p < ' ')
      abort ();
  read_head ((const char *) data, size);
  read_range (text);
  read_digest (text);
  return 0;
}
