/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "masquerade.h"
#include "util/subprocess.h"
#include <fcntl.h>

enum { RULES_MAX = 16 << 20 };

static void add_string (json_object *array, const char *text)
{
  json_object *value = json_object_new_string (text);

  if (!value || json_object_array_add (array, value) < 0)
    err_out_of_memory ();
}

/* -A POSTROUTING -s 10.0.0.2/32 -m comment --comment "name: \"lan\" id: \"web1\"" -j CNI-… */
void masquerade_parse (const char *rules, const char *id, json_object *addresses)
{
  static const char start[] = "-A POSTROUTING -s ";
  autofree char *mark = xasprintf (" id: \\\"%s\\\"", id);

  while (*rules) {
    size_t len = strcspn (rules, "\n");

    if (strncmp (rules, start, sizeof start - 1) == 0 && memmem (rules, len, mark, strlen (mark))) {
      const char *address = rules + sizeof start - 1;
      autofree char *text = xstrndup (address, strcspn (address, " \n"));

      add_string (addresses, text);
    }
    rules += len;
    if (*rules)
      rules++;
  }
}

static void add_from (const char *program, const char *id, json_object *addresses)
{
  const char *const argv[] = {program, "-t", "nat", NULL};
  autoclose int null_fd = open ("/dev/null", O_WRONLY | O_CLOEXEC);
  struct subprocess sub = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = null_fd};
  autoerr struct err ignored = {0};
  autofree char *rules = NULL;
  int status;

  /* Without the program no plugin has made such rules. */
  if (subprocess_exists (program) &&
      subprocess_capture (&sub, RULES_MAX, &rules, &status, &ignored) == 0)
    masquerade_parse (rules, id, addresses);
}

json_object *masquerade_addresses (const char *id)
{
  json_object *addresses = json_object_new_array ();

  if (!addresses)
    err_out_of_memory ();
  add_from ("iptables-save", id, addresses);
  size_t of_ipv4 = json_object_array_length (addresses);
  add_from ("ip6tables-save", id, addresses);
  size_t of_ipv6 = json_object_array_length (addresses) - of_ipv4;
  /* Of the ranges for documentation. A plugin goes through the addresses, IPv4 first, and ends at
   * the first one without rules: so none before what was found. */
  if (!of_ipv4 && !of_ipv6)
    add_string (addresses, "192.0.2.1/32");
  if (!of_ipv6)
    add_string (addresses, "2001:db8::1/128");
  return addresses;
}
