/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Where the self-test asks, and how it reads what comes. */
#include "unit.h"

#include "edge_loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static void targets(void **state)
{
    edge_loopback target;

    assert_null(edge_loopback_parse(*state, "http://127.0.0.1:8080/internal/canary", &target));
    assert_string_equal(target.host, "127.0.0.1:8080");
    assert_string_equal(target.path, "/internal/canary");
    assert_int_equal(((struct sockaddr_in *)&target.at)->sin_port, htons(8080));
    assert_int_equal(target.at_len, sizeof(struct sockaddr_in));
    assert_null(edge_loopback_parse(*state, "http://[::1]:1/", &target));
    assert_string_equal(target.host, "[::1]:1");
    assert_string_equal(target.path, "/");
    assert_int_equal(target.at.ss_family, AF_INET6);
    assert_int_equal(target.at_len, sizeof(struct sockaddr_in6));
}

static void no_targets(void **state)
{
    static const char *const bad[] = { "", "/", "http://", "http:///", "http://:1/", "http://[]:1/",
                                       "http://[:1/", "http://]:1/", "http://127.0.0.1:/",
                                       "http://127.0.0.1:1", "http://127.0.0.1: 1/",
                                       "http://127.0.0.1:+1/", "http://127.0.0.1:1:2/",
                                       "http://126.255.255.255:1/", "http://[::ffff:10.0.0.1]:1/",
                                       "http://127.0.0.1:1/\r\nX: y", "http://127.0.0.1:1/\x80",
                                       "HTTP://127.0.0.1:1/", "http://fe80::1:1/" };
    edge_loopback target;
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!edge_loopback_parse(*state, bad[i], &target)) {
            fail_msg("%s is none", bad[i]);
        }
    }
}

static int is_local(const char *text)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
    struct sockaddr_in four = { .sin_family = AF_INET };

    return inet_pton(AF_INET, text, &four.sin_addr) == 1
               ? edge_loopback_is((struct sockaddr *)&four)
               : inet_pton(AF_INET6, text, &six.sin6_addr) == 1
                     && edge_loopback_is((struct sockaddr *)&six);
}

static void own_addresses(void **state)
{
    struct sockaddr_un file = { .sun_family = AF_UNIX };

    assert_true(is_local("127.0.0.1"));
    assert_true(is_local("127.255.0.9"));
    assert_true(is_local("::1"));
    assert_true(is_local("::ffff:127.0.0.1"));
    assert_false(is_local("0.0.0.0"));
    assert_false(is_local("1.0.0.127"));
    assert_false(is_local("::"));
    assert_false(is_local("::127.0.0.1"));
    assert_false(is_local("::ffff:1.2.3.4"));
    assert_false(is_local("7f00::1"));
    assert_false(edge_loopback_is((struct sockaddr *)&file));
}

static void answers(void **state)
{
    edge_loopback_answer answer;
    char *text = strdup("HTTP/1.1 200 OK\r\nETag: \"x\"\r\ncache-status:\t orgscale; hit\r\n"
                        "Empty:\r\n\r\nbody\r\n\r\nmore");

    assert_true(edge_loopback_read(text, &answer));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "body\r\n\r\nmore");
    assert_string_equal(edge_loopback_field(*state, &answer, "Cache-Status"), "orgscale; hit");
    assert_string_equal(edge_loopback_field(*state, &answer, "etag"), "\"x\"");
    assert_string_equal(edge_loopback_field(*state, &answer, "empty"), "");
    assert_null(edge_loopback_field(*state, &answer, "Cache"));
    assert_null(edge_loopback_field(*state, &answer, "Vary"));
    assert_null(edge_loopback_field(*state, &answer, "HTTP/1.1 200 OK"));
    free(text);
    text = strdup("HTTP/1.0 404 \r\n\r\n");
    assert_true(edge_loopback_read(text, &answer));
    assert_int_equal(answer.status, 404);
    assert_string_equal(answer.head, "");
    assert_string_equal(answer.body, "");
    assert_null(edge_loopback_field(*state, &answer, "ETag"));
    free(text);
}

static void no_answers(void **state)
{
    static const char *const bad[] = { "", "\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 20\r\n\r\n",
                                       "HTTP/1.1  200\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
                                       "HTTP/1.1 099 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n",
                                       "HTTP/1.\r\n\r\n" };
    edge_loopback_answer answer;
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *text = strdup(bad[i]);

        if (edge_loopback_read(text, &answer)) {
            fail_msg("%s is none", bad[i]);
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit_pool_test(targets), unit_pool_test(no_targets),
                                        cmocka_unit_test(own_addresses), unit_pool_test(answers),
                                        cmocka_unit_test(no_answers) };

    return unit_run(tests);
}
