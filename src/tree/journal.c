/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal.h"
#include "util/fd.h"
#include <inttypes.h>

enum { LIST_MAX = 1 << 30 };

void journal_step_release (struct journal_step *step)
{
  free (step->name);
  step->name = NULL;
}

void journal_writer_start (struct journal_writer *writer)
{
  *writer = (struct journal_writer){
      .lists = {STRBUF_INIT (LIST_MAX), STRBUF_INIT (LIST_MAX)},
  };
}

void journal_writer_release (struct journal_writer *writer)
{
  for (int i = 0; i < 2; i++) {
    strbuf_release (&writer->lists[i]);
    free (writer->dirs[i]);
    writer->dirs[i] = NULL;
  }
}

static void add_escaped (struct strbuf *sb, const char *text)
{
  for (const unsigned char *p = (const unsigned char *) text; *p; p++)
    if (*p <= ' ' || *p >= 0x7f || *p == '%')
      strbuf_addf (sb, "%%%02x", *p);
    else
      strbuf_add (sb, p, 1);
}

void journal_add (struct journal_writer *writer, int list, const char *dir,
                  const struct journal_step *step)
{
  struct strbuf *sb = &writer->lists[list];

  if (!writer->dirs[list] || strcmp (writer->dirs[list], dir) != 0) {
    free (writer->dirs[list]);
    writer->dirs[list] = xstrdup (dir);
    strbuf_adds (sb, "D ");
    add_escaped (sb, *dir ? dir : ".");
    strbuf_adds (sb, "\n");
  }
  strbuf_add (sb, &step->op, 1);
  if (step->layer)
    strbuf_addf (sb, " %c", step->layer);
  if (step->op == 'P')
    strbuf_addf (sb, " %" PRIu64 " %" PRIu64, step->number, step->ino);
  if (step->op == 'M')
    strbuf_addf (sb, " %o %ju %ju %jd %ld", (unsigned) step->mode & 07777, (uintmax_t) step->uid,
                 (uintmax_t) step->gid, (intmax_t) step->mtime.tv_sec, step->mtime.tv_nsec);
  if (step->name) {
    strbuf_adds (sb, " ");
    add_escaped (sb, step->name);
  }
  strbuf_adds (sb, "\n");
}

bool journal_empty (const struct journal_writer *writer)
{
  return !writer->lists[0].len && !writer->lists[1].len;
}

static int write_parts (const struct journal_writer *writer, int fd, bool commit)
{
  autofree char *head =
      xasprintf ("vguest-fold %d %s\n", JOURNAL_VERSION, commit ? "commit" : "inplace");

  if (fd_write_all (fd, head, strlen (head)) < 0)
    return -1;
  for (int i = 0; i < 2; i++)
    if (fd_write_all (fd, strbuf_str (&writer->lists[i]), writer->lists[i].len) < 0)
      return -1;
  return fd_write_all (fd, "E\n", 2);
}

static int sync_file (int fd, struct err *err)
{
  return fsync (fd) < 0 ? err_errno (err, "sync the file") : 0;
}

static int write_journal (const struct journal_writer *writer, int txn_fd, const char *name,
                          bool commit, int (*sync) (int fd, struct err *err), struct err *err)
{
  autofree char *new_name = xasprintf ("%s.new", name);

  if (writer->lists[0].failed || writer->lists[1].failed)
    return err_code (err, EFBIG, "the journal of the fold would be larger than 1 GiB");
  autoclose int fd = fd_open (txn_fd, new_name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0)
    return err_errno (err, "create txn/%s", new_name);
  if (write_parts (writer, fd, commit) < 0)
    return err_errno (err, "write txn/%s", new_name);
  if (sync (fd, err) < 0)
    return err_wrap (err, "txn/%s", new_name);
  if (renameat (txn_fd, new_name, txn_fd, name) < 0)
    return err_errno (err, "rename txn/%s to %s", new_name, name);
  if (fsync (txn_fd) < 0) {
    err_errno (err, "sync the directory txn");
    /* The caller will undo what the journal stands for: it must not be found later. */
    unlinkat (txn_fd, name, 0);
    return -err->code;
  }
  return 0;
}

int journal_write (const struct journal_writer *writer, int txn_fd, const char *name, bool commit,
                   struct err *err)
{
  return write_journal (writer, txn_fd, name, commit, fd_sync_fs, err);
}

int journal_write_alone (const struct journal_writer *writer, int txn_fd, const char *name,
                         bool commit, struct err *err)
{
  return write_journal (writer, txn_fd, name, commit, sync_file, err);
}

/* The caller's string, or NULL when an escape is malformed or makes a NUL. */
static char *unescape (const char *text)
{
  autofree char *plain = xmalloc (strlen (text) + 1);
  char *out = plain;

  while (*text) {
    if (*text != '%') {
      *out++ = *text++;
      continue;
    }
    int high = hex_digit (text[1]);
    int low = high < 0 ? -1 : hex_digit (text[2]);
    if (low < 0 || (high == 0 && low == 0))
      return NULL;
    *out++ = (char) (high << 4 | low);
    text += 3;
  }
  *out = '\0';
  return steal_ptr (&plain);
}

