/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "edge_prune.h"
#include "edge_scan.h"

#include <apr_strings.h>

static edge_pruned pruned;

static edge_prune_verdict prune_n(void **state, const char *fields, const char *expand,
                                  const char *text, size_t len)
{
    const edge_selection *selection;
    edge_prune_verdict verdict;
    char *copy = exact(text, len);

    assert_null(edge_selector_parse(*state, fields, expand, &selection));
    verdict = edge_prune(*state, copy, len, "data", selection, &pruned);
    if (verdict != EDGE_PRUNE_MALFORMED) {
        pruned.body = apr_pstrmemdup(*state, pruned.body, pruned.len);
    }
    free(copy);
    return verdict;
}

static edge_prune_verdict prune(void **state, const char *fields, const char *expand,
                                const char *text)
{
    return prune_n(state, fields, expand, text, strlen(text));
}

static const char *joined(void **state, const apr_array_header_t *list)
{
    return apr_array_pstrcat(*state, list, ',');
}

static void what_is_kept_stays_as_it_was(void **state)
{
    static const struct {
        const char *fields, *expand, *text, *body;
    } cases[] = {
        /* objects, arrays, envelopes */
        { "a", NULL, "{\"a\":1,\"b\":2}", "{\"a\":1}" },
        { "b", NULL, " { \"a\" : 1 , \"b\" : 2 , \"c\":3 } ", "{\"b\":2}" },
        { "b,a", NULL, "{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2}" },
        { "a", NULL, "[{\"a\":1,\"b\":2},{\"b\":3,\"a\":4}]", "[{\"a\":1},{\"a\":4}]" },
        { "a", NULL, "{\"data\":[{\"a\":1,\"b\":2}],\"nextCursor\":\"x\"}",
          "{\"data\":[{\"a\":1}],\"nextCursor\":\"x\"}" },
        { "a", NULL, "{\"total\": {\"b\" : 1},\"data\":[{\"a\":1,\"b\":2}]}",
          "{\"total\":{\"b\" : 1},\"data\":[{\"a\":1}]}" },
        { "a", NULL, "{\"d\\u0061ta\":[{\"a\":1,\"b\":2}]}", "{\"d\\u0061ta\":[{\"a\":1}]}" },
        { "data", NULL, "{\"data\":{\"a\":1},\"b\":2}", "{\"data\":{\"a\":1}}" },
        { "data", NULL, "{\"b\":2,\"data\":null}", "{\"data\":null}" },
        { "x", NULL, "{\"x\":{\"data\":[1]},\"b\":2}", "{\"x\":{\"data\":[1]}}" },
        /* bytes */
        { "a", NULL, "{\"b\":0,\"a\":1.50E+02}", "{\"a\":1.50E+02}" },
        { "a", NULL, "{\"a\":123456789012345678901234567890,\"b\":1}",
          "{\"a\":123456789012345678901234567890}" },
        { "a", NULL, "{\"a\":-0,\"b\":1e999}", "{\"a\":-0}" },
        { "a", NULL, "{\"a\":\"\\u00e9\\/\xc3\xa9\",\"b\":1}", "{\"a\":\"\\u00e9\\/\xc3\xa9\"}" },
        { "a", NULL, "{\"a\":[ 1 , {} ],\"b\":1}", "{\"a\":[ 1 , {} ]}" },
        { "abc", NULL, "{\"\\u0061b\\u0063\":1,\"b\":2}", "{\"\\u0061b\\u0063\":1}" },
        /* id */
        { "a", NULL, "{\"id\":7,\"a\":1,\"b\":2}", "{\"id\":7,\"a\":1}" },
        { "a(b)", NULL, "{\"a\":{\"id\":1,\"b\":2}}", "{\"a\":{\"b\":2}}" },
        /* lists of lists */
        { "a(b)", NULL, "{\"a\":{\"b\":1,\"c\":2},\"d\":3}", "{\"a\":{\"b\":1}}" },
        { "a(b,d(e))", NULL, "{\"a\":[{\"b\":1,\"c\":2,\"d\":{\"e\":1,\"f\":2}},{\"d\":[]}]}",
          "{\"a\":[{\"b\":1,\"d\":{\"e\":1}},{\"d\":[]}]}" },
        { "a(b)", NULL,
          "[{\"a\":null},{\"a\":[]},{\"a\":5},{\"a\":[1,[{\"c\":1}],{\"b\":2,\"c\":3}]}]",
          "[{\"a\":null},{\"a\":[]},{\"a\":5},{\"a\":[1,[{\"c\":1}],{\"b\":2}]}]" },
        /* expand */
        { "a", "x", "{\"a\":1,\"b\":2,\"x\":[{\"y\":1}]}", "{\"a\":1,\"x\":[{\"y\":1}]}" },
        { "a", "x",
          "[{\"a\":1,\"x\":{}},{\"a\":1,\"x\":null},{\"a\":1,\"x\":4},{\"a\":1,\"x\":\"s\"}]",
          "[{\"a\":1,\"x\":{}},{\"a\":1,\"x\":null},{\"a\":1},{\"a\":1}]" },
        { "x(y)", "x", "{\"x\":{\"y\":1,\"z\":2}}", "{\"x\":{\"y\":1}}" },
        { "a(b)", "c", "{\"a\":{\"b\":1,\"c\":[]},\"c\":[2]}", "{\"a\":{\"b\":1},\"c\":[2]}" },
        { NULL, "x", " {\"a\":1, \"x\":[]} ", " {\"a\":1, \"x\":[]} " },
        /* nobody to ask */
        { "a", NULL, "[]", "[]" },
        { "a", NULL, "{\"data\":[]}", "{\"data\":[]}" },
        { "a", NULL, " 42 ", "42" },
        { "a", NULL, "[1,\"x\",null,[{\"b\":1}]]", "[1,\"x\",null,[{\"b\":1}]]" },
        { "a", NULL, "[[],{\"a\":1,\"b\":1}]", "[[],{\"a\":1}]" },
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(prune(state, cases[i].fields, cases[i].expand, cases[i].text),
                         EDGE_PRUNED);
        assert_string_equal(pruned.body, cases[i].body);
        assert_int_equal(pruned.len, strlen(cases[i].body));
    }
}

