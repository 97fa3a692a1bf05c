/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of a definition, and where keys of signatures are. */
#include "trust_internal.h"
#include "util/dirread.h"
#include "util/fd.h"

static void parse_digest (struct check *check, json_object *source, const char *kind,
                          struct trust *trust)
{
  const char *hex = check_string (check, source, kind, false);
  autoerr struct err err = {0};

  if (!hex)
    return;
  if (checksum_parse (kind, hex, &trust->digests[trust->digest_count], &err) < 0)
    check_add (check, kind, "%s", err_text (&err));
  else
    trust->digest_count++;
}

static void copy_string (struct check *check, json_object *object, const char *key, char **ret_copy)
{
  const char *text = check_string (check, object, key, false);

  *ret_copy = text ? xstrdup (text) : NULL;
}

void trust_check_key_file (struct check *check, const char *key, const char *file)
{
  if (file && file[0] != '/' && strstr (file, ".."))
    check_add (check, key, "must be an absolute path, or a name in the directory of keys");
}

static void parse_signature (struct check *check, json_object *signature, struct trust *trust)
{
  static const char *const keys[] = {"type", "of", "url", "keyring", "key", NULL};
  static const char *const types[] = {"openpgp", "minisign", "signify", NULL};
  static const char *const of[] = {"sums", "file", NULL};
  size_t mark = check_enter (check, "signature");
  const char *type, *what;

  check_keys (check, signature, keys, NULL);
  type = check_word (check, signature, "type", types, NULL);
  if (!json_object_object_get (signature, "type"))
    check_add (check, "type", "is missing: openpgp, minisign or signify");
  for (size_t i = 0; type && types[i]; i++)
    if (strcmp (type, types[i]) == 0)
      trust->type = (enum trust_type) (TRUST_OPENPGP + (int) i);
  what = check_word (check, signature, "of", of, trust->sums ? "sums" : "file");
  trust->of_sums = strcmp (what, "sums") == 0;
  if (trust->of_sums && !trust->sums)
    check_add (check, "of", "there are no \"sums\"");
  copy_string (check, signature, "url", &trust->signature);
  copy_string (check, signature, "keyring", &trust->keyring);
  copy_string (check, signature, "key", &trust->key);
  trust_check_key_file (check, "keyring", trust->keyring);
  trust_check_key_file (check, "key", trust->key);
  if (trust->type == TRUST_OPENPGP && !trust->keyring)
    check_add (check, "keyring", "is missing: the file of keys that may have signed");
  if (trust->type != TRUST_OPENPGP && trust->keyring)
    check_add (check, "keyring", "is for openpgp; here it is \"key\"");
  if (trust->type == TRUST_OPENPGP && trust->key)
    check_add (check, "key", "is for minisign and signify; here it is \"keyring\"");
  if (trust->type && !trust->signature && (trust->type != TRUST_OPENPGP || !trust->of_sums))
    check_add (check, "url", "is missing: where the signature is");
  check_leave (check, mark);
}

void trust_parse (struct check *check, json_object *source, struct trust *trust)
{
  parse_digest (check, source, "sha256", trust);
  parse_digest (check, source, "sha512", trust);
  copy_string (check, source, "sums", &trust->sums);
  copy_string (check, source, "sums_name", &trust->sums_name);
  json_object *signature = check_object (check, source, "signature", false);
  if (signature)
    parse_signature (check, signature, trust);
}

void trust_release (struct trust *trust)
{
  free (trust->sums);
  free (trust->sums_name);
  free (trust->signature);
  free (trust->keyring);
  free (trust->key);
  *trust = (struct trust){0};
}

static const char *keys_dir (void)
{
  const char *env = getenv ("VGUEST_KEYS");

  return env && *env ? env : SYSCONFDIR "/vguest/keys";
}

char *trust_key_path (const char *file)
{
  return file[0] == '/' ? xstrdup (file) : xasprintf ("%s/%s", keys_dir (), file);
}

static int read_key (const char *path, struct edkey *ret_key, struct err *err)
{
  autofree char *text = NULL;
  size_t len = 0;

  if (fd_read_file (AT_FDCWD, path, EDSIGN_FILE_MAX, &text, &len, err) < 0)
    return -err->code;
  return edkey_parse (text, len, path, ret_key, err);
}

/* The key of the signature's number among those of the administrator. */
static int find_key (const struct edsig *sig, struct edkey *ret_key, struct err *err)
{
  static const char suffix[] = ".pub";
  autoclose int fd = open (keys_dir (), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autodirlist struct dirlist list = {0};
  char number[17];

  if (fd < 0 && errno != ENOENT)
    return err_errno (err, "open %s", keys_dir ());
  if (fd >= 0 && dirread_all (fd, &list, err) < 0)
    return err_wrap (err, "%s", keys_dir ());
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    size_t len = strlen (name);
    autofree char *path = trust_key_path (name);
    autoerr struct err ignored = {0};

    /* Other files may be there, such as keyrings. */
    if (len > strlen (suffix) && strcmp (name + len - strlen (suffix), suffix) == 0 &&
        read_key (path, ret_key, &ignored) == 0 &&
        memcmp (ret_key->number, sig->number, sizeof sig->number) == 0)
      return 0;
  }
  edkey_number (sig->number, number);
  return err_code (err, EBADMSG, "it is signed with the key %s, which is not among %s/*.pub",
                   number, keys_dir ());
}

int trust_find_key (const struct trust *trust, const struct edsig *sig, struct edkey *ret_key,
                    struct err *err)
{
  enum { BASE64_LEN = 56 };
  autoerr struct err ignored = {0};

  if (!trust->key)
    return find_key (sig, ret_key, err);
  if (strlen (trust->key) == BASE64_LEN &&
      edkey_parse (trust->key, BASE64_LEN, "the key", ret_key, &ignored) == 0)
    return 0;
  autofree char *path = trust_key_path (trust->key);
  return read_key (path, ret_key, err);
}
