/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kind "bootstrap": a new system by the distribution's own tool, which must be on this host.
 *
 * Each tool is one struct bootstrap_tool in a file bootstrap_*.c: mmdebstrap or debootstrap (apt),
 * dnf, zypper, pacman and apk. They are run by hostprogram.h, with a clean environment, into a
 * directory in staging that is copied then.
 *
 * Keys of the definition's source:
 *   manager       "apt" (the default), "dnf", "zypper", "pacman" or "apk"
 *   suite         the release: "bookworm"; for dnf and zypper the release version, such as "42"
 *   include       packages to install; for apt beside those of the variant
 *   repositories  an object, name: URL; needed but by apt
 *   keyring       what the packages must be signed with: a file of keys, for pacman and apk a
 *                 directory; named as trust.h says. Missing: what the tool has itself
 *   unsigned      true: believe packages without signatures
 *   variant, updates, sources    apt only; sources are lines of sources.list */
#ifndef VG_TEMPLATE_BOOTSTRAP_H
#define VG_TEMPLATE_BOOTSTRAP_H

#include "guest/names.h"
#include "template/hostprogram.h"

struct bootstrap_tool;

/* What the definition says: the data of kind_bootstrap. */
struct bootstrap {
  const struct bootstrap_tool *tool;
  char *suite;               /* owned; may be NULL where the tool does not need it */
  char *variant;             /* owned */
  struct names include;      /* owned */
  struct names sources;      /* owned */
  struct names repositories; /* owned; names, in the order of the definition */
  struct names urls;         /* owned; theirs */
  char *keyring;             /* owned; NULL */
  bool updates;
  bool is_unsigned;
};

struct bootstrap_tool {
  const char *name; /* of the package manager */
  bool needs_suite;
  bool needs_repositories;

  /* Installs into the empty directory @target, open at @fd. Programs that are missing: ENOENT with
   * the package that has them. */
  int (*run) (const struct bootstrap *bootstrap, struct import *import, const char *target, int fd,
              struct err *err);
};

extern const struct bootstrap_tool bootstrap_apt, bootstrap_dnf, bootstrap_zypper, bootstrap_pacman,
    bootstrap_apk;

/* Writes the file @name into the import's scratch space; @ret_path, the caller's, is where programs
 * find it. */
int bootstrap_file (struct import *import, const char *name, const char *text, char **ret_path,
                    struct err *err);

/* Put before lines of sources.list that are hidden from the bootstrap. */
#define BOOTSTRAP_HIDDEN "#vguest "

/* The list of sources @text with hidden lines shown again, and with lines for updates and security
 * derived from the release's when there are none. The caller's string. */
char *bootstrap_sources (const char *text, const char *suite);

/* Takes what belongs to this host out of a new system. */
int bootstrap_tidy (int tree_fd, struct err *err);

/* Completes the list of sources of a Debian system; with @lines, that is what it becomes. */
int bootstrap_tidy_sources (int tree_fd, const char *suite, const struct names *lines,
                            struct err *err);

#endif
