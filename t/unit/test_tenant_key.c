/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "tenant_key.h"

/* expected: printf 'org:1:tenant-isolation-key' | openssl dgst -sha256 [-hmac SECRET] | cut -c1-16 */
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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(is_the_playbooks_hash),
                                        cmocka_unit_test(an_empty_secret_makes_no_key) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
