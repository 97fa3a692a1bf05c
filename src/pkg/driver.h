/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vguest knows of each package manager: one struct pkg_driver each, in a file of its own, and
 * all of them in the table of drivers.c. The bulk engine (bulk.h) knows only this.
 *
 * A driver makes command lines, and understands what the commands print; it runs nothing and opens
 * nothing but what the engine hands it. Everything that a guest's package manager prints is foreign
 * data: parsers take bytes of any kind, are bounded, and answer nonsense with EINVAL and the number
 * of the line.
 *
 * A run in one guest goes through steps. The engine asks the driver for the command of each; a
 * driver that has none for a step is asked no more of it:
 *
 *   PKG_AUDIT       is the package database sane? Before anything is changed
 *   PKG_REFRESH     fetch the metadata of the repositories
 *   PKG_PLAN        what would the request change? Changes nothing itself
 *   PKG_URIS        which files would it download, with their hashes? Changes nothing itself
 *   PKG_DOWNLOAD    download them, for managers that cannot tell: runs in one guest for all of the
 *                   same state, and what it leaves in driver->cache_dir serves them all
 *   PKG_APPLY       the request itself
 *   PKG_VERIFY      is the database sane afterwards?
 *   PKG_INSTALLED   print all packages with their versions, where no file tells it
 *
 * PKG_AUDIT, PKG_PLAN, PKG_URIS and PKG_INSTALLED run over a layer in memory that is thrown away:
 * they may write where they like. */
#ifndef VG_PKG_DRIVER_H
#define VG_PKG_DRIVER_H

#include "guest/guest.h"
#include "pkg/changes.h"

enum pkg_step {
  PKG_AUDIT,
  PKG_REFRESH,
  PKG_PLAN,
  PKG_URIS,
  PKG_DOWNLOAD,
  PKG_APPLY,
  PKG_VERIFY,
  PKG_INSTALLED,
  PKG_STEPS,          /* their number */
  PKG_OWN = PKG_STEPS /* a command that is none of the manager's */
};

/* What a command's end means. */
enum pkg_meaning {
  PKG_OK,
  PKG_NOTHING, /* it succeeded, and there was nothing to do */
  PKG_AGAIN,   /* it succeeded so far, and must be run once more (zypper 103) */
  PKG_BUSY,    /* failed: somebody else holds the manager's lock; may be tried again */
  PKG_NETWORK, /* failed: the network; may be tried again */
  PKG_FAILED,
};

/* The neutral verbs of vpkg. */
enum pkg_verb {
  PKG_VERB_REFRESH,
  PKG_VERB_UPGRADE,
  PKG_VERB_INSTALL,
  PKG_VERB_REMOVE,
  PKG_VERB_LIST_UPGRADES, /* the request of an upgrade: the engine stops behind PKG_PLAN */
  PKG_VERB_SEARCH,
  PKG_VERB_VERIFY, /* installed files against the package database */
  PKG_VERBS
};

/* What is to be done in guests that have this manager. */
struct pkg_request {
  struct names args;   /* owned; the words behind the program's name, as the user wrote them */
  const char *program; /* borrowed: a name for args[0] other than the one found in the guest
                          ("apt-cache", "dpkg"), or NULL */
  const char *verb;    /* borrowed from args, or ""; for messages */
  bool read_only;      /* changes nothing: its output is for the user */
  bool refresh;        /* fetches metadata, and does no more */
  bool needs_lists;    /* needs metadata that was fetched before */
  bool plans;          /* PKG_PLAN can tell what it would change */
  bool repairs;        /* is for guests whose database is not sane: PKG_AUDIT is left out */
  bool may_do_nothing; /* with no package changed there was nothing to do */
  bool idle;           /* an empty plan says that it has nothing to do, and it is not run */

