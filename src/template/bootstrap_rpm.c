/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Distributions of rpm packages, by dnf or zypper of this host. */
#include "bootstrap.h"
#include "util/fd.h"
#include "util/strbuf.h"

/* What both read: a file of repositories. */
static char *repository_file (const struct bootstrap *bootstrap)
{
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 20);

  for (size_t i = 0; i < bootstrap->repositories.count; i++) {
    strbuf_addf (&text, "[%s]\nname=%s\nbaseurl=%s\nenabled=1\ngpgcheck=%d\n",
                 bootstrap->repositories.items[i], bootstrap->repositories.items[i],
                 bootstrap->urls.items[i], !bootstrap->is_unsigned);
    if (bootstrap->keyring)
      strbuf_addf (&text, "gpgkey=file://%s\n", bootstrap->keyring);
  }
  return strbuf_steal (&text);
}

static int run_dnf (const struct bootstrap *bootstrap, struct import *import, const char *target,
                    int fd, struct err *err)
{
  autohostprogram struct hostprogram program = {.package = "dnf", .root = target};
  autofree char *text = repository_file (bootstrap);
  autofree char *path = NULL, *conf = NULL, *dir = NULL, *cache = NULL;
  autoclose int cache_fd = -1;

  if (bootstrap_file (import, "bootstrap.repo", text, &path, err) < 0 ||
      bootstrap_file (import, "dnf.conf", "[main]\n", &conf, err) < 0 ||
      hostprogram_target (import, "dnf-cache", &cache, &cache_fd, err) < 0)
    return -err->code;
  dir = xstrndup (path, (size_t) (strrchr (path, '/') - path));
  hostprogram_add (&program, "dnf", "-y");
  hostprogram_addf (&program, "--config=%s", conf);
  hostprogram_addf (&program, "--installroot=%s", target);
  hostprogram_addf (&program, "--releasever=%s", bootstrap->suite);
  hostprogram_addf (&program, "--setopt=reposdir=%s", dir);
  hostprogram_addf (&program, "--setopt=cachedir=%s", cache);
  hostprogram_add (&program, "--setopt=install_weak_deps=False", "--setopt=tsflags=nodocs",
                   "--setopt=best=True", "install");
  for (size_t i = 0; i < bootstrap->include.count; i++)
    hostprogram_add (&program, bootstrap->include.items[i]);
  (void) fd;
  return hostprogram_run (&program, import, err);
}

static void zypper (struct hostprogram *program, const struct bootstrap *bootstrap,
                    const char *target)
{
  hostprogram_add (program, "zypper", "--non-interactive");
  hostprogram_addf (program, "--root=%s", target);
  if (bootstrap->suite)
    hostprogram_addf (program, "--releasever=%s", bootstrap->suite);
  if (bootstrap->is_unsigned)
    hostprogram_add (program, "--no-gpg-checks");
}

static int zypper_import_key (const struct bootstrap *bootstrap, struct import *import,
                              const char *target, struct err *err)
{
  autohostprogram struct hostprogram program = {.package = "rpm", .root = target};

  if (!bootstrap->keyring)
    return 0;
  hostprogram_add (&program, "rpm", "--root", target, "--import", bootstrap->keyring);
  return hostprogram_run (&program, import, err);
}

static int zypper_add_repositories (const struct bootstrap *bootstrap, struct import *import,
                                    const char *target, struct err *err)
{
  for (size_t i = 0; i < bootstrap->repositories.count; i++) {
    autohostprogram struct hostprogram program = {.package = "zypper", .root = target};

    zypper (&program, bootstrap, target);
    hostprogram_add (&program, "addrepo", bootstrap->is_unsigned ? "--no-gpgcheck" : "--gpgcheck",
                     bootstrap->urls.items[i], bootstrap->repositories.items[i]);
    if (hostprogram_run (&program, import, err) < 0)
      return -err->code;
  }
  return 0;
}

static int run_zypper (const struct bootstrap *bootstrap, struct import *import, const char *target,
                       int fd, struct err *err)
{
  autohostprogram struct hostprogram program = {.package = "zypper", .root = target};

  (void) fd;
  if (zypper_import_key (bootstrap, import, target, err) < 0 ||
      zypper_add_repositories (bootstrap, import, target, err) < 0)
    return -err->code;
  zypper (&program, bootstrap, target);
  hostprogram_add (&program, "install", "--no-recommends", "--auto-agree-with-licenses", "--");
  for (size_t i = 0; i < bootstrap->include.count; i++)
    hostprogram_add (&program, bootstrap->include.items[i]);
  return hostprogram_run (&program, import, err);
}

const struct bootstrap_tool bootstrap_dnf = {
    .name = "dnf", .needs_suite = true, .needs_repositories = true, .run = run_dnf};
const struct bootstrap_tool bootstrap_zypper = {
    .name = "zypper", .needs_repositories = true, .run = run_zypper};
