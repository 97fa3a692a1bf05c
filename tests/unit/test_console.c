/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "runtime/console.h"
#include "util/fd.h"
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

/* A console with a pipe or a terminal, and the guest's end of it. */
static int open_console (struct console *console, bool terminal)
{
  autoerr struct err err = {0};
  int ends[2];

  assert_int_equal (console_open (console, -1, &err), 0);
  if (terminal)
    assert_int_equal (openpty (&ends[0], &ends[1], NULL, NULL, NULL), 0);
  else
    assert_int_equal (pipe2 (ends, O_CLOEXEC), 0);
  assert_int_equal (console_set_output (console, ends[0], terminal, &err), 0);
  return ends[1];
}

static int attach (struct console *console)
{
  int ends[2];

  assert_int_equal (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  console_add_client (console, ends[1]);
  return ends[0];
}

static void handle (struct console *console)
{
  struct pollfd wait = {.fd = console->fd, .events = POLLIN};

  while (poll (&wait, 1, 50) > 0)
    console_handle (console);
}

/* All packets that have come, as one text: each with its type before it. */
static char *receive (int fd)
{
  autofree char *all = xcalloc (1, 1);
  char packet[CONSOLE_PACKET_MAX + 1];
  ssize_t n;

  while ((n = recv (fd, packet, CONSOLE_PACKET_MAX, MSG_DONTWAIT)) > 0) {
    packet[n] = '\0';
    char *more = xasprintf ("%s%s;", all, packet);
    free (all);
    all = more;
  }
  return steal_ptr (&all);
}

static void those_who_come_late_get_the_past (void **state)
{
  struct console console;
  autoclose int guest = open_console (&console, false);
  autoclose int first = attach (&console);

  (void) state;
  assert_int_equal (write (guest, "one ", 4), 4);
  handle (&console);
  autoclose int second = attach (&console);
  assert_int_equal (write (guest, "two", 3), 3);
  handle (&console);
  autofree char *at_first = receive (first), *at_second = receive (second);
  assert_string_equal (at_first, "h-;oone ;otwo;");
  assert_string_equal (at_second, "h-;oone ;otwo;");
  console_close (&console);
}

static void the_past_is_bounded (void **state)
{
  struct console console;
  autoclose int guest = open_console (&console, false);
  size_t total = 0;

  (void) state;
  for (int i = 0; i < 5000; i++) {
    char line[16];

    snprintf (line, sizeof line, "line %05d\n", i);
    assert_int_equal (write (guest, line, 11), 11);
    console_handle (&console);
  }
  handle (&console);
  autoclose int late = attach (&console);
  char packet[CONSOLE_PACKET_MAX], last[16] = "";
  for (ssize_t n; (n = recv (late, packet, sizeof packet, MSG_DONTWAIT)) > 0;) {
    if (packet[0] != 'o')
      continue;
    total += (size_t) n - 1;
    if (n > 11)
      memcpy (last, packet + n - 11, 11);
  }
  assert_int_equal (total, CONSOLE_REPLAY_MAX);
  assert_string_equal (last, "line 04999\n");
  console_close (&console);
}

static void a_slow_client_is_dropped (void **state)
{
  struct console console;
  autoclose int guest = open_console (&console, false);
  autoclose int slow = attach (&console), quick = attach (&console);
  char bytes[4096];

  (void) state;
  memset (bytes, 'x', sizeof bytes);
  assert_int_equal (console.client_count, 2);
  for (int i = 0; i < 4096; i++) {
    assert_int_equal (write (guest, bytes, sizeof bytes), sizeof bytes);
    console_handle (&console);
    autofree char *taken = receive (quick);
  }
  assert_int_equal (console.client_count, 1);
  console_close (&console);
}

static void input_reaches_a_terminal (void **state)
{
  struct winsize size = {.ws_row = 11, .ws_col = 22}, got = {0};
  struct console console;
  autoclose int guest = open_console (&console, true);
  autoclose int client = attach (&console);
  char packet[1 + sizeof size] = "w", line[16];

  (void) state;
  memcpy (packet + 1, &size, sizeof size);
  assert_int_equal (send (client, packet, sizeof packet, 0), sizeof packet);
  assert_int_equal (send (client, "ihello\n", 7, 0), 7);
  handle (&console);
  assert_int_equal (ioctl (guest, TIOCGWINSZ, &got), 0);
  assert_int_equal (got.ws_row, 11);
  assert_int_equal (got.ws_col, 22);
  assert_int_equal (read (guest, line, sizeof line), 6);
  assert_memory_equal (line, "hello\n", 6);
  /* Every slave may be closed and opened anew: a getty does. */
  close (guest);
  handle (&console);
  guest = ioctl (console.output_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY);
  assert_true (guest >= 0);
  assert_int_equal (write (guest, "again", 5), 5);
  handle (&console);
  autofree char *all = receive (client);
  assert_non_null (strstr (all, "again"));
  console_close (&console);
}

/* A guest that does not read its input makes clients wait, and not its own output. */
static void input_that_is_not_read_holds_nothing_up (void **state)
{
  struct console console;
  autoclose int guest = open_console (&console, true);
  autoclose int client = attach (&console);
  struct termios raw;
  char bytes[4000];

  (void) state;
  assert_int_equal (tcgetattr (guest, &raw), 0);
  cfmakeraw (&raw);
  assert_int_equal (tcsetattr (guest, TCSANOW, &raw), 0);
  memset (bytes, 'i', sizeof bytes);
  for (int i = 0; i < 40; i++) {
    send (client, bytes, sizeof bytes, MSG_DONTWAIT);
    console_handle (&console);
  }
  assert_true (console.input_full);
  assert_int_equal (write (guest, "output", 6), 6);
  handle (&console);
  autofree char *all = receive (client);
  assert_non_null (strstr (all, "ooutput"));
  for (int i = 0; i < 200 && console.input_full; i++) {
    assert_true (read (guest, bytes, sizeof bytes) > 0);
    handle (&console);
  }
  assert_false (console.input_full);
  console_close (&console);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (those_who_come_late_get_the_past),
      cmocka_unit_test (the_past_is_bounded),
      cmocka_unit_test (a_slow_client_is_dropped),
      cmocka_unit_test (input_reaches_a_terminal),
      cmocka_unit_test (input_that_is_not_read_holds_nothing_up),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
