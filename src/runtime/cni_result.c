/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cni_result.h"
#include "util/strbuf.h"
#include <arpa/inet.h>

enum { LINE_MAX_BYTES = 1000, ITEMS_MAX = 1000 };

int cni_result_parse (const char *text, size_t len, json_object **ret_result, struct err *err)
{
  autoerr struct err parse_err = {0};

  if (strspn (text, " \t\r\n") >= len)
    return err_code (err, EBADMSG, "it printed no result");
  if (json_parse_object (text, len, "its result", ret_result, &parse_err) < 0)
    return err_code (err, EBADMSG, "%s", err_text (&parse_err));
  return 0;
}

static bool address_family (const char *text, int *ret_family)
{
  struct in6_addr address;

  for (int i = 0; i < 2; i++) {
    *ret_family = i ? AF_INET6 : AF_INET;
    if (inet_pton (*ret_family, text, &address) == 1)
      return true;
  }
  return false;
}

/* "10.0.0.2/24" or "fd00::2/64". */
static bool is_address_with_prefix (const char *text)
{
  const char *slash = strchr (text, '/');
  int family = AF_UNSPEC, prefix = 0;

  if (!slash)
    return false;
  autofree char *address = xstrndup (text, (size_t) (slash - text));
  size_t digits = strspn (slash + 1, "0123456789");
  if (!digits || digits > 3 || slash[1 + digits] || !address_family (address, &family))
    return false;
  prefix = (int) strtol (slash + 1, NULL, 10);
  return prefix <= (family == AF_INET ? 32 : 128);
}

/* One word of printable ASCII: what may go into messages, lists and resolv.conf. */
static bool is_word (const char *text)
{
  if (!*text || strlen (text) > 255)
    return false;
  for (; *text; text++)
    if (*text <= ' ' || *text > '~')
      return false;
  return true;
}

static void add_string (json_object *array, const char *text)
{
  json_object *value = json_object_new_string (text);

  if (!value || json_object_array_add (array, value) < 0)
    err_out_of_memory ();
}

static int get_array (json_object *object, const char *key, json_object **ret_array,
                      struct err *err)
{
  json_object *value = NULL;

  if (json_object_object_get_ex (object, key, &value) && value &&
      (!json_object_is_type (value, json_type_array) ||
       json_object_array_length (value) > ITEMS_MAX))
    return err_code (err, EBADMSG, "\"%s\" of its result is no list that can be used", key);
  *ret_array = value;
  return 0;
}

static int get_member_object (json_object *array, size_t i, const char *key,
                              json_object **ret_object, struct err *err)
{
  *ret_object = json_object_array_get_idx (array, i);
  if (!json_object_is_type (*ret_object, json_type_object))
    return err_code (err, EBADMSG, "\"%s\" of its result has a member that is no object", key);
  return 0;
}

/* The string @key of @object, NULL when it is missing or empty; EBADMSG when it is not a word. */
static int get_word (json_object *object, const char *key, const char **ret_word, struct err *err)
{
  autoerr struct err type_err = {0};
  const char *text = NULL;

  if (json_get_string (object, key, NULL, &text, &type_err) < 0)
    return err_code (err, EBADMSG, "its result: %s", err_text (&type_err));
  if (text && !*text)
    text = NULL;
  if (text && !is_word (text))
    return err_code (err, EBADMSG, "\"%s\" of its result is not a plain word", key);
  *ret_word = text;
  return 0;
}

static int add_interfaces (json_object *interfaces, json_object *list, struct err *err)
{
  static const char *const keys[] = {"name", "mac", "sandbox"};

  for (size_t i = 0; interfaces && i < json_object_array_length (interfaces); i++) {
    json_object *interface = NULL, *copy = json_object_new_object ();

    json_object_array_add (list, copy);
    if (get_member_object (interfaces, i, "interfaces", &interface, err) < 0)
      return -err->code;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
      const char *word = NULL;

      if (get_word (interface, keys[k], &word, err) < 0)
        return -err->code;
      if (word)
        json_set_string (copy, keys[k], word);
    }
  }
  return 0;
}

/* One member of "ips", or "ip4" or "ip6" of results before 0.3.0. */
static int add_address (json_object *ip, const char *key, json_object *summary,
                        json_object *addresses, struct err *err)
{
  const char *address = NULL, *gateway = NULL;
  int family;

  if (get_word (ip, key, &address, err) < 0 || get_word (ip, "gateway", &gateway, err) < 0)
    return -err->code;
  if (!address || !is_address_with_prefix (address))
    return err_code (err, EBADMSG, "its result has the address \"%s\", which is none",
                     address ? address : "");
  if (gateway && !address_family (gateway, &family))
    return err_code (err, EBADMSG, "its result has the gateway \"%s\", which is no address",
                     gateway);
  add_string (addresses, address);
  if (gateway && !json_object_object_get_ex (summary, "gateway", NULL))
    json_set_string (summary, "gateway", gateway);
  return 0;
}

/* Is interface number @index of the result on the host's side? */
static bool is_of_host (json_object *interfaces, json_object *index)
{
  json_object *interface, *sandbox = NULL;

  if (!interfaces || !json_object_is_type (index, json_type_int))
    return false;
  int64_t i = json_object_get_int64 (index);
  if (i < 0 || (uint64_t) i >= json_object_array_length (interfaces))
    return false;
  interface = json_object_array_get_idx (interfaces, (size_t) i);
  return !json_object_object_get_ex (interface, "sandbox", &sandbox) ||
         json_object_get_string_len (sandbox) == 0;
}

