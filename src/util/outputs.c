/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "outputs.h"
#include "fd.h"

enum { STREAMS = 2 };

/* What is held is a row of these, each with its bytes behind it. */
struct record {
  uint32_t len;
  uint32_t stream;
};

struct source {
  struct strbuf held;           /* owned; the records, as long as there is no file */
  int file;                     /* owned; -1 or the records */
  off_t size;                   /* of all records */
  struct strbuf lines[STREAMS]; /* owned; begun and not ended */
  bool ended;
};

struct outputs {
  enum outputs_mode mode;
  const char *const *labels; /* borrowed */
  size_t count;
  size_t current; /* the first that has not ended */
  int width;
  struct source *sources; /* owned */
};

struct outputs *outputs_new (enum outputs_mode mode, const char *const *labels, size_t count)
{
  struct outputs *outputs = xcalloc (1, sizeof *outputs);

  *outputs = (struct outputs){
      .mode = mode,
      .labels = labels,
      .count = count,
      .sources = xcalloc (count + 1, sizeof *outputs->sources),
  };
  for (size_t i = 0; i < count; i++) {
    struct source *source = &outputs->sources[i];
    int len = (int) strlen (labels[i]);

    if (len > outputs->width)
      outputs->width = len;
    source->file = -1;
    source->held.maximum = OUTPUTS_HELD;
    for (int k = 0; k < STREAMS; k++)
      source->lines[k].maximum = OUTPUTS_LINE_MAX;
  }
  return outputs;
}

/* What was held is not needed any more. */
static void drop_held (struct source *source)
{
  strbuf_release (&source->held);
  if (source->file >= 0)
    close (source->file);
  source->file = -1;
  source->size = 0;
}

void outputs_free (struct outputs *outputs)
{
  for (size_t i = 0; i < outputs->count; i++) {
    drop_held (&outputs->sources[i]);
    for (int k = 0; k < STREAMS; k++)
      strbuf_release (&outputs->sources[i].lines[k]);
  }
  free (outputs->sources);
  free (outputs);
}

