/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "contents.h"
#include "util/fd.h"
#include <endian.h>

enum {
  MAGIC_SIZE = 32,
  PART_SIZE = 8 + 8 + sizeof (struct digest),
  HEAD_SIZE = MAGIC_SIZE + 8 + 8 + 256 * PART_SIZE,
  PART_NOTES_MAX = 1 << 24, /* more objects than a directory could serve */
};

static const char magic[MAGIC_SIZE] = "vguest-contents 1\n";

void contents_notes_release (struct contents_notes *notes)
{
  free (notes->items);
  u64table_release (&notes->index);
  *notes = (struct contents_notes){0};
}

static uint64_t mix (uint64_t key, unsigned slot)
{
  return key ^ (slot * UINT64_C (0x9e3779b97f4a7c15));
}

void contents_notes_add (struct contents_notes *notes, const struct contents_note *note)
{
  if ((notes->count & (notes->count - 1)) == 0)
    notes->items =
        xreallocarray (notes->items, notes->count ? notes->count * 2 : 1, sizeof *notes->items);
  notes->items[notes->count++] = *note;
  *u64table_put (&notes->index, mix (note->key, note->slot), NULL) = notes->count;
}

const struct contents_note *contents_find (const struct contents_notes *notes,
                                           const struct digest *id, unsigned slot)
{
  uint64_t key = digest_key (id);
  const uint64_t *at = u64table_get (&notes->index, mix (key, slot));

  if (!at || !*at)
    return NULL;
  const struct contents_note *note = &notes->items[*at - 1];
  return note->key == key && note->slot == slot ? note : NULL;
}

static uint8_t *put (uint8_t *at, uint64_t value)
{
  uint64_t le = htole64 (value);

  memcpy (at, &le, sizeof le);
  return at + sizeof le;
}

static uint8_t *put_half (uint8_t *at, uint32_t value)
{
  uint32_t le = htole32 (value);

  memcpy (at, &le, sizeof le);
  return at + sizeof le;
}

static uint64_t take (const uint8_t **at)
{
  uint64_t le;

  memcpy (&le, *at, sizeof le);
  *at += sizeof le;
  return le64toh (le);
}

static uint32_t take_half (const uint8_t **at)
{
  uint32_t le;

  memcpy (&le, *at, sizeof le);
  *at += sizeof le;
  return le32toh (le);
}

static void format_note (const struct contents_note *note, uint8_t *at)
{
  at = put (at, note->key);
  at = put_half (at, note->slot);
  memcpy (at, note->contents.bytes, sizeof note->contents.bytes);
  at = put (at + sizeof note->contents.bytes, note->size);
  at = put (at, (uint64_t) note->mtime.tv_sec);
  at = put_half (at, (uint32_t) note->mtime.tv_nsec);
  at = put_half (at, note->mode);
  at = put_half (at, note->uid);
  at = put_half (at, note->gid);
  put_half (at, 0);
}

static bool parse_note (const uint8_t *at, struct contents_note *ret_note)
{
  struct contents_note note = {0};

  note.key = take (&at);
  note.slot = take_half (&at);
  memcpy (note.contents.bytes, at, sizeof note.contents.bytes);
  at += sizeof note.contents.bytes;
  note.size = take (&at);
  note.mtime.tv_sec = (time_t) take (&at);
  note.mtime.tv_nsec = take_half (&at);
  note.mode = take_half (&at);
  note.uid = take_half (&at);
  note.gid = take_half (&at);
  *ret_note = note;
  return note.mtime.tv_nsec < 1000000000 && take_half (&at) == 0;
}

bool contents_notes_parse (const void *data, size_t len, struct contents_notes *ret_notes)
{
  autocontentsnotes struct contents_notes notes = {0};

  if (len % CONTENTS_NOTE_SIZE)
    return false;
  for (size_t at = 0; at < len; at += CONTENTS_NOTE_SIZE) {
    struct contents_note note;

    if (!parse_note ((const uint8_t *) data + at, &note))
      return false;
    contents_notes_add (&notes, &note);
  }
  *ret_notes = notes;
  notes = (struct contents_notes){0};
  return true;
}

static bool parse_head (const uint8_t *head, struct contents *contents)
{
  const uint8_t *at = head + MAGIC_SIZE;

  if (memcmp (head, magic, MAGIC_SIZE) != 0)
    return false;
  contents->time = (time_t) take (&at);
  contents->place = take (&at);
  for (size_t i = 0; i < 256; i++) {
    contents->parts[i].offset = take (&at);
    contents->parts[i].count = take (&at);
    memcpy (contents->parts[i].sum.bytes, at, sizeof contents->parts[i].sum.bytes);
    at += sizeof contents->parts[i].sum.bytes;
  }
  return true;
}

