/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an image's config says of its process, as settings of guests (guest/settings.h). */
#ifndef VG_TEMPLATE_IMAGE_GUEST_H
#define VG_TEMPLATE_IMAGE_GUEST_H

#include "template/image_document.h"
#include "util/json.h"

/* Puts "command" (the entrypoint and its arguments), "environment", "user", "working_dir" and
 * "stop_signal" into @guest where the image has them. Variables whose names are none are left out.
 * EBADMSG for what no guest can have. */
int image_guest (const struct image_config *config, json_object *guest, struct err *err);

#endif
