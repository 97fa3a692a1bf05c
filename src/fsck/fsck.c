/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"
#include "store/quarantine.h"
#include "util/fd.h"
#include <pthread.h>
#include <stdarg.h>

enum {
  WIDESPREAD_MIN = 16, /* fewer are named one by one, however small the store */
  UNSHARED_MIN = 16,   /* so many files outside the store are worth a word */
  CLOCK_SLACK = 60,    /* seconds */
};

static pthread_mutex_t findings_mutex = PTHREAD_MUTEX_INITIALIZER;

void fsck_add (struct fsck *fsck, enum fsck_class class, bool error, const char *where,
               const char *format, ...)
{
  char *text = NULL;
  va_list ap;

  va_start (ap, format);
  int len = vasprintf (&text, format, ap);
  va_end (ap);
  if (len < 0)
    err_out_of_memory ();
  pthread_mutex_lock (&findings_mutex);
  if ((fsck->finding_count & (fsck->finding_count - 1)) == 0)
    fsck->findings = xreallocarray (
        fsck->findings, fsck->finding_count ? fsck->finding_count * 2 : 1, sizeof *fsck->findings);
  fsck->findings[fsck->finding_count++] =
      (struct fsck_finding){.class = class, .error = error, .where = xstrdup (where), .text = text};
  pthread_mutex_unlock (&findings_mutex);
}

const char *fsck_class_name (enum fsck_class class)
{
  static const char *const names[] = {
      [FSCK_ALIEN] = "alien",
      [FSCK_DOUBLE] = "double",
      [FSCK_FORM] = "overlay-form",
      [FSCK_PRIVATE_FORM] = "private-form",
      [FSCK_PRIVATE_SHARED] = "private-shared",
      [FSCK_FILE] = "file",
      [FSCK_PART] = "part",
      [FSCK_LEFTOVER] = "leftover",
      [FSCK_STORE_LOST] = "store-lost",
      [FSCK_LINKS_LOST] = "links-lost",
      [FSCK_OWNERS] = "owners",
      [FSCK_WIDESPREAD] = "widespread",
      [FSCK_MOVED] = "moved",
      [FSCK_CLOCK] = "clock",
      [FSCK_VERITY] = "verity",
      [FSCK_MERGED] = "merged",
      [FSCK_NOTES] = "notes",
      [FSCK_UNREADABLE] = "unreadable",
  };

  return names[class];
}

const char *fsck_damage_name (enum damage_kind kind)
{
  static const char *const names[] = {
      [DAMAGE_UNKNOWN] = "unknown",       [DAMAGE_CONTENTS] = "contents",
      [DAMAGE_METADATA] = "metadata",     [DAMAGE_OWNER] = "owner",
      [DAMAGE_ATTRIBUTES] = "attributes", [DAMAGE_FORMS] = "overlay-form",
      [DAMAGE_READ] = "unreadable",
  };

  return names[kind];
}

void fsck_release (struct fsck *fsck)
{
  for (size_t i = 0; i < fsck->object_count; i++) {
    struct fsck_object *object = &fsck->objects[i];

    for (size_t k = 0; k < object->noted_uses; k++) {
      free (object->uses[k].layer);
      free (object->uses[k].path);
      free (object->uses[k].package);
    }
    free (object->uses);
    damage_release (&object->damage);
  }
  for (size_t i = 0; i < fsck->place_count; i++) {
    free (fsck->places[i].name);
    free (fsck->places[i].path);
  }
  for (size_t i = 0; i < fsck->finding_count; i++) {
    free (fsck->findings[i].where);
    free (fsck->findings[i].text);
  }
  free (fsck->objects);
  free (fsck->places);
  free (fsck->findings);
  entries_map_release (&fsck->entries);
  verify_release (&fsck->verify);
}

static struct fsck_object *add_object (struct fsck *fsck)
{
  if ((fsck->object_count & (fsck->object_count - 1)) == 0)
    fsck->objects = xreallocarray (fsck->objects, fsck->object_count ? fsck->object_count * 2 : 1,
                                   sizeof *fsck->objects);
  struct fsck_object *object = &fsck->objects[fsck->object_count++];
  *object = (struct fsck_object){0};
  return object;
}

static void take_damages (struct fsck *fsck)
{
  struct verify *verify = &fsck->verify;

  for (size_t i = 0; i < verify->damage_count; i++)
    add_object (fsck)->damage = verify->damages[i];
  verify->damage_count = 0;
  for (size_t i = 0; i < verify->alien_count; i++) {
    autofree char *where = xasprintf ("store/%s", verify->aliens[i]);
    fsck_add (fsck, FSCK_ALIEN, true, where, "it is no object");
  }
  for (size_t i = 0; i < verify->double_count; i++) {
    autofree char *where = xasprintf ("store/%s", verify->doubles[i]);
    fsck_add (fsck, FSCK_DOUBLE, true, where, "it is one inode with another object");
  }
}