static void no_envelope_where_answers_have_none(void **state)
{
    static const char text[] = "{\"data\":[{\"a\":1}],\"a\":2}";
    const edge_selection *selection;

    assert_null(edge_selector_parse(*state, "a", NULL, &selection));
    assert_int_equal(edge_prune(*state, text, strlen(text), NULL, selection, &pruned), EDGE_PRUNED);
    assert_string_equal(apr_pstrmemdup(*state, pruned.body, pruned.len), "{\"a\":2}");
    assert_int_equal(edge_prune(*state, text, strlen(text), "items", selection, &pruned),
                     EDGE_PRUNED);
    assert_string_equal(apr_pstrmemdup(*state, pruned.body, pruned.len), "{\"a\":2}");
}

static void names_are_told(void **state)
{
    char *many = apr_pstrdup(*state, "[{\"a\":1");
    int i;

    assert_int_equal(
        prune(state, "c,b", NULL,
              "[{\"id\":1,\"b\":2,\"x-y\":1,\"a\":3},{\"c\":1,\"a\":2,\"a b\":3,\"d\\u002c\":4}]"),
        EDGE_PRUNED);
    assert_string_equal(joined(state, pruned.returned), "id,b,c");
    assert_string_equal(joined(state, pruned.available), "id,b,a,c");
    assert_int_equal(prune(state, "a", "t", "{\"t\":[{\"n\":1}],\"a\":{\"m\":2},\"b\":1}"),
                     EDGE_PRUNED);
    assert_string_equal(joined(state, pruned.returned), "t,a");
    assert_string_equal(joined(state, pruned.available), "t,a,b");
    for (i = 0; i < 80; i++) {
        many = apr_psprintf(*state, "%s,\"m%d\":%d", many, i, i);
    }
    assert_int_equal(prune(state, "m79", NULL, apr_pstrcat(*state, many, "}]", NULL)), EDGE_PRUNED);
    assert_string_equal(pruned.body, "[{\"m79\":79}]");
    assert_string_equal(joined(state, pruned.returned), "m79");
    assert_int_equal(pruned.available->nelts, 64);
    assert_string_equal(APR_ARRAY_IDX(pruned.available, 63, const char *), "m62");
}

