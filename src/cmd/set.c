/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES set KEY=VALUE… */
#include "cmd.h"
#include "guest/quota.h"
#include "guest/settings.h"
#include "util/strbuf.h"
#include "util/interrupt.h"

static const char usage_head[] =
    "Usage: vguest NAMES set KEY=VALUE…\n"
    "Changes the settings of guests: of all, or of none when one is wrong. KEY= unsets; lists and\n"
    "maps also take KEY+=VALUE, KEY-=VALUE, MAP.NAME=VALUE and JSON. What runs gets them at its\n"
    "next start. See vguest-guest(5).\n\nKeys:\n";

struct change {
  struct guest *guest; /* owned */
  json_object *config; /* owned; as it will be */
};

static char *usage_text (void)
{
  autostrbuf struct strbuf text = STRBUF_INIT (64 << 10);

  strbuf_adds (&text, usage_head);
  for (const char *const *key = settings_keys (); *key; key++)
    strbuf_addf (&text, "  %-19s %s\n", *key, settings_help (*key));
  return strbuf_steal (&text);
}

static int prepare (struct vroot *root, const char *name, char **assignments, struct change *change,
                    struct err *err)
{
  autosettings struct settings settings = {0};

  if (guest_open (root, name, GUEST_LOCKED, &change->guest, err) < 0)
    return -err->code;
  if (json_object_deep_copy (change->guest->config, &change->config, NULL) < 0)
    err_out_of_memory ();
  for (; *assignments; assignments++)
    if (settings_set (change->config, name, *assignments, err) < 0)
      return -err->code;
  if (settings_parse (change->config, name, &settings, err) < 0)
    return -err->code;
  if (settings.disk_hard_bytes >= 0 && quota_probe (root, err) < 0)
    return err_wrap (err, "guest %s: disk.hard_limit", name);
  return 0;
}

static int write_change (const struct context *context, struct change *change, struct err *err)
{
  struct guest *guest = change->guest;
  bool commented;

  if (json_object_equal (guest->config, change->config))
    return 0;
  if (guest_save_config (guest, change->config, &commented, err) < 0)
    return -err->code;
  if (commented)
    warn_of_comments (guest->name);
  int running = guest_running (guest, err);
  if (running < 0)
    return running;
  if (running && !context->quiet)
    fprintf (stderr, "%s: guest %s runs: this holds from its next start\n", context->program,
             guest->name);
  return 0;
}

static int set_all (const struct context *context, struct vroot *root, const struct names *names,
                    char **assignments, struct change *changes, struct err *err)
{
  for (size_t i = 0; i < names->count; i++)
    if (prepare (root, names->items[i], assignments, &changes[i], err) < 0)
      return -err->code;
  for (size_t i = 0; i < names->count; i++)
    if (write_change (context, &changes[i], err) < 0)
      return -err->code;
  return 0;
}

int cmd_set (struct context *context, int argc, char **argv, struct err *err)
{
  const struct option_spec specs[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  autofree char *usage = usage_text ();
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ true, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (first < argc && strcmp (argv[first], "--") == 0)
    first++;
  if (first >= argc)
    return err_code (err, ERR_USAGE, "KEY=VALUE is expected; see --help");
  interrupt_install ();
  if (context_select (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ true, &root, err) < 0)
    return -err->code;
  struct change *changes = xcalloc (names.count, sizeof *changes);
  int ret = set_all (context, root, &names, argv + first, changes, err);
  for (size_t i = 0; i < names.count; i++) {
    if (changes[i].config)
      json_object_put (changes[i].config);
    if (changes[i].guest)
      guest_close (changes[i].guest);
  }
  free (changes);
  return ret;
}
