/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"
#include "lib/check.h"
#include "tree/overlay.h"
#include "unify/unify.h"
#include "guest/settle.h"
#include "guest/thicken.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include <sys/mount.h>

static int open_parts (struct world *world, struct err *err)
{
  autoclose int guests = fd_open_dir (world->fd, "guests");

  for (int i = 0; i < GUESTS; i++) {
    char name[8];

    snprintf (name, sizeof name, "g%d", i);
    world->guests[i] = guests < 0 ? -1 : fd_open_dir (guests, name);
    if (world->guests[i] < 0)
      return err_errno (err, "open guests/%s", name);
  }
  world->staging = fd_open_dir (world->fd, "staging");
  if (world->staging < 0)
    return err_errno (err, "open staging");
  return store_open (world->fd, &world->store, err);
}

/* The program, too, finds the world's policy. */
static int read_policy (struct world *world, struct err *err)
{
  autofree char *text = NULL, *path = xasprintf ("%s/policy", world->path);

  if (fd_read_file (world->fd, "policy", 1 << 16, &text, NULL, err) < 0)
    return -err->code;
  setenv ("VGUEST_POLICY", path, 1);
  policy_release (&world->policy);
  return policy_parse (text, "policy", &world->policy, err);
}

int world_open (const char *path, struct world *ret_world, struct err *err)
{
  *ret_world = (struct world){.path = xstrdup (path)};
  ret_world->fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (ret_world->fd < 0)
    return err_errno (err, "open %s", path);
  if (open_parts (ret_world, err) < 0)
    return -err->code;
  /* A new world gets its policy later. */
  if (faccessat (ret_world->fd, "policy", F_OK, 0) < 0)
    return 0;
  return read_policy (ret_world, err);
}

static int make_parts (int root_fd, struct err *err)
{
  static const char *const dirs[] = {"store",     "templates", "guests",    "staging", "mnt",
                                     "guests/g0", "guests/g1", "guests/g2", NULL};
  static const char *const parts[] = {"tree", "private", "work", "txn", "log", NULL};
  static const char *const files[] = {"config.json", "state.json", "lock", NULL};

  for (const char *const *dir = dirs; *dir; dir++) {
    autoclose int fd = fd_make_dir (root_fd, *dir, 0700);

    if (fd < 0)
      return err_errno (err, "make %s", *dir);
    for (const char *const *part = parts; *part && strstr (*dir, "/g"); part++)
      if (mkdirat (fd, *part, 0755) < 0)
        return err_errno (err, "make %s/%s", *dir, *part);
    for (const char *const *file = files; *file && strstr (*dir, "/g"); file++) {
      autoclose int made = fd_open (fd, *file, O_WRONLY | O_CREAT, 0600);

      if (made < 0)
        return err_errno (err, "make %s/%s", *dir, *file);
    }
  }
  return 0;
}

bool world_possible (void)
{
  const char *base = getenv ("TMPDIR");
  autofree char *path = xasprintf ("%s/vg-model-XXXXXX", base ? base : "/var/tmp");
  autoerr struct err err = {0};

  if (geteuid () != 0) {
    printf ("only root can mount overlays\n");
    return false;
  }
  /* A directory of its own: several tests may ask at the same time. */
  if (!mkdtemp (path)) {
    printf ("%s cannot be made: %s\n", path, strerror (errno));
    return false;
  }
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool possible = fd >= 0 && overlay_probe (fd, &err) == 0;
  if (!possible)
    printf ("no overlays here: %s\n", err_text (&err));
  return rmdir (path) == 0 && possible;
}

int world_make (struct world *ret_world, struct err *err)
{
  const char *base = getenv ("TMPDIR");
  autofree char *path = xasprintf ("%s/vg-model-XXXXXX", base ? base : "/var/tmp");

  if (!mkdtemp (path))
    return err_errno (err, "make the directory %s", path);
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return err_errno (err, "open %s", path);
  if (make_parts (fd, err) < 0)
    return -err->code;
  return world_open (path, ret_world, err);
}

int world_reopen_store (struct world *world, struct err *err)
{
  struct store *store = NULL;

  if (store_open (world->fd, &store, err) < 0)
    return -err->code;
  store_close (world->store);
  world->store = store;
  return 0;
}

