/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 with its output of 128 bits (Aumasson and Bernstein), see og_siphash.h. Words are
 * those of the machine that runs this: what is made here never leaves its memory, but tests compare
 * it with OpenSSL's, so they are turned where that has its most significant byte first. */
#include "og_siphash.h"

#include <string.h>

typedef struct {
    apr_uint64_t v0, v1, v2, v3;
} state;

static apr_uint64_t turn(apr_uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static apr_uint64_t little(apr_uint64_t word)
{
#if APR_IS_BIGENDIAN
    word = __builtin_bswap64(word);
#endif
    return word;
}

static apr_uint64_t word_at(const void *at)
{
    apr_uint64_t word;

    memcpy(&word, at, sizeof(word));
    return little(word);
}

static inline void mix(state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = turn(s->v1, 13) ^ s->v0;
    s->v3 = turn(s->v3, 16) ^ s->v2;
    s->v0 = turn(s->v0, 32) + s->v3;
    s->v2 += s->v1;
    s->v3 = turn(s->v3, 21) ^ s->v0;
    s->v1 = turn(s->v1, 17) ^ s->v2;
    s->v2 = turn(s->v2, 32);
}

static inline void take(state *s, apr_uint64_t word)
{
    s->v3 ^= word;
    mix(s);
    mix(s);
    s->v0 ^= word;
}

/* Half of the output, behind what tells the halves apart. */
static void give(state *s, unsigned char *out)
{
    apr_uint64_t word;
    int i;

    for (i = 0; i < 4; i++) {
        mix(s);
    }
    word = little(s->v0 ^ s->v1 ^ s->v2 ^ s->v3);
    memcpy(out, &word, sizeof(word));
}

void og_siphash(unsigned char out[OG_SIPHASH_LEN], const void *data, apr_size_t len,
                const unsigned char key[OG_SIPHASH_KEY])
{
    apr_uint64_t k0 = word_at(key), k1 = word_at(key + 8), last = (apr_uint64_t)len << 56;
    const unsigned char *at = data, *end = at + (len & ~(apr_size_t)7);
    state s = { k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL ^ 0xee,
                k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL };
    apr_size_t i;

    for (; at < end; at += 8) {
        take(&s, word_at(at));
    }
    for (i = 0; i < (len & 7); i++) {
        last |= (apr_uint64_t)at[i] << (8 * i);
    }
    take(&s, last);
    s.v2 ^= 0xee;
    give(&s, out);
    s.v1 ^= 0xdd;
    give(&s, out + 8);
}
