/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pull.h"
#include "cmd/template_report.h"
#include "cmd/template_run.h"
#include "template/definition.h"
#include "template/update.h"
#include "util/progress.h"
#include <fcntl.h>

int pull_parse (const char *text, enum pull *ret_pull, struct err *err)
{
  if (!text)
    *ret_pull = PULL_ASK;
  else if (strcmp (text, "always") == 0)
    *ret_pull = PULL_ALWAYS;
  else if (strcmp (text, "missing") == 0)
    *ret_pull = PULL_MISSING;
  else if (strcmp (text, "never") == 0)
    *ret_pull = PULL_NEVER;
  else
    return err_code (err, ERR_USAGE, "--pull is always, missing or never, not \"%s\"", text);
  return 0;
}

static int exists (int dir_fd, const char *name, struct err *err)
{
  if (faccessat (dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return 1;
  return errno == ENOENT ? 0 : err_errno (err, "look for %s", name);
}

/* What a run prints on stdout is about guests: here it goes to stderr. */
static void report (const struct context *context, const char *name, struct writer_report *report)
{
  progress_clear ();
  template_report_warn (report);
  if (!context->quiet)
    fprintf (stderr, "%s: template %s: %llu files\n", context->program, name,
             (unsigned long long) report->files);
  free (report->first_error);
  report->first_error = NULL;
}

static int make (const struct context *context, struct vroot *root, const char *name,
                 const struct definition *definition, struct err *err)
{
  struct writer_report written = {0};
  const struct import_options options = {.run_steps = template_run_steps};
  int ret = import_definition (root, name, definition, &options, &written, err);

  if (ret == -EEXIST) {
    err_release (err); /* by somebody else, just now */
    return 0;
  }
  if (ret < 0)
    return err_wrap (err, "make the template %s", name);
  report (context, name, &written);
  return 0;
}

static int renew (const struct context *context, struct vroot *root, const char *name,
                  struct err *err)
{
  const struct import_options import = {.run_steps = template_run_steps};
  const struct update_options options = {.age = -1, .import = &import};
  autoupdateresult struct update_result result = {0};
  struct writer_report written = {0};

  if (template_update (root, name, &options, &result, &written, err) < 0)
    return -err->code;
  if (result.outcome == UPDATE_DONE)
    report (context, name, &written);
  return 0;
}

static int ask (const char *name, const struct definition *definition, struct err *err)
{
  char answer[16];

  if (!isatty (STDIN_FILENO) || !isatty (STDERR_FILENO))
    return err_code (err, ERR_NO_GUEST,
                     "no template is called \"%s\" yet; there is a definition of it: \"vtemplate "
                     "build %s\" makes it, and so does --pull missing",
                     name, name);
  fprintf (stderr, "There is no template %s yet. Make it by its definition%s%s? [Y/n] ", name,
           definition->description ? ", " : "",
           definition->description ? definition->description : "");
  if (!fgets (answer, sizeof answer, stdin) || (answer[0] && strchr ("nN", answer[0])))
    return err_code (err, ERR_NO_GUEST, "no template is called \"%s\"", name);
  return 0;
}

int pull_template (const struct context *context, struct vroot *root, const char *source,
                   enum pull pull, struct err *err)
{
  static const char prefix[] = "template:";
  bool prefixed = strncmp (source, prefix, strlen (prefix)) == 0;
  const char *name = prefixed ? source + strlen (prefix) : source;
  autodefinition struct definition definition = {0};
  autoerr struct err ignored = {0};
  int there;

  /* What is wrong with the name is told by who opens it. */
  if (pull == PULL_NEVER || name_check (name, "template", &ignored) < 0)
    return 0;
  there = exists (root->templates_fd, name, err);
  if (there > 0 && pull == PULL_ALWAYS)
    return renew (context, root, name, err);
  if (there == 0 && !prefixed)
    there = exists (root->guests_fd, name, err);
  if (there)
    return there < 0 ? there : 0;
  if (!definition_exists (name)) {
    if (pull == PULL_ASK)
      return 0;
    return definition_load (name, NULL, &definition, err);
  }
  if (definition_load (name, NULL, &definition, err) < 0 ||
      (pull == PULL_ASK && ask (name, &definition, err) < 0))
    return -err->code;
  return make (context, root, name, &definition, err);
}
