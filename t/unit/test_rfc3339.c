/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "og_rfc3339.h"
#include "og_ulid.h"

static void parses_to_the_microsecond(void **state)
{
    static const struct {
        const char *text;
        apr_time_t time;
    } rows[] = { { "1970-01-01T00:00:00Z", 0 },
                 { "2001-09-09T01:46:40Z", APR_INT64_C(1000000000000000) },
                 { "2024-02-29T23:59:59.9999999Z", APR_INT64_C(1709251199999999) },
                 { "2025-11-23T15:45:00.5+05:30", APR_INT64_C(1763892900500000) },
                 { "2025-11-22T22:15:00-12:00", APR_INT64_C(1763892900000000) },
                 { "9999-12-31T23:59:59Z", APR_INT64_C(253402300799000000) } };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_time_t time;

        assert_true(og_rfc3339_parse(&time, rows[i].text));
        assert_true(time == rows[i].time);
    }
}

static void refuses_what_is_no_time(void **state)
{
    static const char *const bad[] = {
        "", "2025-11-23", "2025-11-23T10:15:00", "2025-11-23 10:15:00Z", "2025-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z", "2025-11-31T00:00:00Z", "2025-00-10T00:00:00Z",
        "0000-00-00T00:00:00Z",
        "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00", "2025-11-23T24:00:00Z",
        "2025-11-23T10:60:00Z",
        "2025-11-23T10:15:60Z", "2025-11-23T10:15:00.Z", "2025-11-23T10:15:00.0000000000Z",
        "2025-11-23T10:15:00+5:30", "2025-11-23T10:15:00+05:60", "2025-11-23T10:15:00Zx",
        "2025-11-23T10:15:00z", "10000-01-01T00:00:00Z", "2025-11-23T-1:15:00Z" };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *copy = strdup(bad[i]); /* NUL-terminated on the heap: over-reads trap */
        apr_time_t time;

        assert_false(og_rfc3339_parse(&time, copy));
        free(copy);
    }
}

static void formats_what_it_parses(void **state)
{
    char text[OG_RFC3339_MICRO_SIZE];

    og_rfc3339_format(text, APR_INT64_C(1763892900123999));
    assert_string_equal(text, "2025-11-23T10:15:00.123Z");
    og_rfc3339_format_micro(text, APR_INT64_C(1763892900000001));
    assert_string_equal(text, "2025-11-23T10:15:00.000001Z");
}

static void days_exist(void **state)
{
    assert_true(og_date_valid("2024-02-29"));
    assert_false(og_date_valid("2023-02-29"));
    assert_false(og_date_valid("2025-11-23x"));
    assert_false(og_date_valid("2025-1-23"));
    assert_false(og_date_valid("0000-00-00"));
    assert_false(og_date_valid(""));
}

static void ulids_differ_and_sort_by_time(void **state)
{
    char a[OG_ULID_SIZE], b[OG_ULID_SIZE];

    assert_true(og_ulid_make(a));
    assert_true(og_ulid_make(b));
    assert_int_equal(strlen(a), 26);
    assert_string_not_equal(a, b);
    assert_true(strncmp(a, b, 10) <= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(parses_to_the_microsecond),
                                        cmocka_unit_test(refuses_what_is_no_time),
                                        cmocka_unit_test(formats_what_it_parses),
                                        cmocka_unit_test(days_exist),
                                        cmocka_unit_test(ulids_differ_and_sort_by_time) };

    return unit_run(tests);
}
