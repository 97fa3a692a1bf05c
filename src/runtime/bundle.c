/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bundle.h"
#include "runtime/resources.h"
#include "util/utf8.h"
#include <sched.h>

static const char *const capabilities[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
    NULL,
};

static const char *const namespaces[] = {"pid", "mount", "ipc", "uts", "cgroup", NULL};

static const char *const masked_paths[] = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/proc/scsi",
    NULL,
};

static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

/* What a limit of the settings is written to, in a guest whose cgroup is writable: hierarchies of
 * version 1 as a whole (as systemd-nspawn does), files of version 2. Those that the host does not
 * have are passed over. */
static const char *const limit_paths[] = {
    "/sys/fs/cgroup/blkio",
    "/sys/fs/cgroup/cpu",
    "/sys/fs/cgroup/cpuacct",
    "/sys/fs/cgroup/cpu,cpuacct",
    "/sys/fs/cgroup/cpuset",
    "/sys/fs/cgroup/devices",
    "/sys/fs/cgroup/freezer",
    "/sys/fs/cgroup/hugetlb",
    "/sys/fs/cgroup/memory",
    "/sys/fs/cgroup/misc",
    "/sys/fs/cgroup/net_cls",
    "/sys/fs/cgroup/net_prio",
    "/sys/fs/cgroup/net_cls,net_prio",
    "/sys/fs/cgroup/perf_event",
    "/sys/fs/cgroup/pids",
    "/sys/fs/cgroup/rdma",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/cpu.max.burst",
    "/sys/fs/cgroup/cpu.weight",
    "/sys/fs/cgroup/cpu.weight.nice",
    "/sys/fs/cgroup/cpu.idle",
    "/sys/fs/cgroup/cpuset.cpus",
    "/sys/fs/cgroup/cpuset.mems",
    "/sys/fs/cgroup/io.bfq.weight",
    "/sys/fs/cgroup/io.latency",
    "/sys/fs/cgroup/io.max",
    "/sys/fs/cgroup/io.weight",
    "/sys/fs/cgroup/memory.high",
    "/sys/fs/cgroup/memory.low",
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory.min",
    "/sys/fs/cgroup/memory.swap.high",
    "/sys/fs/cgroup/memory.swap.max",
    "/sys/fs/cgroup/memory.zswap.max",
    "/sys/fs/cgroup/pids.max",
    NULL,
};

/* What a package's scripts never need and a kernel is best not asked for, beyond what the missing
 * capabilities forbid already. */
static const char *const denied_syscalls[] = {
    "acct",
    "add_key",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "finit_module",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "nfsservctl",
    "open_by_handle_at",
    "perf_event_open",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "request_key",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "sysfs",
    "_sysctl",
    "userfaultfd",
    "uselib",
    "ustat",
    "vm86",
    "vm86old",
    NULL,
};

static const char *const architectures[] = {
#if defined __x86_64__
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X32",
#elif defined __aarch64__
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
#elif defined __i386__
    "SCMP_ARCH_X86",
#elif defined __arm__
    "SCMP_ARCH_ARM",
#elif defined __riscv
    "SCMP_ARCH_RISCV64",
#elif defined __powerpc64__ && defined __LITTLE_ENDIAN__
    "SCMP_ARCH_PPC64LE",
#elif defined __s390x__
    "SCMP_ARCH_S390X",
#endif
    NULL,
};

struct mount_spec {
  const char *target;
  const char *type;
  const char *source;
  const char *options; /* separated by commas */
};

