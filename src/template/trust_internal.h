/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files trust*.c. */
#ifndef VG_TEMPLATE_TRUST_INTERNAL_H
#define VG_TEMPLATE_TRUST_INTERNAL_H

#include "template/edsign.h"
#include "template/trust.h"

/* The key that @sig must be made with. */
int trust_find_key (const struct trust *trust, const struct edsig *sig, struct edkey *ret_key,
                    struct err *err);

#endif
