/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "describe.h"
#include "util/fd.h"
#include <elf.h>
#include <endian.h>

/* The start of a regular file as the guest would find it. */
static ssize_t read_start (int tree_fd, const char *path, void *data, size_t size)
{
  autoclose int fd = fd_open_in_root (tree_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return -1;
  return fd_read_full (fd, data, size);
}

/* PRETTY_NAME="Debian GNU/Linux 12 (bookworm)": in place, or NULL. */
static char *pretty_name (char *text)
{
  static const char key[] = "PRETTY_NAME=";
  char *line = text;

  while (line && strncmp (line, key, strlen (key)) != 0) {
    line = strchr (line, '\n');
    if (line)
      line++;
  }
  if (!line)
    return NULL;
  line += strlen (key);
  line[strcspn (line, "\n")] = '\0';
  size_t len = strlen (line);
  if (len >= 2 && (line[0] == '"' || line[0] == '\'') && line[len - 1] == line[0]) {
    line[len - 1] = '\0';
    line++;
  }
  for (const char *p = line; *p; p++)
    if ((unsigned char) *p < 0x20 || *p == 0x7f)
      return NULL;
  return *line ? line : NULL;
}

static const char *machine_name (uint16_t machine, bool wide)
{
  switch (machine) {
  case EM_X86_64:
    return wide ? "x86_64" : "x32";
  case EM_386:
    return "i686";
  case EM_AARCH64:
    return "aarch64";
  case EM_ARM:
    return "arm";
  case EM_RISCV:
    return wide ? "riscv64" : "riscv32";
  case EM_PPC64:
    return "ppc64le";
  case EM_S390:
    return "s390x";
  case EM_LOONGARCH:
    return "loongarch64";
  case EM_MIPS:
    return wide ? "mips64" : "mips";
  default:
    return NULL;
  }
}

static const char *architecture (int tree_fd)
{
  static const char *const programs[] = {"bin/sh", "usr/bin/env", "bin/ls", "sbin/init", NULL};

  for (const char *const *program = programs; *program; program++) {
    Elf32_Ehdr header; /* begins like the 64-bit one */

    if (read_start (tree_fd, *program, &header, sizeof header) != (ssize_t) sizeof header ||
        memcmp (header.e_ident, ELFMAG, SELFMAG) != 0)
      continue;
    uint16_t machine = header.e_ident[EI_DATA] == ELFDATA2MSB ? be16toh (header.e_machine)
                                                              : le16toh (header.e_machine);
    return machine_name (machine, header.e_ident[EI_CLASS] == ELFCLASS64);
  }
  return NULL;
}

void describe_tree (int tree_fd, json_object *info)
{
  static const char *const files[] = {"etc/os-release", "usr/lib/os-release", NULL};
  char text[4096];

  for (const char *const *file = files; *file; file++) {
    ssize_t n = read_start (tree_fd, *file, text, sizeof text - 1);

    if (n < 0)
      continue;
    text[n] = '\0';
    json_set_string (info, "os", pretty_name (text));
    break;
  }
  json_set_string (info, "architecture", architecture (tree_fd));
}
