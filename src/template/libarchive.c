/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libarchive.h"

struct libarchive libarchive;

LIBRARY_NOTE (LIBARCHIVE_SONAME, "libarchive", "to read archives");

int libarchive_load (struct err *err)
{
  static const char *const names[] = {LIBARCHIVE_FUNCTIONS (LIBRARY_NAME)};
  static struct library library = {
      .soname = LIBARCHIVE_SONAME,
      .what_for = "to read archives",
      .package = "libarchive13 (in Fedora libarchive)",
      .functions = (void **) &libarchive,
      .names = names,
      .count = sizeof names / sizeof names[0],
      .mutex = PTHREAD_MUTEX_INITIALIZER,
  };

  static_assert (sizeof libarchive == sizeof names, "a table of one address for each name");
  return library_load (&library, err);
}