void world_release (struct world *world, bool remove)
{
  autoerr struct err err = {0};

  for (int i = 0; i < GUESTS; i++)
    cleanup_close (&world->guests[i]);
  if (world->store)
    store_close (world->store);
  policy_release (&world->policy);
  cleanup_close (&world->staging);
  cleanup_close (&world->fd);
  char *slash = strrchr (world->path, '/');
  *slash = '\0';
  autoclose int parent = open (world->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (remove && (parent < 0 || fd_remove_tree (parent, slash + 1, &err) < 0))
    fprintf (stderr, "%s/%s: %s\n", world->path, slash + 1, err_text (&err));
  free (world->path);
}

int world_policy (struct rng *rng, struct world *world, bool drops, struct err *err)
{
  static const char *const patterns[] = {
      "/",       "/usr", "/etc", "/home",    "/var",   "/opt",   "/usr/a", "/usr/*",
      "/home/b", "c",    "[de]", "/var/*/a", "/opt/c", "/[a-d]", "L*",     "/etc/b/c"};
  static const char *const kinds[] = {"shared", "private", "eager", "shared", "private", "drop"};
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 16);
  unsigned count = rng_below (rng, 9);

  strbuf_adds (&text, "eager /usr\nprivate /home\n");
  for (unsigned i = 0; i < count; i++) {
    const char *pattern = patterns[rng_below (rng, sizeof patterns / sizeof *patterns)];
    const char *kind = kinds[rng_below (rng, drops ? 6 : 3)];

    strbuf_addf (&text, "%s %s\n", rng_chance (rng, 10) ? "any-mtime" : kind, pattern);
  }
  if (fd_write_file (world->fd, "policy", strbuf_str (&text), text.len, 0600, err) < 0)
    return -err->code;
  return read_policy (world, err);
}

int world_unify (struct world *world, int guest, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  struct vroot root = {.path = world->path, .fd = world->fd, .store = world->store};
  struct guest who = {.name = (char *) "guest", .fd = world->guests[guest], .lock_fd = -1};

  if (guest_unify_tree (&root, &who, &world->policy, /* dry_run= */ false, &report, err) < 0)
    return -err->code;
  if (report.failed)
    return err_code (err, EIO, "unify: %s", report.first_error);
  return 0;
}

#define BASE "templates/t/1/tree"

/* No template has any. */
static int remove_sockets (int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat a directory");
  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;

    if (list.items[i].type == DT_DIR) {
      autoclose int child = fd_open_dir (fd, name);

      if (child < 0)
        return err_errno (err, "open %s", name);
      if (remove_sockets (child, err) < 0)
        return -err->code;
    } else if (list.items[i].type == DT_SOCK && unlinkat (fd, name, 0) < 0) {
      return err_errno (err, "remove %s", name);
    }
  }
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  return futimens (fd, times) < 0 ? err_errno (err, "set times") : 0;
}

/* What was grown in g0 becomes the tree of a template. Its descriptor. */
static int make_template (struct world *world, struct err *err)
{
  autoclose int templates = fd_open_dir (world->fd, "templates");
  autoclose int name = templates < 0 ? -1 : fd_make_dir (templates, "t", 0700);
  autoclose int generation = name < 0 ? -1 : fd_make_dir (name, "1", 0700);
  autoclose int info =
      generation < 0 ? -1 : fd_open (generation, "template.json", O_WRONLY | O_CREAT, 0600);

  if (info < 0 || fd_rename (world->guests[0], "tree", generation, "tree", RENAME_NOREPLACE) < 0 ||
      mkdirat (world->guests[0], "tree", 0755) < 0)
    return err_errno (err, "make a template");
  int fd = fd_open_dir (generation, "tree");
  return fd < 0 ? err_errno (err, "open " BASE) : fd;
}

static int make_tree (struct world *world, int guest, int first, int tree_fd, bool thin, bool link,
                      struct err *err)
{
  if (!thin)
    return link ? link_all (first, tree_fd, err) : copy_all (first, tree_fd, err);
  if (symlinkat ("../../" BASE, world->guests[guest], "base") < 0)
    return err_errno (err, "make the link to a base");
  return copy_top (first, tree_fd, err);
}

