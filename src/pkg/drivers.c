/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "driver.h"

/* A Debian guest may have rpm or pacman installed as a tool, and one of SUSE dnf. */
const struct pkg_driver *const pkg_drivers[] = {
    &pkg_apt, &pkg_pacman, &pkg_apk, &pkg_zypper, &pkg_dnf, &pkg_rpm, NULL,
};

const struct pkg_driver *pkg_driver_find (const char *name)
{
  for (const struct pkg_driver *const *driver = pkg_drivers; *driver; driver++)
    if (strcmp ((*driver)->name, name) == 0)
      return *driver;
  return NULL;
}

void pkg_request_release (struct pkg_request *request)
{
  names_release (&request->args);
  *request = (struct pkg_request){0};
}

bool pkg_in_list (const char *word, const char *const *list)
{
  while (*list && strcmp (*list, word) != 0)
    list++;
  return *list != NULL;
}

bool pkg_starts_with (const char *s, const char *start)
{
  return strncmp (s, start, strlen (start)) == 0;
}

void pkg_add_words (struct names *args, const char *const *words)
{
  for (; *words; words++)
    names_add (args, *words);
}

void pkg_add_names (struct names *args, const struct names *more)
{
  for (size_t i = 0; i < more->count; i++)
    names_add (args, more->items[i]);
}