int contents_open (struct store *store, struct contents *ret_contents, struct err *err)
{
  autofree uint8_t *head = xmalloc (HEAD_SIZE);
  autoclose int fd = fd_open (store->fd, CONTENTS_NAME, O_RDONLY, 0);

  *ret_contents = (struct contents){.fd = -1};
  if (fd < 0)
    return errno == ENOENT || errno == ELOOP ? 0 : err_errno (err, "open store/" CONTENTS_NAME);
  ssize_t n = fd_read_full (fd, head, HEAD_SIZE);
  if (n < 0)
    return err_errno (err, "read store/" CONTENTS_NAME);
  if (n == HEAD_SIZE && parse_head (head, ret_contents))
    ret_contents->fd = steal_fd (&fd);
  return 0;
}

void contents_close (struct contents *contents)
{
  cleanup_close (&contents->fd);
  contents->fd = -1;
}

static void sum_of (struct hasher *hasher, const void *data, size_t len, struct digest *ret_sum)
{
  hasher_start (hasher);
  hasher_add (hasher, data, len);
  hasher_end (hasher, ret_sum);
}

int contents_load (const struct contents *contents, struct hasher *hasher, unsigned fan,
                   struct contents_notes *ret_notes, struct err *err)
{
  uint64_t count = contents->parts[fan].count;
  struct digest sum;

  *ret_notes = (struct contents_notes){0};
  if (contents->fd < 0 || !count || count > PART_NOTES_MAX)
    return 0;
  size_t len = (size_t) count * CONTENTS_NOTE_SIZE, done = 0;
  autofree uint8_t *data = xmalloc (len);
  while (done < len) {
    ssize_t n =
        pread (contents->fd, data + done, len - done, (off_t) (contents->parts[fan].offset + done));

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return err_errno (err, "read store/" CONTENTS_NAME);
    if (n == 0)
      return 0;
    done += (size_t) n;
  }
  sum_of (hasher, data, len, &sum);
  if (digest_equal (&sum, &contents->parts[fan].sum) &&
      !contents_notes_parse (data, len, ret_notes))
    *ret_notes = (struct contents_notes){0};
  return 0;
}

int contents_writer_start (struct store *store, struct contents_writer *ret_writer, struct err *err)
{
  struct contents_writer writer = {.store = store, .fd = -1, .end = HEAD_SIZE};
  struct stat st;

  if (fstat (store->fd, &st) < 0)
    return err_errno (err, "stat store");
  writer.contents.place = st.st_ino;
  fd_temp_name (writer.temp);
  writer.fd = fd_open (store->fd, writer.temp, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (writer.fd < 0)
    return err_errno (err, "create store/%s", writer.temp);
  *ret_writer = writer;
  return 0;
}

static int write_at (struct contents_writer *writer, const uint8_t *data, size_t len, uint64_t at,
                     struct err *err)
{
  while (len) {
    ssize_t n = pwrite (writer->fd, data, len, (off_t) at);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return err_errno (err, "write store/" CONTENTS_NAME);
    data += n;
    at += (uint64_t) n;
    len -= (size_t) n;
  }
  return 0;
}

int contents_writer_add (struct contents_writer *writer, struct hasher *hasher, unsigned fan,
                         const struct contents_notes *notes, struct err *err)
{
  size_t len = notes->count * CONTENTS_NOTE_SIZE;
  autofree uint8_t *data = xmalloc (len);

  for (size_t i = 0; i < notes->count; i++)
    format_note (&notes->items[i], data + i * CONTENTS_NOTE_SIZE);
  writer->contents.parts[fan].offset = writer->end;
  writer->contents.parts[fan].count = notes->count;
  sum_of (hasher, data, len, &writer->contents.parts[fan].sum);
  if (write_at (writer, data, len, writer->end, err) < 0)
    return -err->code;
  writer->end += len;
  return 0;
}

int contents_writer_finish (struct contents_writer *writer, struct err *err)
{
  autofree uint8_t *head = xcalloc (HEAD_SIZE, 1);
  uint8_t *at = head + MAGIC_SIZE;

  memcpy (head, magic, MAGIC_SIZE);
  at = put (at, (uint64_t) time (NULL));
  at = put (at, writer->contents.place);
  for (size_t i = 0; i < 256; i++) {
    at = put (at, writer->contents.parts[i].offset);
    at = put (at, writer->contents.parts[i].count);
    memcpy (at, writer->contents.parts[i].sum.bytes, sizeof writer->contents.parts[i].sum.bytes);
    at += sizeof writer->contents.parts[i].sum.bytes;
  }
  if (write_at (writer, head, HEAD_SIZE, 0, err) < 0)
    return -err->code;
  if (fsync (writer->fd) < 0)
    return err_errno (err, "sync store/" CONTENTS_NAME);
  if (renameat (writer->store->fd, writer->temp, writer->store->fd, CONTENTS_NAME) < 0)
    return err_errno (err, "rename to store/" CONTENTS_NAME);
  writer->temp[0] = '\0';
  return 0;
}

void contents_writer_release (struct contents_writer *writer)
{
  int saved = errno;

  if (!writer->store)
    return;
  cleanup_close (&writer->fd);
  if (writer->temp[0])
    unlinkat (writer->store->fd, writer->temp, 0);
  *writer = (struct contents_writer){.fd = -1};
  errno = saved;
}
