/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "library.h"
#include <dlfcn.h>

static int cannot_load (const struct library *library, struct err *err)
{
  const char *why = dlerror ();

  return err_code (err, ELIBACC,
                   "the library %s is needed %s, and cannot be loaded (%s): install the package %s",
                   library->soname, library->what_for, why ? why : "unknown error",
                   library->package);
}

static int fill_table (const struct library *library, struct err *err)
{
  /* Never closed, and it stays even if something else closes it. All is resolved at once: a command
   * must not find out in the middle that a function is missing. */
  void *handle = dlopen (library->soname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

  if (!handle)
    return cannot_load (library, err);
  for (size_t i = 0; i < library->count; i++) {
    library->functions[i] = dlsym (handle, library->names[i]);
    if (!library->functions[i]) {
      cannot_load (library, err);
      dlclose (handle);
      return -err->code;
    }
  }
  return 0;
}

int library_load (struct library *library, struct err *err)
{
  if (atomic_load_explicit (&library->loaded, memory_order_acquire))
    return 0;
  pthread_mutex_lock (&library->mutex);
  int ret = library->loaded ? 0 : fill_table (library, err);
  if (ret == 0)
    atomic_store_explicit (&library->loaded, true, memory_order_release);
  pthread_mutex_unlock (&library->mutex);
  return ret;
}
