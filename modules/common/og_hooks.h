/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_hooks.h
 * @brief What a test may do to a running server, in builds with --enable-test-hooks alone
 *
 * Pure. A test puts og_hooks_control into a file and names it in ORGSCALE_TEST_HOOKS; every process
 * maps it, so that what the test writes holds at once and for all. In any other build there is
 * nothing here to call (decisions.md 33).
 */
#ifndef OG_HOOKS_H
#define OG_HOOKS_H

#include <apr.h>

/** The file's layout: what tests pack as "l4 q L2". */
typedef struct og_hooks_control {
    apr_int32_t countdown;    /**< crash points to pass until one strikes; 0: none does */
    apr_int32_t signal;       /**< that the process which passes it gets */
    apr_int32_t victim;       /**< its pid */
    apr_int32_t fixed_seed;   /**< 1: keyed hashes get the same key each time */
    apr_int64_t clock_offset; /**< microseconds added to both clocks */
    apr_uint32_t layout;      /**< added to each shared segment's layout, as a new version would */
    apr_uint32_t unused;
} og_hooks_control;

#ifdef OG_TEST_HOOKS

/** A place in a critical section at which a process may be made to die or to stop. */
void og_hooks_crash_point(void);

apr_int64_t og_hooks_clock_offset(void);

apr_uint32_t og_hooks_layout(void);

/** @return 1, and the bytes set, where the test asks for a fixed seed */
int og_hooks_seed(unsigned char *bytes, apr_size_t len);

#else

static inline void og_hooks_crash_point(void)
{
}

static inline apr_int64_t og_hooks_clock_offset(void)
{
    return 0;
}

static inline apr_uint32_t og_hooks_layout(void)
{
    return 0;
}

static inline int og_hooks_seed(unsigned char *bytes, apr_size_t len)
{
    (void)bytes;
    (void)len;
    return 0;
}

#endif

#endif /* OG_HOOKS_H */
