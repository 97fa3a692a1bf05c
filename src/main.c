/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of programs and verbs. One binary; the other program names are links to it. */
#include "cmd/cmd.h"
#include "util/fd.h"
#include "util/progress.h"
#include <signal.h>

static const struct command commands[] = {
    {"vguest", "build", "-m METHOD [OPTION…] -- ARG…", "make guests", cmd_build},
    {"vguest", "adopt", "[OPTION…] SOURCE", "make a guest of a system in use elsewhere", cmd_adopt},
    {"vguest", "delete", "[--yes]", "delete guests and what only they used", cmd_delete},
    {"vguest", "thicken", "", "make thin guests full ones", cmd_thicken},
    {"vguest", "check", "", "look over what guests show", cmd_check},
    {"vguest", "show", "[-r] [PATH…]", "show which files are shared", cmd_show},
    {"vguest", "diff", "[--stat] [TEMPLATE|GUEST]", "show what changed", cmd_diff},
    {"vguest", "which", "PATH…", "tell where the bytes of files lie", cmd_which},
    {"vguest", "rename", "NEW", "give a guest another name", cmd_rename},
    {"vguest-stat", NULL, "[NAME…]", "show guests: what runs, and what they share", cmd_stat},
    {"vstore", "fsck", "[--repair] [--quick] [-j N]", "check all objects, and who uses them",
     cmd_store_fsck},
    {"vstore", "gc", "[-n] [--force]", "remove objects that no tree uses", cmd_store_gc},
    {"vguest", "start", "[OPTION…]", "start guests", cmd_start},
    {"vguest", "stop", "[OPTION…]", "stop guests", cmd_stop},
    {"vguest", "restart", "[OPTION…]", "stop guests and start them again", cmd_restart},
    {"vguest", "condrestart", "[OPTION…]", "the same, but only those that run", cmd_restart},
    {"vguest", "status", "", "tell whether guests run", cmd_status},
    {"vguest", "running", "", "print the names of those that run", cmd_running},
    {"vguest", "kill", "[-s SIGNAL]", "send a signal to the init of guests", cmd_kill},
    {"vguest", "set", "KEY=VALUE…", "change settings of guests", cmd_set},
    {"vguest", "get", "[KEY…]", "show settings of guests", cmd_get},
    {"vguest", "hashify", "[-n]", "fold and unify", cmd_guest_hashify},
    {"vhashify", NULL, "[-n] NAME…|--all", "fold and unify", cmd_hashify},
    {"vtemplate", "import", "NAME SOURCE", "make a template of an archive or a directory",
     cmd_template_import},
    {"vtemplate", "build", "[-d FILE] [--updates] NAME", "make a template from a definition",
     cmd_template_build},
    {"vtemplate", "check", "FILE…", "check definitions", cmd_template_check},
    {"vtemplate", "list", "", "show the templates", cmd_template_list},
    {"vtemplate", "info", "NAME", "tell about a template", cmd_template_info},
    {"vtemplate", "update", "[OPTION…] NAME…|--all", "make what is newer the next generation",
     cmd_template_update},
    {"vtemplate", "gc", "[-n] [NAME…]", "remove old generations that have no guests",
     cmd_template_gc},
    {"vtemplate", "delete", "NAME", "remove a template", cmd_template_delete},
    {"vguest", "exec", "[OPTION…] -- COMMAND [ARG…]", "run a command in guests", cmd_exec},
    {"vguest", "suexec", "[OPTION…] USER COMMAND [ARG…]", "run a command as a user", cmd_suexec},
    {"vguest", "enter", "[-u USER] [--failed]", "open a login shell in a running guest", cmd_enter},
    {"vguest", "history", "", "show the transactions of guests", cmd_history},
    {"vguest", "rollback", "[ID]", "undo the last transactions of guests", cmd_rollback},
    {"vguest", "console", "", "join the console of a running guest", cmd_console},
    {"vguest", "logs", "[-f] [-n LINES]", "show what the guest's init wrote", cmd_logs},
    {"vapt-get", NULL, "[OPTION…] SELECTION… -- ARG…", "run apt-get in guests", cmd_pkg},
    {"vdnf", NULL, "[OPTION…] SELECTION… -- ARG…", "run dnf in guests", cmd_pkg},
    {"vyum", NULL, "[OPTION…] SELECTION… -- ARG…", "run yum in guests", cmd_pkg},
    {"vrpm", NULL, "[OPTION…] SELECTION… -- ARG…", "run rpm in guests", cmd_pkg},
    {"vzypper", NULL, "[OPTION…] SELECTION… -- ARG…", "run zypper in guests", cmd_pkg},
    {"vpacman", NULL, "[OPTION…] SELECTION… -- ARG…", "run pacman in guests", cmd_pkg},
    {"vapk", NULL, "[OPTION…] SELECTION… -- ARG…", "run apk in guests", cmd_pkg},
    {"vpkg", NULL, "[OPTION…] SELECTION… -- VERB [ARG…]", "run each guest's own package manager",
     cmd_pkg},
    {"vexec", NULL, "[OPTION…] NAME…|--all -- COMMAND [ARG…]", "run a command in many guests",
     cmd_vexec},
    {"vguest-info", NULL, "[NAME]", "tell about the host, or a guest", cmd_info},
    {"vguest-autostart", "start", "[-j N]", "start the guests that have autostart set",
     cmd_autostart_start},
    {"vguest-autostart", "stop", "[-j N]", "stop all guests, in the reverse order",
     cmd_autostart_stop},
    {"vguest-autostart", "status", "", "tell whether they run", cmd_autostart_status},
    {"vguest-autostart", "list", "", "show what start would start, in this order",
     cmd_autostart_list},
    {NULL, NULL, NULL, NULL, NULL},
};

