/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the configuration of another container manager becomes: settings of a guest, and a list of
 * all that has no counterpart there.
 *
 * The parsers of this room (lxc.h, nspawn.h, vserver.h, inspect.h) are functions from text to a
 * translation. They open nothing, and never fail because of what a text says: what cannot be
 * translated is left over, with the reason. The result always passes settings_parse. */
#ifndef VG_ADOPT_TRANSLATION_H
#define VG_ADOPT_TRANSLATION_H

#include "util/json.h"
#include <stdint.h>

enum {
  TRANSLATION_TEXT_MAX = 1 << 20, /* bytes of a configuration file */
  TRANSLATION_LINES_MAX = 4096,   /* of all files together */
  LEFTOVERS_MAX = 4096,
  IDMAPS_MAX = 64,
};

/* Ids from @host on are those from @guest on inside, @count of them. */
struct idmap {
  bool users;  /* holds for user ids */
  bool groups; /* holds for group ids */
  uint32_t guest;
  uint32_t host;
  uint32_t count;
};

struct translation {
  char *name;                      /* owned; the guest's */
  char *cni;                       /* owned; the CNI network it shall join, or NULL */
  json_object *settings;           /* owned; becomes config.json */
  json_object *leftovers;          /* owned; a list of {"key", "value", "why"} */
  char *rootfs;                    /* owned; where the configuration has the tree, or NULL */
  struct idmap idmaps[IDMAPS_MAX]; /* in which the tree's ids are shifted */
  size_t idmap_count;
  bool pick_ids; /* the ids are shifted by what the top directory's owner tells */
  size_t lines;  /* read so far */
};

/* @cni may be NULL. */
void translation_init (struct translation *translation, const char *name, const char *cni);
void translation_release (struct translation *translation);
#define autotranslation __attribute__ ((cleanup (translation_release)))

/* Notes that @key, with @value, has no counterpart. @why: the reason and what to do instead. */
void translation_leave (struct translation *translation, const char *key, const char *value,
                        const char *why);

/* Sets what "SETTING=VALUE" says (settings_set); what does not pass is left over, as @key with
 * @value, with what settings_set says of it. Returns whether it was set. */
bool translation_set (struct translation *translation, const char *key, const char *value,
                      const char *format, ...) __attribute__ ((format (printf, 4, 5)));

/* The setting @setting ("command", "mounts+") as JSON: takes @json. */
bool translation_set_json (struct translation *translation, const char *key, const char *value,
                           const char *setting, json_object *json);

/* A variable "NAME=VALUE". */
void translation_variable (struct translation *translation, const char *key, const char *variable);

/* A mount; @options is "ro,optional,…": what a guest's mount does not know (and what it does by
 * itself) is left out, the former with a leftover. @source NULL: a tmpfs. */
void translation_mount (struct translation *translation, const char *key, const char *value,
                        const char *source, const char *target, const char *options);

/* A line of fstab(5): binds and tmpfs. What the runtime mounts itself (proc, sysfs, devpts, …)
 * needs nothing. Targets that are relative are below the root of the guest. */
void translation_fstab_line (struct translation *translation, const char *key, const char *line);

/* A capability, by any spelling, to add or to drop. */
void translation_capability (struct translation *translation, const char *key, const char *name,
                             bool drop);

/* The source had a network of its own: what it was (@key, @value), and by how it can be had. The
 * guest joins the CNI network if one was named, else it gets none: nobody's services shall turn up
 * in the host's network. */
void translation_own_network (struct translation *translation, const char *key, const char *value);

/* An address, "IP/PREFIX", of that network, or its hardware address or interface name
 * (@setting: "addresses+", "mac", "interface"). */
void translation_network (struct translation *translation, const char *key, const char *value,
                          const char *setting);

/* The device with these numbers, which the source was allowed to use. -1 is "*". */
void translation_device (struct translation *translation, const char *key, const char *value,
                         char type, long major, long minor, const char *access);

/* A map of ids. */
void translation_idmap (struct translation *translation, const char *key, const char *value,
                        const struct idmap *map);

/* Takes back what passes alone and not together with the rest: swap without memory, a command for
 * an init of the guest, network parameters of the host. Comes last. */
void translation_finish (struct translation *translation);

/* The lines of a file, for parsers: calls @take with each, without blanks around, comments and
 * empty lines left out. @comments: the characters that start one. Beyond TRANSLATION_LINES_MAX
 * lines the rest is left over. */
void translation_lines (struct translation *translation, const char *text, const char *comments,
                        void (*take) (struct translation *translation, char *line, void *data),
                        void *data);

/* A number without sign or unit, with K, M, G or T as in settings; -1 when @text is none. */
int64_t translation_number (const char *text);

/* "1", "yes", "true", "on" in any case. */
bool translation_true (const char *text);

/* @text without blanks around, in place. */
char *translation_trim (char *text);

/* Is @path that of an init, which guests start without being told? */
bool translation_is_init (const char *path);

/* "/a//b/./c/" as "/a/b/c", a relative path below "/". NULL, when it has "..". The caller's. */
char *translation_clean_path (const char *path);

#endif
