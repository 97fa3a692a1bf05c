/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The config.json of an OCI bundle (runtime-spec 1.0) for a command run in a stopped guest.
 *
 * | field                         | section of the runtime-spec      | value |
 * |-------------------------------|----------------------------------|------------------------------|
 * | ociVersion                    | config: Specification version    | 1.0.0 | |
 * root.{path,readonly}          | config: Root                     | the merged mount             |
 * | process.{args,env,cwd,user}   | config: Process                  | the command | |
 * process.terminal              | config: Process                  | false: descriptors pass      |
 * | process.capabilities          | config: Linux process            | the bounded set; no ambient
 * | | process.noNewPrivileges       | config: Linux process            | false: set-id programs
 * work  | | process.rlimits               | config: POSIX process            | none: the host's are
 * kept    | | hostname                      | config: Hostname                 | the guest's | |
 * mounts                        | config: Mounts                   | /proc /dev… /sys /run /tmp   |
 * | linux.namespaces              | config-linux: Namespaces         | all but user; see netns   |
 * | linux.cgroupsPath             | config-linux: Cgroups Path       | /vguest/ID | |
 * linux.resources.devices       | config-linux: Allowed Device List| none but the usual           |
 * | linux.seccomp                 | config-linux: Seccomp            | allow, but for a deny list |
 * | linux.{masked,readonly}Paths  | config-linux: Masked, Readonly   | the runtimes' default lists
 * |
 *
 * /run, /run/lock and /tmp are empty tmpfs, as after a boot: what maintainer scripts leave there
 * never enters the guest (Debian policy 9.1.4: /run is cleared at boot). */
#ifndef VG_RUNTIME_BUNDLE_H
#define VG_RUNTIME_BUNDLE_H

#include "guest/settings.h"
#include "runtime/init.h"
#include "util/json.h"
#include <sys/types.h>

/* The search path of commands in guests that were given none. */
#define BUNDLE_PATH_VARIABLE "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct bundle_bind {
  const char *source; /* on the host */
  const char *target; /* in the guest; read-only there */
};

struct bundle_command {
  const char *const *args; /* NULL-terminated */
  const char *const *env;  /* NULL-terminated list of NAME=VALUE */
  const char *cwd;         /* absolute */
  const char *user;        /* USER[:GROUP], to be looked up in the guest (program.h); or NULL */
  uid_t uid;
  gid_t gid;
  const gid_t *groups; /* the supplementary ones */
  size_t group_count;
  bool split;        /* where its output is taken: stdout and stderr are told apart */
  const char *input; /* what it reads from stdin; NULL: what the caller gives to all commands */
};

struct bundle {
  const char *id;       /* names the cgroup */
  const char *root;     /* the merged mount */
  bool read_only;       /* root.readonly */
  bool terminal;        /* the first process gets one */
  const char *hostname; /* NULL: left to the runtime */
  const char *init;     /* an init program of the host, or NULL: args is pid 1; without args it only
                           waits (catatonit -P) */
  const struct init_spec *init_spec; /* of a guest that runs; NULL: a transaction */
  const char *netns;                 /* a bound network namespace, or NULL: the host's */
  const struct settings *settings;   /* borrowed; of a guest that runs; NULL: a transaction */
  const struct bundle_bind *binds;   /* may be NULL */
  size_t bind_count;
};

/* Where the init program is seen in the guest. */
#define BUNDLE_INIT "/run/.vguest-init"

/* The paths of a guest that mounts go to: the caller sees to it that they exist, as a runtime would
 * make them in the guest. Ends with NULL. */
extern const char *const bundle_mount_points[];

/* ERR_USAGE when an argument, a variable or the directory is not UTF-8, which JSON cannot carry. */
int bundle_check_command (const struct bundle_command *command, struct err *err);

/* The config.json. ERR_USAGE when an argument or a variable is not UTF-8, which JSON cannot
 * carry. */
int bundle_config (const struct bundle *bundle, const struct bundle_command *command,
                   json_object **ret_config, struct err *err);

#endif