struct program {
  const char *name;
  const char *synopsis;
  const char *summary;
};

static const struct program programs[] = {
    {"vguest", "[OPTION…] NAMES VERB [ARG…]", "manage guests"},
    {"vtemplate", "[OPTION…] VERB [ARG…]", "manage templates"},
    {"vhashify", "[OPTION…] SELECTION", "unify guests"},
    {"vstore", "[OPTION…] VERB", "look after the store"},
    {"vguest-stat", "[OPTION…]", "show guests: what runs, and what they share"},
    {"vapt-get", "[OPTION…] SELECTION -- ARG…", "run apt-get in many guests"},
    {"vdnf", "[OPTION…] SELECTION -- ARG…", "run dnf in many guests"},
    {"vyum", "[OPTION…] SELECTION -- ARG…", "run yum in many guests"},
    {"vrpm", "[OPTION…] SELECTION -- ARG…", "run rpm in many guests"},
    {"vzypper", "[OPTION…] SELECTION -- ARG…", "run zypper in many guests"},
    {"vpacman", "[OPTION…] SELECTION -- ARG…", "run pacman in many guests"},
    {"vapk", "[OPTION…] SELECTION -- ARG…", "run apk in many guests"},
    {"vpkg", "[OPTION…] SELECTION -- VERB [ARG…]", "run each guest's package manager"},
    {"vexec", "[OPTION…] SELECTION -- COMMAND [ARG…]", "run a command in many guests"},
    {"vguest-info", "[OPTION…] [NAME]", "tell about the host, or a guest"},
    {"vguest-autostart", "[OPTION…] VERB", "start and stop guests with the host"},
    {NULL, NULL, NULL},
};

static const struct program *find_program (const char *name)
{
  const struct program *program = programs;

  while (program->name && strcmp (program->name, name) != 0)
    program++;
  return program->name ? program : &programs[0];
}

static char *usage_text (const struct program *program)
{
  autostrbuf struct strbuf text = STRBUF_INIT (64 << 10);

  strbuf_addf (&text, "Usage: %s %s\n", program->name, program->synopsis);
  strbuf_addf (&text, "%c%s.\n\n", program->summary[0] - 'a' + 'A', program->summary + 1);
  for (const struct command *c = commands; c->program; c++)
    if (strcmp (c->program, program->name) == 0 && c->verb)
      strbuf_addf (&text, "  %-10s %s\n  %-10s   %s\n", c->verb, c->synopsis, "", c->summary);
  if (program == &programs[0]) {
    strbuf_adds (&text, "\nOther programs:\n");
    for (const struct program *p = programs + 1; p->name; p++)
      strbuf_addf (&text, "  %-16s %s\n", p->name, p->summary);
  }
  strbuf_addf (&text, "\n%s VERB --help tells more about a verb.\n", program->name);
  return strbuf_steal (&text);
}

