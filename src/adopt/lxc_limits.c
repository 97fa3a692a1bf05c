/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control groups: the names of version 1 are those of the kernel's
 * Documentation/admin-guide/cgroup-v1, of version 2 those of cgroup-v2.rst. */
#include "lxc_internal.h"
#include <inttypes.h>

static void take_memory (struct lxc *lxc, const char *key, char *value)
{
  int64_t bytes = translation_number (value);

  if (strcmp (value, "max") == 0 || strcmp (value, "-1") == 0)
    return;
  if (bytes < 0)
    translation_leave (lxc->translation, key, value, "it is no size");
  else if (strstr (key, "memsw"))
    lxc->memory_and_swap = bytes;
  else if (translation_set (lxc->translation, key, value, "memory=%" PRId64, bytes))
    lxc->memory = bytes;
}

static void take_swap (struct lxc *lxc, const char *key, char *value)
{
  if (strcmp (value, "max") != 0)
    translation_set (lxc->translation, key, value, "swap=%s", value);
}

static void take_pids (struct lxc *lxc, const char *key, char *value)
{
  if (strcmp (value, "max") != 0)
    translation_set (lxc->translation, key, value, "pids=%s", value);
}

/* @value on a scale where @normal is what others have, from 1 to 10000 where that is 100. */
static void take_weight (struct lxc *lxc, const char *key, const char *value, const char *setting,
                         int64_t normal)
{
  int64_t weight = translation_number (value);

  if (weight < 0 || weight > 1000000) {
    translation_leave (lxc->translation, key, value, "it is no weight");
    return;
  }
  weight = (weight * 100 + normal / 2) / normal;
  translation_set (lxc->translation, key, value, "%s=%" PRId64, setting,
                   weight < 1       ? 1
                   : weight > 10000 ? 10000
                                    : weight);
}

static void take_shares (struct lxc *lxc, const char *key, char *value)
{
  take_weight (lxc, key, value, "cpu_weight", 1024);
}

static void take_cpu_weight (struct lxc *lxc, const char *key, char *value)
{
  take_weight (lxc, key, value, "cpu_weight", 100);
}

static void take_blkio_weight (struct lxc *lxc, const char *key, char *value)
{
  take_weight (lxc, key, value, "io_weight", 500);
}

/* "100" or "default 100"; for a device of the host: "8:0 50". */
static void take_io_weight (struct lxc *lxc, const char *key, char *value)
{
  if (strchr (value, ':'))
    translation_leave (lxc->translation, key, value, "a weight is for all disks: set io_weight");
  else
    take_weight (lxc, key, strncmp (value, "default ", 8) == 0 ? value + 8 : value, "io_weight",
                 100);
}

static void take_quota (struct lxc *lxc, const char *key, char *value)
{
  int64_t number = translation_number (value);

  if (number > 0 && strstr (key, "period"))
    lxc->cpu_period = number;
  else if (number > 0)
    lxc->cpu_quota = number;
  else if (strcmp (value, "-1") != 0)
    translation_leave (lxc->translation, key, value, "it is no number of microseconds");
}

/* "QUOTA PERIOD", both in microseconds; "max" is no limit. */
static void take_cpu_max (struct lxc *lxc, const char *key, char *value)
{
  size_t len = strcspn (value, " \t");
  int64_t period = value[len] ? translation_number (translation_trim (value + len)) : 100000;

  value[len] = '\0';
  if (period > 0)
    lxc->cpu_period = period;
  if (strcmp (value, "max") != 0)
    take_quota (lxc, key, value);
}

/* "c 10:229 rwm"; "*" for any number; "a" for all. */
static void take_devices (struct lxc *lxc, const char *key, char *value)
{
  char type = *value;
  char *at = value + 1 + strspn (value + 1, " \t");
  long major = *at == '*' ? -1 : strtol (at, &at, 10);
  autofree char *whole = xstrdup (value);

  at += *at == '*';
  if (type == 'a') {
    if (strstr (key, ".allow"))
      translation_leave (lxc->translation, key, value,
                         "no guest gets all devices: set devices+= those that it needs");
    return;
  }
  if (strstr (key, ".deny"))
    return; /* nothing is allowed that is not set */
  if (*at++ != ':' || !strchr ("cb", type)) {
    translation_leave (lxc->translation, key, whole, "it is no rule of the devices controller");
    return;
  }
  long minor = *at == '*' ? -1 : strtol (at, &at, 10);
  at += *at == '*';
  at += strspn (at, " \t");
  translation_device (lxc->translation, key, whole, type, major, minor, *at ? at : "rwm");
}

static const char no_cpus[] = "guests are not bound to processors: set cpus or cpu_weight";

static const struct {
  const char *name;
  lxc_take_fn *take;
  const char *why;
} controls[] = {
    {"memory.limit_in_bytes", take_memory, NULL},
    {"memory.memsw.limit_in_bytes", take_memory, NULL},
    {"memory.max", take_memory, NULL},
    {"memory.swap.max", take_swap, NULL},
    {"memory.high", NULL, "there is one limit of memory: set memory"},
    {"memory.soft_limit_in_bytes", NULL, "there is one limit of memory: set memory"},
    {"memory.use_hierarchy", NULL, NULL},
    {"pids.max", take_pids, NULL},
    {"cpu.shares", take_shares, NULL},
    {"cpu.weight", take_cpu_weight, NULL},
    {"cpu.max", take_cpu_max, NULL},
    {"cpu.cfs_quota_us", take_quota, NULL},
    {"cpu.cfs_period_us", take_quota, NULL},
    {"blkio.weight", take_blkio_weight, NULL},
    {"blkio.bfq.weight", take_io_weight, NULL},
    {"io.weight", take_io_weight, NULL},
    {"io.max", NULL, "disks have weights only: set io_weight"},
    {"devices.allow", take_devices, NULL},
    {"devices.deny", take_devices, NULL},
    {"cpuset.cpus", NULL, no_cpus},
    {"cpuset.mems", NULL, no_cpus},
};

void lxc_take_cgroup (struct lxc *lxc, const char *key, char *value)
{
  const char *name = strchr (key + strlen ("lxc.cgroup"), '.') + 1;

  for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
    if (strcmp (controls[i].name, name) != 0)
      continue;
    if (controls[i].take)
      controls[i].take (lxc, key, value);
    else if (controls[i].why)
      translation_leave (lxc->translation, key, value, controls[i].why);
    return;
  }
  /* lxc.cgroup.dir and the like say where its groups are. */
  translation_leave (lxc->translation, key, value,
                     strchr (name, '.') ? "there is no setting for this controller"
                                        : "control groups of guests have their own places");
}

void lxc_finish_limits (struct lxc *lxc)
{
  if (lxc->memory_and_swap >= 0) {
    if (lxc->memory >= 0 && lxc->memory_and_swap >= lxc->memory)
      translation_set (lxc->translation, "lxc.cgroup.memory.memsw.limit_in_bytes", "",
                       "swap=%" PRId64, lxc->memory_and_swap - lxc->memory);
    else
      translation_leave (lxc->translation, "lxc.cgroup.memory.memsw.limit_in_bytes", "",
                         "it needs a memory limit that is less: set memory and swap");
  }
  if (lxc->cpu_quota > 0 && lxc->cpu_quota <= INT64_MAX / 1000) {
    int64_t milli = lxc->cpu_quota * 1000 / lxc->cpu_period;

    translation_set (lxc->translation, "lxc.cgroup.cpu", "", "cpus=%" PRId64 ".%03" PRId64,
                     milli / 1000, milli % 1000);
  }
}
