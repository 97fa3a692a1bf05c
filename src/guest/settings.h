/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the administrator sets for a guest, checked and typed: its config.json, see
 * vguest-guest(5). The table in settings.c is the one place that knows the keys. */
#ifndef VG_GUEST_SETTINGS_H
#define VG_GUEST_SETTINGS_H

#include "guest/names.h"
#include "util/json.h"
#include <stdint.h>

/* The words of "init"; all but plain and none are styles of the guest's own /sbin/init. */
enum init_style {
  INIT_AUTO, /* plain when "command" is set; else by what /sbin/init is; else none */
  INIT_SYSTEMD,
  INIT_SYSVINIT,
  INIT_OPENRC,
  INIT_BUSYBOX,
  INIT_PLAIN, /* "command", below an init of the host */
  INIT_NONE,  /* nothing but namespaces, for exec and enter */
};

enum { KEEP_TRANSACTIONS_DEFAULT = 1, KEEP_TRANSACTIONS_MAX = 100 };

enum network_mode { NETWORK_HOST, NETWORK_NONE, NETWORK_CNI };

struct settings_rlimit {
  char *name;   /* owned; "RLIMIT_NOFILE" */
  int64_t soft; /* -1: unlimited */
  int64_t hard;
};

struct settings_mount {
  char *source; /* owned; on the host; NULL for tmpfs */
  char *target; /* owned; absolute, in the guest */
  bool tmpfs;   /* else a bind mount */
  bool read_only;
  bool optional;        /* left out when the source is missing */
  struct names options; /* owned; further mount options */
};

struct settings_device {
  char *path;   /* owned; of the host's node, and in the guest */
  char *access; /* owned; of "rwm" */
};

struct settings_port {
  char *protocol; /* owned; "tcp", "udp", "sctp" */
  char *host_ip;  /* owned; NULL: all */
  unsigned host_port;
  unsigned port;
};

/* Numbers are -1 where nothing is set. */
struct settings {
  char *hostname; /* owned; never NULL: the guest's name when it is not set */
  char *runtime;  /* owned; NULL: vguest.conf's */
  enum init_style init;
  struct names command;            /* owned; for INIT_PLAIN */
  char *user;                      /* owned; USER[:GROUP] of the guest, for INIT_PLAIN; or NULL */
  char *working_dir;               /* owned; absolute, for INIT_PLAIN; or NULL */
  int stop_signal;                 /* for INIT_PLAIN; 0 when not set */
  struct names environment;        /* owned; NAME=VALUE */
  struct names capabilities_add;   /* owned; "CAP_…", upper case */
  struct names capabilities_drop;  /* owned; "ALL" drops the default set */
  struct settings_rlimit *rlimits; /* owned */
  size_t rlimit_count;
  int64_t memory_bytes;
  int64_t swap_bytes; /* beside memory, not with it */
  int64_t cpus_milli; /* thousandths of a CPU */
  int64_t cpu_weight; /* 1 … 10000, 100 is the default, as in cgroup v2 */
  int64_t io_weight;  /* 1 … 10000, 100 is the default */
  int64_t pids;
  struct settings_mount *mounts; /* owned */
  size_t mount_count;
  struct settings_device *devices; /* owned */
  size_t device_count;
  struct names sysctls; /* owned; NAME=VALUE */
  enum network_mode network;
  char *cni_network;           /* owned; the name of a configuration list; NULL unless CNI */
  char *cni_interface;         /* owned; "eth0" */
  char *cni_mac;               /* owned; or NULL */
  struct names cni_addresses;  /* owned; wanted addresses: the capability "ips" */
  struct settings_port *ports; /* owned */
  size_t port_count;
  bool autostart;
  int64_t autostart_priority; /* higher starts earlier; 0 when not set */
  struct names depends;       /* owned; guests that must run before */
  int64_t stop_timeout;       /* seconds; 30 when not set */
  struct names health;        /* owned; a command; empty: init alive is enough */
  int64_t health_timeout;     /* seconds; 30 when not set */
  struct names verify;        /* owned; a command; empty: what the package manager says */
  int64_t keep_transactions;  /* how many can be undone, see history.h */
  int64_t disk_soft_bytes;    /* own bytes above which is warned */
  int64_t disk_hard_bytes;    /* own bytes that the file system allows, see quota.h */
  struct names labels;        /* owned; KEY=VALUE, sorted */
  char *notes;                /* owned; or NULL */
};

void settings_release (struct settings *settings);
#define autosettings __attribute__ ((cleanup (settings_release)))

/* Does @environment, a list of NAME=VALUE, set the variable that @variable sets ("NAME=…")? */
bool environment_has (const struct names *environment, const char *variable);

/* Checks all of @config (config.json of the guest @name) and takes it apart. ERR_USAGE names the
 * key, what is wrong and, for unknown keys, the nearest known one. */
int settings_parse (json_object *config, const char *name, struct settings *ret_settings,
                    struct err *err);

/* Sets in @config what "KEY=VALUE" says ("memory=512M", "labels.role=web", "depends+=db",
 * "mounts+=…", "memory=" unsets); the syntax of each key is in vguest-guest(5). Then the whole
 * must still pass settings_parse: a caller sets all, and writes only when none failed. */
int settings_set (json_object *config, const char *name, const char *assignment, struct err *err);

/* The value of @key ("memory", "labels.role") as `set` would take it, also when it is the default;
 * the caller's string. ERR_USAGE for unknown keys, with the nearest. */
int settings_get (json_object *config, const char *name, const char *key, char **ret_value,
                  struct err *err);

/* Removes from @config what only one guest can have: addresses and ports of its network. */
void settings_drop_own (json_object *config);

/* All keys, for `get`, messages and completion; ends with NULL. */
const char *const *settings_keys (void);

/* One line about @key, for people, or NULL when it is not known. */
const char *settings_help (const char *key);

/* "systemd", …: as in config.json. */
const char *init_style_name (enum init_style style);

#endif
