/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between run.c, run_running.c and offline.c. */
#ifndef VG_PKG_RUN_INTERNAL_H
#define VG_PKG_RUN_INTERNAL_H

#include "pkg/run.h"

/* The caller's note with what the run tells. options->note is not NULL. */
void run_note (const struct run_options *options, enum history_mode mode,
               const struct run_result *result, struct history_note *ret_note);

/* Throws the open transaction away, or keeps its layer for a look: when commands ran, and one of
 * them failed, or what came behind them, which is @failed. */
int run_undo (struct vroot *root, struct guest *guest, const struct run_options *options,
              enum history_mode mode, bool failed, struct run_result *result, struct err *err);

#endif
