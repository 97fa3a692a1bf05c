/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libcurl.h"
#include <stdarg.h>

LIBRARY_DEFINE (libcurl, LIBCURL_FUNCTIONS, LIBCURL_SONAME, "to fetch files",
                "libcurl4 (in Fedora libcurl)");

/* The number of an option tells the type of its value. The parentheses keep the macros of the same
 * names out. */
CURLcode (curl_easy_setopt) (CURL *easy, CURLoption option, ...)
{
  unsigned type = option - option % CURLOPTTYPE_OBJECTPOINT;
  CURLcode code;
  va_list ap;

  va_start (ap, option);
  if (type == CURLOPTTYPE_LONG) {
    long number = va_arg (ap, long);

    code = (libcurl.curl_easy_setopt) (easy, option, number);
  } else if (type == CURLOPTTYPE_OFF_T) {
    curl_off_t size = va_arg (ap, curl_off_t);

    code = (libcurl.curl_easy_setopt) (easy, option, size);
  } else {
    void *pointer = va_arg (ap, void *);

    code = (libcurl.curl_easy_setopt) (easy, option, pointer);
  }
  va_end (ap);
  return code;
}

CURLcode (curl_easy_getinfo) (CURL *easy, CURLINFO info, ...)
{
  va_list ap;

  va_start (ap, info);
  CURLcode code = (libcurl.curl_easy_getinfo) (easy, info, va_arg (ap, void *));
  va_end (ap);
  return code;
}
