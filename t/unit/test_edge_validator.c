/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Entity tags: what is one, and its forms by content coding. */
#include "unit.h"

#include "edge_validator.h"

static void made(void **state)
{
    unsigned char digest[32];
    char tag[EDGE_VALIDATOR_SIZE];

    memset(digest, 0xff, sizeof(digest));
    edge_validator_make(tag, digest);
    assert_string_equal(tag, "\"~_____________________w\"");
    assert_true(edge_validator_ok(tag));
    assert_true(edge_validator_is_ours(tag));
    assert_true(edge_validator_is_ours(edge_validator_of(*state, tag, EDGE_BR)));
    assert_false(edge_validator_is_ours("\"_____________________w\""));
    assert_false(edge_validator_is_ours("\"~\""));
    assert_false(edge_validator_is_ours("W/\"~_____________________w\""));
}

static void well_formed(void **state)
{
    static const char *const good[] = { "\"\"", "\"x\"", "W/\"x\"", "\"a,b\"", "\"\x80\xff\"" };
    static const char *const bad[] = { "",      "x",     "\"",      "\"x",      "x\"", "w/\"x\"",
                                       "W/",    "W/x",   "\"a b\"", "\"a\"b\"", "*",   "\"a\"\"b\"",
                                       "\"\r\"", "\"\x7f\"", " \"x\"" };
    char longest[258];
    apr_size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!edge_validator_ok(good[i])) {
            fail_msg("%s is one", good[i]);
        }
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (edge_validator_ok(bad[i])) {
            fail_msg("%s is none", bad[i]);
        }
    }
    memset(longest, 'a', sizeof(longest));
    longest[0] = longest[255] = '"';
    longest[256] = '\0';
    assert_true(edge_validator_ok(longest));
    longest[255] = 'a';
    longest[256] = '"';
    longest[257] = '\0';
    assert_false(edge_validator_ok(longest));
}

static void by_coding(void **state)
{
    assert_string_equal(edge_validator_of(*state, "\"x\"", EDGE_IDENTITY), "\"x\"");
    assert_string_equal(edge_validator_of(*state, "\"x\"", EDGE_GZIP), "\"x-gzip\"");
    assert_string_equal(edge_validator_of(*state, "W/\"x\"", EDGE_BR), "W/\"x-br\"");
}

static void bases(void **state)
{
    static const struct {
        const char *list, *want;
    } cases[] = {
        { "\"x-br\"", "\"x\"" },
        { "\"x\"", "\"x\"" },
        { "*", "*" },
        { "", "" },
        { "W/\"x-gzip\", \"y-br\",\"z\"", "W/\"x\", \"y\",\"z\"" },
        { "\"-br\"", "\"-br\"" },
        { "\"a-br\" -br\"", "\"a\" -br\"" },
        { "\"a,b-gzip\"", "\"a,b\"" },
        { "\"open-br", "\"open-br" },
        { "\"x-br-gzip\"", "\"x-br\"" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(edge_validator_bases(*state, cases[i].list), cases[i].want);
    }
}

static void held(void **state)
{
    assert_string_equal(edge_validator_held(*state, "\"x\", \"x-br\"", "\"x\"", EDGE_BR),
                        "\"x-br\"");
    assert_string_equal(edge_validator_held(*state, "\"x\"", "\"x\"", EDGE_BR), "\"x\"");
    assert_string_equal(edge_validator_held(*state, "\"x-gzip\"", "\"x\"", EDGE_BR), "\"x-gzip\"");
    assert_string_equal(edge_validator_held(*state, "*", "\"x\"", EDGE_BR), "\"x\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(made, pool_up, pool_down),
        cmocka_unit_test(well_formed),
        cmocka_unit_test_setup_teardown(by_coding, pool_up, pool_down),
        cmocka_unit_test_setup_teardown(bases, pool_up, pool_down),
        cmocka_unit_test_setup_teardown(held, pool_up, pool_down),
    };

    return unit_run(tests);
}
