/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acl.h"
#include "template/libarchive.h"
#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

struct acl_list {
  struct posix_acl_xattr_entry *items; /* owned; in the order of the CPU */
  size_t count;
  bool named; /* has users or groups by name, so there must be a mask */
  bool mask;
  uint16_t group_class; /* what the mask must allow when there is none */
};

static void add (struct acl_list *list, uint16_t tag, uint16_t perm, uint32_t id)
{
  list->items = xreallocarray (list->items, list->count + 1, sizeof *list->items);
  list->items[list->count++] =
      (struct posix_acl_xattr_entry){.e_tag = tag, .e_perm = perm, .e_id = id};
}

static uint16_t permissions (int permset)
{
  return (uint16_t) ((permset & ARCHIVE_ENTRY_ACL_READ ? ACL_READ : 0) |
                     (permset & ARCHIVE_ENTRY_ACL_WRITE ? ACL_WRITE : 0) |
                     (permset & ARCHIVE_ENTRY_ACL_EXECUTE ? ACL_EXECUTE : 0));
}

/* One entry; @id is -1 when the archive has only a name. */
static int add_entry (struct acl_list *list, int tag, int permset, int id, const char *name,
                      struct err *err)
{
  uint16_t perm = permissions (permset);

  switch (tag) {
  case ARCHIVE_ENTRY_ACL_USER_OBJ:
    add (list, ACL_USER_OBJ, perm, (uint32_t) ACL_UNDEFINED_ID);
    return 0;
  case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
    list->group_class |= perm;
    add (list, ACL_GROUP_OBJ, perm, (uint32_t) ACL_UNDEFINED_ID);
    return 0;
  case ARCHIVE_ENTRY_ACL_OTHER:
    add (list, ACL_OTHER, perm, (uint32_t) ACL_UNDEFINED_ID);
    return 0;
  case ARCHIVE_ENTRY_ACL_MASK:
    list->mask = true;
    add (list, ACL_MASK, perm, (uint32_t) ACL_UNDEFINED_ID);
    return 0;
  case ARCHIVE_ENTRY_ACL_USER:
  case ARCHIVE_ENTRY_ACL_GROUP:
    /* The name means something only inside the template, whose passwd may not be there yet. */
    if (id < 0)
      return err_code (err, EINVAL,
                       "the ACL names \"%.60s\" without its number: make the archive with numbers "
                       "(tar --numeric-owner)",
                       name ? name : "");
    list->named = true;
    list->group_class |= perm;
    add (list, tag == ARCHIVE_ENTRY_ACL_USER ? ACL_USER : ACL_GROUP, perm, (uint32_t) id);
    return 0;
  default:
    return err_code (err, EINVAL, "the ACL has an entry of an unknown kind (%d)", tag);
  }
}

/* The kernel wants the tags in order; by number is how libacl sorts within one. */
static int compare (const void *a, const void *b)
{
  const struct posix_acl_xattr_entry *x = a, *y = b;

  if (x->e_tag != y->e_tag)
    return x->e_tag < y->e_tag ? -1 : 1;
  return x->e_id < y->e_id ? -1 : x->e_id > y->e_id;
}

static int set_attribute (struct entry *entry, const char *name, const struct acl_list *list,
                          struct err *err)
{
  size_t len = sizeof (struct posix_acl_xattr_header) + list->count * sizeof *list->items;
  autofree char *value = xcalloc (1, len);
  struct posix_acl_xattr_header header = {.a_version = htole32 (POSIX_ACL_XATTR_VERSION)};

  memcpy (value, &header, sizeof header);
  for (size_t i = 0; i < list->count; i++) {
    struct posix_acl_xattr_entry item = {
        .e_tag = htole16 (list->items[i].e_tag),
        .e_perm = htole16 (list->items[i].e_perm),
        .e_id = htole32 (list->items[i].e_id),
    };

    memcpy (value + sizeof header + i * sizeof item, &item, sizeof item);
  }
  return entry_set_xattr (entry, name, value, len, err);
}

static int convert (struct archive_entry *from, int type, const char *name, struct entry *entry,
                    struct err *err)
{
  struct acl_list list = {0};
  int got_type, permset, tag, id, ret = 0;
  const char *who = NULL;

  if (libarchive.archive_entry_acl_reset (from, type) <= 0)
    return 0;
  while (ret == 0 && libarchive.archive_entry_acl_next (from, type, &got_type, &permset, &tag, &id,
                                                        &who) == ARCHIVE_OK)
    ret = add_entry (&list, tag, permset, id, who, err);
  if (ret == 0 && list.named && !list.mask)
    add (&list, ACL_MASK, list.group_class, (uint32_t) ACL_UNDEFINED_ID);
  bool plain = type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS && !list.named && !list.mask;
  if (ret == 0 && list.count && !plain) {
    qsort (list.items, list.count, sizeof *list.items, compare);
    ret = set_attribute (entry, name, &list, err);
  }
  free (list.items);
  return ret;
}

int acl_from_archive (struct archive_entry *from, struct entry *entry, struct err *err)
{
  int types = libarchive.archive_entry_acl_types (from);

  if (types & ARCHIVE_ENTRY_ACL_TYPE_NFS4)
    return err_code (err, EOPNOTSUPP, "it has an NFSv4 ACL, which Linux file systems cannot keep");
  if (types & ARCHIVE_ENTRY_ACL_TYPE_ACCESS &&
      convert (from, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access", entry, err) < 0)
    return -err->code;
  if (types & ARCHIVE_ENTRY_ACL_TYPE_DEFAULT &&
      convert (from, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default", entry, err) < 0)
    return -err->code;
  return 0;
}
