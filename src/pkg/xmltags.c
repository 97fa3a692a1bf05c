/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xmltags.h"
#include "util/strbuf.h"
#include <ctype.h>

void xml_tag_release (struct xml_tag *tag)
{
  int saved = errno;

  for (size_t i = 0; i < tag->count; i++)
    free (tag->attributes[i].value);
  *tag = (struct xml_tag){0};
  errno = saved;
}

void xml_tags_start (const char *text, size_t len, struct xml_tags *ret_tags)
{
  *ret_tags = (struct xml_tags){.at = text, .end = text + len, .line = 1};
}

static bool is_name_character (char c)
{
  return isalnum ((unsigned char) c) || c == '-' || c == '_' || c == '.' || c == ':';
}

static void skip_blanks (struct xml_tags *tags)
{
  while (tags->at < tags->end && isspace ((unsigned char) *tags->at))
    tags->line += *tags->at++ == '\n';
}

/* Takes @c where it is next. */
static bool take (struct xml_tags *tags, char c)
{
  if (tags->at == tags->end || *tags->at != c)
    return false;
  tags->at++;
  return true;
}

static bool take_name (struct xml_tags *tags, const char **ret_name, size_t *ret_len)
{
  *ret_name = tags->at;
  while (tags->at < tags->end && is_name_character (*tags->at))
    tags->at++;
  *ret_len = (size_t) (tags->at - *ret_name);
  return *ret_len > 0;
}

/* "&lt;" and the like at @text. Returns its length, or 0 for none that is known. */
static size_t read_entity (const char *text, size_t len, char *ret_character)
{
  static const struct {
    const char *entity;
    char character;
  } entities[] = {{"&lt;", '<'},    {"&gt;", '>'},   {"&amp;", '&'}, {"&quot;", '"'},
                  {"&apos;", '\''}, {"&#39;", '\''}, {"&#10;", ' '}};

  for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
    size_t size = strlen (entities[i].entity);

    if (len >= size && memcmp (text, entities[i].entity, size) == 0) {
      *ret_character = entities[i].character;
      return size;
    }
  }
  return 0;
}

/* A value with its entities replaced; the caller's. */
static int decode (const char *text, size_t len, char **ret_value, struct err *err)
{
  autostrbuf struct strbuf value = STRBUF_INIT (XML_VALUE_MAX);

  for (size_t i = 0; i < len;) {
    char character = text[i];
    size_t size = character == '&' ? read_entity (text + i, len - i, &character) : 1;

    if (!size)
      return err_code (err, EINVAL, "an unknown entity");
    strbuf_add (&value, &character, 1);
    i += size;
  }
  if (value.failed)
    return err_code (err, E2BIG, "a value of more than %d bytes", XML_VALUE_MAX);
  *ret_value = strbuf_steal (&value);
  return 0;
}

/* name="value" or name='value'. */
static int read_attribute (struct xml_tags *tags, struct xml_tag *tag, struct err *err)
{
  struct xml_attribute attribute = {0};
  char quote;

  if (tag->count == XML_ATTRIBUTES_MAX)
    return err_code (err, E2BIG, "more than %d attributes", XML_ATTRIBUTES_MAX);
  if (!take_name (tags, &attribute.name, &attribute.name_len) || !take (tags, '='))
    return err_code (err, EINVAL, "name=\"value\" is expected in a tag");
  quote = take (tags, '"') ? '"' : take (tags, '\'') ? '\'' : 0;
  const char *value = tags->at;
  const char *value_end = quote ? memchr (value, quote, (size_t) (tags->end - value)) : NULL;
  if (!value_end)
    return err_code (err, EINVAL, "an attribute without a quoted value");
  if (decode (value, (size_t) (value_end - value), &attribute.value, err) < 0)
    return -err->code;
  for (; tags->at < value_end; tags->at++)
    tags->line += *tags->at == '\n';
  tags->at++;
  tag->attributes[tag->count++] = attribute;
  return 0;
}

/* Behind "<". */
static int read_tag (struct xml_tags *tags, struct xml_tag *tag, struct err *err)
{
  tag->closes = take (tags, '/');
  tag->opens = !tag->closes;
  if (!take_name (tags, &tag->name, &tag->name_len))
    return err_code (err, EINVAL, "the name of a tag is expected");
  for (skip_blanks (tags); tags->at < tags->end; skip_blanks (tags)) {
    if (take (tags, '>'))
      return 0;
    if (take (tags, '/')) {
      tag->closes = true;
      if (take (tags, '>'))
        return 0;
      break;
    }
    if (read_attribute (tags, tag, err) < 0)
      return -err->code;
  }
  return err_code (err, EINVAL, "a tag without an end");
}

int xml_tags_next (struct xml_tags *tags, struct xml_tag *ret_tag, struct err *err)
{
  xml_tag_release (ret_tag);
  for (; tags->at < tags->end; tags->at++) {
    tags->line += *tags->at == '\n';
    if (*tags->at != '<' || (tags->end - tags->at > 1 && tags->at[1] == '?'))
      continue;
    tags->at++;
    return read_tag (tags, ret_tag, err) < 0 ? err_wrap (err, "line %zu", tags->line) : 1;
  }
  return 0;
}

int xml_text (const struct xml_tags *tags, char **ret_text, struct err *err)
{
  size_t left = (size_t) (tags->end - tags->at);
  const char *end = memchr (tags->at, '<', left);

  return decode (tags->at, end ? (size_t) (end - tags->at) : left, ret_text, err);
}

bool xml_tag_is (const struct xml_tag *tag, const char *name)
{
  return strlen (name) == tag->name_len && memcmp (tag->name, name, tag->name_len) == 0;
}

const char *xml_attribute (const struct xml_tag *tag, const char *name)
{
  for (size_t i = 0; i < tag->count; i++)
    if (strlen (name) == tag->attributes[i].name_len &&
        memcmp (tag->attributes[i].name, name, tag->attributes[i].name_len) == 0)
      return tag->attributes[i].value;
  return NULL;
}
