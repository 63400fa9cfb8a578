/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What every fuzz target starts with. */
#ifndef FUZZ_H
#define FUZZ_H

#include <apr_general.h>
#include <apr_pools.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return apr_initialize() == APR_SUCCESS ? 0 : 1;
}

/* The oracle: what does not hold is a finding. */
static inline void must(int holds)
{
    if (!holds) {
        abort();
    }
}

/* The input as a C string in a heap block of its exact size, up to its first NUL. */
static inline char *text_of(const uint8_t *data, size_t size)
{
    size_t len = size ? strnlen((const char *)data, size) : 0;
    char *text = malloc(len + 1);

    if (len) {
        memcpy(text, data, len);
    }
    text[len] = '\0';
    return text;
}

/* A pool an input: what is allocated in it is gone with it. */
static inline apr_pool_t *pool_of(void)
{
    apr_pool_t *p;

    must(apr_pool_create_unmanaged_ex(&p, NULL, NULL) == APR_SUCCESS);
    return p;
}

#endif /* FUZZ_H */