static const struct command *find_command (const char *program, const char *verb)
{
  for (const struct command *c = commands; c->program; c++)
    if (strcmp (c->program, program) == 0 && (!c->verb || (verb && strcmp (c->verb, verb) == 0)))
      return c;
  return NULL;
}

static int unknown_verb (const char *program, const char *verb, struct err *err)
{
  const char *verbs[64];
  size_t count = 0;

  for (const struct command *c = commands; c->program && count < 63; c++)
    if (strcmp (c->program, program) == 0 && c->verb)
      verbs[count++] = c->verb;
  verbs[count] = NULL;
  const char *near = nearest_word (verb, verbs);
  if (near)
    return err_code (err, ERR_USAGE, "unknown verb \"%s\"; did you mean \"%s\"?", verb, near);
  return err_code (err, ERR_USAGE, "unknown verb \"%s\"; see %s --help", verb, program);
}

/* vguest NAMES VERB …; vtemplate VERB …; vhashify …: what is left belongs to the verb. */
static int dispatch (const struct program *program, struct context *context, int argc, char **argv,
                     struct err *err)
{
  const struct option_spec selecting[] = {
      SELECTING_OPTIONS (&context->selecting),
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  const struct option_spec none[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  const struct option_spec *specs = program == &programs[0] ? selecting : none;
  const struct command *command = find_command (program->name, NULL);
  int first, dashes;

  if (command)
    return command->run (context, argc, argv, err);
  if (argc > 1 && strcmp (argv[1], "--version") == 0) {
    puts (PACKAGE_STRING);
    return 0;
  }
  autofree char *usage = usage_text (program);
  if (options_parse (context, specs, /* stop_early= */ true, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (program == &programs[0]) {
    bool given = selecting_given (&context->selecting);
    /* No guest is called as a verb. */
    bool named = first < argc && !context->selecting.selection.all &&
                 !(given && find_command (program->name, argv[first]));
    if (first + (named || !given) >= argc)
      return err_code (err, ERR_USAGE, "a guest's name and a verb are expected; see --help");
    if (named) {
      context->names = argv[first++];
      names_add (&context->selecting.selection.patterns, context->names);
    }
  }
  if (first >= argc)
    return err_code (err, ERR_USAGE, "a verb is expected; see %s --help", program->name);
  command = find_command (program->name, argv[first]);
  if (!command)
    return unknown_verb (program->name, argv[first], err);
  return command->run (context, argc - first, argv + first, err);
}

/* vguest --complete KIND [ARG]: see cmd/complete.c. */
static int complete (const char *kind, const char *argument)
{
  if (strcmp (kind, "verbs") == 0) {
    for (const struct command *c = commands; c->program && argument; c++)
      if (strcmp (c->program, argument) == 0 && c->verb)
        puts (c->verb);
  } else {
    complete_words (kind, argument);
  }
  return 0;
}

int main (int argc, char **argv)
{
  autoerr struct err err = {0};
  const char *slash = argc > 0 ? strrchr (argv[0], '/') : NULL;
  const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "vguest";
  const struct program *program = find_program (name);

  signal (SIGPIPE, SIG_IGN);
  umask (022);
  fd_raise_limit ();
  messages_from (program->name);
  struct context context = {.program = program->name};
  int status = argc > 2 && strcmp (argv[1], "--complete") == 0
                   ? complete (argv[2], argv[3])
                   : dispatch (program, &context, argc, argv, &err);
  selecting_release (&context.selecting);
  progress_clear ();
  if (status < 0) {
    fprintf (stderr, "%s: %s\n", program->name, err_text (&err));
    status = err_exit_status (&err);
  }
  if (fflush (stdout) != 0 && status == 0) {
    fprintf (stderr, "%s: write the output: %s\n", program->name, strerror (errno));
    status = 1;
  }
  return status;
}
