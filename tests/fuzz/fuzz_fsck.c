/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What fsck reads: notes on objects, and dpkg's lists and their names. */
#include "fsck/dpkg_lists.h"
#include "store/contents.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void visit (void *data, const char *path, size_t len)
{
  size_t *total = data;

  for (size_t i = 0; i < len; i++)
    *total += (unsigned char) path[i];
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autocontentsnotes struct contents_notes notes = {0};
  autofree char *name = xstrndup ((const char *) data, size);
  size_t total = 0, len = dpkg_list_package (name);

  if (len > strlen (name))
    abort ();
  dpkg_list_each ((const char *) data, size, visit, &total);
  if (contents_notes_parse (data, size, &notes) && notes.count != size / CONTENTS_NOTE_SIZE)
    abort ();
  for (size_t i = 0; i < notes.count; i++) {
    struct digest id = {0};

    memcpy (id.bytes, &notes.items[i].key, sizeof notes.items[i].key);
    if (!contents_find (&notes, &id, notes.items[i].slot) && notes.count == 1)
      abort ();
  }
  return 0;
}
