/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two things that a CNI runtime needs: configurations by the name of the network, and plugins
 * that are run. network.h joins them. */
#ifndef VG_RUNTIME_CNI_H
#define VG_RUNTIME_CNI_H

#include "util/json.h"

/* Where plugins are looked for: CNI_PATH, or the usual directories. Borrowed. */
const char *cni_plugin_path (void);

/* The configuration of network @name from CNI_CONF_PATH or /etc/cni/net.d: {"cniVersion", "name",
 * "plugins": [{"type", …}, …]}, the caller's. Files *.conflist are looked through before *.conf and
 * *.json, each in order of their names. ENOENT names the nearest network; EINVAL tells what is
 * wrong in the file. */
int cni_config_load (const char *name, json_object **ret_config, struct err *err);

/* The path of the plugin called @type: the caller's. ENOENT names the package. */
int cni_find_plugin (const char *path, const char *type, char **ret_file, struct err *err);

struct cni_call {
  const char *command; /* "ADD", "DEL" */
  const char *id;      /* of the container */
  const char *interface;
  const char *netns; /* NULL when the namespace is gone */
  const char *path;  /* where plugins are looked for */
};

/* Runs the plugin "type" of @config with that configuration on its stdin; it is killed with its
 * children after VGUEST_CNI_TIMEOUT seconds (90), then ETIMEDOUT. EREMOTEIO and its own words when
 * it fails. @ret_result: of ADD, the caller's; NULL when it is not wanted. */
int cni_run (const struct cni_call *call, json_object *config, json_object **ret_result,
             struct err *err);

#endif
