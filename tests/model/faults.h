/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stops the process, or fails one call, at the N-th system call that changes something. Works by
 * the linker's --wrap for the calls that the library makes (Makefile.am has the list). */
#ifndef VG_TESTS_FAULTS_H
#define VG_TESTS_FAULTS_H

enum { FAULT_STOPPED = 99 }; /* exit status of a stopped process */

/* The @nth changing call from now on, from 1, ends the process; or fails once with @error when that
 * is not 0. 0 takes the fault away, and the calls are only counted. */
void faults_arm (unsigned nth, int error);

/* The calls since faults_arm. */
unsigned faults_count (void);

/* What the failed call was: a constant, or NULL. */
const char *faults_where (void);

#endif
