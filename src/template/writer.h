/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes a new tree from entries in any order, trusting none of their names, and publishes each
 * file as an object as soon as it is complete. Contents are hashed on their way to the disk.
 *
 * Every name is taken apart and reached by directory descriptors, so nothing outside the tree can
 * be written, whatever the entries say; a name whose parent is a symlink is refused. An entry whose
 * name was there replaces the name by a new inode: one that is published is never written again.
 *
 * Life cycle: writer_start, entries, writer_finish, writer_release. The umask is 0 in between. */
#ifndef VG_TEMPLATE_WRITER_H
#define VG_TEMPLATE_WRITER_H

#include "store/store.h"
#include "template/dirmeta.h"

struct writer_report {
  uint64_t files;       /* names that are not directories */
  uint64_t directories; /* without the top */
  uint64_t bytes;       /* apparent size of regular files, each inode once */
  uint64_t published;   /* new objects */
  uint64_t linked;      /* files that were in the store already */
  uint64_t sockets;     /* left out */
  uint64_t mounts;      /* of a directory as source: left out */
  uint64_t devices;     /* left out */
  uint64_t apart;       /* not shared because of an error */
  char *first_error;    /* owned; the text of the first of those, or NULL */
  bool absolute;        /* leading slashes were dropped from names */
};

struct writer {
  int tree_fd; /* borrowed */
  int temp_fd; /* borrowed: a directory of our own on the same file system */
  struct hasher *hasher;
  struct u64set inodes;
  struct share share;
  struct dirstack stack;   /* where entries are made */
  struct dirstack targets; /* where targets of hard links are */
  struct dirmeta dirmeta;
  struct path path;
  struct path target;
  struct u64table moved; /* inode -> the one that its group of hard links moves to */
  mode_t old_umask;
  bool replaced; /* an entry took the name of an earlier one: objects may have become unused */
  bool owned;    /* new files belong to 0:0 by themselves */
  bool harmless; /* leave out device nodes by which a guest that may open them reaches hardware, or
                    the kernel's memory; set it behind writer_start */
  bool labels;   /* the kernel's security module gives new files attributes */
  bool replace_trees; /* set by the caller: another type may replace a directory with all in it */
  struct {
    int fd; /* owned; -1 when no file is being written */
    int dir_fd;
    const char *name; /* borrowed from path */
    const struct entry *entry;
    uint64_t at;    /* hashed up to here */
    uint64_t holes; /* bytes of them that were holes */
    bool hashed;
    bool cloned; /* the data is there already */
  } file;
  struct writer_report report;
};
#define autowriter __attribute__ ((cleanup (writer_release)))

/* @tree_fd is an empty directory. */
int writer_start (struct store *store, int tree_fd, int temp_fd, struct writer *ret_writer,
                  struct err *err);
void writer_release (struct writer *writer);

int writer_directory (struct writer *writer, const char *path, const struct entry *entry,
                      struct err *err);
int writer_symlink (struct writer *writer, const char *path, const struct entry *entry,
                    const char *target, struct err *err);

/* A device or a fifo; a socket, and with @writer->harmless a device that is none of the usual ones
 * of containers, is counted and left out. */
int writer_special (struct writer *writer, const char *path, const struct entry *entry,
                    struct err *err);

/* A regular file: begin, data at ascending offsets with holes between, end. @entry stays in use
 * until the end. @size is the apparent size; what lies beyond the data is a hole. */
int writer_file_begin (struct writer *writer, const char *path, const struct entry *entry,
                       struct err *err);
/* Tries to share the blocks of the file open at @from; then writer_file_data only hashes. */
void writer_file_clone (struct writer *writer, int from);
int writer_file_data (struct writer *writer, const void *data, size_t len, uint64_t offset,
                      struct err *err);
int writer_file_end (struct writer *writer, uint64_t size, struct err *err);

/* One more name of the file @target, which an earlier entry made. */
int writer_link (struct writer *writer, const char *path, const char *target, struct err *err);

/* The file that was just ended is what @target and all its hard links shall be: archives may give
 * the contents of such a group with any of its names. */
int writer_regroup (struct writer *writer, const char *target, struct err *err);

/* For sources that know their inodes: writer_remember notes that the file just made is @key, and
 * writer_link_known makes one more name of it. Returns 1, or 0 when @key is not known. */
int writer_remember (struct writer *writer, uint64_t key, struct err *err);
int writer_link_known (struct writer *writer, const char *path, uint64_t key, struct err *err);

/* Moves the rest of regrouped files, then sets the metadata of the directories. */
int writer_finish (struct writer *writer, struct err *err);

#endif
