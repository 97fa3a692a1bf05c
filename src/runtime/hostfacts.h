/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this host's kernel and file system can do that matters to guests: found out by trying. */
#ifndef VG_RUNTIME_HOSTFACTS_H
#define VG_RUNTIME_HOSTFACTS_H

#include "guest/root.h"

struct hostfacts {
  const char *cgroups;     /* "v2", "v1", "hybrid" (both), or "none" */
  char *kernel;            /* owned; its release */
  const char *file_system; /* of the state root: "ext4", …, "other" */
  bool overlay;            /* state of overlayfs */
  bool metacopy;
  bool idmapped; /* the root's file system takes idmapped mounts */
  bool reflink;  /* and shares blocks of files */
  bool verity;   /* and has fs-verity */
};

void hostfacts_release (struct hostfacts *facts);
#define autohostfacts __attribute__ ((cleanup (hostfacts_release)))

int hostfacts_read (struct vroot *root, struct hostfacts *ret_facts, struct err *err);

/* The OCI runtimes that were tried on this host: [{"path", "works", "reason"}, …]; the caller's. */
json_object *hostfacts_runtimes (struct vroot *root);

#endif
