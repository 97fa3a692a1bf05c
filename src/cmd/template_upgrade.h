/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate update --upgrade: the packages of a template upgraded by its own package manager. */
#ifndef VG_CMD_TEMPLATE_UPGRADE_H
#define VG_CMD_TEMPLATE_UPGRADE_H

#include "template/import.h"

/* Upgrades the packages of the newest generation of @name in a transaction, and publishes the
 * result as the next one. Returns 1, or 0 when nothing was changed and nothing is published.
 * @ret_report is the caller's. EOPNOTSUPP when no package manager is found. */
int template_upgrade (struct vroot *root, const char *name, struct writer_report *ret_report,
                      struct err *err);

#endif
