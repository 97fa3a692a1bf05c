/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arch Linux by pacman, as pacstrap does it, and Alpine Linux by apk. */
#include "bootstrap.h"
#include "util/fd.h"
#include "util/strbuf.h"

static char *pacman_conf (const struct bootstrap *bootstrap)
{
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 20);

  strbuf_addf (&text, "[options]\nArchitecture = auto\nSigLevel = %s\n",
               bootstrap->is_unsigned ? "Never" : "Required DatabaseOptional");
  for (size_t i = 0; i < bootstrap->repositories.count; i++)
    strbuf_addf (&text, "[%s]\nServer = %s\n", bootstrap->repositories.items[i],
                 bootstrap->urls.items[i]);
  return strbuf_steal (&text);
}

static int make_dirs (int fd, const char *const *names, struct err *err)
{
  for (; *names; names++)
    if (mkdirat (fd, *names, 0755) < 0 || fchmodat (fd, *names, 0755, 0) < 0)
      return err_errno (err, "make %s of the new system", *names);
  return 0;
}

static int run_pacman (const struct bootstrap *bootstrap, struct import *import, const char *target,
                       int fd, struct err *err)
{
  static const char *const dirs[] = {"var", "var/lib", "var/lib/pacman", NULL};
  autohostprogram struct hostprogram program = {.package = "pacman-package-manager",
                                                .root = target};
  autofree char *text = pacman_conf (bootstrap);
  autofree char *conf = NULL, *cache = NULL;
  autoclose int cache_fd = -1;

  if (make_dirs (fd, dirs, err) < 0 ||
      bootstrap_file (import, "pacman.conf", text, &conf, err) < 0 ||
      hostprogram_target (import, "pacman-cache", &cache, &cache_fd, err) < 0)
    return -err->code;
  hostprogram_add (&program, "pacman", "--root", target, "--config", conf, "--cachedir", cache);
  if (bootstrap->keyring)
    hostprogram_add (&program, "--gpgdir", bootstrap->keyring);
  hostprogram_add (&program, "--noconfirm", "--noprogressbar", "-Sy", "--");
  for (size_t i = 0; i < bootstrap->include.count; i++)
    hostprogram_add (&program, bootstrap->include.items[i]);
  return hostprogram_run (&program, import, err);
}

static int apk_repositories (const struct bootstrap *bootstrap, int fd, struct err *err)
{
  static const char *const dirs[] = {"etc", "etc/apk", NULL};
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 20);

  if (make_dirs (fd, dirs, err) < 0)
    return -err->code;
  for (size_t i = 0; i < bootstrap->urls.count; i++)
    strbuf_addf (&text, "%s\n", bootstrap->urls.items[i]);
  autoclose int apk_fd = fd_open_in_root (fd, "etc/apk", O_RDONLY | O_DIRECTORY, 0);
  if (apk_fd < 0)
    return err_errno (err, "open etc/apk of the new system");
  return fd_write_file (apk_fd, "repositories", strbuf_str (&text), text.len, 0644, err);
}

static int run_apk (const struct bootstrap *bootstrap, struct import *import, const char *target,
                    int fd, struct err *err)
{
  autohostprogram struct hostprogram program = {.package = "apk-tools", .root = target};

  if (apk_repositories (bootstrap, fd, err) < 0)
    return -err->code;
  hostprogram_add (&program, "apk", "add", "--root", target, "--initdb", "--no-cache",
                   "--no-progress");
  if (bootstrap->keyring)
    hostprogram_add (&program, "--keys-dir", bootstrap->keyring);
  if (bootstrap->is_unsigned)
    hostprogram_add (&program, "--allow-untrusted");
  hostprogram_add (&program, "--");
  for (size_t i = 0; i < bootstrap->include.count; i++)
    hostprogram_add (&program, bootstrap->include.items[i]);
  return hostprogram_run (&program, import, err);
}

const struct bootstrap_tool bootstrap_pacman = {
    .name = "pacman", .needs_repositories = true, .run = run_pacman};
const struct bootstrap_tool bootstrap_apk = {
    .name = "apk", .needs_repositories = true, .run = run_apk};
