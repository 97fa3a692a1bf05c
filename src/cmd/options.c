/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd.h"
#include <getopt.h>

/* getopt_long's answers for options without a letter start here. */
enum { NO_LETTER = 1000, HELP_COLUMNS = 80 };

static void print_option (const struct option_spec *spec)
{
  char left[40];

  snprintf (left, sizeof left, "%s%c%s--%s%s%s", spec->letter ? "-" : "",
            spec->letter ? spec->letter : ' ', spec->letter ? ", " : "   ", spec->name,
            spec->argument ? " " : "", spec->argument ? spec->argument : "");
  printf ("  %-26s %s\n", left, spec->help);
}

/* Columns that @text takes, up to its end or @len bytes: UTF-8's continuation bytes take none. */
static size_t columns (const char *text, size_t len)
{
  size_t n = 0;

  for (size_t i = 0; i < len && text[i]; i++)
    n += ((unsigned char) text[i] & 0xc0) != 0x80;
  return n;
}

/* Fills paragraphs to HELP_COLUMNS. Lines that are indented stand for themselves, and so does the
 * first one, which begins with "Usage:". */
static void print_usage (const char *text)
{
  size_t at = 0;
  bool first = true;

  while (*text) {
    size_t line = strcspn (text, "\n");
    bool own = first || line == 0 || *text == ' ';

    if (own && at) {
      putchar ('\n');
      at = 0;
    }
    for (size_t len; !own && line; text += len, line -= len) {
      size_t spaces = strspn (text, " ");

      text += spaces;
      line -= spaces;
      len = strcspn (text, " \n");
      size_t width = columns (text, len);
      if (at && at + 1 + width > HELP_COLUMNS) {
        putchar ('\n');
        at = 0;
      }
      printf ("%s%.*s", at ? " " : "", (int) len, text);
      at += (at ? 1 : 0) + width;
    }
    if (own)
      printf ("%.*s\n", (int) line, text);
    text += line + (text[line] == '\n');
    first = false;
  }
  if (at)
    putchar ('\n');
  putchar ('\n');
}

static void print_help (const struct option_spec *specs, const struct option_spec *common,
                        const char *usage)
{
  print_usage (usage);
  if (specs->name)
    puts ("Options:");
  for (; specs->name; specs++)
    print_option (specs);
  puts ("Common options:");
  for (; common->name; common++)
    print_option (common);
}

struct parser {
  struct option *longs;              /* owned */
  const struct option_spec **by_val; /* owned; index: option.val - NO_LETTER */
  char *letters;                     /* owned */
  size_t count;
};

/* --json alone, or --json=FILE where a command has its file taken. */
static bool is_json (const struct option_spec *spec)
{
  return strcmp (spec->name, "json") == 0;
}

static void add_specs (struct parser *parser, const struct option_spec *specs)
{
  for (; specs->name; specs++) {
    size_t n = parser->count++;
    size_t len = strlen (parser->letters);

    parser->longs[n] = (struct option){
        .name = specs->name,
        .has_arg = specs->argument   ? required_argument
                   : is_json (specs) ? optional_argument
                                     : no_argument,
        .val = NO_LETTER + (int) n,
    };
    parser->by_val[n] = specs;
    if (specs->letter)
      snprintf (parser->letters + len, 3, "%c%s", specs->letter, specs->argument ? ":" : "");
  }
}

static const struct option_spec *find_spec (const struct parser *parser, int val)
{
  if (val >= NO_LETTER)
    return parser->by_val[val - NO_LETTER];
  for (size_t i = 0; i < parser->count; i++)
    if (parser->by_val[i]->letter == val)
      return parser->by_val[i];
  return NULL;
}

static size_t count_specs (const struct option_spec *specs)
{
  size_t n = 0;

  while (specs[n].name)
    n++;
  return n;
}

int options_parse (struct context *context, const struct option_spec *specs, bool stop_early,
                   const char *usage, int argc, char **argv, int *ret_first, int *ret_dashes,
                   struct err *err)
{
  bool help = false;
  const struct option_spec common[] = {
      {"root", 0, "DIR", "the state root", NULL, &context->root_option, NULL},
      {"json", 0, NULL, "machine-readable output", &context->json, NULL, NULL},
      {"quiet", 'q', NULL, "no progress and no summary", &context->quiet, NULL, NULL},
      {"no-wait", 0, NULL, "exit 7 instead of waiting for a lock", &context->no_wait, NULL, NULL},
      {"wait", 0, "SECONDS", "exit 7 after waiting so long for a lock", NULL, &context->wait, NULL},
      {"help", 'h', NULL, "this text", &help, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  size_t total = count_specs (specs) + count_specs (common);
  autofree struct option *longs = xcalloc (total + 1, sizeof *longs);
  autofree const struct option_spec **by_val = xcalloc (total, sizeof *by_val);
  autofree char *letters = xcalloc (total * 2 + 4, 1);
  struct parser parser = {.longs = longs, .by_val = by_val, .letters = letters};
  int dashes = argc, val;

  for (int i = 1; i < argc; i++)
    if (strcmp (argv[i], "--") == 0) {
      dashes = i;
      break;
    }
  snprintf (letters, 3, "%s:", stop_early ? "+" : "");
  add_specs (&parser, specs);
  add_specs (&parser, common);
  optind = 0;
  opterr = 0;
  while ((val = getopt_long (dashes, argv, letters, longs, NULL)) != -1) {
    const struct option_spec *spec = val == '?' || val == ':' ? NULL : find_spec (&parser, val);

    if (!spec && val == ':')
      return err_code (err, ERR_USAGE, "the option %s needs an argument; see --help",
                       argv[optind - 1]);
    if (!spec)
      return err_code (err, ERR_USAGE, "unknown option %s; see --help",
                       optopt && optopt < NO_LETTER ? (char[]){'-', (char) optopt, '\0'}
                                                    : argv[optind - 1]);
    if (spec->flag && optarg && !context->takes_json_file)
      return err_code (err, ERR_USAGE, "the option --json has no argument here; see --help");
    if (spec->flag && optarg)
      context->json_file = optarg;
    if (spec->flag)
      *spec->flag = true;
    else if (spec->value)
      *spec->value = optarg;
    else
      names_add (spec->list, optarg);
  }
  if (help) {
    print_help (specs, common, usage);
    exit (fflush (stdout) == 0 ? 0 : 1);
  }
  *ret_first = optind;
  *ret_dashes = dashes < argc ? dashes + 1 : argc;
  return 0;
}

int options_parse_only (struct context *context, const struct option_spec *specs, const char *usage,
                        int argc, char **argv, struct err *err)
{
  int first = argc, dashes = argc;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  return first < argc ? err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first]) : 0;
}
