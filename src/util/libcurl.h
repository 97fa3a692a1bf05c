/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libcurl, loaded when something is fetched: see util/library.h. What takes apart URLs is of it as
 * well. */
#ifndef VG_UTIL_LIBCURL_H
#define VG_UTIL_LIBCURL_H

#include "library.h"
#include <curl/curl.h>

#define LIBCURL_FUNCTIONS(FUNCTION)                                                                \
  FUNCTION (curl_easy_cleanup)                                                                     \
  FUNCTION (curl_easy_getinfo)                                                                     \
  FUNCTION (curl_easy_init)                                                                        \
  FUNCTION (curl_easy_pause)                                                                       \
  FUNCTION (curl_easy_setopt)                                                                      \
  FUNCTION (curl_easy_strerror)                                                                    \
  FUNCTION (curl_free)                                                                             \
  FUNCTION (curl_global_init)                                                                      \
  FUNCTION (curl_multi_add_handle)                                                                 \
  FUNCTION (curl_multi_cleanup)                                                                    \
  FUNCTION (curl_multi_info_read)                                                                  \
  FUNCTION (curl_multi_init)                                                                       \
  FUNCTION (curl_multi_perform)                                                                    \
  FUNCTION (curl_multi_poll)                                                                       \
  FUNCTION (curl_multi_remove_handle)                                                              \
  FUNCTION (curl_multi_strerror)                                                                   \
  FUNCTION (curl_share_cleanup)                                                                    \
  FUNCTION (curl_share_init)                                                                       \
  FUNCTION (curl_share_setopt)                                                                     \
  FUNCTION (curl_slist_append)                                                                     \
  FUNCTION (curl_slist_free_all)                                                                   \
  FUNCTION (curl_url)                                                                              \
  FUNCTION (curl_url_cleanup)                                                                      \
  FUNCTION (curl_url_get)                                                                          \
  FUNCTION (curl_url_set)

struct libcurl {
  LIBCURL_FUNCTIONS (LIBRARY_MEMBER)
};
extern struct libcurl libcurl;

int libcurl_load (struct err *err);

/* curl_easy_setopt and curl_easy_getinfo are macros in libcurl's header, which look at the type of
 * the last argument and then call what has their name. To keep that, these two are called so:
 * libcurl.c has functions of the name, which pass the argument on. */

#endif
