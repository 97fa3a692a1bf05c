/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How templates use the network: util/fetch.h with the settings of vguest.conf. */
#ifndef VG_TEMPLATE_NET_H
#define VG_TEMPLATE_NET_H

#include "util/fetch.h"

/* Opens a session with the proxies and certificates of vguest.conf, which shows its progress. */
int net_open (struct fetch **ret_fetch, struct err *err);

/* Is @text a URL of a scheme that is fetched: http or https? */
bool net_is_url (const char *text);

/* What @reference means beside @base: a URL as it is; else a path beside the last "/" of @base, or
 * behind its host when it begins with "/". A query of @base is dropped. The caller's. */
char *net_resolve (const char *base, const char *reference);

/* The last component of the path of a URL or path, without a query: the caller's. */
char *net_base_name (const char *url);

/* Gets a small file, @url or an absolute path, whole: at most @maximum bytes; the caller's. */
int net_get (struct fetch *fetch, const char *url, size_t maximum, char **ret_data, size_t *ret_len,
             struct err *err);

/* "12.0 of 250.0 MiB, 34.0 MiB/s, 0:07 left" behind @what; @total 0 when it is not known. Call it
 * often; @start_us is when it began (clock_us). */
void net_show (const char *what, uint64_t done, uint64_t total, uint64_t start_us);

#endif
