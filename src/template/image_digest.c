/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_document.h"

int image_digest_mismatch (const char *what, const struct checksum *found,
                           const struct checksum *expected, struct err *err)
{
  char found_text[CHECKSUM_TEXT_SIZE], expected_text[CHECKSUM_TEXT_SIZE];

  checksum_format (found, found_text);
  checksum_format (expected, expected_text);
  return err_code (err, EBADMSG, "%s is %s, expected is %s", what, found_text, expected_text);
}

int image_document_verify (const struct checksum *digest, const char *text, size_t len,
                           struct err *err)
{
  autochecksummer struct checksummer *sum = NULL;
  struct checksum found;

  if (checksummer_new (digest->kind, CHECKSUM_NONE, &sum, err) < 0)
    return -err->code;
  checksummer_add (sum, text, len);
  checksummer_end (sum, &found, NULL);
  if (!checksum_equal (&found, digest))
    return image_digest_mismatch ("the digest of a document of the image", &found, digest, err);
  return 0;
}
