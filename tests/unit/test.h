/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmocka with the headers that it wants before it. */
#ifndef VG_TESTS_UNIT_TEST_H
#define VG_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
