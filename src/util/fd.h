/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files by directory descriptor and name.
 *
 * Guests' trees are foreign data: their symlinks are never followed and no path is joined from
 * their names. The descriptor comes before the name in every parameter list; everything opened
 * here has O_CLOEXEC, and O_NOFOLLOW on the last component. */
#ifndef VG_UTIL_FD_H
#define VG_UTIL_FD_H

#include "cleanup.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* openat with O_CLOEXEC | O_NOFOLLOW added. Returns the fd, or -1 with errno. */
int fd_open (int dir_fd, const char *name, int flags, mode_t mode);

/* Opens the directory @name for reading. Returns the fd, or -1 with errno. */
int fd_open_dir (int dir_fd, const char *name);

/* Opens @path, of any length, below @dir_fd with openat2 (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
 * "" and "." are @dir_fd itself, opened again. Returns the fd, or -1 with errno. */
int fd_open_beneath (int dir_fd, const char *path, int flags);

/* The same for a directory to be read. */
int fd_open_dir_beneath (int dir_fd, const char *path);

/* Opens @path below @dir_fd as a guest whose root is @dir_fd would see it: absolute symlinks and
 * ".." stay inside (RESOLVE_IN_ROOT). Returns the fd, or -1 with errno. */
int fd_open_in_root (int dir_fd, const char *path, int flags, mode_t mode);

/* Makes the directory @name if it is missing, and opens it. Returns the fd, or -1 with errno. */
int fd_make_dir (int dir_fd, const char *name, mode_t mode);

/* Writes all of @data, restarting after signals and short writes. 0, or -1 with errno. */
int fd_write_all (int fd, const void *data, size_t len);

/* Reads up to @len bytes, fewer only at the end of the file. The count, or -1 with errno. */
ssize_t fd_read_full (int fd, void *data, size_t len);

/* Reads a whole file of at most @maximum bytes. @ret_data is NUL-terminated and the caller's;
 * @ret_len may be NULL. EFBIG when it is larger. */
int fd_read_file (int dir_fd, const char *name, size_t maximum, char **ret_data, size_t *ret_len,
                  struct err *err);

/* Writes a file so that a reader, and a crash, see the old or the new contents and never a part:
 * temporary name beside it, fsync, rename, fsync of the directory. */
int fd_write_file (int dir_fd, const char *name, const void *data, size_t len, mode_t mode,
                   struct err *err);

/* Copies the contents of @from (from offset 0, @size bytes) into the empty file @to: a reflink
 * where the file system has it, else the data with holes kept. 0, or -1 with errno. */
int fd_copy_contents (int from, int to, off_t size);

/* Makes room for @count descriptors, before there are threads: with them the kernel makes whoever
 * opens one too many wait for all processors, 10 ms and more. More room is no promise. */
void fd_make_room (int count);

/* syncfs of the file system that holds @fd. */
int fd_sync_fs (int fd, struct err *err);

/* renameat2; flags are RENAME_NOREPLACE, RENAME_EXCHANGE or 0. 0, or -1 with errno. */
int fd_rename (int from_dir, const char *from, int to_dir, const char *to, unsigned flags);

/* Fills @name, of at least FD_TEMP_NAME_SIZE bytes, with ".vg-" and 16 random hex digits. */
#define FD_TEMP_NAME_SIZE 24
void fd_temp_name (char *name);

/* "/proc/self/fd/N" or "/proc/self/fd/N/NAME": for the calls that have no *at form. The caller
 * owns the string. */
char *fd_proc_path (int fd, const char *name);

/* Removes @name below @dir_fd with all that is in it, whatever it is. A missing name is no error.
 * Does not cross into mounts. Few descriptors are open however deep it is: what is deep is moved up
 * within @name first. */
int fd_remove_tree (int dir_fd, const char *name, struct err *err);

/* Closes all descriptors but 0 to 2 and the @kept ones, which get sorted; negative ones are none.
 * 0, or -1 with errno. */
int fd_close_others (int *kept, size_t count);

/* Raises the soft limit of open descriptors to the hard one; deep trees need it. */
void fd_raise_limit (void);

#endif
