/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vouches for archives, as strangers write it: digests, signatures, keys, gpgv's status. */
#include "template/edsign.h"
#include "template/openpgp.h"
#include "template/sums.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  /* Of the very size, so that reading behind it is seen. */
  autofree char *bytes = xmalloc (size);
  autofree char *text = xstrndup ((const char *) data, size);
  autoerr struct err err = {0};
  autoedsig struct edsig sig = {0};
  struct checksum checksum = {0};
  struct edkey key = {0};
  size_t len = 0;

  if (size)
    memcpy (bytes, data, size);
  if (sums_find (bytes, size, "root.tar", &checksum, &err) == 0 && checksum_is_weak (checksum.kind))
    abort ();
  if (edkey_parse (bytes, size, "input", &key, &err) == 0 &&
      edsig_parse (bytes, size, "input", &sig, &err) == 0)
    abort (); /* nothing is both */
  edsig_release (&sig);
  if (edsig_parse (bytes, size, "input", &sig, &err) == 0)
    (void) edsig_verify (&sig, &key, bytes, size, &err);
  autofree unsigned char *keys = openpgp_dearmor (bytes, size, &len, &err);
  if (keys && (!len || len > size))
    abort ();
  autofree char *by = openpgp_judge (text, &err);
  if (by && !*by)
    abort ();
  return 0;
}
