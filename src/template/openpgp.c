/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "openpgp.h"
#include "util/fd.h"
#include "util/subprocess.h"
#include "util/libcrypto.h"
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { KEYRING_MAX = 16 << 20, STATUS_MAX = 1 << 20, MESSAGE_MAX = 64 << 20 };

static const char armor_begin[] = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
static const char broken_armor[] = "it has a broken armor";

/* The base64 between an armor's headers and its checksum. */
static bool armor_body (const char *text, size_t len, const char **ret_body, size_t *ret_len)
{
  const char *begin = memmem (text, len, armor_begin, strlen (armor_begin));

  if (!begin)
    return false;
  const char *end = memmem (begin, len - (size_t) (begin - text), "\n-----END", 9);
  const char *line = memchr (begin, '\n', len - (size_t) (begin - text));
  if (!end || !line || line > end)
    return false;
  /* Headers end with an empty line. */
  for (line++; line < end; line++) {
    const char *next = memchr (line, '\n', (size_t) (end + 1 - line));

    if (next == line || (next == line + 1 && *line == '\r'))
      break;
    if (!memchr (line, ':', (size_t) (next - line)))
      break;
    line = next;
  }
  if (line >= end)
    return false;
  *ret_body = line;
  *ret_len = (size_t) (end - line);
  /* "\n=abcd" in the end is a checksum, and says nothing that a signature does not. */
  const char *sum = memrchr (line, '\n', *ret_len);
  if (sum && sum[1] == '=')
    *ret_len = (size_t) (sum - line);
  return true;
}

unsigned char *openpgp_dearmor (const char *text, size_t len, size_t *ret_len, struct err *err)
{
  EVP_ENCODE_CTX *ctx = NULL;
  const char *body = NULL;
  size_t body_len = 0;
  int n = 0, rest = 0;

  if (libcrypto_load (err) < 0)
    return NULL;
  if (len > KEYRING_MAX || !armor_body (text, len, &body, &body_len)) {
    err_code (err, ERR_USAGE, "%s", broken_armor);
    return NULL;
  }
  autofree unsigned char *bytes = xmalloc (body_len + 64);
  ctx = libcrypto.EVP_ENCODE_CTX_new ();
  if (!ctx)
    err_out_of_memory ();
  libcrypto.EVP_DecodeInit (ctx);
  bool good = libcrypto.EVP_DecodeUpdate (ctx, bytes, &n, (const unsigned char *) body,
                                          (int) body_len) >= 0 &&
              libcrypto.EVP_DecodeFinal (ctx, bytes + n, &rest) == 1 && n + rest > 0;
  libcrypto.EVP_ENCODE_CTX_free (ctx);
  if (!good) {
    err_code (err, ERR_USAGE, "%s", broken_armor);
    return NULL;
  }
  *ret_len = (size_t) n + (size_t) rest;
  return steal_ptr (&bytes);
}

/* A file that only we and our child see. */
static int hidden_file (const char *name, const void *data, size_t len, struct err *err)
{
  autoclose int fd = memfd_create (name, MFD_CLOEXEC);

  if (fd < 0 || fd_write_all (fd, data, len) < 0 || lseek (fd, 0, SEEK_SET) < 0)
    return err_errno (err, "keep the %s in memory", name);
  return steal_fd (&fd);
}

static int open_keyring (const char *path, struct err *err)
{
  autofree char *text = NULL;
  size_t len = 0;

  if (fd_read_file (AT_FDCWD, path, KEYRING_MAX, &text, &len, err) < 0)
    return err_wrap (err, "the keyring");
  if (!memmem (text, len, armor_begin, strlen (armor_begin)))
    return hidden_file ("keyring", text, len, err);
  autofree unsigned char *bytes = openpgp_dearmor (text, len, &len, err);
  if (!bytes)
    return err_wrap (err, "the keyring %s", path);
  return hidden_file ("keyring", bytes, len, err);
}

/* As the child finds a file of ours. */
static char *path_of (int fd)
{
  return xasprintf ("/proc/%ld/fd/%d", (long) getpid (), fd);
}

/* gpgv of @signature, with @data on its stdin or, at -1, a message with its signature in it. */
static int start_gpgv (struct openpgp *openpgp, int data_fd, const char *output, struct err *err)
{
  static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C",
                                    "HOME=/nonexistent", NULL};
  autofree char *keyring = path_of (openpgp->keyring_fd);
  autofree char *signature = path_of (openpgp->signature_fd);
  const char *argv[16] = {"gpgv",      "--quiet", "--homedir",   "/nonexistent",
                          "--keyring", keyring,   "--status-fd", "1"};
  size_t count = 8;

  if (!subprocess_exists ("gpgv"))
    return err_code (err, ENOENT,
                     "gpgv is needed to verify OpenPGP signatures: install the package gpgv (in "
                     "Fedora gnupg2)");
  if (output) {
    argv[count++] = "--output";
    argv[count++] = output;
  }
  argv[count++] = signature;
  if (data_fd >= 0)
    argv[count++] = "-";
  autoclose int null_fd = open ("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null_fd < 0)
    return err_errno (err, "open /dev/null");
  openpgp->output_fd = hidden_file ("status", "", 0, err);
  if (openpgp->output_fd < 0)
    return -err->code;
  struct subprocess sub = {.argv = argv,
                           .env = env,
                           .stdin_fd = data_fd,
                           .stdout_fd = openpgp->output_fd,
                           .stderr_fd = null_fd};
  return subprocess_start (&sub, &openpgp->pid, err);
}

