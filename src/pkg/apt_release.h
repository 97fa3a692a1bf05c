/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Release files of apt's repositories: which index files there are, with size and SHA-256. Those
 * that are read here were fetched by a guest and are foreign data; signatures are not looked at. */
#ifndef VG_PKG_APT_RELEASE_H
#define VG_PKG_APT_RELEASE_H

#include "util/checksum.h"
#include "util/strbuf.h"

enum {
  APT_RELEASE_MAX = 16 << 20, /* bytes of a file */
  APT_RELEASE_FILES_MAX = 100000,
  APT_RELEASE_PATH_MAX = 1024,
};

/* The fields that apt-get compares with those of the file that it had before. */
enum apt_release_field {
  APT_RELEASE_ORIGIN,
  APT_RELEASE_LABEL,
  APT_RELEASE_VERSION,
  APT_RELEASE_SUITE,
  APT_RELEASE_CODENAME,
  APT_RELEASE_NOT_AUTOMATIC,
  APT_RELEASE_BUT_AUTOMATIC,
  APT_RELEASE_DATE,
  APT_RELEASE_FIELDS
};

/* A part of a text. */
struct apt_release_word {
  const char *text; /* borrowed; NULL: the field is not there */
  size_t len;
};

struct apt_release_file {
  struct apt_release_word path; /* "main/binary-amd64/Packages": no part of it is "" or ".." */
  uint64_t size;                /* bytes */
  struct checksum sum;          /* SHA-256 */
};

struct apt_release {
  struct apt_release_word fields[APT_RELEASE_FIELDS];
  struct apt_release_file *files; /* owned; sorted by path, each there once */
  size_t count;
};
#define autoaptrelease __attribute__ ((cleanup (apt_release_release)))
void apt_release_release (struct apt_release *release);

/* Reads a Release file, or an InRelease file, which has a signature around it. @text must live as
 * long as the result. EINVAL, with the number of the line, for what is none; E2BIG when it has too
 * many files. */
int apt_release_parse (const char *text, size_t len, struct apt_release *ret_release,
                       struct err *err);

/* The file called so, or NULL. Borrowed. */
const struct apt_release_file *apt_release_find (const struct apt_release *release,
                                                 const struct apt_release_word *path);

/* The name under which apt keeps the file at @path in its directory of lists, when the repository's
 * InRelease is "@prefix_len bytes of @prefix, InRelease" there. The caller's. */
char *apt_release_list_name (const char *prefix, size_t prefix_len,
                             const struct apt_release_word *path);

/* Writing one: its fields, the head of the list of files, and each of these. */
void apt_release_add_fields (const struct apt_release *release, struct strbuf *text);
void apt_release_add_files (struct strbuf *text);
void apt_release_add_file (const struct apt_release_file *file, struct strbuf *text);

#endif
