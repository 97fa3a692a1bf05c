/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "resources.h"
#include "util/fd.h"
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define CGROUPS "/sys/fs/cgroup"

static json_object *checked (json_object *object)
{
  if (!object)
    err_out_of_memory ();
  return object;
}

/* The object, or array, @key of @object, made when it is missing; borrowed. */
static json_object *member (json_object *object, const char *key, json_object *(*make) (void) )
{
  json_object *value = NULL;

  if (json_object_object_get_ex (object, key, &value) && value)
    return value;
  value = checked (make ());
  json_put (object, key, value);
  return value;
}

/* One file system for all controllers. A hybrid host has them in version 1. */
static bool is_unified (void)
{
  struct statfs fs;

  return statfs (CGROUPS, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static int unsupported (const char *key, const char *controller, struct err *err)
{
  return err_code (err, EOPNOTSUPP,
                   "%s: this host cannot enforce it, as it has no cgroup controller for it (%s): "
                   "enable the controller, or unset %s",
                   key, controller, key);
}

/* Has the host @controller, and in version 1 its limit @file? Version 2 has the files where the
 * runtime will enable the controller. */
static int require_controller (const char *key, const char *controller, const char *file,
                               struct err *err)
{
  if (is_unified ()) {
    autofree char *text = NULL;
    size_t len = strlen (controller);
    bool found = false;

    if (fd_read_file (AT_FDCWD, CGROUPS "/cgroup.controllers", 4096, &text, NULL, err) < 0)
      return -err->code;
    for (const char *p = text; (p = strstr (p, controller)) != NULL; p += len)
      found |= (p == text || p[-1] == ' ') && strchr (" \n", p[len]);
    return found ? 0 : unsupported (key, controller, err);
  }
  autofree char *parent =
      xasprintf (CGROUPS "/%s/vguest", strcmp (controller, "io") == 0 ? "blkio" : controller);
  autofree char *path = xasprintf ("%s/%s", parent, file);
  if (mkdir (parent, 0755) < 0 && errno != EEXIST)
    return errno == ENOENT || errno == EROFS ? unsupported (key, controller, err)
                                             : err_errno (err, "make the cgroup %s", parent);
  return access (path, F_OK) < 0 ? unsupported (key, file, err) : 0;
}

static int apply_memory (const struct settings *settings, json_object *resources, struct err *err)
{
  if (settings->memory_bytes < 0)
    return 0;
  json_object *memory = member (resources, "memory", json_object_new_object);
  if (require_controller ("memory", "memory", "memory.limit_in_bytes", err) < 0)
    return -err->code;
  json_set_int (memory, "limit", settings->memory_bytes);
  if (settings->swap_bytes < 0)
    return 0;
  if (require_controller ("swap", "memory", "memory.memsw.limit_in_bytes", err) < 0)
    return -err->code;
  json_set_int (memory, "swap", settings->memory_bytes + settings->swap_bytes);
  return 0;
}

static int apply_cpu (const struct settings *settings, json_object *resources, struct err *err)
{
  enum { PERIOD_US = 100000 };

  if (settings->cpus_milli >= 0) {
    json_object *cpu = member (resources, "cpu", json_object_new_object);

    if (require_controller ("cpus", "cpu", "cpu.cfs_quota_us", err) < 0)
      return -err->code;
    json_set_int (cpu, "period", PERIOD_US);
    json_set_int (cpu, "quota", settings->cpus_milli * (PERIOD_US / 1000));
  }
  if (settings->cpu_weight >= 0) {
    json_object *cpu = member (resources, "cpu", json_object_new_object);
    int64_t weight = settings->cpu_weight;
    /* Runtimes turn shares into the weight of version 2 by the inverse of this. */
    int64_t shares =
        is_unified () ? 2 + ((weight - 1) * 262142 + 9998) / 9999 : weight * 1024 / 100;

    if (require_controller ("cpu_weight", "cpu", "cpu.shares", err) < 0)
      return -err->code;
    json_set_int (cpu, "shares", shares < 2 ? 2 : shares);
  }
  return 0;
}

static int apply_io (const struct settings *settings, json_object *resources, struct err *err)
{
  int64_t weight = settings->io_weight;

  if (weight < 0)
    return 0;
  if (is_unified ()) {
    weight = 10 + ((weight - 1) * 990 + 9998) / 9999;
  } else {
    weight = weight < 10 ? 10 : weight > 1000 ? 1000 : weight;
    if (require_controller ("io_weight", "io", "blkio.bfq.weight", err) < 0) {
      if (err->code != EOPNOTSUPP)
        return -err->code;
      err_release (err); /* that of CFQ, of older kernels */
      if (require_controller ("io_weight", "io", "blkio.weight", err) < 0)
        return -err->code;
    }
  }
  if (require_controller ("io_weight", "io", "cgroup.procs", err) < 0)
    return -err->code;
  json_set_int (member (resources, "blockIO", json_object_new_object), "weight", weight);
  return 0;
}

static int apply_limits (const struct settings *settings, json_object *resources, struct err *err)
{
  if (apply_memory (settings, resources, err) < 0 || apply_cpu (settings, resources, err) < 0 ||
      apply_io (settings, resources, err) < 0)
    return -err->code;
  if (settings->pids < 0)
    return 0;
  if (require_controller ("pids", "pids", "pids.max", err) < 0)
    return -err->code;
  json_set_int (member (resources, "pids", json_object_new_object), "limit", settings->pids);
  return 0;
}

/* One set of capabilities: the caller's. */
static json_object *change_capabilities (const struct settings *settings, json_object *old)
{
  json_object *set = checked (json_object_new_array ());
  bool none = names_has (&settings->capabilities_drop, "ALL");

  for (size_t i = 0; !none && i < json_object_array_length (old); i++) {
    json_object *name = json_object_array_get_idx (old, i);

    if (!names_has (&settings->capabilities_drop, json_object_get_string (name)) &&
        !names_has (&settings->capabilities_add, json_object_get_string (name)))
      json_append (set, json_object_get (name));
  }
  for (size_t i = 0; i < settings->capabilities_add.count; i++)
    json_append (set, json_object_new_string (settings->capabilities_add.items[i]));
  return set;
}

/* Only who may raise hard limits of his own can give a guest higher ones. */
static int check_rlimit (const struct settings_rlimit *limit, struct err *err)
{
  static const struct {
    const char *name;
    int number;
  } numbers[] = {
      {"RLIMIT_AS", RLIMIT_AS},
      {"RLIMIT_CORE", RLIMIT_CORE},
      {"RLIMIT_CPU", RLIMIT_CPU},
      {"RLIMIT_DATA", RLIMIT_DATA},
      {"RLIMIT_FSIZE", RLIMIT_FSIZE},
      {"RLIMIT_LOCKS", RLIMIT_LOCKS},
      {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
      {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
      {"RLIMIT_NICE", RLIMIT_NICE},
      {"RLIMIT_NOFILE", RLIMIT_NOFILE},
      {"RLIMIT_NPROC", RLIMIT_NPROC},
      {"RLIMIT_RSS", RLIMIT_RSS},
      {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
      {"RLIMIT_RTTIME", RLIMIT_RTTIME},
      {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
      {"RLIMIT_STACK", RLIMIT_STACK},
  };
  struct rlimit own;

  if (prctl (PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) == 1)
    return 0;
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    if (strcmp (numbers[i].name, limit->name) != 0)
      continue;
    if (prlimit (0, (__typeof__ (RLIMIT_AS)) numbers[i].number, NULL, &own) < 0)
      return err_errno (err, "ask for %s", limit->name);
    if (own.rlim_max < (rlim_t) limit->hard)
      return err_code (err, EPERM,
                       "rlimits: %s: this host lets nobody have more than %llu (CAP_SYS_RESOURCE "
                       "is missing)",
                       limit->name, (unsigned long long) own.rlim_max);
  }
  return 0;
}

static int apply_process (const struct settings *settings, json_object *process, struct err *err)
{
  static const char *const sets[] = {"bounding", "effective", "permitted", NULL};
  json_object *capabilities = member (process, "capabilities", json_object_new_object);

  for (const char *const *set = sets; *set; set++)
    json_put (capabilities, *set,
              change_capabilities (settings, member (capabilities, *set, json_object_new_array)));
  for (size_t i = 0; i < settings->rlimit_count; i++) {
    const struct settings_rlimit *limit = &settings->rlimits[i];

    if (check_rlimit (limit, err) < 0)
      return -err->code;
    json_object *object = checked (json_object_new_object ());

    json_set_string (object, "type", limit->name);
    /* Unlimited is the largest number of 64 bits there. */
    json_put (object, "soft", checked (json_object_new_uint64 ((uint64_t) limit->soft)));
    json_put (object, "hard", checked (json_object_new_uint64 ((uint64_t) limit->hard)));
    json_append (member (process, "rlimits", json_object_new_array), object);
  }
  return 0;
}

/* 1 when the mount is to be made, 0 when an optional source is missing. */
static int mount_wanted (const struct settings_mount *mount, bool *ret_directory, struct err *err)
{
  struct stat st;

  *ret_directory = true;
  if (mount->tmpfs)
    return 1;
  if (stat (mount->source, &st) < 0) {
    if (mount->optional && (errno == ENOENT || errno == ENOTDIR))
      return 0;
    return err_errno (err, "mounts: the source %s", mount->source);
  }
  *ret_directory = S_ISDIR (st.st_mode);
  return 1;
}

static int apply_mounts (const struct settings *settings, json_object *mounts, struct err *err)
{
  for (size_t i = 0; i < settings->mount_count; i++) {
    const struct settings_mount *mount = &settings->mounts[i];
    bool directory = false, recursive = names_has (&mount->options, "rbind");
    int wanted = mount_wanted (mount, &directory, err);

    if (wanted < 0)
      return wanted;
    if (!wanted)
      continue;
    json_object *object = checked (json_object_new_object ());
    json_object *options = checked (json_object_new_array ());
    json_set_string (object, "destination", mount->target);
    json_set_string (object, "type", mount->tmpfs ? "tmpfs" : "bind");
    json_set_string (object, "source", mount->tmpfs ? "tmpfs" : mount->source);
    if (!mount->tmpfs && !recursive)
      json_append (options, json_object_new_string ("bind"));
    json_append (options, json_object_new_string (mount->read_only ? "ro" : "rw"));
    /* Set-id programs and device nodes of the host are no business of a guest; an option may say
     * otherwise. */
    if (!names_has (&mount->options, "suid"))
      json_append (options, json_object_new_string ("nosuid"));
    if (!names_has (&mount->options, "dev"))
      json_append (options, json_object_new_string ("nodev"));
    for (size_t k = 0; k < mount->options.count; k++)
      json_append (options, json_object_new_string (mount->options.items[k]));
    json_put (object, "options", options);
    json_append (mounts, object);
  }
  return 0;
}

static int apply_devices (const struct settings *settings, json_object *linux_object,
                          json_object *resources, struct err *err)
{
  for (size_t i = 0; i < settings->device_count; i++) {
    const struct settings_device *device = &settings->devices[i];
    struct stat st;

    if (stat (device->path, &st) < 0)
      return err_errno (err, "devices: %s of the host", device->path);
    if (!S_ISCHR (st.st_mode) && !S_ISBLK (st.st_mode))
      return err_code (err, EINVAL, "devices: %s is no device", device->path);
    const char *type = S_ISCHR (st.st_mode) ? "c" : "b";
    json_object *node = checked (json_object_new_object ());
    json_object *rule = checked (json_object_new_object ());
    json_set_string (node, "path", device->path);
    json_set_string (node, "type", type);
    json_set_int (node, "major", major (st.st_rdev));
    json_set_int (node, "minor", minor (st.st_rdev));
    json_set_int (node, "fileMode", st.st_mode & 0777);
    json_set_int (node, "uid", st.st_uid);
    json_set_int (node, "gid", st.st_gid);
    json_append (member (linux_object, "devices", json_object_new_array), node);
    json_set_bool (rule, "allow", true);
    json_set_string (rule, "type", type);
    json_set_int (rule, "major", major (st.st_rdev));
    json_set_int (rule, "minor", minor (st.st_rdev));
    json_set_string (rule, "access", device->access);
    json_append (member (resources, "devices", json_object_new_array), rule);
  }
  return 0;
}

int resources_apply (const struct settings *settings, json_object *config, struct err *err)
{
  json_object *linux_object = member (config, "linux", json_object_new_object);
  json_object *resources = member (linux_object, "resources", json_object_new_object);

  if (apply_process (settings, member (config, "process", json_object_new_object), err) < 0)
    return -err->code;
  for (size_t i = 0; i < settings->sysctls.count; i++) {
    const char *pair = settings->sysctls.items[i], *equals = strchr (pair, '=');
    autofree char *name = xstrndup (pair, (size_t) (equals - pair));

    json_set_string (member (linux_object, "sysctl", json_object_new_object), name, equals + 1);
  }
  if (apply_limits (settings, resources, err) < 0 ||
      apply_mounts (settings, member (config, "mounts", json_object_new_array), err) < 0)
    return -err->code;
  return apply_devices (settings, linux_object, resources, err);
}

static bool is_below (const char *path, const char *directory)
{
  size_t len = strlen (directory);

  return strncmp (path, directory, len) == 0 && (!path[len] || path[len] == '/');
}

int resources_prepare (const struct settings *settings, int root_fd, struct targets *targets,
                       struct err *err)
{
  for (size_t i = 0; i < settings->mount_count; i++) {
    const struct settings_mount *mount = &settings->mounts[i];
    bool directory = false, covered = is_below (mount->target, "/dev") ||
                                      is_below (mount->target, "/run") ||
                                      is_below (mount->target, "/tmp");
    int wanted = mount_wanted (mount, &directory, err);

    for (size_t k = 0; k < settings->mount_count; k++)
      covered |= k != i && is_below (mount->target, settings->mounts[k].target);
    if (wanted < 0)
      return wanted;
    if (wanted && !covered && targets_prepare (targets, root_fd, mount->target, directory, err) < 0)
      return err_wrap (err, "mounts: the target %s", mount->target);
  }
  return 0;
}
