/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "rt_head.h"

#define REST " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer t\r\n\r\n"
#define HEAD "GET /rt/subscribe?cursor=1" REST

static const unsigned char seed[APR_SIPHASH_KSIZE] = "a 16 byte secret";

/* The text's hash, or 0; the text in a block of its size, so that sanitizers see who reads on */
static apr_uint64_t hash_of(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    apr_uint64_t hash = 0;
    int whole;

    memcpy(copy, text, len);
    whole = rt_head_hash(&hash, copy, len, seed);
    free(copy);
    assert_int_equal(whole, hash != 0);
    return hash;
}

static apr_uint64_t hash(const char *text)
{
    return hash_of(text, strlen(text));
}

static void the_query_alone_may_change(void **state)
{
    const apr_uint64_t known = hash(HEAD);

    assert_true(known);
    assert_true(hash("GET /rt/subscribe?cursor=22&wait=5" REST) == known);
    assert_true(hash("GET /rt/subscribe?" REST) == hash("GET /rt/subscribe?a?b" REST));
    assert_true(hash("GET /rt/publish?cursor=1" REST) != known);
    assert_true(
        hash("GET /rt/subscribe?cursor=1 HTTP/1.0\r\nHost: h\r\nAuthorization: Bearer t\r\n\r\n")
        != known);
    assert_true(
        hash("GET /rt/subscribe?cursor=1 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer u\r\n\r\n")
        != known);
    assert_true(hash("GET /rt/subscribe?cursor=1 HTTP/1.1\r\nHost: h\r\nA: b\r\nAuthorization: "
                     "Bearer t\r\n\r\n")
                != known);
}

/* what is moved over the border between path and rest is another head */
static void a_target_without_a_query_is_its_own(void **state)
{
    assert_true(hash("GET /rt/subscribe" REST));
    assert_true(hash("GET /rt/subscribe" REST) == hash("GET /rt/subscribe" REST));
    assert_true(hash("GET /a?" REST) != hash("GET /ab?" REST));
    assert_true(hash("GET /a?q HTTP/1.1\r\nB: c\r\n\r\n")
                != hash("GET /a HTTP/1.1?q\r\nB: c\r\n\r\n"));
}

static void less_than_a_head_is_none(void **state)
{
    size_t len;

    for (len = 0; len < sizeof(HEAD) - 1; len++) {
        assert_true(!hash_of(HEAD, len));
    }
    assert_true(hash_of(HEAD, len));
}

static void more_than_a_head_is_none(void **state)
{
    assert_true(!hash(HEAD "x"));
    assert_true(!hash(HEAD "\r\n"));
    assert_true(!hash(HEAD HEAD));
    assert_true(!hash("\r\n" HEAD));
}

static void another_method_is_none(void **state)
{
    assert_true(!hash("POST /rt/publish HTTP/1.1\r\nContent-Length: 2\r\n\r\n"));
    assert_true(!hash("get /rt/subscribe" REST));
    assert_true(!hash("GETS /rt/subscribe" REST));
    assert_true(!hash("GET\t/rt/subscribe" REST));
}

static void lines_that_others_end_elsewhere_are_none(void **state)
{
    assert_true(!hash("GET /rt/subscribe HTTP/1.1\nHost: h\r\n\r\n"));
    assert_true(!hash("GET /rt/subscribe HTTP/1.1\r\nHost: h\n\r\n"));
    assert_true(!hash("GET /rt/subscribe HTTP/1.1\r\nHost: h\r\n\n"));
    assert_true(!hash("GET /rt/subscribe HTTP/1.1\r\nHost: h\n\n"));
    assert_true(!hash("GET \r\n\r\n"));
    assert_true(!hash("GET /rt/subscribe?cursor=1\r\nHost: h\r\n\r\n"));
}

static void a_head_at_its_bound_is_one_and_past_it_none(void **state)
{
    static char text[RT_HEAD_MAX + 2];
    const size_t start = strlen("GET /?"), end = strlen(REST);
    size_t len;

    for (len = RT_HEAD_MAX; len <= RT_HEAD_MAX + 1; len++) {
        memset(text, 'x', sizeof(text));
        memcpy(text, "GET /?", start);
        memcpy(text + len - end, REST, end);
        assert_int_equal(hash_of(text, len) != 0, len == RT_HEAD_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_query_alone_may_change),
        cmocka_unit_test(a_target_without_a_query_is_its_own),
        cmocka_unit_test(less_than_a_head_is_none),
        cmocka_unit_test(more_than_a_head_is_none),
        cmocka_unit_test(another_method_is_none),
        cmocka_unit_test(lines_that_others_end_elsewhere_are_none),
        cmocka_unit_test(a_head_at_its_bound_is_one_and_past_it_none),
    };

    return unit_run(tests);
}
