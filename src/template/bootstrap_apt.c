/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Debian and its kin by mmdebstrap, or by debootstrap where that is missing; from their default
 * mirror, if the definition names no sources.
 *
 * mmdebstrap lists updates and security in sources.list; these lines are hidden from it while it
 * works, unless updates are wanted. For debootstrap they are added behind it. */
#include "bootstrap.h"
#include "util/strbuf.h"
#include "util/subprocess.h"

static void add_include (struct hostprogram *program, const struct bootstrap *bootstrap)
{
  autostrbuf struct strbuf option = STRBUF_INIT (1 << 20);

  if (!bootstrap->include.count)
    return;
  strbuf_adds (&option, "--include=");
  for (size_t i = 0; i < bootstrap->include.count; i++)
    strbuf_addf (&option, "%s%s", i ? "," : "", bootstrap->include.items[i]);
  hostprogram_add (program, strbuf_str (&option));
}

static void add_keyring (struct hostprogram *program, const struct bootstrap *bootstrap)
{
  if (bootstrap->keyring)
    hostprogram_addf (program, "--keyring=%s", bootstrap->keyring);
}

static void add_mmdebstrap (struct hostprogram *program, const struct bootstrap *bootstrap,
                            const char *target)
{
  const struct names *sources = &bootstrap->sources;

  hostprogram_add (program, "mmdebstrap", "--mode=root", "--format=directory");
  hostprogram_addf (program, "--variant=%s", bootstrap->variant);
  add_include (program, bootstrap);
  add_keyring (program, bootstrap);
  if (bootstrap->is_unsigned)
    hostprogram_add (program, "--aptopt=Acquire::AllowInsecureRepositories \"true\"",
                     "--aptopt=APT::Get::AllowUnauthenticated \"true\"");
  if (!bootstrap->updates && !sources->count)
    hostprogram_add (program, "--setup-hook=sed -i -E 's@^deb .*(-updates|-security|/updates) "
                              "@" BOOTSTRAP_HIDDEN "&@' \"$1/etc/apt/sources.list\"");
  hostprogram_add (program, bootstrap->suite, target);
  for (size_t i = 0; i < sources->count && (i == 0 || bootstrap->updates); i++)
    hostprogram_add (program, sources->items[i]);
}

/* The URI of a line of sources.list: "deb [OPTIONS] URI SUITE …". The caller's string, or NULL. */
static char *source_uri (const char *line)
{
  const char *uri = strstr (line, "://");

  if (!uri)
    return NULL;
  while (uri > line && uri[-1] != ' ' && uri[-1] != '\t')
    uri--;
  return xstrndup (uri, strcspn (uri, " \t"));
}

static int add_debootstrap (struct hostprogram *program, const struct bootstrap *bootstrap,
                            const char *target, struct err *err)
{
  const char *variant = bootstrap->variant;
  autofree char *uri = bootstrap->sources.count ? source_uri (bootstrap->sources.items[0]) : NULL;

  if (bootstrap->updates)
    return err_code (err, ENOENT, "\"updates\" need mmdebstrap, which is not installed");
  if (strcmp (variant, "standard") == 0)
    return err_code (err, ENOENT,
                     "the variant \"standard\" needs mmdebstrap, which is not installed");
  hostprogram_add (program, "debootstrap");
  if (strcmp (variant, "important") != 0)
    hostprogram_addf (program, "--variant=%s",
                      strcmp (variant, "buildd") == 0 ? "buildd" : "minbase");
  add_include (program, bootstrap);
  add_keyring (program, bootstrap);
  if (bootstrap->is_unsigned)
    hostprogram_add (program, "--no-check-gpg");
  hostprogram_add (program, bootstrap->suite, target);
  if (uri)
    hostprogram_add (program, uri);
  return 0;
}

static int run_apt (const struct bootstrap *bootstrap, struct import *import, const char *target,
                    int fd, struct err *err)
{
  autohostprogram struct hostprogram program = {.package = "mmdebstrap"};

  hostprogram_setenv (&program, "DEBIAN_FRONTEND=noninteractive");
  if (subprocess_exists ("mmdebstrap"))
    add_mmdebstrap (&program, bootstrap, target);
  else if (!subprocess_exists ("debootstrap"))
    return err_code (err, ENOENT,
                     "neither mmdebstrap nor debootstrap is installed; they are packages of these "
                     "names");
  else if (add_debootstrap (&program, bootstrap, target, err) < 0)
    return -err->code;
  if (hostprogram_run (&program, import, err) < 0)
    return -err->code;
  return bootstrap_tidy_sources (fd, bootstrap->suite, &bootstrap->sources, err);
}

const struct bootstrap_tool bootstrap_apt = {.name = "apt", .needs_suite = true, .run = run_apt};
