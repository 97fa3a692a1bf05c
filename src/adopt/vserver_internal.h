/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files vserver*.c. */
#ifndef VG_ADOPT_VSERVER_INTERNAL_H
#define VG_ADOPT_VSERVER_INTERNAL_H

#include "adopt/vserver.h"

enum { VSERVER_INTERFACES_MAX = 256, VSERVER_LIMITS_MAX = 64 };

/* interfaces/NAME/ */
struct vserver_interface {
  char *directory; /* owned; NAME; "" for what stands in interfaces/ itself */
  char *ip;        /* owned, as all; or NULL */
  char *prefix;
  char *mask;
  char *dev;
  char *name;
  bool disabled;
  bool no_device; /* "nodev": the address is somebody else's to set up */
};

/* rlimits/NAME{,.hard,.soft,.min} */
struct vserver_limit {
  char *name; /* owned; lower case */
  char *both; /* owned, as all; or NULL */
  char *hard;
  char *soft;
};

struct vserver {
  struct translation *translation; /* borrowed */
  int64_t page_size;
  size_t files;
  char *hostname; /* owned; uts/nodename */
  char *name;     /* owned */
  char *style;    /* owned; apps/init/style */
  char *command;  /* owned; apps/init/cmd.start */
  char *runlevel; /* owned; apps/init/runlevel.start */
  struct vserver_interface interfaces[VSERVER_INTERFACES_MAX];
  size_t interface_count;
  struct vserver_limit limits[VSERVER_LIMITS_MAX];
  size_t limit_count;
};

typedef void vserver_take_fn (struct vserver *vserver, const char *path, char *text);

/* vserver_network.c */
vserver_take_fn vserver_take_interface;
void vserver_finish_network (struct vserver *vserver);

/* vserver_limits.c */
vserver_take_fn vserver_take_rlimit, vserver_take_cgroup, vserver_take_scheduler,
    vserver_take_disk_limit;
void vserver_finish_limits (struct vserver *vserver);

/* Lines joined by blanks, for messages: in place. */
char *vserver_one_line (char *text);

#endif
