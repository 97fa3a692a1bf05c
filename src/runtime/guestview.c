/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guestview.h"
#include "unified.h"
#include "util/clock.h"
#include "util/fd.h"
#include <signal.h>
#include <sys/resource.h>

enum { REST_US = 5000000, REST_FACTOR = 50, REPORT_MAX = 4096 };

static const char failed_text[] =
    "# The list could not be made: the host's log of this guest says why.\n";

static int add_state (json_object *state, const char *key, struct strbuf *text, struct err *err)
{
  const char *value = NULL;

  if (json_get_string (state, key, NULL, &value, err) < 0)
    return -err->code;
  if (value)
    strbuf_addf (text, "%s=%s\n", key, value);
  return 0;
}

/* None of the values has anything that a shell would take for its own. */
static int write_guest (int dir_fd, const struct guest *guest, struct err *err)
{
  autostrbuf struct strbuf text = STRBUF_INIT (64 << 10);
  int64_t generation = 0;

  strbuf_addf (&text, "name=%s\n", guest->name);
  if (add_state (guest->state, "template", &text, err) < 0 ||
      json_get_int (guest->state, "generation", 0, &generation, err) < 0)
    return -err->code;
  if (generation)
    strbuf_addf (&text, "generation=%lld\n", (long long) generation);
  if (add_state (guest->state, "created", &text, err) < 0)
    return -err->code;
  strbuf_addf (&text, "vguest=%s\n", PACKAGE_VERSION);
  return fd_write_file (dir_fd, "guest", text.data, text.len, 0444, err);
}

int guestview_open (struct guestview *view, int dir_fd, const char *path, const struct guest *guest,
                    struct err *err)
{
  autoclose int fd = fd_make_dir (dir_fd, "view", 0755);

  if (fd < 0)
    return err_errno (err, "make %s/view", path);
  if (write_guest (fd, guest, err) < 0)
    return err_wrap (err, "%s/view", path);
  view->list_fd = fd_open (fd, "unified", O_RDWR | O_CREAT | O_EXCL, 0400);
  if (view->list_fd < 0)
    return err_errno (err, "make %s/view/unified", path);
  if (fcntl (view->list_fd, F_SETLEASE, F_WRLCK) < 0)
    return err_errno (err, "take a lease on %s/view/unified", path);
  view->leased = true;
  view->path = xasprintf ("%s/view", path);
  return 0;
}

/* Replaces what the file has. Nobody reads it. */
static int fill (int fd, const char *text, size_t len, struct err *err)
{
  if (ftruncate (fd, 0) < 0 || lseek (fd, 0, SEEK_SET) < 0 || fd_write_all (fd, text, len) < 0)
    return err_errno (err, "write the list");
  return 0;
}

static int make_list (const struct guestview_source *source, int list_fd, int report_fd,
                      struct err *err)
{
  const struct vroot_options options = {.path = source->root_path, .existing = true};
  autostrbuf struct strbuf text = STRBUF_INIT (SIZE_MAX / 2);
  autoroot struct vroot *root = NULL;
  int kept[] = {source->root_fd, list_fd, report_fd};

  if (fd_close_others (kept, sizeof kept / sizeof kept[0]) < 0)
    return err_errno (err, "close inherited descriptors");
  if (root_open (&options, &root, err) < 0 ||
      unified_list (root->store, source->root_fd, &text, err) < 0)
    return -err->code;
  return fill (list_fd, strbuf_str (&text), text.len, err);
}

/* Reports "\0", or an error. What a guest wants of the host in this way comes behind all else. */
static void maker_main (const struct guestview_source *source, int list_fd, int report_fd)
    __attribute__ ((noreturn));
static void maker_main (const struct guestview_source *source, int list_fd, int report_fd)
{
  struct err err = {0};

  setpriority (PRIO_PROCESS, 0, 19);
  int ret = make_list (source, list_fd, report_fd, &err);
  const char *text = ret < 0 ? err_text (&err) : "";
  _exit (fd_write_all (report_fd, text, ret < 0 ? strlen (text) : 1) < 0);
}

static void give_up (struct guestview *view, uint64_t rest_us)
{
  if (view->leased && fcntl (view->list_fd, F_SETLEASE, F_UNLCK) < 0)
    rest_us = REST_US; /* the kernel took it away, as it took too long */
  view->leased = false;
  view->next_us = clock_us () + (rest_us > REST_US ? rest_us : REST_US);
}

static int start_maker (struct guestview *view, const struct guestview_source *source,
                        struct err *err)
{
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  autoclose int ours = ends[0];
  autoclose int theirs = ends[1];
  view->started_us = clock_us ();
  view->maker_pid = fork ();
  if (view->maker_pid == 0)
    maker_main (source, view->list_fd, theirs);
  if (view->maker_pid < 0) {
    view->maker_pid = 0;
    return err_errno (err, "fork to list the guest's shared files");
  }
  view->maker_fd = steal_fd (&ours);
  return 0;
}

int guestview_opened (struct guestview *view, const struct guestview_source *source,
                      struct err *err)
{
  if (!view->leased || view->maker_pid)
    return 0;
  if (start_maker (view, source, err) == 0)
    return 0;
  give_up (view, REST_US);
  return -err->code;
}

int guestview_made (struct guestview *view, struct err *err)
{
  autoerr struct err more = {0};
  char text[REPORT_MAX + 1];
  ssize_t n = read (view->maker_fd, text, REPORT_MAX);
  bool good = n == 1 && text[0] == '\0';
  int ret = 0;

  cleanup_close (&view->maker_fd);
  view->maker_fd = -1;
  view->maker_pid = 0;
  if (!good) {
    text[n < 0 ? 0 : n] = '\0';
    ret = err_code (err, EIO, "the list of the guest's shared files was not made: %s",
                    *text ? text : "it was killed");
    if (fill (view->list_fd, failed_text, strlen (failed_text), &more) < 0)
      err_wrap (err, "%s", err_text (&more));
  }
  give_up (view, (clock_us () - view->started_us) * REST_FACTOR);
  return ret;
}

int guestview_lease (struct guestview *view)
{
  uint64_t now = clock_us ();

  if (view->leased || view->list_fd < 0)
    return -1;
  if (now >= view->next_us) {
    view->leased = fcntl (view->list_fd, F_SETLEASE, F_WRLCK) == 0;
    if (view->leased)
      return -1;
    view->next_us = now + REST_US;
  }
  uint64_t ms = (view->next_us - now) / 1000 + 1;
  return ms > INT32_MAX ? INT32_MAX : (int) ms;
}

void guestview_stop (struct guestview *view)
{
  if (view->maker_pid)
    kill (view->maker_pid, SIGKILL);
  cleanup_close (&view->maker_fd);
  cleanup_close (&view->list_fd);
  cleanup_free (&view->path);
  *view = (struct guestview) GUESTVIEW_INIT;
}
