/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "rest_query.h"

static void decodes_names_and_values(void **state)
{
    static const char *const names[] = { "a", "b c", "empty", "bare", NULL };
    apr_array_header_t *params;

    assert_null(rest_query_parse(*state, "a=1&b+c=%41%2b&&empty=&bare", &params));
    assert_int_equal(params->nelts, 4);
    assert_string_equal(rest_query_get(params, "a"), "1");
    assert_string_equal(rest_query_get(params, "b c"), "A+");
    assert_string_equal(rest_query_get(params, "empty"), "");
    assert_string_equal(rest_query_get(params, "bare"), "");
    assert_ptr_equal(rest_query_get(params, "bare"), rest_query_bare);
    assert_ptr_not_equal(rest_query_get(params, "empty"), rest_query_bare);
    assert_null(rest_query_get(params, "c"));
    assert_null(rest_query_unknown(params, names));
    assert_string_equal(rest_query_unknown(params, names + 1), "a");
    assert_null(rest_query_parse(*state, NULL, &params));
    assert_int_equal(params->nelts, 0);
}

static void refuses_what_is_malformed(void **state)
{
    static const char *const bad[] = { "a=%", "a=%4", "a=%4g", "a=%00", "a=1&a=2", "a=1&%61=2",
                                       "%zz=1", "a=%ff",
                                       "a=%c0%80", "%ed%a0%80" };
    apr_array_header_t *params;
    char *many, *at;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(rest_query_parse(*state, bad[i], &params));
    }
    many = apr_pcalloc(*state, REST_QUERY_LEN_MAX + 2);
    memset(many, 'x', REST_QUERY_LEN_MAX + 1);
    assert_non_null(rest_query_parse(*state, many, &params));
    many[REST_QUERY_LEN_MAX] = '\0';
    assert_null(rest_query_parse(*state, many, &params));
    for (at = many, i = 0; i <= REST_QUERY_PARAMS_MAX; i++) {
        *at++ = (char)('A' + i / 16);
        *at++ = (char)('a' + i % 16);
        *at++ = '&';
    }
    *at = '\0';
    assert_non_null(rest_query_parse(*state, many, &params));
}

static void lists_of_ids(void **state)
{
    apr_array_header_t *ids;

    assert_true(rest_query_ids(*state, "14,12,14", 3, &ids));
    assert_int_equal(ids->nelts, 2);
    assert_int_equal(APR_ARRAY_IDX(ids, 0, apr_int64_t), 12);
    assert_false(rest_query_ids(*state, "", 3, &ids));
    assert_false(rest_query_ids(*state, "1,", 3, &ids));
    assert_false(rest_query_ids(*state, ",1", 3, &ids));
    assert_false(rest_query_ids(*state, "1 or 1=1", 3, &ids));
    assert_false(rest_query_ids(*state, "1,2,3,4", 3, &ids));
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit_pool_test(decodes_names_and_values),
                                        unit_pool_test(refuses_what_is_malformed),
                                        unit_pool_test(lists_of_ids) };

    return unit_run(tests);
}
