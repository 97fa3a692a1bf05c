/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a clone is: what it does not take from its source (etc/clone.policy), and the files that name
 * it, which are written to its private layer: /etc/hostname, /etc/hosts, an empty /etc/machine-id.
 * (The identity of files is another matter: store/identity.h.) */
#ifndef VG_GUEST_IDENTITY_H
#define VG_GUEST_IDENTITY_H

#include "guest/names.h"
#include "tree/lower.h"
#include "util/rules.h"

struct clone_policy {
  struct rules rules; /* owned; verdict CLONE_SKIP for what is not cloned, the emptied included */
  struct names empty; /* owned; absolute paths */
  struct rules own;   /* owned; see own.h */
};

void clone_policy_release (struct clone_policy *policy);
#define autoclonepolicy __attribute__ ((cleanup (clone_policy_release)))

/* Adds the rules of @text. ERR_USAGE with @what and the line number. */
int clone_policy_parse (const char *text, const char *what, struct clone_policy *policy,
                        struct err *err);

/* The host's policy: $VGUEST_CLONE_POLICY, or SYSCONFDIR/vguest/clone.policy; the built-in one,
 * which is the same as the installed file, when that is missing. */
int clone_policy_load (struct clone_policy *ret_policy, struct err *err);

/* Adds an exclude file (-X): patterns of util/rules.h, one a line, "#" comments. */
int clone_policy_exclude (const char *path, struct clone_policy *policy, struct err *err);

/* Writes the identity files of @clone, whose layers were cloned from @source (a template has no
 * private one) with the rules of @policy. A file keeps mode, owner and attributes of the source's;
 * directories made in private equal those of the tree, and none changes its times. Nothing is
 * written for a guest that has no directory /etc. */
int host_identity_write (const struct lower *source, const struct lower *clone,
                         const struct clone_policy *policy, const char *hostname, struct err *err);

/* Gives the guest itself, which is not mounted, the host name @hostname in place of @old: in
 * /etc/hosts, where @old stands for a loopback address, in /etc/mailname and, last, /etc/hostname,
 * each as a new file in the private layer. Can be repeated. @txn_fd is the guest's txn/. Nothing is
 * done when /etc/hostname has another name than @old. */
int host_identity_rename (const struct lower *guest, int txn_fd, const char *old,
                          const char *hostname, struct err *err);

/* A hosts file with @old_name replaced where it stands for a loopback address, and all else as it
 * was; a file of one name (mailname) with that replaced. The caller's strings. */
char *hosts_rename (const char *text, const char *old_name, const char *hostname);
char *mailname_rename (const char *text, const char *old_name, const char *hostname);

/* The contents of a hosts file for @hostname, made from @text: the line of 127.0.1.1 is replaced or
 * added, and @old_name, which may be NULL, is replaced where it stands for a loopback address; at
 * other addresses it still means the source. The caller's string. */
char *hosts_rewrite (const char *text, const char *old_name, const char *hostname);

/* A host name for the guest @name, in which "_" is allowed: the caller's string. */
int hostname_for_guest (const char *name, char **ret_hostname, struct err *err);

#endif
