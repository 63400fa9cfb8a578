/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "og_number.h"

static int is_id(const char *text, apr_int64_t *id)
{
    char *copy = exact(text, strlen(text));
    int ok = og_id_parse(id, copy, strlen(text));

    free(copy);
    return ok;
}

static void ids_are_canonical(void **state)
{
    static const char *const bad[] = { "", "0", "007", "7 ", " 7", "+7", "-7", "7.0", "1e3", "0x7",
                                       "9007199254740992", "99999999999999999", "7a", "\xd9\xa7" };
    apr_int64_t id = 0;
    size_t i;

    assert_true(is_id("1", &id));
    assert_int_equal(id, 1);
    assert_true(is_id("9007199254740991", &id));
    assert_true(id == OG_ID_MAX);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(is_id(bad[i], &id));
    }
}

static void integers_keep_their_bounds(void **state)
{
    apr_int64_t value = 77;

    assert_true(og_int_parse(&value, "-5", 2, -5, 5));
    assert_int_equal(value, -5);
    assert_false(og_int_parse(&value, "-6", 2, -5, 5));
    assert_false(og_int_parse(&value, "6", 1, -5, 5));
    assert_false(og_int_parse(&value, "-", 1, -5, 5));
    assert_false(og_int_parse(&value, "", 0, -5, 5));
    assert_false(og_int_parse(&value, "--5", 3, -5, 5));
    assert_false(og_int_parse(&value, "9223372036854775808", 19, 0, APR_INT64_MAX));
    assert_true(og_int_parse(&value, "9223372036854775807", 19, 0, APR_INT64_MAX));
    assert_true(value == APR_INT64_MAX);
}

static void arguments_of_directives(void **state)
{
    apr_pool_t *p = *state;
    apr_int64_t value = 0;

    assert_null(og_arg_int(p, "12", 1, 100, &value));
    assert_int_equal(value, 12);
    assert_string_equal(og_arg_int(p, "101", 1, 100, &value),
                        "expected a whole number from 1 to 100, not \"101\"");
    assert_non_null(og_arg_int(p, "1e3", 1, 10000, &value));
    assert_non_null(og_arg_int(p, " 5", 1, 100, &value));
    assert_null(og_arg_span(p, "250ms", 0, APR_USEC_PER_SEC, &value));
    assert_int_equal(value, 250000);
    assert_null(og_arg_span(p, "2min", 0, 3600 * APR_USEC_PER_SEC, &value));
    assert_int_equal(value, 120 * APR_USEC_PER_SEC);
    assert_null(og_arg_span(p, "3", 0, 3600 * APR_USEC_PER_SEC, &value));
    assert_int_equal(value, 3 * APR_USEC_PER_SEC);
    assert_non_null(og_arg_span(p, "300x", 0, 3600 * APR_USEC_PER_SEC, &value));
    assert_non_null(og_arg_span(p, "-1s", 0, 3600 * APR_USEC_PER_SEC, &value));
    assert_non_null(og_arg_span(p, "9223372036854775807d", 0, APR_INT64_MAX, &value));
    assert_string_equal(
        og_arg_span(p, "0", 1000, 25 * APR_USEC_PER_SEC, &value),
        "expected a time from 1ms to 25s, such as 500ms, 25s, 2min, 1h or 7d, not \"0\"");
    assert_null(og_arg_size(p, "64K", 0, 1 << 20, &value));
    assert_int_equal(value, 65536);
    assert_non_null(og_arg_size(p, "2M", 0, 1 << 20, &value));
    assert_non_null(og_arg_size(p, "8589934592G", 0, APR_INT64_MAX, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(ids_are_canonical),
                                        cmocka_unit_test(integers_keep_their_bounds),
                                        unit_pool_test(arguments_of_directives) };

    return unit_run(tests);
}
