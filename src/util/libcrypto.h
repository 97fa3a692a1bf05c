/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenSSL's libcrypto, loaded when something is hashed or a signature verified: see
 * util/library.h. */
#ifndef VG_UTIL_LIBCRYPTO_H
#define VG_UTIL_LIBCRYPTO_H

#include "library.h"
/* SHA256_Init and its like are called deprecated, in favour of EVP, by every libcrypto that has
 * this name; all of them have it. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/sha.h>

#define LIBCRYPTO_FUNCTIONS(FUNCTION)                                                              \
  FUNCTION (EVP_DecodeBlock)                                                                       \
  FUNCTION (EVP_DecodeFinal)                                                                       \
  FUNCTION (EVP_DecodeInit)                                                                        \
  FUNCTION (EVP_DecodeUpdate)                                                                      \
  FUNCTION (EVP_DigestFinal_ex)                                                                    \
  FUNCTION (EVP_DigestInit_ex)                                                                     \
  FUNCTION (EVP_DigestInit_ex2)                                                                    \
  FUNCTION (EVP_DigestUpdate)                                                                      \
  FUNCTION (EVP_DigestVerify)                                                                      \
  FUNCTION (EVP_DigestVerifyInit)                                                                  \
  FUNCTION (EVP_ENCODE_CTX_free)                                                                   \
  FUNCTION (EVP_ENCODE_CTX_new)                                                                    \
  FUNCTION (EVP_MD_CTX_free)                                                                       \
  FUNCTION (EVP_MD_CTX_new)                                                                        \
  FUNCTION (EVP_MD_fetch)                                                                          \
  FUNCTION (EVP_MD_free)                                                                           \
  FUNCTION (EVP_PKEY_free)                                                                         \
  FUNCTION (EVP_PKEY_new_raw_public_key)                                                           \
  FUNCTION (EVP_blake2b512)                                                                        \
  FUNCTION (SHA256_Final)                                                                          \
  FUNCTION (SHA256_Init)                                                                           \
  FUNCTION (SHA256_Update)

struct libcrypto {
  LIBCRYPTO_FUNCTIONS (LIBRARY_MEMBER)
};
extern struct libcrypto libcrypto;

int libcrypto_load (struct err *err);

#endif
