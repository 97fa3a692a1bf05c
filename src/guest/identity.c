/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "identity.h"
#include "guest/own.h"
#include "guest/private_file.h"
#include "tree/clone.h"
#include "util/fd.h"
#include "util/metaentry.h"
#include "util/strbuf.h"
#include "util/xattr.h"

enum {
  POLICY_MAX = 1 << 20,
  HOSTNAME_MAX = 4 << 10,
  HOSTS_MAX = 4 << 20, /* lists of blocked names are kept there */
};

/* etc/clone.policy as a string, made by the build: the two cannot differ. */
extern const char clone_policy_default[];

void clone_policy_release (struct clone_policy *policy)
{
  rules_release (&policy->rules);
  rules_release (&policy->own);
  names_release (&policy->empty);
}

static int add_rule (char *line, struct clone_policy *policy, struct err *err)
{
  size_t len = strcspn (line, " \t");
  char *pattern = line + len + strspn (line + len, " \t");

  if (line[len])
    line[len] = '\0';
  if (!*pattern)
    return err_code (err, ERR_USAGE, "a pattern is expected behind \"%s\"", line);
  if (strcmp (line, "own") == 0)
    return own_add_rule (&policy->own, pattern, err);
  if (strcmp (line, "empty") == 0) {
    if (pattern[0] != '/' || strpbrk (pattern, "*?[\\"))
      return err_code (err, ERR_USAGE, "\"empty\" wants a path without wildcards, not \"%s\"",
                       pattern);
    names_add (&policy->empty, pattern);
  } else if (strcmp (line, "remove") != 0) {
    return err_code (err, ERR_USAGE, "\"remove\", \"empty\" or \"own\" is expected, not \"%s\"",
                     line);
  }
  return rules_add (&policy->rules, pattern, CLONE_SKIP, CLONE_SKIP, err);
}

static int add_exclude (char *line, struct clone_policy *policy, struct err *err)
{
  return rules_add (&policy->rules, line, CLONE_SKIP, CLONE_SKIP, err);
}

/* Calls @add for each line that has something besides a comment, without the blanks around it. */
static int parse_lines (const char *text, const char *what,
                        int (*add) (char *line, struct clone_policy *policy, struct err *err),
                        struct clone_policy *policy, struct err *err)
{
  for (int number = 1; *text; number++) {
    size_t len = strcspn (text, "\n");
    size_t used = strcspn (text, "#\n");
    const char *start = text;

    while (used && strchr (" \t\r", start[0])) {
      start++;
      used--;
    }
    while (used && strchr (" \t\r", start[used - 1]))
      used--;
    autofree char *line = xstrndup (start, used);
    if (used && add (line, policy, err) < 0)
      return err_wrap (err, "%s, line %d", what, number);
    text += len + (text[len] == '\n');
  }
  return 0;
}

int clone_policy_parse (const char *text, const char *what, struct clone_policy *policy,
                        struct err *err)
{
  return parse_lines (text, what, add_rule, policy, err);
}

int clone_policy_load (struct clone_policy *ret_policy, struct err *err)
{
  static const char *const fresh[] = {"/etc/hostname", "/etc/hosts", "/etc/machine-id"};
  autoclonepolicy struct clone_policy policy = {0};
  const char *path = getenv ("VGUEST_CLONE_POLICY");
  autofree char *text = NULL;

  if (!path || !*path) {
    path = SYSCONFDIR "/vguest/clone.policy";
    if (access (path, F_OK) < 0 && errno == ENOENT)
      text = xstrdup (clone_policy_default);
  }
  if (!text && fd_read_file (AT_FDCWD, path, POLICY_MAX, &text, NULL, err) < 0)
    return -err->code;
  if (clone_policy_parse (text, path, &policy, err) < 0)
    return -err->code;
  for (size_t i = 0; i < sizeof fresh / sizeof fresh[0]; i++)
    if (rules_add (&policy.rules, fresh[i], CLONE_SKIP, CLONE_SKIP, err) < 0)
      return -err->code;
  *ret_policy = policy;
  policy = (struct clone_policy){0};
  return 0;
}

int clone_policy_exclude (const char *path, struct clone_policy *policy, struct err *err)
{
  autofree char *text = NULL;

  if (fd_read_file (AT_FDCWD, path, POLICY_MAX, &text, NULL, err) < 0)
    return -err->code;
  return parse_lines (text, path, add_exclude, policy, err);
}