/* What is in quarantine already may still be in use. */
static int add_quarantined (struct fsck *fsck, struct err *err)
{
  struct store *store = fsck->root->store;
  autoquarantine struct quarantine quarantine = {0};
  autoclose int fd = -1;

  if (quarantine_open (store, &fd, err) < 0 || quarantine_read (store, &quarantine, err) < 0)
    return -err->code;
  for (size_t i = 0; i < quarantine.count; i++) {
    struct quarantined *item = &quarantine.items[i];

    if (!item->object)
      continue;
    struct damage damage = {0};
    if (store_diagnose (store, fd, item->name, &item->id, item->slot, &damage, err) < 0)
      return -err->code;
    struct fsck_object *object = add_object (fsck);
    object->earlier = true;
    object->damage = damage;
    object->damage.quarantined = steal_ptr (&item->name);
  }
  return 0;
}

/* The most frequent finding about owners, told once. */
static void judge_owners (struct fsck *fsck)
{
  const struct stat *now = NULL, *right = NULL;
  size_t owners = 0, same = 0;

  for (size_t i = 0; i < fsck->object_count; i++) {
    const struct damage *damage = &fsck->objects[i].damage;

    if (damage->kind != DAMAGE_OWNER)
      continue;
    owners++;
    now = now ? now : &damage->now;
    right = right ? right : &damage->right;
    same += now->st_uid == damage->now.st_uid && now->st_gid == damage->now.st_gid;
  }
  if (!right || owners * 2 <= fsck->object_count) {
    fsck_add (fsck, FSCK_WIDESPREAD, true, "store",
              "%zu of %ju objects are damaged: this looks like an accident of the whole disk or "
              "state root; nothing is repaired: restore it from a backup",
              fsck->object_count, (uintmax_t) fsck->verify.objects);
    return;
  }
  fsck_add (fsck, FSCK_OWNERS, true, "store",
            "%zu of %ju objects have another owner than they had: %zu now have %u:%u, of the first "
            "it was %u:%u. Was the state root unpacked without its owners? Nothing is repaired, as "
            "nobody knows the owners of directories and private files: unpack it again as root, "
            "with tar -p --numeric-owner --xattrs --xattrs-include='*', or rsync -aHAX "
            "--numeric-ids",
            owners, (uintmax_t) fsck->verify.objects, same, now->st_uid, now->st_gid, right->st_uid,
            right->st_gid);
}

static void judge_widespread (struct fsck *fsck)
{
  fsck->widespread =
      fsck->object_count > WIDESPREAD_MIN && fsck->object_count * 2 > fsck->verify.objects;
  if (fsck->widespread)
    judge_owners (fsck);
}

static void judge_past (struct fsck *fsck)
{
  struct verify *verify = &fsck->verify;
  struct stat st;

  if (verify->note_error)
    fsck_add (fsck, FSCK_NOTES, false, "store/" CONTENTS_NAME, "%s", verify->note_error);
  if (!verify->noted)
    return;
  if (fstat (fsck->root->store->fd, &st) == 0 && st.st_ino != verify->place)
    fsck_add (fsck, FSCK_MOVED, false, "store",
              "the store is not where it was at the last full check: it was copied, restored, or "
              "moved to another file system");
  if (verify->noted > time (NULL) + CLOCK_SLACK)
    fsck_add (fsck, FSCK_CLOCK, false, "store/" CONTENTS_NAME,
              "the last full check is to come: did this host's clock go backwards?");
}

static void judge_verity (struct fsck *fsck)
{
  const struct verify *verify = &fsck->verify;

  if (verify->verity_added) {
    fsck_add (fsck, FSCK_VERITY, true, "store", "%ju objects had no fs-verity",
              (uintmax_t) verify->verity_added);
    fsck->findings[fsck->finding_count - 1].corrected = true;
  }
  if (verify->verity_missing && fsck->options.repair)
    fsck_add (fsck, FSCK_VERITY, true, "store", "%ju objects have no fs-verity: %s",
              (uintmax_t) verify->verity_missing, verify->verity_error);
  else if (verify->verity_missing)
    fsck_add (
        fsck, FSCK_VERITY, true, "store",
        "%ju objects have no fs-verity, and \"verity\" is \"require\" in vguest.conf: `vstore "
        "fsck --repair` enables it where the file system can",
        (uintmax_t) verify->verity_missing);
}

static void judge_sharing (struct fsck *fsck)
{
  const struct verify *verify = &fsck->verify;
  uint64_t names = 0, unshared = 0;

  for (size_t i = 0; i < fsck->place_count; i++) {
    names += fsck->places[i].names;
    unshared += fsck->places[i].unshared;
  }
  if (unshared && !verify->objects)
    fsck_add (
        fsck, FSCK_STORE_LOST, true, "store",
        "it has no objects, and trees have %ju files: was the directory deleted? No file of "
        "a guest is lost: `vhashify --all` makes objects of them again, and then `vstore fsck "
        "--repair` of those that only templates have",
        (uintmax_t) unshared);
  else if (unshared > UNSHARED_MIN && unshared * 2 > names)
    fsck_add (fsck, FSCK_LINKS_LOST, true, "store",
              "%ju of %ju files in trees are not in the store, and %ju of %ju objects are used by "
              "no tree: was the state root restored without hard links? Do not run `vstore gc`: "
              "`vhashify --all` shares them again, and then `vstore fsck --repair` those of "
              "templates",
              (uintmax_t) unshared, (uintmax_t) names, (uintmax_t) verify->orphans,
              (uintmax_t) verify->objects);
}

