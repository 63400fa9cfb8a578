/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "og_mac.h"

#include <pthread.h>

#define THREADS 4
#define ROUNDS  2000

static void is_sha256(const char *text, const char *expected)
{
    unsigned char hash[OG_SHA256_LEN];
    char hex[2 * OG_SHA256_LEN + 1];
    apr_size_t len = strlen(text), i;

    assert_true(og_sha256(hash, text, len));
    og_hex(hex, hash, sizeof(hash));
    assert_string_equal(hex, expected);
    for (i = 0; i <= len; i++) {
        assert_true(og_sha256_two(hash, text, i, text + i, len - i));
        og_hex(hex, hash, sizeof(hash));
        assert_string_equal(hex, expected);
    }
}

static void is_hmac(const void *key, apr_size_t key_len, const char *text, const char *expected)
{
    unsigned char mac[OG_SHA256_LEN];
    char hex[2 * OG_SHA256_LEN + 1];

    assert_true(og_hmac_sha256(mac, key, key_len, text, strlen(text)));
    og_hex(hex, mac, sizeof(mac));
    assert_string_equal(hex, expected);
}

/* FIPS 180-4's examples; RFC 4231's cases 1, 2, 6 and 7, and a key of exactly one block, of which
 * printf hello | openssl dgst -sha256 -mac HMAC -macopt key:$(printf %064d 0) says what
 * it makes. */
static void all_vectors(void)
{
    unsigned char long_key[131];
    char block_key[65];

    is_sha256("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    is_sha256("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    is_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    is_hmac("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", 20,
            "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    is_hmac("Jefe", 4, "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(long_key, 0xaa, sizeof(long_key));
    is_hmac(long_key, sizeof(long_key), "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    is_hmac(long_key, sizeof(long_key),
            "This is a test using a larger than block-size key and a larger than block-size data. "
            "The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
    memset(block_key, '0', sizeof(block_key));
    is_hmac(block_key, 64, "hello",
            "e2160c0c6ff468194a54dcc21cb46aa381c3906df54abebdcd5802222ee7518d");
}

static void an_empty_key_signs_nothing(void **state)
{
    unsigned char mac[OG_SHA256_LEN];

    assert_false(og_hmac_sha256(mac, "", 0, "hello", 5));
}

/* As in the parent */
static void vectors_hold_before_the_fetch(void **state)
{
    all_vectors();
}

static void *hash_often(void *wrong)
{
    static const unsigned char hello[4] = { 0x2c, 0xf2, 0x4d, 0xba };
    unsigned char hash[OG_SHA256_LEN];
    int i;

    for (i = 0; i < ROUNDS; i++) {
        if (!og_sha256(hash, "hello", 5) || memcmp(hash, hello, sizeof(hello)) != 0) {
            *(int *)wrong = 1;
        }
    }
    return NULL;
}

/* As in a child: a context a thread. What a thread leaves behind LeakSanitizer sees. */
static void vectors_hold_after_it_in_threads_too(void **state)
{
    pthread_t threads[THREADS];
    int wrong[THREADS] = { 0 }, i;

    og_mac_fetch();
    og_mac_fetch();
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hash_often, &wrong[i]), 0);
    }
    all_vectors();
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(an_empty_key_signs_nothing),
                                        cmocka_unit_test(vectors_hold_before_the_fetch),
                                        cmocka_unit_test(vectors_hold_after_it_in_threads_too) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
