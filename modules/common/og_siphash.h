/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_siphash.h
 * @brief SipHash-2-4 of 128 bits: a fast keyed hash, for keys of shared memory
 *
 * Pure. Who does not know the key can't tell which texts meet, nor make two that do; under a key
 * that never leaves this host two texts of a billion meet with a chance of 2^-68. It needs no
 * allocation and can't fail. APR's own has 64 bits, which are enough for places in a table, not for
 * what is told apart by nothing else.
 */
#ifndef OG_SIPHASH_H
#define OG_SIPHASH_H

#include <apr.h>

#define OG_SIPHASH_KEY 16
#define OG_SIPHASH_LEN 16

void og_siphash(unsigned char out[OG_SIPHASH_LEN], const void *data, apr_size_t len,
                const unsigned char key[OG_SIPHASH_KEY]);

#endif /* OG_SIPHASH_H */
