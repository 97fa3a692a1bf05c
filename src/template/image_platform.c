/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_platform.h"
#include <sys/utsname.h>

/* The kernel's names. Without a variant an image has that of @variant: Go's default. */
static const struct machine {
  const char *machine;
  const char *architecture;
  unsigned variant;
} machines[] = {
    {"x86_64", "amd64", 1},
    {"aarch64", "arm64", 8},
    {"armv7l", "arm", 7},
    {"armv8l", "arm", 7},
    {"armv6l", "arm", 6},
    {"armv5tel", "arm", 5},
    {"loongarch64", "loong64", 0},
    {"i686", "386", 0},
    {"i586", "386", 0},
    {"i386", "386", 0},
    {"ppc64le", "ppc64le", 0},
    {"s390x", "s390x", 0},
    {"riscv64", "riscv64", 0},
};

enum { MACHINES = sizeof machines / sizeof machines[0], VARIANT_MAX = 99 };

static unsigned default_variant (const char *architecture)
{
  for (size_t i = 0; i < MACHINES; i++)
    if (strcmp (machines[i].architecture, architecture) == 0)
      return machines[i].variant;
  return 0;
}

static void take_architecture (struct image_platform *platform, const char *name)
{
  const char *architecture = name;

  for (size_t i = 0; i < MACHINES; i++)
    if (strcmp (machines[i].machine, name) == 0) {
      architecture = machines[i].architecture;
      platform->variant = machines[i].variant;
      break;
    }
  snprintf (platform->architecture, sizeof platform->architecture, "%s", architecture);
  if (architecture == name)
    platform->variant = default_variant (name);
}

/* "v7" or "7" to 7, 0 for anything else. */
static unsigned parse_variant (const char *text)
{
  unsigned number = 0;

  if (*text == 'v')
    text++;
  if (!*text || strlen (text) > 2)
    return 0;
  for (; *text; text++) {
    if (*text < '0' || *text > '9')
      return 0;
    number = number * 10 + (unsigned) (*text - '0');
  }
  return number;
}

int image_platform_parse (const char *text, struct image_platform *ret_platform, struct err *err)
{
  struct image_platform platform = {0};
  autofree char *copy = xstrdup (text);
  char *rest = copy;

  if (strncmp (rest, "linux/", 6) == 0)
    rest += 6;
  char *variant = strchr (rest, '/');
  if (variant)
    *variant++ = '\0';
  size_t len = strspn (rest, "abcdefghijklmnopqrstuvwxyz0123456789_");
  if (!len || rest[len] || len >= sizeof platform.architecture)
    return err_code (err, ERR_USAGE,
                     "\"%.60s\" is no platform: linux/amd64 or linux/arm/v7 is expected", text);
  take_architecture (&platform, rest);
  if (variant) {
    unsigned number = parse_variant (variant);

    if (!number || !platform.variant)
      return err_code (err, ERR_USAGE, "\"%.60s\": there is no variant \"%.60s\" of %s", text,
                       variant, platform.architecture);
    platform.variant = number;
  }
  *ret_platform = platform;
  return 0;
}

void image_platform_host (struct image_platform *ret_platform)
{
  struct utsname name;

  *ret_platform = (struct image_platform){0};
  if (uname (&name) == 0)
    take_architecture (ret_platform, name.machine);
}

char *image_platform_format (const struct image_platform *platform)
{
  if (!platform->variant || platform->variant == default_variant (platform->architecture))
    return xasprintf ("linux/%s", platform->architecture);
  return xasprintf ("linux/%s/v%u", platform->architecture, platform->variant);
}

unsigned image_platform_match (const struct image_platform *wanted, const char *os,
                               const char *architecture, const char *variant)
{
  unsigned number = default_variant (wanted->architecture);

  if (strcmp (os, "linux") != 0 || strcmp (architecture, wanted->architecture) != 0)
    return 0;
  if (!number)
    return 1;
  if (variant && *variant) {
    number = parse_variant (variant);
    if (!number)
      return 0;
  }
  return number <= wanted->variant ? number : 0;
}
