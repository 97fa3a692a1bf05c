/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries of one layer over what the layers below have left; see image_layer.h. */
#ifndef VG_TEMPLATE_IMAGE_OVERLAY_H
#define VG_TEMPLATE_IMAGE_OVERLAY_H

#include "template/unpack_internal.h"

struct overlaying {
  struct writer *writer; /* borrowed */
  struct u64table made;  /* owned; hashes of the names that this layer has made */
  struct path path;      /* owned */
};
void overlaying_release (struct overlaying *overlaying);
#define autooverlaying __attribute__ ((cleanup (overlaying_release)))

/* Applies all entries of the layer, a tar archive. */
int overlaying_run (struct overlaying *overlaying, struct unpacking *unpacking, struct err *err);

/* The whiteout that the last component @name of an entry is. */
enum whiteout {
  WHITEOUT_NONE,
  WHITEOUT_NAME,   /* of *@ret_name, borrowed */
  WHITEOUT_OPAQUE, /* of its directory */
  WHITEOUT_NOTE,   /* of nothing */
  WHITEOUT_BAD,    /* of no name that there could be */
};
enum whiteout whiteout_kind (const char *name, const char **ret_name);

#endif