static void unknown_names_are_told(void **state)
{
    static const struct {
        const char *fields, *expand, *text, *unknown;
    } cases[] = {
        { "a,zz,password", NULL, "{\"a\":1,\"b\":2}", "password,zz" },
        { "A", NULL, "{\"a\":1}", "A" },
        { "__proto__", NULL, "{\"a\":1}", "__proto__" },
        { "id", NULL, "{\"a\":1}", "id" },
        { "a", "x", "[{\"a\":1}]", "x" },
        { NULL, "x", "[{\"a\":1}]", "x" },
        { "x", "x", "[{\"a\":1}]", "x" },
        { "a(b,c)", NULL, "[{\"a\":[{\"b\":1}]}]", "a.c" },
        { "a(b(c))", NULL, "[{\"a\":{\"b\":{}}}]", "a.b.c" },
        { "a(b)", NULL, "[{\"c\":1}]", "a" },
        { "nextCursor", NULL, "{\"data\":[{\"a\":1}],\"nextCursor\":1}", "nextCursor" },
        { "n", NULL, "{\"a\":{\"n\":1}}", "n" },
    };
    static const char *const nobody_can_tell[] = { "[{\"a\":null}]", "[{\"a\":[]}]",
                                                   "[{\"a\":\"s\"}]", "{\"data\":[]}", "[1]" };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(prune(state, cases[i].fields, cases[i].expand, cases[i].text),
                         EDGE_PRUNE_UNKNOWN);
        assert_string_equal(joined(state, pruned.unknown), cases[i].unknown);
    }
    for (i = 0; i < sizeof(nobody_can_tell) / sizeof(nobody_can_tell[0]); i++) {
        assert_int_equal(prune(state, "a(b)", NULL, nobody_can_tell[i]), EDGE_PRUNED);
    }
}

static void what_is_no_json_is_left_alone(void **state)
{
    static const char *const bad[] = {
        "", " ", "{", "}", "[", "]",
        "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}",
        "{\"a\" 1}", "{\"a\":1 \"b\":2}", "[1,]", "[,1]", "[1 2]", "[1}", "{\"a\":1]", "{\"a\":1}x",
        "{\"a\":1}{}", "1 2", "nul",
        "tru", "falsee", "True", "01", "-", "-01", "+1", "1.", ".5", "1e", "1e+", "1.e1", "0x10",
        "NaN", "Infinity", "\"",
        "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800\\u0041\"", "\"\\ud800\\",
        "\"\\ud800\\udc0\"", "\"a\nb\"", "\"\t\"", "\"\x1f\"", "\"\xff\"", "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
        "\"\xc3\"", "\xef\xbb\xbf{}", "/* */ {}", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}",
        "[{\"x\":{\"b\":1,\"b\":1}}]",
        "{\"b\":{\"a\":1},\"c\":[{\"a\":1,\"a\":1}]}", "{\"data\":[{\"a\":1}],\"data\":2}",
        "{\"data\":[{\"a\":1}],\"b\":}",
        "{\"a\":1,\"data\":[{\"a\":1}", "\v1", "\f[]", "[1]\v" };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(prune(state, "a", NULL, bad[i]), EDGE_PRUNE_MALFORMED);
        assert_true(pruned.why && strlen(pruned.why) < 80);
        assert_int_equal(prune(state, NULL, "a", bad[i]), EDGE_PRUNE_MALFORMED);
    }
    assert_int_equal(prune_n(state, "a", NULL, "{\"a\":1}\0", 8), EDGE_PRUNE_MALFORMED);
    assert_int_equal(prune_n(state, "a", NULL, "\0", 1), EDGE_PRUNE_MALFORMED);
    assert_int_equal(prune_n(state, "a", NULL, "{\"\\\0\":1}", 8), EDGE_PRUNE_MALFORMED);
}