/* The next number; *@p is left behind it. */
static bool parse_number (const char **p, int base, int64_t *ret_value)
{
  char *end;

  while (**p == ' ')
    (*p)++;
  if (!**p)
    return false;
  errno = 0;
  long long value = strtoll (*p, &end, base);
  if (errno || end == *p || (*end && *end != ' '))
    return false;
  *p = end;
  *ret_value = value;
  return true;
}

static bool parse_numbers (struct journal_step *step, const char **p)
{
  int64_t n[5] = {0};
  size_t want = step->op == 'P' ? 2 : step->op == 'M' ? 5 : 0;

  for (size_t i = 0; i < want; i++)
    if (!parse_number (p, step->op == 'M' && i == 0 ? 8 : 10, &n[i]))
      return false;
  if (step->op == 'P') {
    step->number = (uint64_t) n[0];
    step->ino = (uint64_t) n[1];
  } else if (step->op == 'M') {
    step->mode = (mode_t) n[0] & 07777;
    step->uid = (uid_t) n[1];
    step->gid = (gid_t) n[2];
    step->mtime = (struct timespec){.tv_sec = n[3], .tv_nsec = n[4]};
  }
  return true;
}

int journal_parse_line (const char *line, struct journal_step *ret_step, struct err *err)
{
  autojournalstep struct journal_step step = {.op = line[0]};
  const char *p = line + (*line != '\0');
  bool has_layer = step.op && strchr ("PRM", step.op);
  bool has_name = step.op && strchr ("DPRU", step.op);

  if (!step.op || !strchr ("DPRMXU", step.op))
    return err_code (err, ERR_USAGE, "the journal has an unknown step");
  if (has_layer) {
    if (p[0] != ' ' || !p[1] || !strchr ("tpu", p[1]))
      return err_code (err, ERR_USAGE, "the journal has a step without a layer");
    step.layer = p[1];
    p += 2;
  }
  if (!parse_numbers (&step, &p))
    return err_code (err, ERR_USAGE, "the journal has a malformed number");
  if (has_name) {
    if (*p++ != ' ' || !*p || !(step.name = unescape (p)))
      return err_code (err, ERR_USAGE, "the journal has a malformed name");
    bool is_path = step.op == 'D';
    if (!is_path &&
        (strchr (step.name, '/') || strcmp (step.name, ".") == 0 || strcmp (step.name, "..") == 0))
      return err_code (err, ERR_USAGE, "the journal has a path where a name belongs");
    p = "";
  }
  if (*p)
    return err_code (err, ERR_USAGE, "the journal has a step with something behind it");
  *ret_step = step;
  step.name = NULL;
  return 0;
}

static int read_steps (FILE *file, const char *name, bool *ret_commit,
                       int (*step) (void *data, const struct journal_step *step, struct err *err),
                       void *data, struct err *err)
{
  autofree char *line = NULL;
  size_t size = 0;
  ssize_t len;
  uint64_t number = 0;

  while ((len = getline (&line, &size, file)) > 0) {
    autojournalstep struct journal_step parsed = {0};

    number++;
    if (line[len - 1] == '\n')
      line[len - 1] = '\0';
    if (number == 1) {
      bool commit = strcmp (line, "vguest-fold 1 commit") == 0;

      if (!commit && strcmp (line, "vguest-fold 1 inplace") != 0)
        return err_code (err, EUCLEAN, "txn/%s is of a version that this vguest does not know",
                         name);
      if (ret_commit)
        *ret_commit = commit;
      continue;
    }
    if (strcmp (line, "E") == 0)
      return 0;
    if (journal_parse_line (line, &parsed, err) < 0)
      return err_wrap (err, "txn/%s, line %" PRIu64, name, number);
    if (step (data, &parsed, err) < 0)
      return err_wrap (err, "txn/%s, line %" PRIu64, name, number);
  }
  if (ferror (file))
    return err_errno (err, "read txn/%s", name);
  return err_code (err, EUCLEAN, "txn/%s has no end", name);
}

int journal_read (int txn_fd, const char *name, bool *ret_commit,
                  int (*step) (void *data, const struct journal_step *step, struct err *err),
                  void *data, struct err *err)
{
  autoclose int fd = fd_open (txn_fd, name, O_RDONLY, 0);

  if (fd < 0)
    return err_errno (err, "open txn/%s", name);
  FILE *file = fdopen (fd, "r");
  if (!file)
    return err_errno (err, "open txn/%s", name);
  steal_fd (&fd);
  int ret = read_steps (file, name, ret_commit, step, data, err);
  fclose (file);
  return ret;
}
