/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is installed in a guest, what a run would change or has changed, and the files that it
 * needs: the data that drivers read and the engine reports. */
#ifndef VG_PKG_CHANGES_H
#define VG_PKG_CHANGES_H

#include "util/cleanup.h"
#include "util/json.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  PKG_PACKAGES_MAX = 1000000, /* of one guest */
  PKG_WORD_MAX = 1024,        /* bytes of a name, architecture, version or state */
  PKG_URI_MAX = 16384,
};

/* An installed package. */
struct pkg_package {
  char *key;     /* owned; what tells it from others: "name:architecture" */
  char *version; /* owned */
  char *state;   /* owned; anything else that can change ("install ok installed"); may be NULL */
  uint64_t size; /* installed, in bytes; 0 when it is not known */
  bool removed;  /* but for its configuration: as if it was not there, where that changes */
};

struct pkg_packages {
  struct pkg_package *items; /* owned */
  size_t count;
};
void pkg_packages_release (struct pkg_packages *packages);
#define autopkgpackages __attribute__ ((cleanup (pkg_packages_release)))

/* Adds one; the strings are copied. E2BIG behind PKG_PACKAGES_MAX; EINVAL for words that are empty
 * or too long. */
int pkg_packages_add (struct pkg_packages *packages, const char *key, size_t key_len,
                      const char *version, size_t version_len, const char *state, uint64_t size,
                      struct err *err);

/* Sorts by key and version, and drops what is there twice. */
void pkg_packages_sort (struct pkg_packages *packages);

/* One that is called @key, or NULL. They are sorted. */
const struct pkg_package *pkg_packages_find (const struct pkg_packages *packages, const char *key);

/* A package that changes, or has changed. */
enum pkg_action {
  PKG_INSTALL,
  PKG_UPGRADE,
  PKG_DOWNGRADE,
  PKG_REINSTALL,
  PKG_REMOVE,
  PKG_CONFIGURE
};

struct pkg_change {
  enum pkg_action action;
  char *name;        /* owned; as in pkg_package.key, or without the architecture */
  char *old_version; /* owned; NULL when it was not installed, or is not told */
  char *new_version; /* owned; NULL when it is removed, or is not told */
};

struct pkg_changes {
  struct pkg_change *items; /* owned; in the order in which they were added */
  size_t count;
};
void pkg_changes_release (struct pkg_changes *changes);
#define autopkgchanges __attribute__ ((cleanup (pkg_changes_release)))

/* Adds one; strings are copied, NULL versions are taken as they are. E2BIG, EINVAL as above. */
int pkg_changes_add (struct pkg_changes *changes, enum pkg_action action, const char *name,
                     size_t name_len, const char *old_version, size_t old_len,
                     const char *new_version, size_t new_len, struct err *err);

/* The difference between two sorted lists. A changed version is PKG_UPGRADE, a changed state alone
 * PKG_CONFIGURE. */
int pkg_changes_between (const struct pkg_packages *before, const struct pkg_packages *after,
                         struct pkg_changes *changes, struct err *err);

/* Adds old versions to a plan that does not tell them, by what is installed (sorted). With
 * @news_only the plan tells just what is new: an installation of what is installed becomes an
 * upgrade from its version, or a reinstallation of the same. */
void pkg_changes_complete (struct pkg_changes *changes, const struct pkg_packages *installed,
                           bool news_only);

/* "install", "upgrade", …: as in JSON. */
const char *pkg_action_name (enum pkg_action action);

/* An array of {"action", "name", "old", "new"}; the caller's. And the reverse, which checks. */
json_object *pkg_changes_json (const struct pkg_changes *changes);
int pkg_changes_from_json (json_object *array, struct pkg_changes *changes, struct err *err);

/* A file to download. */
struct pkg_uri {
  char *uri;       /* owned */
  char *name;      /* owned; the name under which the manager looks for it; no "/", no "." before */
  uint64_t size;   /* bytes; UINT64_MAX when it is not told */
  char *hash_kind; /* owned; "sha256", "sha512", "sha1", "md5"; NULL: not told */
  char *hash;      /* owned; lower-case hex */
};

struct pkg_files {
  struct pkg_uri *items; /* owned */
  size_t count;
};
void pkg_files_release (struct pkg_files *files);
#define autopkgfiles __attribute__ ((cleanup (pkg_files_release)))

/* Adds one; strings are copied. EINVAL for a name that is no plain file name, a hash that is no hex
 * of its kind's length (NULL kind: none), an uri or name that is too long or has control
 * characters. E2BIG. */
int pkg_files_add (struct pkg_files *files, const char *uri, size_t uri_len, const char *name,
                   size_t name_len, uint64_t size, const char *hash_kind, const char *hash,
                   size_t hash_len, struct err *err);

json_object *pkg_files_json (const struct pkg_files *files);
int pkg_files_from_json (json_object *array, struct pkg_files *files, struct err *err);

/* Lines of a text that need not end in a newline, for parsers. */
struct pkg_text {
  const char *at; /* borrowed */
  const char *end;
  size_t number; /* of the line last returned, from 1 */
};
void pkg_text_start (const char *text, size_t len, struct pkg_text *ret_text);
/* The next line, without its end: false at the end of the text. */
bool pkg_text_line (struct pkg_text *text, const char **ret_line, size_t *ret_len);
/* The next word of [*at, end), behind spaces; false when there is none. */
bool pkg_text_word (const char **at, const char *end, const char **ret_word, size_t *ret_len);

#endif