static const struct mount_spec mounts[] = {
    {"/proc", "proc", "proc", "nosuid,noexec,nodev"},
    {"/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
    {"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k"},
    {"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"},
    {"/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"},
    {"/run", "tmpfs", "tmpfs", "nosuid,nodev,mode=755"},
    {"/run/lock", "tmpfs", "tmpfs", "nosuid,noexec,nodev,mode=1777,size=5120k"},
    {"/tmp", "tmpfs", "tmpfs", "nosuid,nodev,mode=1777"},
};

/* In a cgroup namespace: the guest's own is the top. */
static const struct mount_spec cgroup_own = {"/sys/fs/cgroup", "cgroup", "cgroup",
                                             "nosuid,noexec,nodev,relatime"};
static const struct mount_spec cgroup_seen = {"/sys/fs/cgroup", "cgroup", "cgroup",
                                              "nosuid,noexec,nodev,relatime,ro"};

const char *const bundle_mount_points[] = {"/proc", "/dev", "/sys", "/run", "/tmp", NULL};

struct device_rule {
  const char *type; /* NULL: all */
  int64_t major;    /* -1: all */
  int64_t minor;
  const char *access;
};

/* mknod is allowed for all, as packages ship nodes; opening them is not, and the overlay is
 * mounted nodev. */
static const struct device_rule devices[] = {
    {"c", -1, -1, "m"}, {"b", -1, -1, "m"}, {"c", 1, 3, "rwm"},    {"c", 1, 5, "rwm"},
    {"c", 1, 7, "rwm"}, {"c", 1, 8, "rwm"}, {"c", 1, 9, "rwm"},    {"c", 5, 0, "rwm"},
    {"c", 5, 1, "rwm"}, {"c", 5, 2, "rwm"}, {"c", 136, -1, "rwm"},
};

static json_object *new_object (void)
{
  json_object *object = json_object_new_object ();

  if (!object)
    err_out_of_memory ();
  return object;
}

static json_object *new_array (void)
{
  json_object *array = json_object_new_array ();

  if (!array)
    err_out_of_memory ();
  return array;
}

static json_object *option_list (const char *options)
{
  json_object *array = new_array ();

  while (*options) {
    size_t len = strcspn (options, ",");

    json_append (array, json_object_new_string_len (options, (int) len));
    options += len;
    if (*options)
      options++;
  }
  return array;
}

static json_object *mount_object (const struct mount_spec *spec)
{
  json_object *object = new_object ();

  json_set_string (object, "destination", spec->target);
  json_set_string (object, "type", spec->type);
  json_set_string (object, "source", spec->source);
  json_put (object, "options", option_list (spec->options));
  return object;
}

static json_object *mount_list (const struct bundle *bundle)
{
  json_object *array = new_array ();

  for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++)
    json_append (array, mount_object (&mounts[i]));
  if (bundle->init_spec)
    json_append (array, mount_object (bundle->init_spec->own_cgroup ? &cgroup_own : &cgroup_seen));
  for (size_t i = 0; i < bundle->bind_count; i++)
    json_append (array, mount_object (&(struct mount_spec){bundle->binds[i].target, "bind",
                                                           bundle->binds[i].source,
                                                           "bind,ro,nosuid,nodev,exec"}));
  if (bundle->init)
    json_append (array, mount_object (&(struct mount_spec){BUNDLE_INIT, "bind", bundle->init,
                                                           "bind,ro,nosuid,nodev,exec"}));
  return array;
}

/* Is the first process the guest's own init? */
static bool own_init (const struct bundle *bundle)
{
  return bundle->init_spec && bundle->init_spec->of_guest;
}

static json_object *process_object (const struct bundle *bundle,
                                    const struct bundle_command *command)
{
  static const char *const sets[] = {"bounding", "effective", "permitted", NULL};
  json_object *process = new_object ();
  json_object *user = new_object ();
  json_object *groups = new_array ();
  json_object *args = new_array ();
  json_object *caps = new_object ();

  json_set_bool (process, "terminal", bundle->terminal || own_init (bundle));
  json_set_int (user, "uid", command->uid);
  json_set_int (user, "gid", command->gid);
  for (size_t i = 0; i < command->group_count; i++)
    json_append (groups, json_object_new_int64 (command->groups[i]));
  json_put (user, "additionalGids", groups);
  json_put (process, "user", user);
  if (bundle->init) {
    json_append (args, json_object_new_string (BUNDLE_INIT));
    json_append (args, json_object_new_string (command->args[0] ? "--" : "-P"));
  }
  for (const char *const *arg = command->args; *arg; arg++)
    json_append (args, json_object_new_string (*arg));
  json_put (process, "args", args);
  json_put (process, "env", json_new_strings (command->env));
  json_set_string (process, "cwd", command->cwd);
  for (const char *const *set = sets; *set; set++) {
    json_object *list = json_new_strings (capabilities);

    if (own_init (bundle))
      json_append (list, json_object_new_string ("CAP_SYS_BOOT"));
    json_put (caps, *set, list);
  }
  json_put (process, "capabilities", caps);
  json_set_bool (process, "noNewPrivileges", false);
  return process;
}

static json_object *device_list (void)
{
  json_object *array = new_array ();
  json_object *all = new_object ();

  json_set_bool (all, "allow", false);
  json_set_string (all, "access", "rwm");
  json_append (array, all);
  for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
    json_object *object = new_object ();

    json_set_bool (object, "allow", true);
    json_set_string (object, "type", devices[i].type);
    if (devices[i].major >= 0)
      json_set_int (object, "major", devices[i].major);
    if (devices[i].minor >= 0)
      json_set_int (object, "minor", devices[i].minor);
    json_set_string (object, "access", devices[i].access);
    json_append (array, object);
  }
  return array;
}

/* A cgroup namespace below a user namespace could mount the hierarchies anew, and writable: root in
 * the guest owns their files, limits among them. The flags of clone3 cannot be looked at; libcs
 * do without it. */
static void deny_flag (json_object *rules, const char *name, int index)
{
  const char *const names[] = {name, NULL};
  json_object *deny = new_object (), *flag = new_object (), *args = new_array ();

  json_set_int (flag, "index", index);
  json_set_int (flag, "value", CLONE_NEWCGROUP);
  json_set_int (flag, "valueTwo", CLONE_NEWCGROUP);
  json_set_string (flag, "op", "SCMP_CMP_MASKED_EQ");
  json_append (args, flag);
  json_put (deny, "names", json_new_strings (names));
  json_set_string (deny, "action", "SCMP_ACT_ERRNO");
  json_put (deny, "args", args);
  json_append (rules, deny);
}

