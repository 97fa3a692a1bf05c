/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libarchive.h"

LIBRARY_DEFINE (libarchive, LIBARCHIVE_FUNCTIONS, LIBARCHIVE_SONAME, "to read archives",
                "libarchive13 (in Fedora libarchive)");
