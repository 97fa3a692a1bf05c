/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenPGP signatures, by gpgv and a keyring that the administrator names. */
#ifndef VG_TEMPLATE_OPENPGP_H
#define VG_TEMPLATE_OPENPGP_H

#include "util/cleanup.h"
#include <stddef.h>
#include <sys/types.h>

/* A verification whose data is still coming. */
struct openpgp {
  int signature_fd; /* owned; memfds that gpgv opens by way of /proc */
  int keyring_fd;   /* owned */
  int data_fd;      /* owned; its stdin */
  int output_fd;    /* owned; memfd: its status lines */
  pid_t pid;
};
#define OPENPGP_INIT                                                                               \
  {                                                                                                \
    .signature_fd = -1, .keyring_fd = -1, .data_fd = -1, .output_fd = -1, .pid = -1                \
  }
#define autoopenpgp __attribute__ ((cleanup (openpgp_release)))

/* Starts it for a detached signature, armored or not, with the keys of the file @keyring, armored
 * or not. ENOENT, with the package, when there is no gpgv. */
int openpgp_start (const char *keyring, const void *signature, size_t len, struct openpgp *openpgp,
                   struct err *err);
/* Blocks until gpgv has taken it. */
int openpgp_add (struct openpgp *openpgp, const void *data, size_t len, struct err *err);
/* EBADMSG unless a key of the keyring has signed it, and no signature is wrong. *@ret_by is the
 * key's fingerprint, the caller's. */
int openpgp_end (struct openpgp *openpgp, char **ret_by, struct err *err);
/* Ends gpgv, too. */
void openpgp_release (struct openpgp *openpgp);

/* The text of @message, which has its signature in it, as it was signed: the caller's. */
int openpgp_open (const char *keyring, const void *message, size_t len, char **ret_text,
                  size_t *ret_len, char **ret_by, struct err *err);

/* What gpgv's status lines say: the fingerprint of a good signature, the caller's; NULL with a
 * reason in @err when there is none, or a wrong one beside it. */
char *openpgp_judge (const char *status, struct err *err);

/* Takes the armor off keys. The caller's; NULL with ERR_USAGE when @text has none, or a broken one.
 */
unsigned char *openpgp_dearmor (const char *text, size_t len, size_t *ret_len, struct err *err);

#endif
