/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd.h"
#include "pkg/hostkeys.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include "util/utf8.h"
#include <stdarg.h>

static const char *program_name = "vguest";

void messages_from (const char *program)
{
  program_name = program;
}

static void on_wait (const char *what, const char *holder)
{
  progress_clear ();
  fprintf (stderr, "%s: waiting for %s, locked by %s\n", program_name, what, holder);
}

static void on_warning (const char *text)
{
  print_warning ("%s", text);
}

/* --wait SECONDS; 0 is --no-wait. */
static int parse_wait (const char *text, unsigned *ret_seconds, struct err *err)
{
  size_t digits = strspn (text, "0123456789");

  if (!digits || digits > 9 || text[digits])
    return err_code (err, ERR_USAGE, "bad --wait \"%s\": seconds are expected", text);
  *ret_seconds = (unsigned) strtoul (text, NULL, 10);
  return 0;
}

int context_open_root (const struct context *context, bool write, struct vroot **ret_root,
                       struct err *err)
{
  struct vroot_options options = {
      .path = context->root_option,
      .write = write,
      .no_wait = context->no_wait,
      .on_wait = on_wait,
      .on_warning = on_warning,
  };

  if (context->wait && parse_wait (context->wait, &options.wait_seconds, err) < 0)
    return -err->code;
  options.no_wait |= context->wait && !options.wait_seconds;
  progress_enable (!context->quiet && !context->json);
  if (require_root (err) < 0)
    return -err->code;
  if (write)
    interrupt_install ();
  if (root_open (&options, ret_root, err) < 0)
    return -err->code;
  (*ret_root)->store->on_damage = on_warning;
  return 0;
}

int context_select (struct context *context, struct names *ret_names, struct err *err)
{
  autoroot struct vroot *root = NULL;

  if (context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  return selecting_resolve (root, &context->selecting, ret_names, err);
}

int context_select_one (struct context *context, struct names *ret_names, struct err *err)
{
  if (context_select (context, ret_names, err) < 0)
    return -err->code;
  if (ret_names->count > 1)
    return err_code (err, ERR_USAGE, "one guest is expected, not %zu", ret_names->count);
  return 0;
}

int context_open_running (const struct context *context, const char *name, struct vroot **ret_root,
                          struct guest **ret_guest, struct live_info *ret_info, struct err *err)
{
  if (context_open_root (context, /* write= */ false, ret_root, err) < 0 ||
      guest_open (*ret_root, name, GUEST_PEEK, ret_guest, err) < 0 ||
      live_info_read (*ret_root, *ret_guest, ret_info, err) < 0)
    return -err->code;
  if (ret_info->state == LIVE_STOPPED)
    return err_code (err, ESRCH, "it does not run: start it with `vguest %s start`", name);
  if (ret_info->state == LIVE_STARTING)
    return err_code (err, EBUSY, "it is just being started: try again");
  return 0;
}

int require_root (struct err *err)
{
  if (geteuid () != 0)
    return err_code (err, EPERM, "this needs root: run it with sudo or in a root shell");
  return 0;
}

unsigned cpu_count (void)
{
  long count = sysconf (_SC_NPROCESSORS_ONLN);

  return count < 1 ? 1 : count > 64 ? 64 : (unsigned) count;
}

char *format_bytes (uint64_t bytes)
{
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = (double) bytes;
  size_t unit = 0;

  while (value >= 1024 && unit < 6) {
    value /= 1024;
    unit++;
  }
  return unit ? xasprintf ("%.1f %s", value, units[unit]) : xasprintf ("%.0f B", value);
}

char *format_text (const char *text)
{
  autostrbuf struct strbuf out = STRBUF_INIT (SIZE_MAX / 2);
  bool utf8 = utf8_valid (text);

  for (const unsigned char *p = (const unsigned char *) text; *p; p++) {
    /* U+0080 to U+009F are control characters as well. */
    bool c1 = utf8 && p[0] == 0xc2 && p[1] < 0xa0;

    if (*p < ' ' || *p == 0x7f || c1 || (*p >= 0x80 && !utf8))
      strbuf_addf (&out, "\\x%02x", *p);
    else
      strbuf_add (&out, p, 1);
    if (c1)
      strbuf_addf (&out, "\\x%02x", *++p);
  }
  return strbuf_steal (&out);
}

int confirm (bool yes, const char *action, const char *text, struct err *err)
{
  char answer[16];

  if (yes)
    return 0;
  if (!isatty (STDIN_FILENO) || !isatty (STDERR_FILENO))
    return err_code (err, ERR_USAGE, "nobody can be asked whether to %s: say --yes", action);
  fprintf (stderr, "%s\nAre you sure? [y/N] ", text);
  if (!fgets (answer, sizeof answer, stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
    return err_code (err, ERR_NOTHING, "nothing was done");
  return 0;
}

void print_json (json_object *object)
{
  const char *text = json_object_to_json_string_ext (
      object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);

  if (!text)
    err_out_of_memory ();
  puts (text);
}

static void print_line (const char *kind, const char *format, va_list ap)
    __attribute__ ((format (printf, 2, 0)));

static void print_line (const char *kind, const char *format, va_list ap)
{
  progress_clear ();
  fprintf (stderr, "%s: %s", program_name, kind);
  vfprintf (stderr, format, ap);
  fputc ('\n', stderr);
}

void print_warning (const char *format, ...)
{
  va_list ap;

  va_start (ap, format);
  print_line ("warning: ", format, ap);
  va_end (ap);
}

void print_error (const char *format, ...)
{
  va_list ap;

  va_start (ap, format);
  print_line ("", format, ap);
  va_end (ap);
}

void prepare_start (struct vroot *root, struct guest *guest)
{
  autoerr struct err err = {0};

  if (hostkeys_ensure (root, guest, &err) < 0)
    print_warning ("guest %s: %s", guest->name, err_text (&err));
}

void warn_of_comments (const char *guest)
{
  print_warning ("guest %s: the comments of config.json are now in config.json.old only", guest);
}
