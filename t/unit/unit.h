/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What every unit test starts with: cmocka, and APR around its run. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <apr_general.h>
#include <apr_pools.h>

/* A pool a test, in *state. */
static inline int pool_up(void **state)
{
    return apr_pool_create((apr_pool_t **)state, NULL) == APR_SUCCESS ? 0 : -1;
}

static inline int pool_down(void **state)
{
    apr_pool_destroy(*state);
    return 0;
}

static inline int apr_up(void **state)
{
    return apr_initialize() == APR_SUCCESS ? 0 : -1;
}

static inline int apr_down(void **state)
{
    apr_terminate();
    return 0;
}

/* text in a heap block of its exact size without a NUL: a read past its end is one that
 * ASan sees */
static inline char *exact(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);

    memcpy(copy, text, len);
    return copy;
}

#define unit_pool_test(fn) cmocka_unit_test_setup_teardown(fn, pool_up, pool_down)
#define unit_run(tests)    cmocka_run_group_tests(tests, apr_up, apr_down)

#endif /* UNIT_H */
