/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Trees of containers with a user namespace have ids that are shifted: they are shifted back, as a
 * guest's ids on the disk are its own. */
#ifndef VG_ADOPT_UNSHIFT_H
#define VG_ADOPT_UNSHIFT_H

#include "adopt/translation.h"
#include <sys/stat.h>

/* Adds the map that the owner of the top directory tells when the configuration leaves that to it
 * ("pick": systemd.nspawn(5), PrivateUsers=). */
void unshift_pick (struct translation *translation, const struct stat *top);

/* Is there anything to shift? */
bool unshift_needed (const struct translation *translation);

/* @id of the host as the guest has it; UINT32_MAX when no map has it. */
uint32_t unshift_id (const struct translation *translation, uint32_t id, bool group);

/* Shifts the owners of everything below @fd, and of @fd itself, with ids in ACLs and capabilities;
 * modes and times stay. What belongs to nobody of the guest becomes 65534's, as it was seen there;
 * @ret_foreign counts it. For a copy in staging: when it fails, half of it is done. */
int unshift_tree (int fd, const struct translation *translation, uint64_t *ret_foreign,
                  struct err *err);

/* The value of an ACL attribute, in place; false when it is none. */
bool unshift_acl (const struct translation *translation, void *value, size_t len);

/* The value of security.capability, in place: @len may shrink, as the capabilities are for the
 * guest's root in any case then. */
bool unshift_capability (const struct translation *translation, void *value, size_t *len);

#endif
