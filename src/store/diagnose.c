/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happened to an object whose name does not fit: see verify.h. */
#include "util/strbuf.h"
#include "verify_internal.h"
#include <inttypes.h>

enum {
  MODE_SEARCHES_MAX = 200, /* some milliseconds each */
  SHIFTED_BY = 65536,      /* ids of user namespaces begin at a multiple */
};

bool parts_are (struct hasher *hasher, const struct identity_parts *parts, const struct stat *st,
                const struct digest *id)
{
  static const unsigned flags[] = {0, IDENTITY_ANY_MTIME, IDENTITY_ENTRY,
                                   IDENTITY_ENTRY | IDENTITY_ANY_MTIME};
  struct digest digest;

  for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
    identity_combine (hasher, st, &parts->xattrs, &parts->contents, flags[i], &digest);
    if (digest_equal (&digest, id))
      return true;
  }
  return false;
}

static void describe_time (struct strbuf *text, const struct timespec *time)
{
  struct tm tm;
  char stamp[40];

  if (gmtime_r (&time->tv_sec, &tm) && strftime (stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &tm))
    strbuf_addf (text, "%s.%09ld", stamp, time->tv_nsec);
  else
    strbuf_addf (text, "%" PRId64 ".%09ld", (int64_t) time->tv_sec, time->tv_nsec);
}

char *damage_describe (const struct stat *right, const struct stat *now)
{
  autostrbuf struct strbuf text = STRBUF_INIT (4096);

  if (right->st_uid != now->st_uid || right->st_gid != now->st_gid)
    strbuf_addf (&text, "the owner was %u:%u and is %u:%u", right->st_uid, right->st_gid,
                 now->st_uid, now->st_gid);
  if (right->st_mode != now->st_mode)
    strbuf_addf (&text, "%sthe mode was %04o and is %04o", text.len ? ", " : "",
                 right->st_mode & 07777, now->st_mode & 07777);
  if (right->st_mtim.tv_sec != now->st_mtim.tv_sec ||
      right->st_mtim.tv_nsec != now->st_mtim.tv_nsec) {
    strbuf_addf (&text, "%sthe time was ", text.len ? ", " : "");
    describe_time (&text, &right->st_mtim);
    strbuf_adds (&text, " and is ");
    describe_time (&text, &now->st_mtim);
  }
  return strbuf_steal (&text);
}

/* Would the name fit with these metadata? Then that is what is wrong. */
static bool fits (struct diagnosis *diagnosis, const struct identity_parts *parts,
                  const struct stat *st, struct damage *damage)
{
  if (!parts_are (diagnosis->hasher, parts, st, &damage->id))
    return false;
  damage->kind = st->st_uid != parts->st.st_uid || st->st_gid != parts->st.st_gid ? DAMAGE_OWNER
                                                                                  : DAMAGE_METADATA;
  damage->right = *st;
  damage->detail = damage_describe (st, &parts->st);
  return true;
}

static bool try_note (struct diagnosis *diagnosis, const struct identity_parts *parts,
                      const struct contents_note *note, struct damage *damage)
{
  struct stat st = parts->st;

  if (!note || !digest_equal (&note->contents, &parts->contents) ||
      (note->mode & S_IFMT) != (st.st_mode & S_IFMT))
    return false;
  st.st_mode = note->mode;
  st.st_uid = note->uid;
  st.st_gid = note->gid;
  st.st_mtim = note->mtime;
  return fits (diagnosis, parts, &st, damage);
}

/* Who may have owned it: root, or the owner without the shift of a user namespace. */
static bool try_owners (struct diagnosis *diagnosis, const struct identity_parts *parts,
                        struct damage *damage)
{
  const struct stat *now = &parts->st;
  const struct {
    uid_t uid;
    gid_t gid;
  } owners[] = {
      {0, 0},
      {now->st_uid % SHIFTED_BY, now->st_gid % SHIFTED_BY},
      {now->st_uid - 100000, now->st_gid - 100000},
      {0, now->st_gid},
      {now->st_uid, 0},
  };
  /* A change of owner clears them. */
  static const mode_t bits[] = {0, S_ISUID, S_ISGID, S_ISUID | S_ISGID};

  for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++)
    for (size_t k = 0; k < sizeof bits / sizeof bits[0]; k++) {
      struct stat st = *now;

      st.st_uid = owners[i].uid;
      st.st_gid = owners[i].gid;
      st.st_mode |= bits[k];
      if (fits (diagnosis, parts, &st, damage))
        return true;
      if (!S_ISREG (st.st_mode))
        break;
    }
  return false;
}

static bool try_modes (struct diagnosis *diagnosis, const struct identity_parts *parts,
                       struct damage *damage)
{
  struct stat st = parts->st;

  if (S_ISLNK (st.st_mode) || diagnosis->searches++ >= MODE_SEARCHES_MAX)
    return false;
  for (mode_t mode = 0; mode <= 07777; mode++) {
    st.st_mode = (parts->st.st_mode & S_IFMT) | mode;
    if (fits (diagnosis, parts, &st, damage))
      return true;
  }
  return false;
}

/* All that is noted is as it was; what is not noted are attributes. */
static bool is_as_noted (const struct identity_parts *parts, const struct contents_note *note)
{
  const struct stat *st = &parts->st;

  return digest_equal (&note->contents, &parts->contents) && note->mode == st->st_mode &&
         note->uid == st->st_uid && note->gid == st->st_gid &&
         note->mtime.tv_sec == st->st_mtim.tv_sec && note->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

void diagnose (struct diagnosis *diagnosis, const struct identity_parts *parts,
               const struct contents_note *note, struct damage *damage)
{
  if (note && !digest_equal (&note->contents, &parts->contents)) {
    damage->kind = DAMAGE_CONTENTS;
    damage->detail = note->size == (uint64_t) parts->st.st_size
                         ? xstrdup ("the contents are not what they were")
                         : xasprintf ("the size was %" PRIu64 " and is %" PRId64, note->size,
                                      (int64_t) parts->st.st_size);
    return;
  }
  if (try_note (diagnosis, parts, note, damage) || try_owners (diagnosis, parts, damage) ||
      try_modes (diagnosis, parts, damage))
    return;
  if (note && is_as_noted (parts, note)) {
    damage->kind = DAMAGE_ATTRIBUTES;
    damage->detail = xstrdup ("extended attributes are not what they were");
  } else {
    damage->kind = DAMAGE_UNKNOWN;
    damage->detail = xstrdup ("contents or metadata are not what its name says");
  }
}
