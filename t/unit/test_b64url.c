/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "og_b64url.h"

static int decodes(const char *text, unsigned char *out, apr_size_t *len)
{
    char *copy = exact(text, strlen(text));
    int ok = og_b64url_decode(out, len, copy, strlen(text));

    free(copy);
    return ok;
}

static void vectors_of_rfc4648(void **state)
{
    static const char *const pairs[][2] = { { "", "" }, { "f", "Zg" }, { "fo", "Zm8" },
                                            { "foo", "Zm9v" }, { "foob", "Zm9vYg" },
                                            { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" },
                                            { "\xfb\xff\xfe", "-__-" } };
    size_t i;

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char text[16];
        unsigned char bytes[16];
        apr_size_t plain = strlen(pairs[i][0]), coded = strlen(pairs[i][1]), len;

        assert_int_equal(og_b64url_encoded_len(plain), coded);
        assert_int_equal(og_b64url_encode(text, (const unsigned char *)pairs[i][0], plain), coded);
        assert_memory_equal(text, pairs[i][1], coded);
        assert_true(decodes(pairs[i][1], bytes, &len));
        assert_int_equal(len, plain);
        assert_memory_equal(bytes, pairs[i][0], plain);
        assert_int_equal(og_b64url_decoded_max(coded), plain);
    }
}

static void refuses_every_other_spelling(void **state)
{
    static const char *const bad[] = { "Z", "Zg=", "Zg==", "Z g", "Zm9+", "Zm9/", "Zh", "Zm9",
                                       "Zm8=",
                                       "Zm9vY", "Zg\n", "\xc3\xa9", "Zm9vYmF!", "-_-_-" };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        unsigned char bytes[16];
        apr_size_t len;

        assert_false(decodes(bad[i], bytes, &len));
    }
}

static void every_length_round_trips(void **state)
{
    unsigned char bytes[64], back[64];
    char text[96];
    apr_size_t n, len;

    for (n = 0; n < sizeof(bytes); n++) {
        bytes[n] = (unsigned char)(n * 37 + 200);
    }
    for (n = 0; n <= sizeof(bytes); n++) {
        apr_size_t coded = og_b64url_encode(text, bytes, n);

        assert_true(og_b64url_decode(back, &len, text, coded));
        assert_int_equal(len, n);
        assert_memory_equal(back, bytes, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(vectors_of_rfc4648),
                                        cmocka_unit_test(refuses_every_other_spelling),
                                        cmocka_unit_test(every_length_round_trips) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
