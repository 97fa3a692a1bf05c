/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of settings, between the files settings*.c. */
#ifndef VG_GUEST_SETTINGS_INTERNAL_H
#define VG_GUEST_SETTINGS_INTERNAL_H

#include "guest/settings.h"

/* The shape of a value in config.json, which is what `set` needs to know. */
enum setting_type {
  SETTING_TEXT,
  SETTING_NUMBER,
  SETTING_SWITCH,
  SETTING_WORDS,  /* a list of strings that have no commas */
  SETTING_ARGS,   /* a command: a list of any strings */
  SETTING_MAP,    /* strings by name */
  SETTING_MOUNTS, /* a list of objects */
  SETTING_GROUP,  /* an object; its members are keys of their own, "GROUP.MEMBER" */
};

struct setting {
  const char *key;
  enum setting_type type;
  /* Checks @value and puts it into @settings, which has the default there. */
  int (*parse) (const struct setting *setting, json_object *value, struct settings *settings,
                struct err *err);
  size_t field;    /* for parsers that serve several keys: the member's offset */
  int64_t minimum; /* for numbers and sizes */
  int64_t maximum;
  const char *fallback; /* what `get` tells where nothing is set; NULL: it depends */
  const char *help;
  char *(*normal) (
      const char *word); /* SETTING_WORDS of which one has several spellings; or NULL */
};

extern const struct setting settings_table[];
extern const size_t settings_table_count;

static inline void *setting_field (const struct setting *setting, struct settings *settings)
{
  return (char *) settings + setting->field;
}

/* The string in @value: borrowed, UTF-8, without NULs. */
int setting_string (json_object *value, const char **ret_text, struct err *err);

/* A whole number with K, M, G or T (powers of 1024), as "64K". False when it is none. */
bool setting_size (const char *text, int64_t *ret_size);

/* Does @path begin with "/", without "." and ".." and empty components? */
bool setting_path_is_clean (const char *path);

/* The member that is there and not null, or NULL; borrowed. */
json_object *setting_member (json_object *object, const char *key);

typedef int setting_parser (const struct setting *setting, json_object *value,
                            struct settings *settings, struct err *err);

/* settings_values.c */
setting_parser parse_hostname, parse_runtime, parse_init, parse_args, parse_environment,
    parse_capabilities, parse_rlimits, parse_size, parse_cpus, parse_number, parse_switch,
    parse_sysctls, parse_depends, parse_labels, parse_notes;
char *capability_normal (const char *word);

/* settings_process.c */
setting_parser parse_user, parse_working_dir, parse_stop_signal;

/* settings_places.c */
setting_parser parse_mounts, parse_devices, parse_network, parse_cni_name, parse_cni_interface,
    parse_cni_mac, parse_cni_addresses, parse_ports;
/* The object that "SOURCE:TARGET[:OPTION,…]" or "tmpfs:TARGET[:OPTION,…]" stands for. */
int mount_from_text (const char *text, json_object **ret_object, struct err *err);

/* Checks one value, of a group with its members. */
int setting_check (const struct setting *setting, json_object *value, struct err *err);

#endif
