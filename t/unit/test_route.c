/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "rest_page.h"
#include "rest_route.h"

static const rest_route routes[] = { { "/expenses", REST_GET, 1 },
                                     { "/expenses", REST_POST, 2 },
                                     { "/expenses/{id}", REST_GET, 3 },
                                     { "/a/{id}/b/{id}", REST_PATCH, 4 },
                                     { NULL, REST_GET, 0 } };

static void path_and_method_name_one_line(void **state)
{
    rest_match match;
    char allow[40];

    rest_route_find(&match, routes, "/expenses", REST_POST);
    assert_int_equal(match.route->what, 2);
    assert_string_equal(rest_route_allow(allow, match.methods), "GET, HEAD, POST");
    rest_route_find(&match, routes, "/expenses/42", REST_GET);
    assert_int_equal(match.route->what, 3);
    assert_int_equal(match.ids[0], 42);
    rest_route_find(&match, routes, "/a/7/b/8", REST_PATCH);
    assert_int_equal(match.route->what, 4);
    assert_int_equal(match.ids[0], 7);
    assert_int_equal(match.ids[1], 8);
    rest_route_find(&match, routes, "/expenses/42", REST_DELETE);
    assert_null(match.route);
    assert_string_equal(rest_route_allow(allow, match.methods), "GET, HEAD");
}

static void nothing_else_is_a_path(void **state)
{
    static const char *const bad[] = { "", "/", "/expense", "/expenses/", "/expensesx",
                                       "/expenses/007",
                                       "/expenses/x", "/expenses/1/", "/expenses/1.css",
                                       "/expenses/-1",
                                       "/a/7/b/", "/expenses//1", "/expenses/9007199254740992" };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rest_match match;

        rest_route_find(&match, routes, bad[i], REST_GET);
        assert_null(match.route);
        assert_int_equal(match.methods, 0);
    }
}

static void page_cursors_round_trip(void **state)
{
    rest_page_key key = { APR_INT64_C(1763892900123456), APR_INT64_C(9007199254740991) }, back;
    const char *text = rest_page_encode(*state, &key);

    assert_true(rest_page_decode(&back, text));
    assert_true(back.time == key.time && back.id == key.id);
    key.id = 0;
    assert_false(rest_page_decode(&back, rest_page_encode(*state, &key)));
    key.id = 1;
    key.time = -1;
    assert_false(rest_page_decode(&back, rest_page_encode(*state, &key)));
    key.time = apr_time_from_sec(APR_INT64_C(253402300800));
    assert_false(rest_page_decode(&back, rest_page_encode(*state, &key)));
    assert_false(rest_page_decode(&back, ""));
    assert_false(rest_page_decode(&back, "AAAAAAAAAAAAAAAAAAAAAAA"));
    assert_false(rest_page_decode(&back, "AgAGRD8AAAAAAAAAAAAAAAE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(path_and_method_name_one_line),
                                        cmocka_unit_test(nothing_else_is_a_path),
                                        unit_pool_test(page_cursors_round_trip) };

    return unit_run(tests);
}
