/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sums.h"

struct line {
  const char *hex;
  size_t hex_len;
  const char *name;
  size_t name_len;
  char kind[16]; /* "" : by the length */
};

static const char hex_digits[] = "0123456789abcdefABCDEF";

/* "SHA256 (NAME) = HEX" */
static bool split_bsd (const char *text, size_t len, struct line *ret_line)
{
  const char *open = memmem (text, len, " (", 2);
  const char *close = NULL;

  if (!open || (size_t) (open - text) >= sizeof ret_line->kind)
    return false;
  /* The last one: a name may have anything in it. */
  for (const char *p = open + 2; p + 4 <= text + len; p++)
    if (memcmp (p, ") = ", 4) == 0)
      close = p;
  if (!close)
    return false;
  *ret_line = (struct line){.hex = close + 4,
                            .hex_len = len - (size_t) (close + 4 - text),
                            .name = open + 2,
                            .name_len = (size_t) (close - open - 2)};
  memcpy (ret_line->kind, text, (size_t) (open - text));
  return true;
}

/* "HEX  NAME", "HEX *NAME" */
static bool split_gnu (const char *text, size_t len, struct line *ret_line)
{
  size_t hex_len = 0;

  while (hex_len < len && strchr (hex_digits, text[hex_len]))
    hex_len++;
  if (!hex_len || len - hex_len < 3 || text[hex_len] != ' ' ||
      (text[hex_len + 1] != ' ' && text[hex_len + 1] != '*'))
    return false;
  *ret_line = (struct line){
      .hex = text, .hex_len = hex_len, .name = text + hex_len + 2, .name_len = len - hex_len - 2};
  return true;
}

static const char *kind_by_length (size_t digits)
{
  switch (digits) {
  case 64:
    return "sha256";
  case 96:
    return "sha384";
  case 128:
    return "sha512";
  default:
    return "";
  }
}

/* The digest of a line about @name. */
static bool line_digest (const char *text, size_t len, const char *name,
                         struct checksum *ret_checksum)
{
  struct line line;
  autoerr struct err err = {0};
  char hex[CHECKSUM_TEXT_SIZE];

  if (len && text[len - 1] == '\r')
    len--;
  if (!split_gnu (text, len, &line) && !split_bsd (text, len, &line))
    return false;
  if (line.name_len > 2 && memcmp (line.name, "./", 2) == 0) {
    line.name += 2;
    line.name_len -= 2;
  }
  if (line.name_len != strlen (name) || memcmp (line.name, name, line.name_len) != 0 ||
      line.hex_len >= sizeof hex)
    return false;
  memcpy (hex, line.hex, line.hex_len);
  hex[line.hex_len] = '\0';
  const char *kind = line.kind[0] ? line.kind : kind_by_length (line.hex_len);
  return checksum_parse (kind, hex, ret_checksum, &err) == 0 &&
         !checksum_is_weak (ret_checksum->kind);
}

int sums_find (const char *text, size_t len, const char *name, struct checksum *ret_checksum,
               struct err *err)
{
  struct checksum best = {.kind = CHECKSUM_NONE};

  for (size_t at = 0; at < len;) {
    const char *end = memchr (text + at, '\n', len - at);
    size_t line_len = end ? (size_t) (end - text) - at : len - at;
    struct checksum found = {0};

    if (line_digest (text + at, line_len, name, &found)) {
      if (found.kind == best.kind && !checksum_equal (&found, &best))
        return err_code (err, EBADMSG, "it has two different digests of \"%s\"", name);
      if (found.kind > best.kind)
        best = found;
    }
    at += line_len + 1;
  }
  if (best.kind == CHECKSUM_NONE)
    return err_code (err, ENOENT, "it has no digest of \"%s\"", name);
  *ret_checksum = best;
  return 0;
}
