/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "rest_answer.h"

static void fill(apr_pool_t *p, rest_answer *answer)
{
    memset(answer, 0, sizeof(*answer));
    answer->status = 201;
    answer->fields = apr_table_make(p, 4);
    apr_table_addn(answer->fields, "Content-Type", "application/json");
    apr_table_addn(answer->fields, "X-Own", "a");
    apr_table_addn(answer->fields, "X-Own", "");
    answer->body = "{\0}";
    answer->body_len = 3;
}

static void what_is_written_is_read(void **state)
{
    rest_answer answer, again;
    apr_size_t size;
    char *bytes;

    fill(*state, &answer);
    size = rest_answer_size(&answer);
    bytes = rest_answer_write(*state, &answer);
    assert_memory_equal(bytes, "OGI1\0\xc9\0\0\0\0\0\x2d\0\0\0\3Content-Type\0application/json\0"
                               "X-Own\0a\0X-Own\0\0{\0}", size);
    assert_int_equal(rest_answer_read(*state, bytes, size, &again), 1);
    assert_int_equal(again.status, 201);
    assert_string_equal(apr_table_getm(*state, again.fields, "X-Own"), "a,");
    assert_true(again.body_len == 3 && !memcmp(again.body, "{\0}", 3));
}

static void a_body_that_is_not_kept_is_not_there(void **state)
{
    rest_answer answer, again;
    char *bytes;

    fill(*state, &answer);
    answer.no_body = 1;
    bytes = rest_answer_write(*state, &answer);
    assert_int_equal(rest_answer_read(*state, bytes, rest_answer_size(&answer), &again), 1);
    assert_true(again.no_body && !again.body_len);
}

static void nothing_else_is_an_answer(void **state)
{
    rest_answer answer, again;
    apr_size_t size, i;
    char *bytes;

    fill(*state, &answer);
    size = rest_answer_size(&answer);
    bytes = rest_answer_write(*state, &answer);
    for (i = 0; i < size; i++) { /* cut short, in a block of that size */
        char *part = exact(bytes, i);

        assert_int_equal(rest_answer_read(*state, part, i, &again), 0);
        free(part);
    }
    bytes[7] = 2; /* another flag */
    assert_int_equal(rest_answer_read(*state, bytes, size, &again), 0);
    bytes[7] = 1; /* no body, and one all the same */
    assert_int_equal(rest_answer_read(*state, bytes, size, &again), 0);
    bytes[7] = 0;
    bytes[4] = 3; /* status 969 */
    assert_int_equal(rest_answer_read(*state, bytes, size, &again), 0);
    bytes[4] = 0;
    bytes[30] = '\n';
    assert_int_equal(rest_answer_read(*state, bytes, size, &again), 0);
    bytes[30] = 'l';
    bytes[16] = ' ';
    assert_int_equal(rest_answer_read(*state, bytes, size, &again), 0);
}

static void fields_that_no_line_holds_are_not_written(void **state)
{
    static const char *const bad[][2] = { { "X-A", "b\r\nSet-Cookie: c" }, { "X A", "b" },
                                          { "", "b" }, { "X-A", "\x7f" }, { "Set-Cookie", "a=b" },
                                          { "transfer-encoding", "chunked" },
                                          { "x-org-key", "k" } };
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rest_answer answer;

        fill(*state, &answer);
        apr_table_addn(answer.fields, bad[i][0], bad[i][1]);
        assert_null(rest_answer_write(*state, &answer));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(what_is_written_is_read),
        unit_pool_test(a_body_that_is_not_kept_is_not_there),
        unit_pool_test(nothing_else_is_an_answer),
        unit_pool_test(fields_that_no_line_holds_are_not_written),
    };

    return unit_run(tests);
}
