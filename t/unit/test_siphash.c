/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "og_siphash.h"

#include <openssl/evp.h>

#define LENGTHS 200

static const unsigned char key[OG_SIPHASH_KEY] = { 0, 1, 2, 3, 4, 5, 6, 7,
                                                   8, 9, 10, 11, 12, 13, 14, 15 };

/* What OpenSSL's own makes of it, which is of 128 bits unless it is asked for another length. */
static void openssls(unsigned char out[OG_SIPHASH_LEN], const unsigned char *data, apr_size_t len)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    size_t made = 0;

    assert_int_equal(EVP_MAC_init(ctx, key, sizeof(key), NULL), 1);
    assert_int_equal(EVP_MAC_update(ctx, data, len), 1);
    assert_int_equal(EVP_MAC_final(ctx, out, &made, OG_SIPHASH_LEN), 1);
    assert_int_equal(made, OG_SIPHASH_LEN);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
}

/* The first two of the paper's own vectors, whose texts are 0, 1, 2, … */
static void is_the_papers(void **state)
{
    static const unsigned char none[OG_SIPHASH_LEN] = {
        0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
        0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93
    };
    static const unsigned char one[OG_SIPHASH_LEN] = {
        0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
        0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45
    };
    unsigned char out[OG_SIPHASH_LEN];

    og_siphash(out, "", 0, key);
    assert_memory_equal(out, none, sizeof(out));
    og_siphash(out, "\0", 1, key);
    assert_memory_equal(out, one, sizeof(out));
}

/* Each length, and each place in memory, since words are read where they stand. */
static void is_openssls(void **state)
{
    unsigned char text[LENGTHS + 8], out[OG_SIPHASH_LEN], expected[OG_SIPHASH_LEN];
    apr_size_t len, i;

    for (i = 0; i < sizeof(text); i++) {
        text[i] = (unsigned char)(i * 37 + 11);
    }
    for (len = 0; len < LENGTHS; len++) {
        for (i = 0; i < 8; i++) {
            og_siphash(out, text + i, len, key);
            openssls(expected, text + i, len);
            assert_memory_equal(out, expected, sizeof(out));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(is_the_papers),
                                        cmocka_unit_test(is_openssls) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