int openpgp_start (const char *keyring, const void *signature, size_t len, struct openpgp *openpgp,
                   struct err *err)
{
  int data[2];

  openpgp->signature_fd = hidden_file ("signature", signature, len, err);
  if (openpgp->signature_fd < 0)
    return -err->code;
  openpgp->keyring_fd = open_keyring (keyring, err);
  if (openpgp->keyring_fd < 0)
    return -err->code;
  if (pipe2 (data, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  openpgp->data_fd = data[1];
  int ret = start_gpgv (openpgp, data[0], NULL, err);
  close (data[0]);
  return ret;
}

int openpgp_add (struct openpgp *openpgp, const void *data, size_t len, struct err *err)
{
  /* It stops reading when the signature is nonsense: openpgp_end tells. SIGPIPE is ignored by those
   * who use the network; here it must not be fatal either. */
  if (openpgp->data_fd >= 0 && fd_write_all (openpgp->data_fd, data, len) < 0) {
    if (errno != EPIPE)
      return err_errno (err, "give data to gpgv");
    close (steal_fd (&openpgp->data_fd));
  }
  return 0;
}

/* The word behind @prefix in @line, up to a space; NULL. */
static bool starts (const char *line, const char *prefix)
{
  return strncmp (line, prefix, strlen (prefix)) == 0;
}

char *openpgp_judge (const char *status, struct err *err)
{
  static const char *const doubtful[] = {"EXPSIG ", "EXPKEYSIG ", "REVKEYSIG ", "ERRSIG ", NULL};
  static const char mark[] = "[GNUPG:] ";
  autofree char *by = NULL;
  bool good = false, unknown = false;

  for (const char *line = status; *line; line += *line != '\0') {
    size_t len = strcspn (line, "\n");

    if (starts (line, mark)) {
      const char *word = line + strlen (mark);

      if (starts (word, "BADSIG ")) {
        err_code (err, EBADMSG, "the signature is wrong");
        return NULL;
      }
      for (const char *const *name = doubtful; *name; name++)
        if (starts (word, *name))
          good = false;
      unknown |= starts (word, "NO_PUBKEY ");
      if (starts (word, "GOODSIG "))
        good = true;
      if (starts (word, "VALIDSIG ") && good && !by) {
        const char *print = word + strlen ("VALIDSIG ");

        by = xstrndup (print, strspn (print, "0123456789ABCDEF"));
      }
    }
    line += len;
  }
  if (!by || !*by) {
    err_code (err, EBADMSG, "%s",
              unknown ? "it is signed with a key that is not in the keyring"
                      : "there is no good signature");
    return NULL;
  }
  return steal_ptr (&by);
}

int openpgp_end (struct openpgp *openpgp, char **ret_by, struct err *err)
{
  int status = 0;

  if (openpgp->data_fd >= 0)
    close (steal_fd (&openpgp->data_fd));
  pid_t pid = openpgp->pid;
  openpgp->pid = -1;
  if (subprocess_wait (pid, &status, err) < 0)
    return -err->code;
  autofree char *path = path_of (openpgp->output_fd);
  autoclose int fd = open (path, O_RDONLY | O_CLOEXEC);
  autofree char *text = xcalloc (1, STATUS_MAX + 1);
  if (fd < 0 || fd_read_full (fd, text, STATUS_MAX) < 0)
    return err_errno (err, "read what gpgv says");
  char *by = openpgp_judge (text, err);
  if (!by)
    return -err->code;
  *ret_by = by;
  return 0;
}

void openpgp_release (struct openpgp *openpgp)
{
  int saved = errno;
  int *fds[] = {&openpgp->signature_fd, &openpgp->keyring_fd, &openpgp->data_fd,
                &openpgp->output_fd};

  if (openpgp->pid > 0) {
    kill (openpgp->pid, SIGKILL);
    while (waitpid (openpgp->pid, NULL, 0) < 0 && errno == EINTR)
      ;
  }
  openpgp->pid = -1;
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (*fds[i] >= 0)
      close (steal_fd (fds[i]));
  errno = saved;
}

int openpgp_open (const char *keyring, const void *message, size_t len, char **ret_text,
                  size_t *ret_len, char **ret_by, struct err *err)
{
  autoopenpgp struct openpgp openpgp = OPENPGP_INIT;
  autofree char *by = NULL;

  openpgp.signature_fd = hidden_file ("message", message, len, err);
  if (openpgp.signature_fd < 0)
    return -err->code;
  openpgp.keyring_fd = open_keyring (keyring, err);
  if (openpgp.keyring_fd < 0)
    return -err->code;
  autoclose int text_fd = hidden_file ("text", "", 0, err);
  if (text_fd < 0)
    return -err->code;
  autofree char *output = path_of (text_fd);
  if (start_gpgv (&openpgp, -1, output, err) < 0 || openpgp_end (&openpgp, &by, err) < 0)
    return -err->code;
  struct stat st;
  if (fstat (text_fd, &st) < 0 || lseek (text_fd, 0, SEEK_SET) < 0)
    return err_errno (err, "read what was signed");
  if (st.st_size > MESSAGE_MAX)
    return err_code (err, EFBIG, "what was signed is too large");
  autofree char *text = xcalloc (1, (size_t) st.st_size + 1);
  if (fd_read_full (text_fd, text, (size_t) st.st_size) != (ssize_t) st.st_size)
    return err_errno (err, "read what was signed");
  *ret_text = steal_ptr (&text);
  *ret_len = (size_t) st.st_size;
  *ret_by = steal_ptr (&by);
  return 0;
}
