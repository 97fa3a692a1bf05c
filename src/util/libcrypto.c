/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libcrypto.h"

struct libcrypto libcrypto;

LIBRARY_NOTE (LIBCRYPTO_SONAME, "libcrypto", "to compute digests");

int libcrypto_load (struct err *err)
{
  static const char *const names[] = {LIBCRYPTO_FUNCTIONS (LIBRARY_NAME)};
  static struct library library = {
      .soname = LIBCRYPTO_SONAME,
      .what_for = "to compute digests",
      .package = "libssl3 (in Fedora openssl-libs)",
      .functions = (void **) &libcrypto,
      .names = names,
      .count = sizeof names / sizeof names[0],
      .mutex = PTHREAD_MUTEX_INITIALIZER,
  };

  static_assert (sizeof libcrypto == sizeof names, "a table of one address for each name");
  return library_load (&library, err);
}
