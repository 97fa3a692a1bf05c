/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "events.h"
#include "util/fd.h"
#include <unistd.h>

static void tell (char kind, const char *text)
{
  autofree char *line = xasprintf ("%c %s\n", kind, text);

  if (fd_write_all (STDOUT_FILENO, line, strlen (line)) < 0)
    return;
}

void event_line (const char *text)
{
  tell ('l', text);
}

void event_note (const char *text)
{
  tell ('n', text);
}

void event_step (const char *phase, int percent)
{
  autofree char *text = xasprintf ("%d %s", percent, phase);

  tell ('s', text);
}

void event_result (json_object *object)
{
  const char *text = json_object_to_json_string_ext (object, JSON_C_TO_STRING_PLAIN);

  if (!text)
    err_out_of_memory ();
  tell ('r', text);
}

static void take_step (struct events *events, const char *text)
{
  char *phase;
  long percent = strtol (text, &phase, 10);

  if (events->on_step && *phase == ' ')
    events->on_step (events->data, phase + 1, percent > 100 ? 100 : (int) percent);
}

static void take_result (struct events *events, const char *text)
{
  autoerr struct err err = {0};

  if (!events->result &&
      json_parse_object (text, strlen (text), "the result of a task", &events->result, &err) < 0)
    events->result = NULL;
}

static void take_event (struct events *events, const char *line)
{
  const char *text = line + 2;

  if (!line[0] || line[1] != ' ')
    return;
  switch (line[0]) {
  case 'l':
    if (events->on_line)
      events->on_line (events->data, text);
    break;
  case 'n':
    if (events->on_note)
      events->on_note (events->data, text);
    break;
  case 's':
    take_step (events, text);
    break;
  case 'r':
    take_result (events, text);
    break;
  default:
    break;
  }
}

void events_add (struct events *events, const char *bytes, size_t len)
{
  while (len) {
    const char *newline = memchr (bytes, '\n', len);
    size_t part = newline ? (size_t) (newline - bytes) : len;

    strbuf_add (&events->line, bytes, part);
    if (newline) {
      if (!events->line.failed)
        take_event (events, strbuf_str (&events->line));
      strbuf_release (&events->line);
      events->line = (struct strbuf) STRBUF_INIT (EVENT_MAX);
    }
    bytes += part + (newline != NULL);
    len -= part + (newline != NULL);
  }
}

void events_release (struct events *events)
{
  strbuf_release (&events->line);
  if (events->result)
    json_object_put (events->result);
  *events = (struct events) EVENTS_INIT;
}