/* A file of a guest: contents, and what is kept of its metadata. */
struct host_file {
  const char *text; /* borrowed */
  char *source;     /* owned; contents of the source's file, NULL when there is none */
  mode_t mode;
  uid_t uid;
  gid_t gid;
  struct xattrs xattrs; /* owned */
};

static void host_file_release (struct host_file *file)
{
  cleanup_free (&file->source);
  xattrs_release (&file->xattrs);
}
#define autohostfile __attribute__ ((cleanup (host_file_release)))

/* Reads @name of the directory, when it is a regular file of a sane size. With a @maximum of 0 its
 * contents, which may be large, are not wanted. */
static int read_file (int dir_fd, const char *name, size_t maximum, struct host_file *file,
                      struct err *err)
{
  struct stat st;
  autoclose int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOATIME | O_NOCTTY, 0);

  if (fd < 0)
    return 0; /* a symlink or a special */
  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat %s of the source", name);
  if (!S_ISREG (st.st_mode) || (maximum && (uint64_t) st.st_size > maximum))
    return 0;
  size_t size = maximum ? (size_t) st.st_size : 0;
  autofree char *text = xcalloc (1, size + 1);
  autoclose int data_fd = -1;
  if (metaentry_contents (fd, &st, &data_fd) < 0)
    return err_errno (err, "open the contents of %s of the source", name);
  if (fd_read_full (data_fd < 0 ? fd : data_fd, text, size) < 0)
    return err_errno (err, "read %s of the source", name);
  if (xattrs_read (fd, -1, NULL, /* with_overlay= */ false, &file->xattrs, err) < 0)
    return -err->code;
  file->source = steal_ptr (&text);
  file->mode = st.st_mode & 07777;
  file->uid = st.st_uid;
  file->gid = st.st_gid;
  return 0;
}

/* The source's file @directory/@name into @ret_file; a plain 0644 root:root when it has none. */
static int read_source (const struct lower *source, const char *directory, const char *name,
                        size_t maximum, struct host_file *ret_file, struct err *err)
{
  autolower struct lower found = LOWER_NONE;

  *ret_file = (struct host_file){.mode = 0644};
  if (lower_lookup (source, directory, &found, err) < 0)
    return -err->code;
  int dir_fd = lower_find_file (&found, name);
  return dir_fd < 0 ? 0 : read_file (dir_fd, name, maximum, ret_file, err);
}

