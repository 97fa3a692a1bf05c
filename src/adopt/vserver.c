/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vserver_internal.h"
#include "util/strbuf.h"
#include <ctype.h>

char *vserver_one_line (char *text)
{
  for (char *p = text; *p; p++)
    if (isspace ((unsigned char) *p))
      *p = ' ';
  return text;
}

static void replace (char **place, const char *text)
{
  free (*place);
  *place = xstrdup (text);
}

static void take_name (struct vserver *vserver, const char *path, char *text)
{
  (void) path;
  replace (&vserver->name, text);
}

static void take_hostname (struct vserver *vserver, const char *path, char *text)
{
  (void) path;
  replace (&vserver->hostname, text);
}

static void take_style (struct vserver *vserver, const char *path, char *text)
{
  (void) path;
  replace (&vserver->style, text);
}

static void take_command (struct vserver *vserver, const char *path, char *text)
{
  (void) path;
  replace (&vserver->command, text);
}

static void take_runlevel (struct vserver *vserver, const char *path, char *text)
{
  (void) path;
  replace (&vserver->runlevel, text);
}

/* The guests that the init script starts are those marked "default". */
static void take_mark (struct vserver *vserver, const char *path, char *text)
{
  struct translation *translation = vserver->translation;

  if (strcmp (text, "default") == 0)
    translation_set (translation, path, text, "autostart=true");
  else if (*text)
    translation_set (translation, path, text, "labels+=vserver.mark=%s", text);
}

static void take_depends (struct vserver *vserver, const char *path, char *text)
{
  for (char *word = text, *next; *word; word = next) {
    size_t len = strcspn (word, " \t\r\n");

    next = word + len + strspn (word + len, " \t\r\n");
    word[len] = '\0';
    if (len)
      translation_set (vserver->translation, path, word, "depends+=%s", word);
  }
}

static void take_domain (struct vserver *vserver, const char *path, char *text)
{
  translation_set (vserver->translation, path, text, "sysctls.kernel.domainname=%s", text);
}

static void take_variable (struct translation *translation, char *line, void *data)
{
  translation_variable (translation, data, line);
}

static void take_environment (struct vserver *vserver, const char *path, char *text)
{
  autofree char *key = xstrdup (path);

  translation_lines (vserver->translation, text, "#", take_variable, key);
}

static void take_vdir (struct vserver *vserver, const char *path, char *text)
{
  (void) path;
  replace (&vserver->translation->rootfs, text);
}

static void take_fstab_line (struct translation *translation, char *line, void *data)
{
  translation_fstab_line (translation, data, line);
}

static void take_fstab (struct vserver *vserver, const char *path, char *text)
{
  autofree char *key = xstrdup (path);

  translation_lines (vserver->translation, text, "#", take_fstab_line, key);
}

/* A capability a line, with or without "CAP_", in any case; "~" takes one away, as "!" does. */
static void take_capability (struct translation *translation, char *line, void *data)
{
  bool drop = *line == '~' || *line == '!';
  const char *name = line + drop;

  /* In old files the names of numbers, and masks. */
  if (*name == '^' || isdigit ((unsigned char) *name))
    translation_leave (translation, data, line, "a mask: name the capabilities");
  else if (strcasecmp (name, "ALL") == 0 && !drop)
    translation_leave (translation, data, line,
                       "no guest gets all capabilities: set capabilities.add+= those it needs");
  else
    translation_capability (translation, data, name, drop);
}

static void take_capabilities (struct vserver *vserver, const char *path, char *text)
{
  autofree char *key = xstrdup (path);

  translation_lines (vserver->translation, text, "#", take_capability, key);
}

/* What a guest could be allowed beyond capabilities, and what became of it. */
static const struct {
  const char *name;
  const char *why; /* NULL: every guest has it */
} context_capabilities[] = {
    {"SET_UTSNAME", NULL},
    {"SET_RLIMIT", NULL},
    {"RAW_ICMP", NULL},
    {"SYSLOG", "the kernel's log is the host's"},
    {"SECURE_MOUNT", "guests mount no file systems: set mounts+="},
    {"SECURE_REMOUNT", "guests mount no file systems: set mounts+="},
    {"BINARY_MOUNT", "guests mount no file systems: set mounts+="},
    {"QUOTA_CTL", "quotas of disk space are the host's"},
};

static void take_context_capability (struct translation *translation, char *line, void *data)
{
  for (size_t i = 0; i < sizeof context_capabilities / sizeof context_capabilities[0]; i++)
    if (strcasecmp (context_capabilities[i].name, line) == 0) {
      if (context_capabilities[i].why)
        translation_leave (translation, data, line, context_capabilities[i].why);
      return;
    }
  translation_leave (translation, data, line,
                     "it is the patched kernel's: look whether it is needed");
}

