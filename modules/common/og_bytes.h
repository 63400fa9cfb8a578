/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_bytes.h
 * @brief Integers in byte layouts that leave the process: big-endian
 */
#ifndef OG_BYTES_H
#define OG_BYTES_H

#include <apr.h>

/** value as 8 bytes at out. */
static inline void og_put64(unsigned char *out, apr_uint64_t value)
{
    int i;

    for (i = 7; i >= 0; i--) {
        out[i] = (unsigned char)value;
        value >>= 8;
    }
}

/** The 8 bytes at in. */
static inline apr_uint64_t og_get64(const unsigned char *in)
{
    apr_uint64_t value = 0;
    int i;

    for (i = 0; i < 8; i++) {
        value = value << 8 | in[i];
    }
    return value;
}

#endif /* OG_BYTES_H */
