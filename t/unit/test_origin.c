/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "tenant_origin.h"

/* Whether this entry takes what is sent for its own. */
static int is(apr_pool_t *p, const char *entry, const char *sent)
{
    tenant_origin origin;

    assert_true(tenant_origin_parse(&origin, p, entry));
    return tenant_origin_is(&origin, sent);
}

static void an_entry_is_brought_into_the_form_that_browsers_send(void **state)
{
    apr_pool_t *p = *state;
    assert_true(is(p, "https://app.example.com", "https://app.example.com"));
    assert_true(is(p, "HTTPS://App.Example.COM", "https://app.example.com"));
    assert_true(is(p, "https://app.example.com:443", "https://app.example.com"));
    assert_true(is(p, "http://app.example.com:80", "http://app.example.com"));
    assert_true(is(p, "http://app.example.com:443", "http://app.example.com:443"));
    assert_true(is(p, "http://localhost:5173", "http://localhost:5173"));
    assert_true(is(p, "http://127.0.0.1:5173", "http://127.0.0.1:5173"));
    assert_true(is(p, "http://[::1]:5173", "http://[::1]:5173"));
    assert_true(is(p, "capacitor://localhost", "capacitor://localhost"));
    assert_true(is(p, "chrome-extension://abcdef", "chrome-extension://abcdef"));
}

static void only_the_same_bytes_are_the_same_origin(void **state)
{
    apr_pool_t *p = *state;
    static const char *const others[] = {
        "", "null", "*", "http://app.example.com", "https://app.example.com:443",
        "https://app.example.com:8443", "https://app.example.com/", "https://app.example.com.",
        "https://app.example.com.evil.test", "https://evil-app.example.com", "https://example.com",
        "https://app.example.co", "https://app.example.comm", "HTTPS://app.example.com",
        "https://App.example.com", " https://app.example.com", "https://app.example.com ",
        "https://app.example.com, https://app.example.com", "https://user@app.example.com",
        "https://app.example.com#", "https://app.example.com\t"
    };
    size_t i;

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(is(p, "https://app.example.com", others[i]));
    }
}

static void a_star_is_one_whole_label(void **state)
{
    apr_pool_t *p = *state;
    static const char *const right[] = { "https://a.example.com", "https://a-1_b.example.com",
                                         "https://123.example.com" };
    static const char *const wrong[] = {
        "https://example.com", "https://.example.com", "https://a.b.example.com",
        "https://a.example.com.evil.test", "https://evil-example.com", "https://aexample.com",
        "https://a.example.com:8443", "http://a.example.com", "null", "*", "https://*.example.com",
        "https://A.example.com", "https://a@.example.com", "https://evil.test/.example.com",
        "https://evil.test#.example.com", "https://evil.test?.example.com",
        "https://a%00.example.com",
        "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com",
        "https://", "https://a", ""
    };
    size_t i;

    for (i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        assert_true(is(p, "https://*.example.com", right[i]));
    }
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(is(p, "https://*.example.com", wrong[i]));
    }
    assert_true(is(p, "https://*.example.com:8443", "https://a.example.com:8443"));
    assert_false(is(p, "https://*.example.com:8443", "https://a.example.com"));
    assert_true(is(p, "https://*.Example.com:443", "https://a.example.com"));
}

static void what_is_no_origin_is_refused(void **state)
{
    apr_pool_t *p = *state;
    static const char *const bad[] = {
        "", "*", "null", "example.com", "https://", "https:///", "https://example.com/",
        "https://example.com/x", "https://example.com?x", "https://u@example.com", "://example.com",
        "1ttp://example.com", "ht tp://example.com", "https://exa mple.com", "https://.example.com",
        "https://example..com", "https://example.com.", "https://example.com:",
        "https://example.com:0",
        "https://example.com:080", "https://example.com:65536", "https://example.com:1a",
        "https://example.com:999999", "https://*", "https://*.com", "https://a.*.example.com",
        "https://a*.example.com", "https://**.example.com", "https://*.*.example.com",
        "https://*.[::1]", "https://[::1", "https://[]", "https://[1]", "https://[::g]",
        "https://[::1]x", "https://b\xc3\xbc" "cher.example", "https://example.com\n",
        "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com"
    };
    tenant_origin origin;
    size_t i;
    char longest[TENANT_ORIGIN_MAX + 2];

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(tenant_origin_parse(&origin, p, bad[i]));
    }
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "https://", 8);
    for (i = 20; i <= 240; i += 20) {
        longest[i] = '.';
    }
    longest[sizeof(longest) - 1] = '\0';
    assert_false(tenant_origin_parse(&origin, p, longest));
    longest[8 + 253] = '\0';
    assert_true(tenant_origin_parse(&origin, p, longest));
    longest[8 + 253] = 'a';
    longest[8 + 254] = '\0';
    assert_false(tenant_origin_parse(&origin, p, longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(an_entry_is_brought_into_the_form_that_browsers_send),
        unit_pool_test(only_the_same_bytes_are_the_same_origin),
        unit_pool_test(a_star_is_one_whole_label), unit_pool_test(what_is_no_origin_is_refused)
    };

    return unit_run(tests);
}
