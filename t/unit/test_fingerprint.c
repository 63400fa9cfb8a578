/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "rest_fingerprint.h"

static const rest_fingerprint base = { "POST", "/v1/orders", "a=1&b=2", "application/json",
                                       "{\"n\":1}", 7 };

static int same(apr_pool_t *p, const rest_fingerprint *one, const rest_fingerprint *other)
{
    unsigned char a[IDEMPOTENCY_FINGERPRINT_LEN], b[IDEMPOTENCY_FINGERPRINT_LEN];

    assert_true(rest_fingerprint_make(a, p, one) && rest_fingerprint_make(b, p, other));
    return !memcmp(a, b, sizeof(a));
}

static void a_query_has_one_spelling(void **state)
{
    static const char *const cases[][2] = {
        { "", "" },
        { "a", "a" },
        { "b=2&a=1", "a=1&b=2" },
        { "a=2&b&a=1", "a=2&a=1&b" },
        { "&&a=1&", "a=1" },
        { "%61=%31", "a=1" },
        { "a=%2f%2F", "a=%2F%2F" },
        { "a=%26b", "a=%26b" },
        { "a=%00", "a=%00" },
        { "a=%zz%4&%", "%&a=%zz%4" },
        { "aa=1&a=2", "a=2&aa=1" },
        { "a=+", "a=+" },
        { "%7e%2D", "~-" },
        { "\xc3\xa4=%c3%a4", "\xc3\xa4=%C3%A4" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(rest_fingerprint_query(*state, cases[i][0]), cases[i][1]);
        assert_string_equal(rest_fingerprint_query(*state, cases[i][1]), cases[i][1]);
    }
    assert_string_equal(rest_fingerprint_query(*state, NULL), "");
}

static void what_means_the_same_is_the_same(void **state)
{
    rest_fingerprint other = base;

    assert_true(same(*state, &base, &other));
    other.query = "b=2&a=%31";
    other.type = "Application/JSON; charset=utf-8";
    assert_true(same(*state, &base, &other));
}

static void each_part_makes_another_request(void **state)
{
    rest_fingerprint other[] = { base, base, base, base, base, base, base, base };
    apr_size_t i;

    other[0].method = "PUT";
    other[1].route = "/v1/orders/";
    other[2].query = "a=1&b=3";
    other[3].type = "text/plain";
    other[4].body = "{\"n\":2}";
    other[5].body_len = 6;
    other[6].type = NULL;
    other[7].body = "{\"n\":1} ";
    other[7].body_len = 8;
    for (i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        assert_false(same(*state, &base, &other[i]));
    }
}

/* a route may hold any character, a line end and a NUL's place too */
static void no_part_passes_for_another(void **state)
{
    rest_fingerprint one = { "POST", "/a\n", "", "", "", 0 };
    rest_fingerprint other = { "POST", "/a", "%0A", "", "", 0 };

    assert_false(same(*state, &one, &other));
    one.route = "/a";
    one.query = "b";
    other.route = "/ab";
    other.query = "";
    assert_false(same(*state, &one, &other));
    other = one;
    one.body = "x";
    one.body_len = 1;
    other.body = "x\0";
    other.body_len = 2;
    assert_false(same(*state, &one, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(a_query_has_one_spelling),
        unit_pool_test(what_means_the_same_is_the_same),
        unit_pool_test(each_part_makes_another_request),
        unit_pool_test(no_part_passes_for_another),
    };

    return unit_run(tests);
}