static void an_object_may_have_a_name_that_another_has(void **state)
{
    assert_int_equal(prune(state, "a", NULL,
                           "{\"a\":{\"a\":{\"a\":[{\"a\":1},{\"a\":1}]},\"b\":1},\"b\":{\"a\":1}}"),
                     EDGE_PRUNED);
    assert_int_equal(
        prune(state, "a", NULL,
              "{\"a\":1,\"\":1,\"\\u0000\":2,\"\\u0000\\u0000\":3,\"\\ud83d\\ude00\":4}"),
        EDGE_PRUNED);
    assert_int_equal(
        prune(state, "a", NULL, "{\"a\":1,\"\xf0\x9f\x98\x80\":3,\"\\ud83d\\ude00\":4}"),
        EDGE_PRUNE_MALFORMED);
    assert_int_equal(
        prune(state, "a", NULL, "{\"a\":1,\"\\n\\u20ac\":3,\"\\u000a\xe2\x82\xac\":4}"),
        EDGE_PRUNE_MALFORMED);
}

/* n times one text, then the other */
static char *nested(apr_pool_t *p, int n, const char *open, const char *close)
{
    char *text = apr_palloc(p, (apr_size_t)n * (strlen(open) + strlen(close)) + 2), *at = text;
    int i;

    for (i = 0; i < n; i++) {
        at = strcpy(at, open) + strlen(open);
    }
    *at++ = '1';
    for (i = 0; i < n; i++) {
        at = strcpy(at, close) + strlen(close);
    }
    return text;
}

static void depth_is_bounded(void **state)
{
    assert_int_equal(prune(state, "a", NULL, nested(*state, 32, "{\"a\":", "}")), EDGE_PRUNED);
    assert_int_equal(prune(state, "a", NULL, nested(*state, 33, "{\"a\":", "}")),
                     EDGE_PRUNE_MALFORMED);
    assert_int_equal(prune(state, "a", NULL, nested(*state, 32, "[", "]")), EDGE_PRUNED);
    assert_int_equal(prune(state, "a", NULL, nested(*state, 33, "[", "]")), EDGE_PRUNE_MALFORMED);
    assert_int_equal(prune(state, "a", NULL, nested(*state, 500000, "[", "]")),
                     EDGE_PRUNE_MALFORMED);
}

/* An object of so many members */
static char *wide(apr_pool_t *p, int n, const char *last)
{
    char *text = apr_palloc(p, (apr_size_t)n * 14 + 64), *at = text;
    int i;

    *at++ = '{';
    for (i = 0; i < n; i++) {
        at += apr_snprintf(at, 14, "\"n%d\":1,", i);
    }
    strcpy(at, last);
    return text;
}

static void members_are_bounded(void **state)
{
    assert_int_equal(prune(state, "a", NULL, wide(*state, 60000, "\"a\":1}")), EDGE_PRUNED);
    assert_string_equal(pruned.body, "{\"a\":1}");
    assert_int_equal(prune(state, "a", NULL, wide(*state, 60000, "\"a\":1,\"n7\":1}")),
                     EDGE_PRUNE_MALFORMED);
    assert_int_equal(prune(state, "a", NULL, wide(*state, 65536, "\"a\":1}")),
                     EDGE_PRUNE_MALFORMED);
    assert_non_null(strstr(pruned.why, "more members"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(what_is_kept_stays_as_it_was),
        unit_pool_test(no_envelope_where_answers_have_none),
        unit_pool_test(names_are_told), unit_pool_test(unknown_names_are_told),
        unit_pool_test(what_is_no_json_is_left_alone),
        unit_pool_test(an_object_may_have_a_name_that_another_has),
        unit_pool_test(depth_is_bounded),
        unit_pool_test(members_are_bounded)
    };

    return unit_run(tests);
}
