/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rpm's database and messages: what the drivers for rpm, dnf and zypper share; see driver.h. */
#ifndef VG_PKG_RPM_H
#define VG_PKG_RPM_H

#include "pkg/driver.h"

/* Suffixes of configuration files that rpm leaves beside others. */
extern const char *const rpm_conffile_suffixes[];

/* Where the database may be. */
extern const char *const rpm_write_paths[];

/* What of the state is rpm's database. */
#define RPM_DATABASE_PATHS "usr/lib/sysimage/rpm", "var/lib/rpm"

/* Paths of pkg_driver.state_paths that matter to rpm and all that is built on it. */
#define RPM_STATE_PATHS                                                                            \
  "bin", "sbin", "lib", "lib64", "usr", "etc/alternatives", "etc/crypto-policies", "etc/gnutls",   \
      "etc/group", "etc/ld.so.cache", "etc/ld.so.conf", "etc/ld.so.conf.d", "etc/ld.so.preload",   \
      "etc/nsswitch.conf", "etc/os-release", "etc/passwd", "etc/pki", "etc/rpm", "etc/selinux",    \
      "etc/ssl", "etc/system-release", "root/.config/rpm", "root/.rpmmacros", "root/.rpmrc",       \
      "var/lib/rpm"

/* The commands of PKG_AUDIT, PKG_VERIFY and PKG_INSTALLED; false for other steps. The audit reads
 * the whole database, and does not look at files and dependencies: those may well be broken in a
 * guest that is to be upgraded. */
bool rpm_database_command (enum pkg_step step, struct names *ret_args);

/* Output of PKG_INSTALLED: "name.architecture<TAB>version<TAB>bytes" in each line. EINVAL. */
int rpm_parse_installed (const char *text, size_t len, struct pkg_packages *ret_packages,
                         struct err *err);

/* Sets what a line means that librpm wrote, by way of any of the managers. Sets @ret_line anew. */
void rpm_line (const char *line, struct pkg_line *ret_line);

/* A request to check installed files against the database, for a neutral verb: all of them, or
 * those of the packages @args. */
void rpm_verify_request (const struct names *args, struct pkg_request *ret_request);

/* Is the line about a network error of libcurl that may pass, as "Curl error (7): …"? */
bool rpm_is_curl_error (const char *line);

#endif
