/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is to be adopted: where its tree and its configuration are, and what the latter becomes. */
#ifndef VG_ADOPT_SOURCE_H
#define VG_ADOPT_SOURCE_H

#include "adopt/translation.h"
#include <sys/stat.h>

enum adopt_type {
  ADOPT_AUTO,
  ADOPT_CHROOT,  /* a tree without a configuration */
  ADOPT_LXC,     /* a container's directory, with config and rootfs */
  ADOPT_NSPAWN,  /* a tree; NAME.nspawn is beside it or below /etc/systemd/nspawn */
  ADOPT_VSERVER, /* a configuration directory of util-vserver; vdir leads to the tree */
  ADOPT_EXPORT,  /* an archive that docker export or podman export wrote */
};

/* "auto", "chroot", …, or NULL for a number that is none. */
const char *adopt_type_name (enum adopt_type type);

/* ERR_USAGE with the names that there are. */
int adopt_type_parse (const char *text, enum adopt_type *ret_type, struct err *err);

struct adopt_request {
  const char *name;     /* of the guest to be made */
  const char *source;   /* a path, or the name of a container of the given type */
  const char *config;   /* where the configuration is, or NULL */
  const char *hostname; /* or NULL */
  const char *cni;      /* the CNI network it shall join, or NULL */
  enum adopt_type type;
};

struct adopt_source {
  enum adopt_type type;           /* never ADOPT_AUTO */
  char *tree;                     /* owned; the absolute path of the tree, or of the archive */
  char *config;                   /* owned; of the configuration, or NULL */
  int fd;                         /* owned: of the tree or the archive */
  int parent_fd;                  /* owned: of the directory that has it */
  const char *base;               /* its name there; borrowed from tree */
  struct stat st;                 /* of fd */
  struct translation translation; /* owned */
};

/* Takes an empty one; a second call does nothing. */
void adopt_source_release (struct adopt_source *source);
#define autoadoptsource __attribute__ ((cleanup (adopt_source_release)))
#define ADOPT_SOURCE_INIT                                                                          \
  {                                                                                                \
    .fd = -1, .parent_fd = -1                                                                      \
  }

/* Finds and opens the tree, and reads and translates the configuration. @ret_source is
 * ADOPT_SOURCE_INIT; on errors it holds nothing. ERR_USAGE when it is no such thing. */
int adopt_source_open (const struct adopt_request *request, struct adopt_source *ret_source,
                       struct err *err);

#endif
