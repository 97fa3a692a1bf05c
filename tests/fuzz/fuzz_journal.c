/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of a fold's journal: never a crash, never a name that leads out of its directory. */
#include "tree/journal.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *line = xstrndup ((const char *) data, size);
  autojournalstep struct journal_step step = {0};
  autoerr struct err err = {0};

  if (journal_parse_line (line, &step, &err) == 0 && step.op != 'D' && step.name &&
      (strchr (step.name, '/') || strcmp (step.name, "..") == 0))
    abort ();
  return 0;
}