bool world_thin (struct world *world, int guest)
{
  return faccessat (world->guests[guest], "base", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int world_base (struct world *world, struct manifest *ret_manifest, struct err *err)
{
  autoclose int fd = fd_open_dir_beneath (world->fd, BASE);

  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open " BASE);
  return manifest_read (fd, ret_manifest, err);
}

int world_thicken (struct world *world, int guest, struct err *err)
{
  struct vroot root = {
      .path = world->path,
      .fd = world->fd,
      .store = world->store,
      .staging_fd = world->staging,
  };
  struct guest who = {.name = (char *) "guest", .fd = world->guests[guest], .lock_fd = -1};
  struct clone_counts counts;

  return guest_thicken (&root, &who, &counts, err);
}

int world_grow (struct rng *rng, struct world *world, unsigned entries, bool publish,
                struct err *err)
{
  autoclose int first = fd_open_dir (world->guests[0], "tree");
  bool template = publish && rng_chance (rng, 60), all_thin = rng_chance (rng, 40);

  rng->raw = true;
  if (first < 0)
    return err_errno (err, "open the tree of g0");
  grow_tree (rng, first, -1, entries, 4);
  if (publish && world_unify (world, 0, err) < 0)
    return -err->code;
  if (template) {
    close (first);
    first = make_template (world, err);
    if (first < 0 || remove_sockets (first, err) < 0)
      return -err->code;
  }
  for (int i = 0; i < GUESTS; i++) {
    bool thin = template && (all_thin || rng_chance (rng, 60));
    autoclose int tree_fd = fd_open_dir (world->guests[i], "tree");
    autoclose int private_fd = fd_open_dir (world->guests[i], "private");

    if (tree_fd < 0 || private_fd < 0)
      return err_errno (err, "open the layers of g%d", i);
    if ((i > 0 || template) && make_tree (world, i, first, tree_fd, thin, publish, err) < 0)
      return -err->code;
    if (rng_chance (rng, 80))
      grow_tree (rng, private_fd, thin ? first : tree_fd, entries / 4, 3);
  }
  rng->raw = false;
  return 0;
}

/* txn/upper looks like the directory below it. */
static int make_upper (int guest_fd, int private_fd, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (guest_fd, "txn");

  if (txn_fd < 0)
    return err_errno (err, "open txn");
  if (mkdirat (txn_fd, "upper", 0700) < 0)
    return errno == EEXIST ? 0 : err_errno (err, "make txn/upper");
  autoclose int upper_fd = fd_open_dir (txn_fd, "upper");
  if (upper_fd < 0)
    return err_errno (err, "open txn/upper");
  return copy_top (private_fd, upper_fd, err);
}

int world_mount (struct world *world, int guest, bool commit, int *ret_fd, struct err *err)
{
  autofree char *target = xasprintf ("%s/mnt", world->path);
  int guest_fd = world->guests[guest];
  autoclose int tree_fd = fd_open_dir (guest_fd, "tree");
  autoclose int private_fd = fd_open_dir (guest_fd, "private");
  autoclose int txn_fd = fd_open_dir (guest_fd, "txn");
  autoclose int upper_fd = -1, work_fd = -1;
  autoclose int base_fd =
      world_thin (world, guest) ? openat (guest_fd, "base", O_DIRECTORY | O_CLOEXEC) : -1;
  int lowers[3] = {private_fd, tree_fd, base_fd};
  size_t shared = world_thin (world, guest) ? 2 : 1;
  struct overlay overlay = {.lower_fds = commit ? lowers : lowers + 1,
                            .lower_count = commit ? shared + 1 : shared,
                            .volatile_mode = commit,
                            .nodev = commit};

  if (tree_fd < 0 || private_fd < 0 || txn_fd < 0)
    return err_errno (err, "open the layers of g%d", guest);
  if (commit) {
    if (make_upper (guest_fd, private_fd, err) < 0)
      return -err->code;
    upper_fd = fd_open_dir (txn_fd, "upper");
    if (fd_remove_tree (txn_fd, "work", err) < 0)
      return -err->code;
    work_fd = fd_make_dir (txn_fd, "work", 0700);
  } else {
    upper_fd = fd_open_dir (guest_fd, "private");
    work_fd = fd_open_dir (guest_fd, "work");
  }
  if (upper_fd < 0 || work_fd < 0)
    return err_errno (err, "open upper and work of g%d", guest);
  overlay.upper_fd = upper_fd;
  overlay.work_fd = work_fd;
  if (overlay_mount (&overlay, target, err) < 0)
    return -err->code;
  *ret_fd = open (target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return *ret_fd < 0 ? err_errno (err, "open %s", target) : 0;
}

int world_unmount (struct world *world, struct err *err)
{
  autofree char *target = xasprintf ("%s/mnt", world->path);

  if (umount2 (target, 0) < 0)
    return err_errno (err, "unmount %s", target);
  return 0;
}

int world_view (struct world *world, int guest, bool commit, struct manifest *ret_manifest,
                struct err *err)
{
  bool own = commit && faccessat (world->guests[guest], "txn/upper", F_OK, 0) < 0;
  int fd = -1;

  if (world_mount (world, guest, commit, &fd, err) < 0)
    return -err->code;
  int ret = manifest_read (fd, ret_manifest, err);
  close (fd);
  if (world_unmount (world, err) < 0)
    return -err->code;
  if (own) {
    autoclose int txn_fd = fd_open_dir (world->guests[guest], "txn");

    if (txn_fd < 0 || fd_remove_tree (txn_fd, "upper", err) < 0 ||
        fd_remove_tree (txn_fd, "work", err) < 0)
      return err->code ? -err->code : err_errno (err, "open txn");
  }
  return ret;
}

int world_layer (struct world *world, int guest, const char *name, struct manifest *ret_manifest,
                 struct err *err)
{
  autoclose int fd = fd_open_dir (world->guests[guest], name);

  if (fd < 0)
    return err_errno (err, "open %s of g%d", name, guest);
  return manifest_read (fd, ret_manifest, err);
}

int twin_choose (void *data, int dir_fd, const char *name, const struct stat *st, unsigned verdict,
                 struct err *err)
{
  const struct twin_choice *choice = data;
  struct rng rng = {.state = choice->salt ^ st->st_ino};

  (void) dir_fd;
  (void) name;
  (void) verdict;
  (void) err;
  return choice->mode == TWIN_ALL || (choice->mode == TWIN_SOME && rng_chance (&rng, 50));
}

bool world_any_mtime (void *data, const char *path)
{
  struct world *world = data;

  return rules_verdict (&world->policy.rules, FOLD_SHARED, strcmp (path, ".") ? path : "") &
         FOLD_ANY_MTIME;
}

bool world_drops (void *data, const char *path)
{
  struct world *world = data;

  return (rules_verdict (&world->policy.rules, FOLD_SHARED, path) & FOLD_CLASS_MASK) == FOLD_DROP;
}

static unsigned class_of (struct world *world, const char *path)
{
  return rules_verdict (&world->policy.rules, FOLD_SHARED, path) & FOLD_CLASS_MASK;
}

size_t world_check_layers (struct world *world, int guest, bool origin_allowed)
{
  autoerr struct err err = {0};
  automanifest struct manifest tree = {0}, private_layer = {0}, txn = {0}, base = {0};
  size_t bad;

  if (world_layer (world, guest, "tree", &tree, &err) < 0 ||
      world_layer (world, guest, "private", &private_layer, &err) < 0 ||
      world_layer (world, guest, "txn", &txn, &err) < 0 || world_base (world, &base, &err) < 0) {
    printf ("# layers of g%d: %s\n", guest, err_text (&err));
    return 1;
  }
  bad = (world_thin (world, guest) ? layers_check_thin (&tree, &base, "tree", stdout)
                                   : layers_check_clean (&tree, "tree", false, stdout)) +
        layers_check_clean (&private_layer, "private", origin_allowed, stdout);
  for (size_t i = 1; i < txn.count; i++) {
    printf ("# txn/%s is left over\n", txn.items[i].path);
    bad++;
  }
  return bad;
}

static void note_inodes (const struct manifest *manifest, struct u64table *inodes)
{
  for (size_t i = 0; i < manifest->count; i++)
    if (!S_ISDIR (manifest->items[i].st.st_mode))
      u64table_add (inodes, manifest->items[i].st.st_ino);
}

/* A hard-link group of which a name is dropped counts as a group with that name. */
static bool policy_drops (const struct world *world)
{
  for (size_t i = 0; i < world->policy.rules.count; i++)
    if (world->policy.rules.items[i].value == FOLD_DROP)
      return true;
  return false;
}

size_t world_check_policy (struct world *world, int guest, const struct manifest *tree_before,
                           const struct manifest *private_before, bool commit)
{
  autoerr struct err err = {0};
  automanifest struct manifest tree = {0}, private_layer = {0}, base = {0};
  autou64table struct u64table in_tree = {0}, in_private = {0};
  size_t bad = 0;

  if (world_thin (world, guest) && world_base (world, &base, &err) < 0) {
    printf ("# base of g%d: %s\n", guest, err_text (&err));
    return 1;
  }
  note_inodes (&base, &in_tree);
  note_inodes (tree_before, &in_tree);
  note_inodes (private_before, &in_private);
  if (world_layer (world, guest, "tree", &tree, &err) < 0 ||
      world_layer (world, guest, "private", &private_layer, &err) < 0) {
    printf ("# layers of g%d: %s\n", guest, err_text (&err));
    return 1;
  }
  for (size_t i = 0; i < tree.count; i++) {
    const struct manifest_entry *entry = &tree.items[i];

    if (S_ISDIR (entry->st.st_mode) || u64table_has (&in_tree, entry->st.st_ino) ||
        layers_is_whiteout (entry))
      continue;
    unsigned class = class_of (world, entry->path);
    if (class == FOLD_PRIVATE || class == FOLD_DROP) {
      autofree char *path = printable (entry->path, strlen (entry->path));

      printf ("# policy: %s is private or dropped, and came into the tree: %s\n", path,
              entry->text);
      bad++;
    }
  }
  for (size_t i = 0; i < private_layer.count; i++) {
    const struct manifest_entry *entry = &private_layer.items[i];
    autofree char *path = printable (entry->path, strlen (entry->path));

    if (S_ISDIR (entry->st.st_mode))
      continue;
    if (entry->st.st_nlink == 1 && !S_ISSOCK (entry->st.st_mode) &&
        class_of (world, entry->path) == FOLD_EAGER && !policy_drops (world) &&
        !(commit && u64table_has (&in_private, entry->st.st_ino))) {
      printf ("# policy: %s is eager, and stayed in private: %s\n", path, entry->text);
      bad++;
    }
  }
  return bad;
}

size_t world_check_root (struct world *world)
{
  autoerr struct err err = {0};
  size_t problems = 0;

  if (check_root (world->path, /* mounts= */ false, stdout, NULL, &problems, &err) < 0) {
    printf ("# check-root: %s\n", err_text (&err));
    return 1;
  }
  return problems;
}

size_t world_check_objects (struct world *world, const struct manifest *before)
{
  autoerr struct err err = {0};
  automanifest struct manifest after = {0};
  size_t bad = 0;

  if (manifest_read (world->store->fd, &after, &err) < 0) {
    printf ("# store: %s\n", err_text (&err));
    return 1;
  }
  for (size_t i = 0; i < before->count; i++) {
    const struct manifest_entry *a = &before->items[i];
    const struct manifest_entry *b = manifest_find (&after, a->path);

    if (S_ISDIR (a->st.st_mode))
      continue;
    if (!b || a->st.st_ino != b->st.st_ino || strcmp (a->text, b->text) != 0 ||
        a->st.st_mtim.tv_sec != b->st.st_mtim.tv_sec ||
        a->st.st_mtim.tv_nsec != b->st.st_mtim.tv_nsec) {
      printf ("# the object %s was %s\n# and is %s\n", a->path, a->text, b ? b->text : "gone");
      bad++;
    }
  }
  return bad;
}
