/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry_auth.h"
#include "util/fd.h"
#include "util/json.h"

enum { AUTH_FILE_MAX = 1 << 20, AUTH_MAX = 64 << 10 };

static void wipe (char *text)
{
  if (!text)
    return;
  explicit_bzero (text, strlen (text));
  free (text);
}

void registry_creds_release (struct registry_creds *creds)
{
  int saved = errno;

  free (creds->user);
  wipe (creds->password);
  *creds = (struct registry_creds){0};
  errno = saved;
}

int registry_creds_parse (const char *text, struct registry_creds *ret_creds, struct err *err)
{
  const char *colon = strchr (text, ':');

  if (!colon || colon == text || strpbrk (text, "\r\n"))
    return err_code (err, ERR_USAGE, "credentials are USER:PASSWORD");
  ret_creds->user = xstrndup (text, (size_t) (colon - text));
  ret_creds->password = xstrdup (colon + 1);
  return 0;
}

static int base64_digit (char c)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr (digits, c) : NULL;

  return at ? (int) (at - digits) : -1;
}

/* The caller's; NULL for what is no base64 of a text. */
static char *base64_decode (const char *text)
{
  size_t len = strlen (text), out = 0;
  autofree char *result = NULL;
  unsigned bits = 0, value = 0;

  if (len % 4 || len > AUTH_MAX)
    return NULL;
  while (len && text[len - 1] == '=' && strlen (text) - len < 2)
    len--;
  result = xcalloc (len + 1, 1);
  for (size_t i = 0; i < len; i++) {
    int digit = base64_digit (text[i]);

    if (digit < 0)
      return NULL;
    value = value << 6 | (unsigned) digit;
    bits += 6;
    if (bits < 8)
      continue;
    bits -= 8;
    result[out] = (char) (value >> bits & 0xff);
    if (!result[out++])
      return NULL;
  }
  return steal_ptr (&result);
}

/* 1; 0 when the entry has nothing that can be used. */
static int take_entry (json_object *entry, struct registry_creds *ret_creds, struct err *err)
{
  const char *auth = NULL, *user = NULL, *password = NULL;

  if (!json_object_is_type (entry, json_type_object))
    return err_code (err, ERR_USAGE, "an entry of \"auths\" is no object");
  if (json_get_string (entry, "auth", NULL, &auth, err) < 0 ||
      json_get_string (entry, "username", NULL, &user, err) < 0 ||
      json_get_string (entry, "password", NULL, &password, err) < 0)
    return -err->code;
  if (!auth || !*auth) {
    if (!user || !*user || !password)
      return 0;
    ret_creds->user = xstrdup (user);
    ret_creds->password = xstrdup (password);
    return 1;
  }
  char *decoded = base64_decode (auth);
  int ret = decoded && registry_creds_parse (decoded, ret_creds, err) == 0 ? 1 : -1;
  wipe (decoded);
  return ret > 0
             ? ret
             : err_code (err, ERR_USAGE, "an \"auth\" of it is not the base64 of USER:PASSWORD");
}

/* "https://HOST/v1/" to HOST, as Docker wrote it once. The caller's. */
static char *host_of_key (const char *key)
{
  const char *start = strstr (key, "://");

  start = start ? start + 3 : key;
  autofree char *host = xstrndup (start, strcspn (start, "/"));
  return strcmp (host, "index.docker.io") == 0 || strcmp (host, "registry-1.docker.io") == 0
             ? xstrdup ("docker.io")
             : steal_ptr (&host);
}

static json_object *find_entry (json_object *auths, const char *host, const char *repository)
{
  autofree char *path = xasprintf ("%s/%s", host, repository);
  json_object *entry = NULL;

  for (char *end = path + strlen (path); end; end = strrchr (path, '/')) {
    *end = '\0';
    if (json_object_object_get_ex (auths, path, &entry) && entry)
      return entry;
  }
  json_object_object_foreach (auths, key, value)
  {
    const char *slash = strchr (key, '/');
    autofree char *key_host = host_of_key (key);

    /* "other/path" with no scheme is a path, and not this one. */
    if (slash && !strstr (key, "://") && strcmp (slash, "/v1/") != 0 && strcmp (slash, "/v2/") != 0)
      continue;
    if (value && strcasecmp (key_host, host) == 0)
      return value;
  }
  return NULL;
}

int registry_creds_from_json (const char *text, size_t len, const char *what, const char *host,
                              const char *repository, struct registry_creds *ret_creds,
                              struct err *err)
{
  autojson json_object *object = NULL;
  json_object *auths = NULL;
  int ret = 0;

  if (json_parse_object (text, len, what, &object, err) < 0)
    return -err->code;
  if (json_get_object (object, "auths", &auths, err) < 0)
    return err_wrap (err, "%s", what);
  json_object *entry = auths ? find_entry (auths, host, repository) : NULL;
  if (entry)
    ret = take_entry (entry, ret_creds, err);
  return ret < 0 ? err_wrap (err, "%s", what) : ret;
}

/* "$VARIABLE/TAIL", or "HOME_OR_OTHER/TAIL": the caller's. NULL when there is no such place. */
static char *place (const char *variable, const char *tail, const char *fallback, const char *more)
{
  const char *dir = getenv (variable);

  if (dir && *dir)
    return xasprintf ("%s/%s", dir, tail);
  return fallback && *fallback ? xasprintf ("%s/%s", fallback, more) : NULL;
}

static int find_in (const char *path, bool needed, const char *host, const char *repository,
                    struct registry_creds *ret_creds, struct err *err)
{
  autofree char *text = NULL;
  size_t len = 0;

  /* A login at a registry may have made it a link. */
  autoclose int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return !needed && (errno == ENOENT || errno == ENOTDIR) ? 0 : err_errno (err, "open %s", path);
  text = xcalloc (AUTH_FILE_MAX + 1, 1);
  ssize_t n = fd_read_full (fd, text, AUTH_FILE_MAX + 1);
  if (n < 0)
    return err_errno (err, "read %s", path);
  if (n > AUTH_FILE_MAX)
    return err_code (err, EFBIG, "%s has more than %d bytes", path, AUTH_FILE_MAX);
  len = (size_t) n;
  int ret = registry_creds_from_json (text, len, path, host, repository, ret_creds, err);
  explicit_bzero (text, len);
  return ret;
}

int registry_creds_find (const char *host, const char *repository, struct registry_creds *ret_creds,
                         struct err *err)
{
  const char *file = getenv ("REGISTRY_AUTH_FILE"), *home = getenv ("HOME");
  autofree char *run = xasprintf ("/run/containers/%lu", (unsigned long) geteuid ());
  autofree char *runtime = place ("XDG_RUNTIME_DIR", "containers/auth.json", run, "auth.json");
  autofree char *config =
      place ("XDG_CONFIG_HOME", "containers/auth.json", home, ".config/containers/auth.json");
  autofree char *docker = place ("DOCKER_CONFIG", "config.json", home, ".docker/config.json");
  const char *const paths[] = {runtime, config, docker};

  if (file && *file)
    return find_in (file, /* needed= */ true, host, repository, ret_creds, err);
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    int ret =
        paths[i] ? find_in (paths[i], /* needed= */ false, host, repository, ret_creds, err) : 0;

    if (ret)
      return ret;
  }
  return 0;
}