static int create (int dir_fd, const char *name, const struct host_file *file, struct err *err)
{
  autoclose int fd = fd_open (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

  if (fd < 0)
    return err_errno (err, "create %s", name);
  if (fd_write_all (fd, file->text, strlen (file->text)) < 0)
    return err_errno (err, "write %s", name);
  if (fchown (fd, file->uid, file->gid) < 0 || fchmod (fd, file->mode) < 0)
    return err_errno (err, "set the owner and mode of %s", name);
  return xattrs_apply (fd, -1, NULL, &file->xattrs, err);
}

static int make_file (void *data, const struct lower *at, const char *name, struct err *err)
{
  return create (at->priv, name, data, err);
}

/* Writes @file at @path below the private directory of @clone, if the guest sees its directory. */
static int put_file (const struct lower *clone, const char *path, struct host_file *file,
                     struct err *err)
{
  return private_file_put (clone, path, make_file, file, err);
}

static int write_empty (const struct lower *source, const struct lower *clone, const char *path,
                        struct err *err)
{
  const char *slash = strrchr (path, '/');
  autofree char *directory = xstrndup (path, (size_t) (slash - path));
  autohostfile struct host_file file = {0};

  if (read_source (source, directory, slash + 1, /* maximum= */ 0, &file, err) < 0)
    return -err->code;
  if (!file.source && strcmp (path, "/etc/machine-id") != 0)
    return 0;
  file.text = "";
  return put_file (clone, path + 1, &file, err);
}

int host_identity_write (const struct lower *source, const struct lower *clone,
                         const struct clone_policy *policy, const char *hostname, struct err *err)
{
  static const char standard[] = "127.0.0.1\tlocalhost\n"
                                 "::1\tlocalhost ip6-localhost ip6-loopback\n"
                                 "ff02::1\tip6-allnodes\n"
                                 "ff02::2\tip6-allrouters\n";
  autohostfile struct host_file name = {0}, hosts = {0};
  autofree char *name_text = xasprintf ("%s\n", hostname);

  if (read_source (source, "etc", "hostname", HOSTNAME_MAX, &name, err) < 0 ||
      read_source (source, "etc", "hosts", HOSTS_MAX, &hosts, err) < 0)
    return -err->code;
  if (name.source)
    name.source[strcspn (name.source, " \t\r\n")] = '\0';
  autofree char *hosts_text =
      hosts_rewrite (hosts.source ? hosts.source : standard, name.source, hostname);
  name.text = name_text;
  hosts.text = hosts_text;
  if (put_file (clone, "etc/hostname", &name, err) < 0 ||
      put_file (clone, "etc/hosts", &hosts, err) < 0 ||
      write_empty (source, clone, "/etc/machine-id", err) < 0)
    return -err->code;
  for (size_t i = 0; i < policy->empty.count; i++)
    if (strcmp (policy->empty.items[i], "/etc/machine-id") != 0 &&
        write_empty (source, clone, policy->empty.items[i], err) < 0)
      return -err->code;
  return 0;
}

/* The directory /etc of the private layer; one made whole in @txn_fd when only the tree has it. */
static int open_private_etc (const struct lower *guest, int txn_fd, int *ret_fd, struct err *err)
{
  autolower struct lower etc = LOWER_NONE;
  struct stat st;

  *ret_fd = fd_open_dir (guest->priv, "etc");
  if (*ret_fd >= 0)
    return 0;
  if (errno != ENOENT || fstat (guest->priv, &st) < 0)
    return err_errno (err, "open etc of the private layer");
  if (lower_child (guest, "etc", &etc, err) < 0)
    return -err->code;
  if (lower_shared_top (&etc) < 0)
    return err_code (err, ENOENT, "the guest has no directory etc");
  if (fd_remove_tree (txn_fd, "etc", err) < 0)
    return -err->code;
  autoclose int etc_fd = fd_make_dir (txn_fd, "etc", 0700);
  if (etc_fd < 0)
    return err_errno (err, "make the directory etc");
  if (clone_directory_metadata (lower_shared_top (&etc), etc_fd, err) < 0)
    return -err->code;
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (fd_rename (txn_fd, "etc", guest->priv, "etc", RENAME_NOREPLACE) < 0 ||
      futimens (guest->priv, times) < 0 || fsync (guest->priv) < 0)
    return err_errno (err, "move etc to the private layer");
  *ret_fd = steal_fd (&etc_fd);
  return 0;
}

/* Puts @file, with the contents @text, in place of etc/@name: a new inode, made in @txn_fd, as what
 * is there may be shared. Does nothing when that has these contents, or there is no such file. */
static int replace_file (const struct lower *guest, int txn_fd, const char *name,
                         struct host_file *file, const char *text, struct err *err)
{
  autoclose int etc_fd = -1;

  if (!file->source || strcmp (file->source, text) == 0)
    return 0;
  file->text = text;
  if (open_private_etc (guest, txn_fd, &etc_fd, err) < 0 ||
      fd_remove_tree (txn_fd, name, err) < 0 || create (txn_fd, name, file, err) < 0)
    return -err->code;
  autoclose int fd = fd_open (txn_fd, name, O_RDONLY, 0);
  if (fd < 0 || fsync (fd) < 0 || fd_rename (txn_fd, name, etc_fd, name, 0) < 0 ||
      fsync (etc_fd) < 0)
    return err_errno (err, "replace /etc/%s", name);
  return 0;
}

int host_identity_rename (const struct lower *guest, int txn_fd, const char *old,
                          const char *hostname, struct err *err)
{
  static const char space[] = " \t\r\n";
  autohostfile struct host_file name = {0}, hosts = {0}, mail = {0};

  if (read_source (guest, "etc", "hostname", HOSTNAME_MAX, &name, err) < 0 ||
      read_source (guest, "etc", "hosts", HOSTS_MAX, &hosts, err) < 0 ||
      read_source (guest, "etc", "mailname", HOSTNAME_MAX, &mail, err) < 0)
    return -err->code;
  if (name.source) {
    const char *word = name.source + strspn (name.source, space);
    size_t len = strcspn (word, space);

    if (len != strlen (old) || strncasecmp (word, old, len) != 0)
      return 0;
  }
  autofree char *name_text = xasprintf ("%s\n", hostname);
  autofree char *hosts_text = hosts.source ? hosts_rename (hosts.source, old, hostname) : NULL;
  autofree char *mail_text = mail.source ? mailname_rename (mail.source, old, hostname) : NULL;
  /* The host name last: while it is the old one, all is done again. */
  if (replace_file (guest, txn_fd, "hosts", &hosts, hosts_text, err) < 0 ||
      replace_file (guest, txn_fd, "mailname", &mail, mail_text, err) < 0 ||
      replace_file (guest, txn_fd, "hostname", &name, name_text, err) < 0)
    return -err->code;
  return 0;
}
