/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libcrypto.h"

LIBRARY_DEFINE (libcrypto, LIBCRYPTO_FUNCTIONS, LIBCRYPTO_SONAME, "to compute digests",
                "libssl3 (in Fedora openssl-libs)");
