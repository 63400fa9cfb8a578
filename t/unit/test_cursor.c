/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "rt_cursor.h"

static const rt_cursor here = { 3, 0x0123456789abcdefU, 0xfedcba9876543210U };

static rt_cursor_bond bond_of(const char *secret, const char *domain, apr_int64_t org)
{
    rt_cursor_bond bond;

    bond.secret = (const unsigned char *)secret;
    bond.secret_len = strlen(secret);
    bond.domain = domain;
    bond.org = org;
    return bond;
}

static rt_cursor_verdict reads(const char *text, size_t len, const rt_cursor_bond *bond,
                               rt_cursor *back)
{
    char *copy = exact(text, len);
    rt_cursor_verdict verdict = rt_cursor_read(back, copy, len, bond);

    free(copy);
    return verdict;
}

static void a_cursor_comes_back_as_it_went(void **state)
{
    rt_cursor_bond bond = bond_of("secret", "finance", 7);
    rt_cursor back;
    char text[RT_CURSOR_SIZE];

    assert_true(rt_cursor_write(text, &here, &bond));
    assert_int_equal(reads(text, strlen(text), &bond, &back), RT_CURSOR_OK);
    assert_int_equal(back.partition, here.partition);
    assert_true(back.epoch == here.epoch && back.id == here.id);
}

static void another_org_domain_or_secret_is_foreign(void **state)
{
    rt_cursor_bond bond = bond_of("secret", "finance", 7);
    rt_cursor_bond others[4];
    rt_cursor back;
    char text[RT_CURSOR_SIZE];
    int i;

    others[0] = bond_of("secret", "finance", 8);
    others[1] = bond_of("secret", "finances", 7);
    others[2] = bond_of("secret", "", 7);
    others[3] = bond_of("Secret", "finance", 7);
    assert_true(rt_cursor_write(text, &here, &bond));
    for (i = 0; i < 4; i++) {
        assert_int_equal(reads(text, strlen(text), &others[i], &back), RT_CURSOR_FOREIGN);
    }
}

/* No change of one character gives a cursor that is believed */
static void every_changed_character_is_noticed(void **state)
{
    rt_cursor_bond bond = bond_of("secret", "finance", 7);
    rt_cursor back;
    char text[RT_CURSOR_SIZE];
    size_t i, len;

    assert_true(rt_cursor_write(text, &here, &bond));
    len = strlen(text);
    for (i = 0; i < len; i++) {
        char kept = text[i];

        text[i] = kept == 'Q' ? 'R' : 'Q';
        assert_int_not_equal(reads(text, len, &bond, &back), RT_CURSOR_OK);
        text[i] = kept;
        assert_int_equal(reads(text, i, &bond, &back), RT_CURSOR_MALFORMED);
    }
}

static void what_we_never_wrote_is_malformed(void **state)
{
    static const char *const bad[] = { "", "-1", "0", "18446744073709551616", "latest", "AQ==",
                                       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
    rt_cursor_bond bond = bond_of("secret", "finance", 7);
    size_t i, huge = 1 << 20;
    char *text = malloc(huge);
    rt_cursor back;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(reads(bad[i], strlen(bad[i]), &bond, &back), RT_CURSOR_MALFORMED);
    }
    memset(text, 'A', huge);
    assert_int_equal(reads(text, huge, &bond, &back), RT_CURSOR_MALFORMED);
    free(text);
}

static void an_empty_secret_signs_nothing(void **state)
{
    rt_cursor_bond bond = bond_of("", "finance", 7);
    char text[RT_CURSOR_SIZE];

    assert_false(rt_cursor_write(text, &here, &bond));
}

/* sha256("1") begins 6b, sha256("2") d4, sha256("10") 4a: equal on every node */
static void what_was_signed_before_is_of_its_secret_alone(void **state)
{
    /* of one length each; the last two longer than what is remembered */
    const char *const secrets[] = {
        "secret-1", "secret-2",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef-1",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef-2"
    };
    rt_cursor cursor = { rt_cursor_partition(7), 5, 1 }, back;
    char text[4][RT_CURSOR_SIZE], again[RT_CURSOR_SIZE];
    rt_cursor_bond bond;
    int i, j;

    for (i = 0; i < 4; i++) {
        bond = bond_of(secrets[i], "finance", 7);
        assert_true(rt_cursor_write(text[i], &cursor, &bond));
        assert_true(rt_cursor_write(again, &cursor, &bond));
        assert_string_equal(again, text[i]);
        for (j = 0; j <= i; j++) {
            assert_int_equal(rt_cursor_read(&back, text[j], strlen(text[j]), &bond),
                             j == i ? RT_CURSOR_OK : RT_CURSOR_FOREIGN);
        }
    }
}

static void partitions_are_the_published_ones(void **state)
{
    assert_int_equal(rt_cursor_partition(1), 0x6b % 16);
    assert_int_equal(rt_cursor_partition(2), 0xd4 % 16);
    assert_int_equal(rt_cursor_partition(10), 0x4a % 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_cursor_comes_back_as_it_went),
                                        cmocka_unit_test(another_org_domain_or_secret_is_foreign),
                                        cmocka_unit_test(every_changed_character_is_noticed),
                                        cmocka_unit_test(what_we_never_wrote_is_malformed),
                                        cmocka_unit_test(an_empty_secret_signs_nothing),
                                        cmocka_unit_test(
                                            what_was_signed_before_is_of_its_secret_alone),
                                        cmocka_unit_test(partitions_are_the_published_ones) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
