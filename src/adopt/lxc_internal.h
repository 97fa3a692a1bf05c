/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files lxc*.c. */
#ifndef VG_ADOPT_LXC_INTERNAL_H
#define VG_ADOPT_LXC_INTERNAL_H

#include "adopt/lxc.h"

struct lxc {
  struct translation *translation; /* borrowed */
  const struct lxc_files *files;   /* borrowed; or NULL */
  int depth;                       /* of includes */
  int includes;
  bool kept;           /* lxc.cap.keep was seen */
  bool networked;      /* a network of its own was seen */
  bool network_closed; /* what follows is of a second interface */
  int64_t memory;      /* bytes; -1 when not set */
  int64_t memory_and_swap;
  int64_t cpu_quota; /* microseconds in each period; -1 when there is no limit */
  int64_t cpu_period;
};

/* Takes one setting. */
typedef void lxc_take_fn (struct lxc *lxc, const char *key, char *value);

/* lxc_limits.c: lxc.cgroup.* and lxc.cgroup2.*; lxc_finish_limits sets what several lines say
 * together. */
lxc_take_fn lxc_take_cgroup;
void lxc_finish_limits (struct lxc *lxc);

/* lxc_network.c: lxc.net.* and lxc.network.* */
lxc_take_fn lxc_take_network;

#endif