  /* How metadata goes with it: it wants fresh one, as if the user had asked the engine for that; or
   * why none is ever fetched for it, for a message. */
  bool refresh_first;
  const char *no_refresh;
};
void pkg_request_release (struct pkg_request *request);
#define autopkgrequest __attribute__ ((cleanup (pkg_request_release)))

/* What the engine tells about the guest for which a command line is made. */
struct pkg_target {
  const char *program; /* the one that was found in the guest: "dnf", "yum" */
  const char
      *machine_id; /* 32 hex digits, the same for all guests of a state root: phased updates */
  bool throwaway;  /* what the commands of this run write goes with it */
};

/* How much a line of output tells about why a command failed; the engine shows the first line of
 * the highest weight, else the last line. */
enum pkg_weight { PKG_LINE_PLAIN, PKG_LINE_HINT, PKG_LINE_ERROR, PKG_LINE_CAUSE };

struct pkg_line {
  enum pkg_weight weight;
  bool continues; /* the next line belongs to it */
  bool network;   /* it tells of a network error that may pass */
  bool busy;      /* it tells that somebody else has the manager's lock */
  unsigned units; /* of progress: see units_per_change */

  size_t skip; /* bytes at its start that are not part of the reason */
  bool failed; /* the command has failed, whatever its exit status will say */
  bool topic;  /* what it does from here on: put before the reason when it fails there */
};

struct pkg_driver {
  const char *name;               /* "apt": in JSON, logs' names and messages */
  const char *const *programs;    /* programs of the manager, the best first: the engine looks for
                                     them in /usr/bin, /bin, /usr/sbin and /sbin of the guest */
  const char *database;           /* a path that is there in guests that use it: detection;
                                     "var/lib/dpkg/status" */
  const char *const *environment; /* NAME=VALUE, beside PATH, HOME, TERM and the proxies */
  const char *const *conffile_suffixes; /* of new versions left beside changed configuration
                                           files: ".dpkg-dist" */

  /* Paths, and directories with all below them, that decide what the steps before PKG_APPLY do:
   * guests in which all of them are the same get the same answers. Programs and libraries are in,
   * so that no guest's programs speak for another guest with other ones. Patterns of util/rules.h
   * are not allowed. */
  const char *const *state_paths;
  bool state_packages; /* what read_installed tells decides as well: instead of a database that has
                          the time of each installation */
  const char *const *source_paths; /* the part of them that says where metadata comes from */

  /* And the part that does not matter where metadata is fetched: the package database, which in
   * guests with the same packages has other times in it. May be NULL. */
  const char *const *database_paths;

  /* Where metadata lies: a directory that PKG_REFRESH fills; NULL: none. With keep_lists what was
   * fetched becomes part of the guest, as if it had fetched it. */
  const char *lists_dir;
  const char *list_suffix; /* a file with a name that has it inside says that there are some */
  bool keep_lists;

  /* Lists for guests with the same sources and other programs, whose own PKG_REFRESH begins with
   * them, so that it fetches what is new alone; all NULL where there is no safe way. What was taken
   * from one guest is foreign data: what it gives others must be nothing that they believe.
   *
   * share_lists fills the empty directory @to_fd with what others may be given out of the lists
   * @from_fd, as hard links where it is files, of which nothing but contents and time is left, and
   * tells how many lists these are. start_lists puts them into @lists_fd, a copy of what the guest
   * that gets them has itself. end_lists looks at that directory when the refresh is done: an error
   * when something is left there that the guest's manager has not verified. */
  int (*share_lists) (int from_fd, int to_fd, size_t *ret_count, struct err *err);
  int (*start_lists) (int shared_fd, int lists_fd, struct err *err);
  int (*end_lists) (int shared_fd, int lists_fd, struct err *err);

  const char *packages_dir; /* where it looks for downloaded files; NULL: it does not */
  const char *cache_dir;    /* what PKG_DOWNLOAD fills; NULL: no such step */
  const char *cache_suffix; /* of the packages in it, which the manager checks against its own
                               metadata before it uses one, whoever put it there: what one guest
                               downloads is for all. NULL: all of the directory is for guests of the
                               same state */