static int add_addresses (json_object *result, json_object *interfaces, json_object *summary,
                          json_object *addresses, struct err *err)
{
  static const char *const old_keys[] = {"ip4", "ip6"};
  json_object *ips = NULL;

  if (get_array (result, "ips", &ips, err) < 0)
    return -err->code;
  for (size_t i = 0; ips && i < json_object_array_length (ips); i++) {
    json_object *ip = NULL, *index = NULL;

    if (get_member_object (ips, i, "ips", &ip, err) < 0)
      return -err->code;
    json_object_object_get_ex (ip, "interface", &index);
    if (!is_of_host (interfaces, index) && add_address (ip, "address", summary, addresses, err) < 0)
      return -err->code;
  }
  for (size_t k = 0; k < sizeof old_keys / sizeof *old_keys; k++) {
    json_object *ip = NULL;

    if (json_object_object_get_ex (result, old_keys[k], &ip) &&
        json_object_is_type (ip, json_type_object) &&
        add_address (ip, "ip", summary, addresses, err) < 0)
      return -err->code;
  }
  return 0;
}

static int add_dns (json_object *result, json_object *summary, struct err *err)
{
  static const char *const lists[] = {"nameservers", "search", "options"};
  json_object *dns = NULL, *copy;
  const char *domain = NULL;

  if (!json_object_object_get_ex (result, "dns", &dns) ||
      !json_object_is_type (dns, json_type_object) || json_object_object_length (dns) == 0)
    return 0;
  copy = json_object_new_object ();
  json_object_object_add (summary, "dns", copy);
  if (get_word (dns, "domain", &domain, err) < 0)
    return -err->code;
  json_set_string (copy, "domain", domain);
  for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
    json_object *list = NULL, *words;

    if (get_array (dns, lists[k], &list, err) < 0)
      return -err->code;
    if (!list)
      continue;
    words = json_object_new_array ();
    json_object_object_add (copy, lists[k], words);
    for (size_t i = 0; i < json_object_array_length (list); i++) {
      json_object *value = json_object_array_get_idx (list, i);
      const char *word = json_object_get_string (value);
      int family;

      if (!json_object_is_type (value, json_type_string) || !is_word (word) ||
          (k == 0 && !address_family (word, &family)))
        return err_code (err, EBADMSG, "\"dns\": \"%s\" of its result has a member that is none",
                         lists[k]);
      add_string (words, word);
    }
  }
  return 0;
}

int cni_result_summary (json_object *result, json_object **ret_summary, struct err *err)
{
  autojson json_object *summary = json_object_new_object ();
  json_object *addresses = json_object_new_array (), *list = json_object_new_array ();
  json_object *interfaces = NULL;

  if (!summary || !addresses || !list)
    err_out_of_memory ();
  json_object_object_add (summary, "addresses", addresses);
  json_object_object_add (summary, "interfaces", list);
  if (get_array (result, "interfaces", &interfaces, err) < 0 ||
      add_interfaces (interfaces, list, err) < 0 ||
      add_addresses (result, interfaces, summary, addresses, err) < 0 ||
      add_dns (result, summary, err) < 0)
    return -err->code;
  *ret_summary = steal_ptr (&summary);
  return 0;
}

/* Appends @text in one line: control characters and runs of spaces become one space. */
static void add_line (struct strbuf *line, const char *text)
{
  bool gap = false;

  for (; *text && line->len < LINE_MAX_BYTES; text++) {
    if ((unsigned char) *text <= ' ' || *text == 0x7f) {
      gap = true;
      continue;
    }
    if (gap && line->len)
      strbuf_add (line, " ", 1);
    gap = false;
    strbuf_add (line, text, 1);
  }
}

/* The last line of @text that is not blank: the caller's; NULL when there is none. */
static char *last_line (const char *text)
{
  size_t end = strlen (text), start;

  while (end && (unsigned char) text[end - 1] <= ' ')
    end--;
  for (start = end; start && text[start - 1] != '\n'; start--)
    ;
  return end > start ? xstrndup (text + start, end - start) : NULL;
}

char *cni_error_line (const char *output, size_t output_len, const char *messages)
{
  autostrbuf struct strbuf line = STRBUF_INIT (2 * LINE_MAX_BYTES);
  autojson json_object *object = NULL;
  autoerr struct err ignored = {0};
  const char *msg = NULL, *details = NULL;
  int64_t code = 0;

  if (json_parse_object (output, output_len, "error", &object, &ignored) == 0) {
    if (json_get_string (object, "msg", NULL, &msg, &ignored) == 0 && msg)
      add_line (&line, msg);
    if (json_get_string (object, "details", NULL, &details, &ignored) == 0 && details && *details) {
      strbuf_adds (&line, line.len ? ": " : "");
      add_line (&line, details);
    }
    if (line.len && json_get_int (object, "code", 0, &code, &ignored) == 0 && code)
      strbuf_addf (&line, " (CNI error %lld)", (long long) code);
  }
  autofree char *last = line.len ? NULL : last_line (messages);
  if (last)
    add_line (&line, last);
  return line.len ? strbuf_steal (&line) : NULL;
}
