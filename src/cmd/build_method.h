/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of `vguest NAMES build -m METHOD`: what is behind "--", and where the tree that the
 * guests are clones of comes from. */
#ifndef VG_CMD_BUILD_METHOD_H
#define VG_CMD_BUILD_METHOD_H

#include "cmd/cmd.h"
#include "cmd/pull.h"
#include "template/import.h"
#include "template/source.h"

struct build_arguments {
  const char *method;
  const char *source;     /* what -s says */
  const char *definition; /* -d */
  const char *creds;
  struct names exclude;       /* owned; files of patterns */
  struct names exclude_paths; /* owned; patterns for rsync */
  enum pull pull;
  json_object *object; /* owned; the definition, for methods that make a tree */
  struct build_options options;
};
void build_arguments_release (struct build_arguments *arguments);

/* Parses what is behind "--"; @argv[0] stands where a program's name does. ERR_USAGE, also for a
 * method that is not known. Nothing is looked up but files of definitions. */
int build_method_parse (struct context *context, struct build_arguments *arguments, int argc,
                        char **argv, struct err *err);

/* Opens the source: a template or a guest; or a tree that is made in @import, which is IMPORT_INIT
 * and stays as long as the source does. */
int build_method_open (struct context *context, struct vroot *root,
                       const struct build_arguments *arguments, struct import *import,
                       struct build_source *ret_source, struct err *err);

/* The text of --help about the methods. */
#define BUILD_METHODS_HELP                                                                         \
  "Methods:\n"                                                                                     \
  "  clone                    hard links to the files of a template or a guest\n"                  \
  "    -s, --source SOURCE        a template or a guest; template:NAME and\n"                      \
  "                               guest:NAME say which; NAME@GENERATION\n"                         \
  "  template                 an archive, unpacked for just these guests\n"                        \
  "    -s, --source SOURCE        a file, \"-\", or what vtemplate import takes\n"                 \
  "  bootstrap                a new system by the distribution's own tool\n"                       \
  "    -s, --source NAME          the name of a definition\n"                                      \
  "    -d, --definition FILE      a definition that is in no standard place\n"                     \
  "  oci                      a container image\n"                                                 \
  "    -s, --source IMAGE         docker://…, oci:DIR[:REF], oci-archive:FILE\n"                 \
  "        --creds USER:PASSWORD  for the registry\n"                                              \
  "  rsync                    a copy of a directory here, or on another host by ssh\n"             \
  "    -s, --source PATH          /DIR, [USER@]HOST:/DIR\n"                                        \
  "        --exclude PATTERN      rsync does not copy it; several times\n"                         \
  "  skeleton                 an empty tree: the directories that every guest needs\n"             \
  "\n"                                                                                             \
  "With all but skeleton:\n"                                                                       \
  "    -X, --exclude-from FILE    leave out what these patterns match: one a line,\n"              \
  "                               \"#\" comments, \"/a/b*\" from the root or one name\n"           \
  "                               at any depth\n"

#endif
