/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "og_json.h"

static json_t *load(apr_pool_t *p, const char *text)
{
    char *copy = exact(text, strlen(text));
    json_t *value = og_json_load(p, copy, strlen(text), NULL);

    free(copy);
    return value;
}

static void reads_what_is_json(void **state)
{
    json_t *value = load(*state, "{\"a\":[1,true,null,\"\\u00e9\"]}");

    assert_non_null(value);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(value, "a"), 0)), 1);
    assert_non_null(load(*state, "7"));
}

static void refuses_what_is_not(void **state)
{
    static const char *const bad[] = { "", "{", "{\"a\":1,\"a\":2}", "[1,]", "{\"a\":1} x", "\xef\xbb\xbf{}",
                                       "\"\xff\"", "\"\\ud800\"", "\"\\u0000\"", "[1e400]", "01", "{'a':1}",
                                       "[18446744073709551616]", "nul", "\"a\nb\"" };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(load(*state, bad[i]));
    }
}

static void depth_is_bounded(void **state)
{
    char text[2 * 33 + 1];
    const char *why = NULL;

    memset(text, '[', 33);
    memset(text + 33, ']', 33);
    assert_null(og_json_load(*state, text, 66, &why));
    assert_string_equal(why, "nested deeper than 32 levels");
    assert_non_null(og_json_load(*state, text + 1, 64, &why));
    assert_non_null(load(*state, "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]"));
}

static void writes_commas_and_escapes(void **state)
{
    og_jsonw w;

    og_jsonw_init(&w, *state, 0);
    og_jsonw_begin(&w, '{');
    og_jsonw_name(&w, "s");
    og_jsonw_string(&w, "a\"\\\n\x01\x7f\xc3\xa9\xff\xed\xa0\x80z");
    og_jsonw_name(&w, "n");
    og_jsonw_int(&w, -9007199254740991);
    og_jsonw_name(&w, "l");
    og_jsonw_begin(&w, '[');
    og_jsonw_bool(&w, 1);
    og_jsonw_null(&w);
    og_jsonw_string(&w, NULL);
    og_jsonw_raw(&w, "{}", 2);
    og_jsonw_end(&w, ']');
    og_jsonw_name(&w, "e");
    og_jsonw_begin(&w, '[');
    og_jsonw_end(&w, ']');
    og_jsonw_end(&w, '}');
    assert_string_equal(og_jsonw_text(&w),
                        "{\"s\":\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                        "\xef\xbf\xbdz\",\"n\":-9007199254740991,\"l\":[true,null,null,{}],\"e\":[]}");
}

static void what_it_writes_it_reads(void **state)
{
    char bytes[256];
    og_jsonw w;
    int i;

    for (i = 0; i < 256; i++) {
        bytes[i] = (char)(i ? i : 1);
    }
    og_jsonw_init(&w, *state, 0);
    for (i = 0; i < 40; i++) {
        og_jsonw_init(&w, *state, 0);
        og_jsonw_string_n(&w, bytes + i, sizeof(bytes) - (size_t)i);
        assert_non_null(og_json_load(*state, w.text, w.len, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit_pool_test(reads_what_is_json), unit_pool_test(refuses_what_is_not),
                                        unit_pool_test(depth_is_bounded),
                                        unit_pool_test(writes_commas_and_escapes),
                                        unit_pool_test(what_it_writes_it_reads) };

    return unit_run(tests);
}