static void take_context_capabilities (struct vserver *vserver, const char *path, char *text)
{
  autofree char *key = xstrdup (path);

  translation_lines (vserver->translation, text, "#", take_context_capability, key);
}

static const struct {
  const char *name;
  const char *why;
} context_flags[] = {
    {"virt_mem", NULL}, /* free(1) tells the guest's limit: as the control group's does */
    {"virt_uptime", NULL},
    {"virt_cpu", NULL},
    {"virt_load", NULL},
    {"virt_time", "a guest has the host's clocks"},
    {"hide_mount", NULL},
    {"hide_netif", "with network \"host\" it sees all interfaces: make a CNI network"},
    {"fork_rss", NULL},
    {"prolific", NULL},
    {"ulimit", NULL},
    {"namespace", NULL},
    {"nproc", "set pids"},
    {"lock", NULL},
    {"private", NULL},
    {"fakeinit", NULL},
    {"reboot_kill", NULL},
    {"persistent", NULL},
    {"sched_hard", "set cpus"},
    {"sched_prio", "set cpu_weight"},
    {"sched_share", "set cpu_weight"},
    {"prio_bias", "set cpu_weight"},
};

static void take_flag (struct translation *translation, char *line, void *data)
{
  for (size_t i = 0; i < sizeof context_flags / sizeof context_flags[0]; i++)
    if (strcasecmp (context_flags[i].name, line) == 0) {
      if (context_flags[i].why)
        translation_leave (translation, data, line, context_flags[i].why);
      return;
    }
  translation_leave (translation, data, line,
                     "it is the patched kernel's: look whether it is needed");
}

static void take_flags (struct vserver *vserver, const char *path, char *text)
{
  autofree char *key = xstrdup (path);

  translation_lines (vserver->translation, text, "#", take_flag, key);
}

static void take_nice (struct vserver *vserver, const char *path, char *text)
{
  translation_leave (vserver->translation, path, text, "set cpu_weight (100 is that of others)");
}

/* Package management and unification, which are done anew. */
static void take_nothing (struct vserver *vserver, const char *path, char *text)
{
  (void) vserver;
  (void) path;
  (void) text;
}

/* A path that ends with "/" stands for all below it. The first that fits holds. */
static const struct {
  const char *path;
  vserver_take_fn *take;
  const char *why; /* without take: why there is no counterpart */
} paths[] = {
    {"name", take_name, NULL},
    {"uts/nodename", take_hostname, NULL},
    {"uts/context", take_nothing, NULL},
    {"uts/domainname", take_domain, NULL},
    {"uts/", NULL, "uname tells what the host's kernel is"},
    {"context", take_nothing, NULL},
    {"ncontext", take_nothing, NULL},
    {"vdir", take_vdir, NULL},
    {"run", take_nothing, NULL},
    {"run.rev", take_nothing, NULL},
    {"cache", take_nothing, NULL},
    {"cpuset/", NULL, "guests are not bound to processors: set cpus or cpu_weight"},
    {"interfaces/", vserver_take_interface, NULL},
    {"rlimits/", vserver_take_rlimit, NULL},
    {"ulimits/", vserver_take_rlimit, NULL},
    {"cgroup/", vserver_take_cgroup, NULL},
    {"sched/", vserver_take_scheduler, NULL},
    {"schedule", vserver_take_scheduler, NULL},
    {"bcapabilities", take_capabilities, NULL},
    {"capabilities", take_capabilities, NULL},
    {"ccapabilities", take_context_capabilities, NULL},
    {"ncapabilities", take_context_capabilities, NULL},
    {"cflags", take_flags, NULL},
    {"flags", take_flags, NULL},
    {"nflags", take_flags, NULL},
    {"fstab", take_fstab, NULL},
    {"fstab.remote", take_fstab, NULL},
    {"apps/init/style", take_style, NULL},
    {"apps/init/mark", take_mark, NULL},
    {"apps/init/cmd.start", take_command, NULL},
    {"apps/init/runlevel.start", take_runlevel, NULL},
    {"apps/init/runlevel", take_runlevel, NULL},
    {"apps/init/depends", take_depends, NULL},
    {"apps/init/sync", take_nothing, NULL},
    {"apps/init/environment", take_environment, NULL},
    {"apps/init/cmd.stop", NULL, "a guest is stopped by its init, or set stop_signal"},
    {"apps/init/runlevel.stop", NULL, "a guest is stopped by its init"},
    {"apps/init/killseq", NULL, "set stop_signal and stop_timeout"},
    {"apps/init/", NULL, "there is no setting for this"},
    {"apps/pkgmgmt/", take_nothing, NULL},
    {"apps/vunify/", take_nothing, NULL},
    {"apps/vhashify/", take_nothing, NULL},
    {"apps/vshelper/", take_nothing, NULL},
    {"nice", take_nice, NULL},
    {"badness", NULL, "the limit of memory is the guest's own: set memory"},
    {"personality", NULL, "uname tells the host's machine"},
    {"scripts/", NULL,
     "nothing of the host is run for a guest: see depends and health, or a service of the host"},
    {"dlimits/", vserver_take_disk_limit, NULL},
    {"spaces/", NULL, "a guest has namespaces of its own, but for network \"host\""},
    {"namespace", take_nothing, NULL},
    {"nonamespace", NULL, "a guest has namespaces of its own"},
    {"namespace-cleanup", take_nothing, NULL},
    {"no-namespace-cleanup", take_nothing, NULL},
    {"namespace-cleanup-skip", take_nothing, NULL},
    {"shell", take_nothing, NULL},
    {"time/", NULL, "a guest has the host's clocks"},
    {"sysctl/", NULL, "set sysctls.NAME=VALUE"},
};

