/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "tenant_key.h"

/* expected: printf 'org:1:tenant-isolation-key' | openssl dgst -sha256 [-hmac SECRET] |
 * cut -c1-16 */
static void is_the_playbooks_hash(void **state)
{
    static const tenant_secret secret = { "0123456789abcdef0123456789abcdef", 32 };
    char key[TENANT_KEY_HEX + 1];

    assert_true(tenant_key_derive(key, 1, NULL));
    assert_string_equal(key, "7deac9d0f5e58f1a");
    assert_true(tenant_key_derive(key, 9007199254740991, NULL));
    assert_string_equal(key, "04e02f454d093997");
    assert_true(tenant_key_derive(key, 1, &secret));
    assert_string_equal(key, "4307e26001586813");
}

static void an_empty_secret_makes_no_key(void **state)
{
    static const tenant_secret empty = { "", 0 };
    char key[TENANT_KEY_HEX + 1] = "x";

    assert_false(tenant_key_derive(key, 1, &empty));
    assert_string_equal(key, "");
}

/* Whatever may be seen more or less, or as somebody else, is another word; nothing runs into what
 * stands behind it. */
static void other_permissions_are_other_words(void **state)
{
    static const apr_int64_t ids[] = { 3, 5, 7 };
    char words[8][TENANT_PERMISSIONS_HEX + 1];
    int n = 0, i, j;

    assert_true(tenant_key_permissions(words[n++], "staff", 0, NULL, 0));
    assert_true(tenant_key_permissions(words[n++], "staff", 1, NULL, 0));
    assert_true(tenant_key_permissions(words[n++], "staff", 0, ids, 1));
    assert_true(tenant_key_permissions(words[n++], "staff", 0, ids + 1, 1));
    assert_true(tenant_key_permissions(words[n++], "staff", 0, ids, 3));
    assert_true(tenant_key_permissions(words[n++], "owner", 0, ids, 3));
    assert_true(tenant_key_permissions(words[n++], "owner1", 0, ids, 3));
    assert_true(tenant_key_permissions(words[n++], "", 0, NULL, 0));
    for (i = 0; i < n; i++) {
        assert_int_equal(strlen(words[i]), TENANT_PERMISSIONS_HEX);
        for (j = 0; j < i; j++) {
            assert_string_not_equal(words[i], words[j]);
        }
    }
    assert_true(tenant_key_permissions(words[1], "staff", 0, ids, 3));
    assert_string_equal(words[1], words[4]);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* B13: 64 bits under a secret. Of 100,000 ids, dense and spread, none meets another's key, under
 * neither of two secrets nor without one: by chance that is one run in a hundred million. */
static void organisations_do_not_meet(void **state)
{
    enum { IDS = 100000, KINDS = 3 };
    static const tenant_secret secrets[] = { { "0123456789abcdef0123456789abcdef", 32 },
                                             { "0123456789abcdef0123456789abcdeg", 32 } };
    static char keys[IDS * KINDS][TENANT_KEY_HEX + 1];
    apr_size_t i, met = 0;

    for (i = 0; i < IDS; i++) {
        apr_int64_t id = i % 2 ? (apr_int64_t)i : 9007199254740991 - (apr_int64_t)i * 90071992547;

        assert_true(tenant_key_derive(keys[KINDS * i], id, &secrets[0]));
        assert_true(tenant_key_derive(keys[KINDS * i + 1], id, &secrets[1]));
        assert_true(tenant_key_derive(keys[KINDS * i + 2], id, NULL));
    }
    qsort(keys, IDS * KINDS, sizeof(keys[0]), by_text);
    for (i = 1; i < IDS * KINDS; i++) {
        met += !strcmp(keys[i - 1], keys[i]);
    }
    assert_int_equal(met, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(is_the_playbooks_hash),
                                        cmocka_unit_test(an_empty_secret_makes_no_key),
                                        cmocka_unit_test(other_permissions_are_other_words),
                                        cmocka_unit_test(organisations_do_not_meet) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
