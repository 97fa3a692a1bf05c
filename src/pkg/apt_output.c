/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "apt.h"
#include "output.h"

/* What may be better in a minute. */
static const char *const network_errors[] = {
    "Failed to fetch",
    "Could not resolve",
    "Temporary failure resolving",
    "Could not connect",
    "Connection failed",
    "Connection timed out",
    "Connection reset",
    "Unable to connect to",
    "Some index files failed to download",
    "Unable to fetch some",
    NULL,
};

static const char *const busy_errors[] = {
    "Could not get lock",
    "Unable to acquire the dpkg frontend lock",
    "Unable to lock",
    "is another process using it",
    NULL,
};

void apt_line (const char *line, struct pkg_line *ret_line)
{
  *ret_line = (struct pkg_line){0};
  if (pkg_starts_with (line, "dpkg: error") || pkg_starts_with (line, "dpkg-deb: error")) {
    ret_line->weight = PKG_LINE_CAUSE;
    ret_line->continues = pkg_starts_with (line, "dpkg: error processing");
  } else if (pkg_starts_with (line, "E: ")) {
    /* It only points to what dpkg said. */
    ret_line->weight =
        pkg_starts_with (line, "E: Sub-process /usr/bin/dpkg") ? PKG_LINE_HINT : PKG_LINE_ERROR;
    ret_line->network = pkg_has_any (line, network_errors);
    ret_line->busy = pkg_has_any (line, busy_errors);
  }
  ret_line->units = pkg_starts_with (line, "Unpacking ") || pkg_starts_with (line, "Setting up ") ||
                    pkg_starts_with (line, "Removing ");
}

/* "Inst NAME [OLD] (NEW …" behind the first word. */
static int parse_change (const char *at, const char *end, bool removal, struct pkg_changes *changes,
                         struct err *err)
{
  const char *name, *word, *old = NULL, *new = NULL;
  size_t name_len, len, old_len = 0, new_len = 0;

  if (!pkg_text_word (&at, end, &name, &name_len))
    return err_code (err, EINVAL, "a change without a name");
  while (pkg_text_word (&at, end, &word, &len))
    if (!old && !new &&word[0] == '[' && word[len - 1] == ']' && len > 2) {
      old = word + 1;
      old_len = len - 2;
    } else if (!new &&word[0] == '(' && len > 1) {
      new = word + 1;
      new_len = len - 1 - (word[len - 1] == ')');
      break;
    }
  if (!removal && !new_len)
    return err_code (err, EINVAL, "a change without a version");
  enum pkg_action action = removal ? PKG_REMOVE : old ? PKG_UPGRADE : PKG_INSTALL;
  if (old && new &&old_len == new_len && memcmp (old, new, old_len) == 0)
    action = PKG_REINSTALL;
  return pkg_changes_add (changes, action, name, name_len, old, old_len, removal ? NULL : new,
                          removal ? 0 : new_len, err);
}

int apt_parse_plan (const char *text, size_t len, struct pkg_changes *changes, struct err *err)
{
  struct pkg_text lines;
  const char *line, *word;
  size_t line_len, word_len;

  pkg_text_start (text, len, &lines);
  while (pkg_text_line (&lines, &line, &line_len)) {
    const char *at = line, *end = line + line_len;

    if (!line_len || *line == ' ' || !pkg_text_word (&at, end, &word, &word_len))
      continue;
    bool removal = pkg_word_is (word, word_len, "Remv") || pkg_word_is (word, word_len, "Purg");
    if (!removal && !pkg_word_is (word, word_len, "Inst"))
      continue;
    if (parse_change (at, end, removal, changes, err) < 0)
      return err_wrap (err, "what apt-get would do, line %zu", lines.number);
  }
  return 0;
}

/* "SHA256:…", as apt names its kinds; "" and kinds that we do not know are no hash. */
static int parse_hash (const char *word, size_t len, const char **ret_kind, const char **ret_hash,
                       size_t *ret_len)
{
  static const struct {
    const char *prefix;
    const char *kind;
  } kinds[] = {{"SHA512:", "sha512"}, {"SHA256:", "sha256"}, {"SHA1:", "sha1"}, {"MD5Sum:", "md5"}};

  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    size_t prefix = strlen (kinds[i].prefix);

    if (len > prefix && memcmp (word, kinds[i].prefix, prefix) == 0) {
      *ret_kind = kinds[i].kind;
      *ret_hash = word + prefix;
      *ret_len = len - prefix;
      return 1;
    }
  }
  return 0;
}

static int parse_uri (const char *line, size_t len, struct pkg_files *files, struct err *err)
{
  const char *end = line + len, *quote = memchr (line + 1, '\'', len - 1);
  const char *name, *size_word, *word, *kind = NULL, *hash = NULL, *at;
  size_t name_len, size_len, word_len, hash_len = 0;
  uint64_t size;

  at = quote ? quote + 1 : end;
  if (!quote || !pkg_text_word (&at, end, &name, &name_len) ||
      !pkg_text_word (&at, end, &size_word, &size_len) ||
      !pkg_read_number (size_word, size_len, &size))
    return err_code (err, EINVAL, "\"'URI' NAME SIZE\" is expected");
  if (pkg_text_word (&at, end, &word, &word_len))
    parse_hash (word, word_len, &kind, &hash, &hash_len);
  return pkg_files_add (files, line + 1, (size_t) (quote - line - 1), name, name_len, size, kind,
                        hash, hash_len, err);
}

int apt_parse_uris (const char *text, size_t len, struct pkg_files *files, struct err *err)
{
  struct pkg_text lines;
  const char *line;
  size_t line_len;

  pkg_text_start (text, len, &lines);
  while (pkg_text_line (&lines, &line, &line_len))
    if (line_len > 1 && *line == '\'' && parse_uri (line, line_len, files, err) < 0)
      return err_wrap (err, "the files that apt-get needs, line %zu", lines.number);
  return 0;
}
