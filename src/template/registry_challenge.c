/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry_auth.h"
#include "util/json.h"
#include <ctype.h>

enum { TOKEN_MAX = 64 << 10, PARAMETER_MAX = 4096 };

void registry_challenge_release (struct registry_challenge *challenge)
{
  int saved = errno;

  free (challenge->realm);
  free (challenge->service);
  free (challenge->scope);
  *challenge = (struct registry_challenge){0};
  errno = saved;
}

/* The length of the token (RFC 9110, 5.6.2) at @text. */
static size_t token_length (const char *text)
{
  size_t len = 0;

  while (isalnum ((unsigned char) text[len]) ||
         (text[len] && strchr ("!#$%&'*+-.^_`|~", text[len])))
    len++;
  return len;
}

static const char *skip (const char *text, const char *what)
{
  return text + strspn (text, what);
}

/* A token or a quoted string; moves @text behind it. The caller's; NULL when it is neither. */
static char *take_value (const char **text)
{
  const char *p = *text;

  if (*p != '"') {
    size_t len = token_length (p);

    *text = p + len;
    return len ? xstrndup (p, len) : NULL;
  }
  autofree char *value = xcalloc (strlen (p), 1);
  size_t len = 0;
  for (p++; *p && *p != '"'; p++) {
    if (*p == '\\' && p[1])
      p++;
    if ((unsigned char) *p < ' ' || *p == 0x7f || len == PARAMETER_MAX)
      return NULL;
    value[len++] = *p;
  }
  if (*p != '"')
    return NULL;
  *text = p + 1;
  return steal_ptr (&value);
}

static void set_parameter (struct registry_challenge *challenge, const char *name, size_t len,
                           char *value)
{
  const struct {
    const char *name;
    char **place;
  } known[] = {
      {"realm", &challenge->realm}, {"service", &challenge->service}, {"scope", &challenge->scope}};

  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (strlen (known[i].name) == len && strncasecmp (known[i].name, name, len) == 0 &&
        !*known[i].place) {
      *known[i].place = value;
      return;
    }
  free (value);
}

static enum registry_scheme scheme_by_name (const char *name, size_t len)
{
  if (len == 5 && strncasecmp (name, "basic", len) == 0)
    return REGISTRY_AUTH_BASIC;
  if (len == 6 && strncasecmp (name, "bearer", len) == 0)
    return REGISTRY_AUTH_BEARER;
  return REGISTRY_AUTH_NONE;
}

static void swap (char **a, char **b)
{
  char *old = *a;

  *a = *b;
  *b = old;
}

/* Takes one over when it is more than what is there. */
static void keep_better (struct registry_challenge *challenge, struct registry_challenge *found)
{
  if (found->scheme == REGISTRY_AUTH_BEARER && !found->realm)
    found->scheme = REGISTRY_AUTH_NONE;
  if (found->scheme > challenge->scheme) {
    swap (&challenge->realm, &found->realm);
    swap (&challenge->service, &found->service);
    swap (&challenge->scope, &found->scope);
    challenge->scheme = found->scheme;
  }
  registry_challenge_release (found);
}

void registry_challenge_add (struct registry_challenge *challenge, const char *value)
{
  struct registry_challenge found = {0};
  const char *p = value;

  for (;;) {
    p = skip (p, ", \t");
    size_t len = token_length (p);
    const char *behind = skip (p + len, " \t");

    if (!len)
      break;
    if (*behind != '=') {
      keep_better (challenge, &found);
      found.scheme = scheme_by_name (p, len);
      p = behind;
      continue;
    }
    const char *name = p;
    p = skip (behind + 1, " \t");
    char *parameter = take_value (&p);
    if (!parameter)
      break;
    set_parameter (&found, name, len, parameter);
  }
  keep_better (challenge, &found);
}

int registry_token_parse (const char *text, size_t len, char **ret_token, struct err *err)
{
  autojson json_object *object = NULL;
  const char *token = NULL, *other = NULL;

  if (json_parse_object (text, len, "the token server's answer", &object, err) < 0 ||
      json_get_string (object, "token", NULL, &token, err) < 0 ||
      json_get_string (object, "access_token", NULL, &other, err) < 0) {
    autofree char *message = xstrdup (err_text (err));

    return err_code (err, EBADMSG, "%s", message);
  }
  if (!token)
    token = other;
  if (!token || !*token)
    return err_code (err, EBADMSG, "the token server's answer has no token");
  /* It becomes a part of a header. */
  for (const char *p = token; *p; p++)
    if (*p <= ' ' || *p > '~' || p - token > TOKEN_MAX)
      return err_code (err, EBADMSG, "the token server's token cannot be used");
  *ret_token = xstrdup (token);
  return 0;
}