int fsck_lock_root (struct fsck *fsck, enum lock_mode mode, struct err *err)
{
  struct vroot *root = fsck->root;
  const struct lock_how how = root_lock_how (root, LOCK_RANK_ROOT, mode);

  if (root->lock_fd >= 0)
    close (root->lock_fd);
  root->lock_fd = -1;
  return lock_acquire (root->fd, "lock", &how, root->path, &root->lock_fd, err);
}

int fsck_lock_alone (struct fsck *fsck, struct err *err)
{
  if (fsck_lock_root (fsck, LOCK_EXCLUSIVE, err) < 0)
    return -err->code;
  store_forget (fsck->root->store);
  return 0;
}

/* No object goes while it is looked at. */
static int keep_objects (struct fsck *fsck, int *ret_lock, struct err *err)
{
  const struct lock_how how = root_lock_how (fsck->root, LOCK_RANK_COLLECT, LOCK_SHARED);

  return lock_acquire (fsck->root->fd, ROOT_COLLECT_LOCK, &how, "the collection of unused objects",
                       ret_lock, err);
}

static int run (struct fsck *fsck, struct err *err)
{
  const struct verify_options options = {
      .threads = fsck->options.jobs,
      .quick = fsck->options.quick,
      .add_verity = fsck->options.repair,
  };

  autoclose int collect_lock = -1;
  if (fsck_lock_root (fsck, LOCK_SHARED, err) < 0 || keep_objects (fsck, &collect_lock, err) < 0 ||
      store_verify (fsck->root->store, &options, &fsck->verify, err) < 0)
    return -err->code;
  take_damages (fsck);
  judge_widespread (fsck);
  bool repair = fsck->options.repair && !fsck->widespread;
  if (repair) {
    /* Who has the root exclusively keeps collectors off as well. */
    cleanup_close (&collect_lock);
    collect_lock = -1;
  }
  if ((repair && fsck_lock_alone (fsck, err) < 0) || fsck_find_places (fsck, err) < 0 ||
      (repair && fsck_recover (fsck, err) < 0) || add_quarantined (fsck, err) < 0 ||
      fsck_load_entries (fsck, err) < 0 || fsck_walk (fsck, err) < 0 ||
      fsck_check_staging (fsck, err) < 0)
    return -err->code;
  judge_past (fsck);
  judge_verity (fsck);
  if (fsck_check_entries (fsck, repair, err) < 0 || (repair && fsck_mend (fsck, err) < 0))
    return -err->code;
  judge_sharing (fsck);
  fsck_find_packages (fsck);
  return 0;
}

static int compare_findings (const void *a, const void *b)
{
  const struct fsck_finding *x = a, *y = b;

  if (x->class != y->class)
    return x->class < y->class ? -1 : 1;
  int order = strcmp (x->where, y->where);
  return order ? order : strcmp (x->text, y->text);
}

int fsck_run (struct fsck *fsck, struct err *err)
{
  int ret = run (fsck, err);

  if (fsck->finding_count)
    qsort (fsck->findings, fsck->finding_count, sizeof *fsck->findings, compare_findings);
  return ret;
}

/* Nobody uses what is in quarantine: that is no error any more. */
static bool is_error (const struct fsck_object *object)
{
  return object->earlier ? object->use_count > 0 : !object->cured;
}

static bool is_left (const struct fsck_object *object)
{
  if (!is_error (object))
    return false;
  if (!object->damage.quarantined || object->use_count > object->noted_uses)
    return true;
  for (size_t i = 0; i < object->noted_uses; i++)
    if (!object->uses[i].repaired)
      return true;
  return false;
}

uint64_t fsck_errors (const struct fsck *fsck)
{
  uint64_t count = 0;

  for (size_t i = 0; i < fsck->object_count; i++)
    count += is_error (&fsck->objects[i]);
  for (size_t i = 0; i < fsck->finding_count; i++)
    count += fsck->findings[i].error;
  return count;
}

uint64_t fsck_errors_left (const struct fsck *fsck)
{
  uint64_t count = 0;

  for (size_t i = 0; i < fsck->object_count; i++)
    count += is_left (&fsck->objects[i]);
  for (size_t i = 0; i < fsck->finding_count; i++)
    count += fsck->findings[i].error && !fsck->findings[i].corrected;
  return count;
}

int fsck_exit_status (const struct fsck *fsck)
{
  uint64_t errors = fsck_errors (fsck), left = fsck_errors_left (fsck);

  return (errors > left ? FSCK_EXIT_CORRECTED : 0) | (left ? FSCK_EXIT_LEFT : 0);
}