static void deny_cgroup_namespaces (json_object *rules)
{
  static const char *const opaque[] = {"clone3", NULL};
  json_object *deny = new_object ();

#if defined __s390x__
  deny_flag (rules, "clone", 1);
#else
  deny_flag (rules, "clone", 0);
#endif
  deny_flag (rules, "unshare", 0);
  json_put (deny, "names", json_new_strings (opaque));
  json_set_string (deny, "action", "SCMP_ACT_ERRNO");
  json_set_int (deny, "errnoRet", ENOSYS);
  json_append (rules, deny);
}

/* An own init may reboot: the kernel ends its pid namespace then, and nothing else. */
static json_object *seccomp_object (const struct bundle *bundle)
{
  json_object *seccomp = new_object ();
  json_object *rules = new_array ();
  json_object *deny = new_object ();

  json_set_string (seccomp, "defaultAction", "SCMP_ACT_ALLOW");
  if (architectures[0])
    json_put (seccomp, "architectures", json_new_strings (architectures));
  json_object *names = json_new_strings (denied_syscalls);
  if (!own_init (bundle))
    json_append (names, json_object_new_string ("reboot"));
  json_put (deny, "names", names);
  json_set_string (deny, "action", "SCMP_ACT_ERRNO");
  json_append (rules, deny);
  /* An administrator of its own can mount them in any case. */
  if (!bundle->settings || !names_has (&bundle->settings->capabilities_add, "CAP_SYS_ADMIN"))
    deny_cgroup_namespaces (rules);
  json_put (seccomp, "syscalls", rules);
  return seccomp;
}

static json_object *readonly_list (const struct bundle *bundle)
{
  json_object *array = json_new_strings (readonly_paths);

  if (bundle->init_spec && bundle->init_spec->own_cgroup)
    for (const char *const *path = limit_paths; *path; path++)
      json_append (array, json_object_new_string (*path));
  return array;
}

static json_object *linux_object (const struct bundle *bundle)
{
  json_object *object = new_object ();
  json_object *spaces = new_array ();
  json_object *resources = new_object ();
  autofree char *cgroup = xasprintf ("/vguest/%s", bundle->id);

  for (const char *const *name = namespaces; *name; name++) {
    json_object *space = new_object ();

    json_set_string (space, "type", *name);
    json_append (spaces, space);
  }
  if (bundle->netns || (bundle->settings && bundle->settings->network == NETWORK_NONE)) {
    json_object *space = new_object ();

    json_set_string (space, "type", "network");
    json_set_string (space, "path", bundle->netns);
    json_append (spaces, space);
  }
  json_put (object, "namespaces", spaces);
  json_set_string (object, "cgroupsPath", cgroup);
  json_put (resources, "devices", device_list ());
  json_put (object, "resources", resources);
  json_put (object, "seccomp", seccomp_object (bundle));
  json_put (object, "maskedPaths", json_new_strings (masked_paths));
  json_put (object, "readonlyPaths", readonly_list (bundle));
  return object;
}

static int check_utf8 (const char *const *strings, const char *what, struct err *err)
{
  for (; *strings; strings++)
    if (!utf8_valid (*strings))
      return err_code (err, ERR_USAGE,
                       "%s \"%s\" is not UTF-8, and nothing else can be handed to a container "
                       "runtime",
                       what, *strings);
  return 0;
}

int bundle_check_command (const struct bundle_command *command, struct err *err)
{
  const char *const cwd[] = {command->cwd, NULL};

  if (check_utf8 (command->args, "the argument", err) < 0 ||
      check_utf8 (command->env, "the variable", err) < 0 ||
      check_utf8 (cwd, "the directory", err) < 0)
    return -err->code;
  return 0;
}

int bundle_config (const struct bundle *bundle, const struct bundle_command *command,
                   json_object **ret_config, struct err *err)
{
  if (bundle_check_command (command, err) < 0)
    return -err->code;
  json_object *config = new_object ();
  json_object *root = new_object ();
  json_set_string (config, "ociVersion", "1.0.0");
  json_put (config, "process", process_object (bundle, command));
  json_set_string (root, "path", bundle->root);
  json_set_bool (root, "readonly", bundle->read_only);
  json_put (config, "root", root);
  if (bundle->hostname)
    json_set_string (config, "hostname", bundle->hostname);
  json_put (config, "mounts", mount_list (bundle));
  json_put (config, "linux", linux_object (bundle));
  if (bundle->settings && resources_apply (bundle->settings, config, err) < 0) {
    json_object_put (config);
    return -err->code;
  }
  *ret_config = config;
  return 0;
}
