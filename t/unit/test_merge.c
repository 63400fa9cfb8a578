/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "rest_merge.h"

typedef struct settings {
    char letter; /* bytes of no member behind it */
    int unset;
    const char *text;
} settings;

static const settings blank = { .unset = -1 };

static void is_one(settings *base, settings *add, const settings *expected)
{
    assert_ptr_equal(rest_merge_one(base, add, &blank, sizeof(blank)), expected);
}

static void a_blank_record_leaves_the_other(void **state)
{
    settings nothing, one, two;

    memcpy(&nothing, &blank, sizeof(blank));
    memcpy(&one, &blank, sizeof(blank));
    memcpy(&two, &blank, sizeof(blank));
    one.letter = 'a';
    two.unset = 0;
    is_one(&nothing, &one, &one);
    is_one(&two, &nothing, &two);
    is_one(&one, &two, NULL);
    is_one(&two, &one, NULL);
    memcpy(&one, &blank, sizeof(blank));
    assert_non_null(rest_merge_one(&nothing, &one, &blank, sizeof(blank)));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_blank_record_leaves_the_other) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