  /* Directories whose files are opened for writing before the command of a request that changes
   * something runs, which copies them up while nobody has them open: a database that is open when
   * overlayfs copies it up is two files from then on. May be NULL. */
  const char *const *write_paths;

  /* A file that is the manager's lock by being there. In a guest that is stopped, a manager that
   * was killed has left it, and the engine refuses the guest. NULL: it locks otherwise. */
  const char *lock_file;

  /* A command that takes answers to questions of packages on its standard input
   * (debconf-set-selections); NULL: there is none. NULL-terminated. */
  const char *const *selections;

  /* Understands the words that the user wrote as the manager would. ERR_USAGE. */
  int (*classify) (const struct names *args, struct pkg_request *ret_request, struct err *err);

  /* Makes the request of a neutral verb with its arguments. ERR_USAGE where it has no such verb. */
  int (*neutral) (enum pkg_verb verb, const struct names *args, struct pkg_request *ret_request,
                  struct err *err);

  /* Adds the command line of @step to @ret_args, program first; false when there is none. */
  bool (*command) (enum pkg_step step, const struct pkg_request *request,
                   const struct pkg_target *target, struct names *ret_args);

  /* What the end of a step's command means; NULL: 0 is PKG_OK, others PKG_FAILED. What its lines
   * said of busy, network and failed is added by the engine. @output is the standard output of
   * audits, verifications and plans; NULL before it is known, and for other steps. */
  enum pkg_meaning (*meaning) (enum pkg_step step, const struct pkg_request *request, int status,
                               const char *output);

  /* Reads a line of output (without its end) of PKG_REFRESH, PKG_DOWNLOAD and PKG_APPLY. */
  void (*line) (const char *line, struct pkg_line *ret_line);
  unsigned units_per_change; /* of progress, counted by pkg_line.units; 0: not told */

  /* Standard output of PKG_PLAN and PKG_URIS. */
  bool plans_news; /* PKG_PLAN tells what is new, and not whether it is an upgrade */
  int (*parse_plan) (const char *text, size_t len, struct pkg_changes *changes, struct err *err);
  int (*parse_uris) (const char *text, size_t len, struct pkg_files *files, struct err *err);

  /* Why PKG_PLAN failed, where it says so on standard output: a line, the caller's, or NULL. The
   * function itself may be NULL. */
  char *(*explain) (const char *output);

  /* Packages and versions, from the files of a guest that is stopped, or in which nothing is
   * looked at but them: reads from the layers open in the array @layers, topmost first. NULL where
   * PKG_INSTALLED has to be run, whose output parse_installed reads. */
  int (*read_installed) (const int *layers, size_t count, struct pkg_packages *ret_packages,
                         struct err *err);
  int (*parse_installed) (const char *text, size_t len, struct pkg_packages *ret_packages,
                          struct err *err);
};

extern const struct pkg_driver pkg_apt;
extern const struct pkg_driver pkg_dnf;
extern const struct pkg_driver pkg_rpm;
extern const struct pkg_driver pkg_zypper;
extern const struct pkg_driver pkg_pacman;
extern const struct pkg_driver pkg_apk;

/* All of them, ended by NULL, in the order in which vpkg looks for them in a guest. */
extern const struct pkg_driver *const pkg_drivers[];

/* The driver called @name, or NULL. */
const struct pkg_driver *pkg_driver_find (const char *name);

/* Helpers for drivers. */

/* Is @word in the NULL-terminated @list? */
bool pkg_in_list (const char *word, const char *const *list);
bool pkg_starts_with (const char *s, const char *start);
/* Adds the words of a NULL-terminated list. */
void pkg_add_words (struct names *args, const char *const *words);
void pkg_add_names (struct names *args, const struct names *more);

#endif