static bool path_fits (const char *path, const char *pattern)
{
  size_t len = strlen (pattern);

  return pattern[len - 1] == '/' ? strncmp (path, pattern, len) == 0 : strcmp (path, pattern) == 0;
}

struct vserver *vserver_begin (struct translation *translation, int64_t page_size)
{
  struct vserver *vserver = xcalloc (1, sizeof *vserver);

  vserver->translation = translation;
  vserver->page_size = page_size;
  return vserver;
}

void vserver_take (struct vserver *vserver, const char *path, const char *contents)
{
  autofree char *copy = xstrdup (contents);
  char *text = translation_trim (copy);

  if (vserver->files++ >= VSERVER_FILES_MAX) {
    if (vserver->files == VSERVER_FILES_MAX + 1)
      translation_leave (vserver->translation, path, "", "there are too many files to go on");
    return;
  }
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    if (!path_fits (path, paths[i].path))
      continue;
    if (paths[i].take)
      paths[i].take (vserver, path, text);
    else
      translation_leave (vserver->translation, path, vserver_one_line (text), paths[i].why);
    return;
  }
  translation_leave (vserver->translation, path, vserver_one_line (text), "it is not known");
}

/* A list, one argument a line. */
static void set_command (struct vserver *vserver)
{
  json_object *list = json_object_new_array ();

  if (!list)
    err_out_of_memory ();
  for (const char *at = vserver->command; *at;) {
    size_t len = strcspn (at, "\n");

    if (len)
      json_append (list, json_object_new_string_len (at, (int) len));
    at += len + (at[len] == '\n');
  }
  translation_set_json (vserver->translation, "apps/init/cmd.start",
                        vserver_one_line (vserver->command), "command", list);
}

/* "sysv" runs /etc/rc.d/rc with no init, the default; "plain" the guest's own /sbin/init as pid 1;
 * "gentoo" its openrc; "minit" and "initng" are inits of those names. */
static void finish_init (struct vserver *vserver)
{
  struct translation *translation = vserver->translation;
  const char *style = vserver->style ? vserver->style : "sysv";
  const char *first_line = vserver->command;

  if (first_line && *first_line) {
    size_t len = strcspn (first_line, "\n");
    autofree char *program = xstrndup (first_line, len);

    if (!translation_is_init (program)) {
      if (strstr (program, "/rc") && strcmp (style, "plain") != 0)
        translation_leave (translation, "apps/init/cmd.start", vserver_one_line (vserver->command),
                           "the guest's own init starts its runlevel: the command is not needed");
      else
        set_command (vserver);
    }
  }
  if (strcmp (style, "gentoo") == 0)
    translation_set (translation, "apps/init/style", style, "init=openrc");
  else if (strcmp (style, "sysv") == 0)
    translation_leave (translation, "apps/init/style", style,
                       "its runlevel was started without an init; now /sbin/init of the guest is "
                       "its first process, which it must have: see vguest-guest(5), init");
  else if (strcmp (style, "plain") != 0)
    translation_leave (translation, "apps/init/style", style,
                       "there is no such style: /sbin/init of the guest is started");
  if (vserver->runlevel)
    translation_leave (translation, "apps/init/runlevel.start", vserver->runlevel,
                       "the runlevel is what the guest's /etc/inittab or systemd has as default");
}

void vserver_end (struct vserver *vserver)
{
  struct translation *translation = vserver->translation;

  if (vserver->hostname)
    translation_set (translation, "uts/nodename", vserver->hostname, "hostname=%s",
                     vserver->hostname);
  else if (vserver->name)
    translation_set (translation, "name", vserver->name, "hostname=%s", vserver->name);
  vserver_finish_network (vserver);
  vserver_finish_limits (vserver);
  finish_init (vserver);
  free (vserver->hostname);
  free (vserver->name);
  free (vserver->style);
  free (vserver->command);
  free (vserver->runlevel);
  free (vserver);
}
