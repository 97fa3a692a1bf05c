/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "network.h"
#include "util/fd.h"
#include "util/strbuf.h"

enum { RESOLV_MAX = 64 << 10 };

/* One line for each name server, or all other words in one. */
static void add_words (struct strbuf *text, json_object *dns, const char *key, const char *keyword,
                       bool one_line)
{
  json_object *words = NULL;

  if (!json_object_object_get_ex (dns, key, &words))
    return;
  for (size_t i = 0; i < json_object_array_length (words); i++) {
    const char *word = json_object_get_string (json_object_array_get_idx (words, i));

    if (!one_line || i == 0)
      strbuf_addf (text, "%s%s %s", i ? "\n" : "", keyword, word);
    else
      strbuf_addf (text, " %s", word);
  }
  if (json_object_array_length (words))
    strbuf_adds (text, "\n");
}

int network_write_resolv (json_object *result, int root_fd, struct err *err)
{
  static const char name[] = "resolv.conf";
  autostrbuf struct strbuf text = STRBUF_INIT (RESOLV_MAX);
  json_object *dns = NULL, *servers = NULL;
  autoerr struct err ignored = {0};
  autofree char *old = NULL;
  const char *domain = NULL;
  struct stat st;

  if (!json_object_object_get_ex (result, "dns", &dns) ||
      !json_object_object_get_ex (dns, "nameservers", &servers) ||
      json_object_array_length (servers) == 0)
    return 0;
  strbuf_adds (&text, "# Written by vguest at start: from the guest's network.\n");
  if (json_get_string (dns, "domain", NULL, &domain, err) < 0)
    return -err->code;
  if (domain)
    strbuf_addf (&text, "domain %s\n", domain);
  add_words (&text, dns, "search", "search", true);
  add_words (&text, dns, "nameservers", "nameserver", false);
  add_words (&text, dns, "options", "options", true);
  if (text.failed)
    return err_code (err, EFBIG, "the network has too many name servers and search domains");

  autoclose int etc = fd_open_in_root (root_fd, "/etc", O_RDONLY | O_DIRECTORY, 0);
  if (etc < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
    return 0;
  if (etc < 0)
    return err_errno (err, "open /etc of the guest");
  if (fstatat (etc, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISREG (st.st_mode))
      return 0;
    if (fd_read_file (etc, name, RESOLV_MAX, &old, NULL, &ignored) == 0 &&
        strcmp (old, strbuf_str (&text)) == 0)
      return 0;
  }
  if (fd_write_file (etc, name, strbuf_str (&text), text.len, 0644, err) < 0)
    return err_wrap (err, "/etc/%s of the guest", name);
  return 0;
}
