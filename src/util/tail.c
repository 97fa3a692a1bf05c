/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tail.h"
#include "strbuf.h"

void tail_add (struct tail *tail, const char *bytes, size_t len)
{
  if (len > TAIL_BYTES) {
    bytes += len - TAIL_BYTES;
    len = TAIL_BYTES;
  }
  if (tail->len + len > sizeof tail->bytes) {
    size_t keep = TAIL_BYTES;

    memmove (tail->bytes, tail->bytes + tail->len - keep, keep);
    tail->len = keep;
  }
  memcpy (tail->bytes + tail->len, bytes, len);
  tail->len += len;
}

char *tail_text (const char *text, size_t len)
{
  autostrbuf struct strbuf out = STRBUF_INIT (4 * TAIL_BYTES);
  size_t start = 0, lines = 0;

  while (len && text[len - 1] == '\n')
    len--;
  if (!len)
    return xstrdup ("");
  if (len > TAIL_BYTES)
    start = len - TAIL_BYTES;
  for (size_t i = len; i-- > start;)
    if (text[i] == '\n' && ++lines == TAIL_LINES) {
      start = i + 1;
      break;
    }
  strbuf_adds (&out, "\n  ");
  for (size_t i = start; i < len; i++) {
    unsigned char c = (unsigned char) text[i];

    if (c == '\n')
      strbuf_adds (&out, "\n  ");
    else
      strbuf_add (&out, c < 0x20 || c == 0x7f ? "?" : text + i, 1);
  }
  return strbuf_steal (&out);
}
