/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host names: the hosts file, and the name a guest gets. */
#include "guest/identity.h"
#include "util/strbuf.h"
#include <ctype.h>

enum { HOSTS_TEXT_MAX = 16 << 20 };

static const char blanks[] = " \t\r";

static bool token_is (const char *token, size_t len, const char *word)
{
  return len == strlen (word) && strncasecmp (token, word, len) == 0;
}

/* Is @token the host @old, or its name without or with a domain? */
static bool names_old_host (const char *token, size_t len, const char *old)
{
  size_t short_len = strcspn (old, ".");

  if (token_is (token, len, old))
    return true;
  return len >= short_len && strncasecmp (token, old, short_len) == 0 &&
         (len == short_len || (token[short_len] == '.' && !old[short_len]));
}

/* The name that stands for the new host where @token stood for the old one. */
static void add_new_name (struct strbuf *out, const char *token, size_t len, const char *hostname)
{
  const char *dot = memchr (token, '.', len);
  size_t short_len = strcspn (hostname, ".");

  if (dot && hostname[short_len]) {
    strbuf_adds (out, hostname);
  } else {
    strbuf_add (out, hostname, short_len);
    if (dot)
      strbuf_add (out, dot, len - (size_t) (dot - token));
  }
}

/* Copies one line with its names replaced. */
static void rename_line (struct strbuf *out, const char *line, size_t len, const char *old,
                         const char *hostname)
{
  const char *end = line + len;
  const char *comment = memchr (line, '#', len);
  const char *stop = comment ? comment : end;
  bool address = true;

  while (line < stop) {
    size_t gap = 0, token = 0;

    while (line + gap < stop && strchr (blanks, line[gap]))
      gap++;
    strbuf_add (out, line, gap);
    line += gap;
    while (line + token < stop && !strchr (blanks, line[token]))
      token++;
    if (!address && token && names_old_host (line, token, old))
      add_new_name (out, line, token, hostname);
    else
      strbuf_add (out, line, token);
    address = false;
    line += token;
  }
  strbuf_add (out, stop, (size_t) (end - stop));
}

static void add_own_line (struct strbuf *out, const char *hostname)
{
  size_t short_len = strcspn (hostname, ".");

  if (hostname[short_len])
    strbuf_addf (out, "127.0.1.1\t%s %.*s\n", hostname, (int) short_len, hostname);
  else
    strbuf_addf (out, "127.0.1.1\t%s\n", hostname);
}

/* A name that every host has, or none. */
static bool is_no_own_name (const char *name)
{
  return !*name || strncasecmp (name, "localhost", 9) == 0;
}

char *hosts_rewrite (const char *text, const char *old_name, const char *hostname)
{
  autostrbuf struct strbuf out = STRBUF_INIT (HOSTS_TEXT_MAX);
  autostrbuf struct strbuf own = STRBUF_INIT (1024);
  size_t insert_at = 0;
  bool written = false;

  if (old_name && is_no_own_name (old_name))
    old_name = NULL;
  add_own_line (&own, hostname);
  while (*text) {
    size_t len = strcspn (text, "\n");
    size_t gap = strspn (text, blanks);
    size_t address = strcspn (text + gap, " \t\r\n#");
    bool loopback = strncmp (text + gap, "127.", 4) == 0 || token_is (text + gap, address, "::1");

    if (token_is (text + gap, address, "127.0.1.1")) {
      if (!written)
        strbuf_adds (&out, strbuf_str (&own));
      written = true;
    } else {
      if (loopback && old_name)
        rename_line (&out, text, len, old_name, hostname);
      else
        strbuf_add (&out, text, len);
      strbuf_adds (&out, "\n");
      if (!insert_at && token_is (text + gap, address, "127.0.0.1"))
        insert_at = out.len;
    }
    text += len + (text[len] == '\n');
  }
  if (written)
    return strbuf_steal (&out);
  return xasprintf ("%.*s%s%s", (int) insert_at, strbuf_str (&out), strbuf_str (&own),
                    strbuf_str (&out) + insert_at);
}

char *hosts_rename (const char *text, const char *old_name, const char *hostname)
{
  autostrbuf struct strbuf out = STRBUF_INIT (HOSTS_TEXT_MAX);

  if (is_no_own_name (old_name))
    return xstrdup (text);
  while (*text) {
    size_t len = strcspn (text, "\n");
    size_t gap = strspn (text, blanks);
    size_t address = strcspn (text + gap, " \t\r\n#");

    if (strncmp (text + gap, "127.", 4) == 0 || token_is (text + gap, address, "::1"))
      rename_line (&out, text, len, old_name, hostname);
    else
      strbuf_add (&out, text, len);
    if (text[len])
      strbuf_adds (&out, "\n");
    text += len + (text[len] == '\n');
  }
  return strbuf_steal (&out);
}

char *mailname_rename (const char *text, const char *old_name, const char *hostname)
{
  autostrbuf struct strbuf out = STRBUF_INIT (HOSTS_TEXT_MAX);
  size_t gap = strspn (text, " \t\r\n");
  size_t len = strcspn (text + gap, " \t\r\n");

  strbuf_add (&out, text, gap);
  if (names_old_host (text + gap, len, old_name))
    add_new_name (&out, text + gap, len, hostname);
  else
    strbuf_add (&out, text + gap, len);
  strbuf_adds (&out, text + gap + len);
  return strbuf_steal (&out);
}

int hostname_for_guest (const char *name, char **ret_hostname, struct err *err)
{
  autofree char *hostname = xstrdup (name);
  size_t len = strlen (hostname);

  for (size_t i = 0; i < len; i++)
    if (hostname[i] == '_')
      hostname[i] = '-';
  while (len && !isalnum ((unsigned char) hostname[len - 1]))
    hostname[--len] = '\0';
  if (hostname_check (hostname, err) < 0)
    return err_wrap (err, "guest %s needs a --hostname", name);
  *ret_hostname = steal_ptr (&hostname);
  return 0;
}