static int open_file (struct err *err)
{
  const char *dir = getenv ("TMPDIR");

  /* Not /tmp, which may be memory. */
  if (!dir || dir[0] != '/')
    dir = "/var/tmp";
  int fd = open (dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return err_errno (err, "make a temporary file in %s for output that has to wait", dir);
  return fd;
}

static int write_file (struct source *source, const void *data, size_t len, struct err *err)
{
  if (fd_write_all (source->file, data, len) < 0)
    return err_errno (err, "write the temporary file for output that has to wait");
  return 0;
}

static int hold (struct source *source, int stream, const char *bytes, size_t len, struct err *err)
{
  struct record record = {.len = (uint32_t) len, .stream = (uint32_t) stream};

  source->size += (off_t) (sizeof record + len);
  if (source->file < 0 && (size_t) source->size <= source->held.maximum) {
    strbuf_add (&source->held, &record, sizeof record);
    strbuf_add (&source->held, bytes, len);
    return 0;
  }
  if (source->file < 0) {
    source->file = open_file (err);
    if (source->file < 0 ||
        write_file (source, strbuf_str (&source->held), source->held.len, err) < 0)
      return -err->code;
    strbuf_release (&source->held);
  }
  if (write_file (source, &record, sizeof record, err) < 0)
    return -err->code;
  return write_file (source, bytes, len, err);
}

/* Walks over the records of one stream, or of both (0). */
struct walk {
  const struct source *source;
  int stream;
  off_t offset;
  struct strbuf bytes; /* owned; of the record at hand */
  int bytes_stream;
};

#define autowalk __attribute__ ((cleanup (walk_release)))

static void walk_release (struct walk *walk)
{
  strbuf_release (&walk->bytes);
}

static int read_at (const struct source *source, off_t offset, void *data, size_t len,
                    struct err *err)
{
  if (source->file < 0) {
    memcpy (data, source->held.data + offset, len);
    return 0;
  }
  for (size_t done = 0; done < len;) {
    ssize_t n = pread (source->file, (char *) data + done, len - done, offset + (off_t) done);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return err_errno (err, "read the temporary file of held output");
    done += (size_t) n;
  }
  return 0;
}

/* 1 and the next record, 0 at the end. */
static int walk_next (struct walk *walk, struct err *err)
{
  while (walk->offset < walk->source->size) {
    struct record record;

    if (read_at (walk->source, walk->offset, &record, sizeof record, err) < 0)
      return -err->code;
    off_t start = walk->offset + (off_t) sizeof record;
    walk->offset = start + record.len;
    if (walk->stream && record.stream != (uint32_t) walk->stream)
      continue;
    autofree char *data = xmalloc (record.len + 1);
    if (read_at (walk->source, start, data, record.len, err) < 0)
      return -err->code;
    strbuf_truncate (&walk->bytes, 0);
    walk->bytes.maximum = SIZE_MAX / 2;
    strbuf_add (&walk->bytes, data, record.len);
    walk->bytes_stream = (int) record.stream;
    return 1;
  }
  return 0;
}

static int write_out (int stream, const char *bytes, size_t len, struct err *err)
{
  if (fd_write_all (stream, bytes, len) < 0)
    return err_errno (err, "write to %s", stream == 1 ? "stdout" : "stderr");
  return 0;
}

static int write_held (const struct source *source, struct err *err)
{
  autowalk struct walk walk = {.source = source};
  int more;

  while ((more = walk_next (&walk, err)) > 0)
    if (write_out (walk.bytes_stream, walk.bytes.data, walk.bytes.len, err) < 0)
      return -err->code;
  return more;
}

static int emit (struct outputs *outputs, size_t index, int stream, const char *bytes, size_t len,
                 struct err *err)
{
  if (!len)
    return 0;
  if (outputs->mode != OUTPUTS_KEEP && index == outputs->current)
    return write_out (stream, bytes, len, err);
  return hold (&outputs->sources[index], stream, bytes, len, err);
}

/* All lines that are complete go as one; one that is too long is cut into several. */
static int add_lines (struct outputs *outputs, size_t index, int stream, const char *bytes,
                      size_t len, struct err *err)
{
  struct strbuf *line = &outputs->sources[index].lines[stream - 1];
  autostrbuf struct strbuf text = STRBUF_INIT (SIZE_MAX / 2);

  while (len) {
    const char *newline = memchr (bytes, '\n', len);
    size_t part = newline ? (size_t) (newline - bytes) + 1 : len;

    if (part > OUTPUTS_LINE_MAX)
      part = OUTPUTS_LINE_MAX;
    bool whole = bytes[part - 1] == '\n';
    if (line->len + part > OUTPUTS_LINE_MAX) {
      strbuf_addf (&text, "%*s: ", -outputs->width, outputs->labels[index]);
      strbuf_add (&text, line->data, line->len);
      strbuf_adds (&text, "\n");
      strbuf_truncate (line, 0);
    }
    strbuf_add (line, bytes, part);
    if (whole) {
      strbuf_addf (&text, "%*s: ", -outputs->width, outputs->labels[index]);
      strbuf_add (&text, line->data, line->len);
      strbuf_truncate (line, 0);
    }
    bytes += part;
    len -= part;
  }
  return emit (outputs, index, stream, strbuf_str (&text), text.len, err);
}

int outputs_add (struct outputs *outputs, size_t index, int stream, const char *bytes, size_t len,
                 struct err *err)
{
  if (outputs->mode == OUTPUTS_DROP)
    return 0;
  if (outputs->mode == OUTPUTS_LINES)
    return add_lines (outputs, index, stream, bytes, len, err);
  return emit (outputs, index, stream, bytes, len, err);
}

int outputs_end (struct outputs *outputs, size_t index, struct err *err)
{
  struct source *source = &outputs->sources[index];

  for (int stream = 1; stream <= STREAMS; stream++)
    if (source->lines[stream - 1].len && add_lines (outputs, index, stream, "\n", 1, err) < 0)
      return -err->code;
  source->ended = true;
  while (outputs->mode != OUTPUTS_KEEP && outputs->current < outputs->count &&
         outputs->sources[outputs->current].ended) {
    if (++outputs->current == outputs->count)
      break;
    struct source *next = &outputs->sources[outputs->current];
    if (write_held (next, err) < 0)
      return -err->code;
    drop_held (next);
  }
  return 0;
}

int outputs_read (const struct outputs *outputs, size_t index, int stream, struct strbuf *text,
                  struct err *err)
{
  autowalk struct walk walk = {.source = &outputs->sources[index], .stream = stream};
  int more = 0;

  while (!text->failed && (more = walk_next (&walk, err)) > 0) {
    size_t room = text->maximum - text->len;

    strbuf_add (text, walk.bytes.data, walk.bytes.len < room ? walk.bytes.len : room);
    text->failed |= walk.bytes.len > room;
  }
  return more < 0 ? more : 0;
}

int outputs_write (const struct outputs *outputs, size_t index, struct err *err)
{
  return write_held (&outputs->sources[index], err);
}

static int stream_equal (const struct source *a, const struct source *b, int stream,
                         struct err *err)
{
  autowalk struct walk walk_a = {.source = a, .stream = stream};
  autowalk struct walk walk_b = {.source = b, .stream = stream};
  size_t at_a = 0, at_b = 0;

  for (;;) {
    if (at_a == walk_a.bytes.len) {
      int more = walk_next (&walk_a, err);

      if (more < 0)
        return more;
      at_a = more ? 0 : at_a;
    }
    if (at_b == walk_b.bytes.len) {
      int more = walk_next (&walk_b, err);

      if (more < 0)
        return more;
      at_b = more ? 0 : at_b;
    }
    size_t left_a = walk_a.bytes.len - at_a, left_b = walk_b.bytes.len - at_b;
    size_t len = left_a < left_b ? left_a : left_b;
    if (!len)
      return left_a == left_b;
    if (memcmp (walk_a.bytes.data + at_a, walk_b.bytes.data + at_b, len) != 0)
      return 0;
    at_a += len;
    at_b += len;
  }
}

int outputs_equal (const struct outputs *outputs, size_t a, size_t b, struct err *err)
{
  for (int stream = 1; stream <= STREAMS; stream++) {
    int equal = stream_equal (&outputs->sources[a], &outputs->sources[b], stream, err);

    if (equal <= 0)
      return equal;
  }
  return 1;
}
