/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "mod_quota.h"
#include "quota_net.h"
#include "quota_policy.h"

#include <ctype.h>
#include <stdio.h>

static void each_field_is_named_by_class_and_scope(void **state)
{
    int class, scope;

    for (class = 0; class < QUOTA_CLASSES; class++) {
        for (scope = 0; scope < QUOTA_SCOPES; scope++) {
            int cell = quota_cell((quota_class)class, (quota_scope)scope), i;
            char name[64];

            snprintf(name, sizeof(name), "%s-%s", quota_class_name(class), quota_scope_name(scope));
            assert_string_equal(quota_policy_name(cell), name);
            for (i = 0; name[i]; i++) {
                name[i] = name[i] == '-' ? '_' : (char)toupper(name[i]);
            }
            assert_string_equal(quota_policy_type(cell), name);
        }
    }
    assert_null(quota_class_name(QUOTA_CLASSES));
    assert_null(quota_scope_name(QUOTA_SCOPES));
}

static void defaults_are_the_playbooks(void **state)
{
    static const struct {
        int class, scope;
        apr_int64_t limit;
    } want[] = { { QUOTA_WRITE, QUOTA_USER, 100 },  { QUOTA_WRITE, QUOTA_ORG, 500 },
                 { QUOTA_READ, QUOTA_USER, 300 },   { QUOTA_SIGN, QUOTA_USER, 50 },
                 { QUOTA_SIGN, QUOTA_ORG, 500 },    { QUOTA_STREAM, QUOTA_USER, 10 },
                 { QUOTA_STREAM, QUOTA_ORG, 1000 } };
    apr_size_t i;

    for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        const quota_rate *rate = quota_policy_default(
            quota_cell((quota_class)want[i].class, (quota_scope)want[i].scope));

        assert_int_equal(rate->limit, want[i].limit);
        assert_int_equal(rate->period, want[i].class == QUOTA_STREAM ? 0 : 60 * APR_USEC_PER_SEC);
    }
    assert_null(quota_policy_default(quota_cell(QUOTA_READ, QUOTA_ORG)));
}

static void rates_are_read(void **state)
{
    static const struct {
        const char *text, *burst;
        apr_int64_t limit;
        int seconds;
        apr_int64_t depth;
    } good[] = { { "100/min", NULL, 100, 60, 100 },        { "100/min", "burst=20", 100, 60, 20 },
                 { "1/s", NULL, 1, 1, 1 },                 { "5000/10min", NULL, 5000, 600, 5000 },
                 { "7/30", NULL, 7, 30, 7 },
                 { "1000000/d", NULL, 1000000, 86400, 1000000 },
                 { "3/h", "burst=1000000", 3, 3600, 1000000 }, { "2/5000ms", NULL, 2, 5, 2 },
                 { "off", NULL, 0, 0, 0 } };
    apr_size_t i;
    quota_rate rate;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_null(quota_policy_parse(*state, QUOTA_WRITE, good[i].text, good[i].burst, &rate));
        assert_int_equal(rate.limit, good[i].limit);
        assert_int_equal(rate.period, good[i].seconds * APR_USEC_PER_SEC);
        assert_int_equal(rate.burst, good[i].depth);
    }
    assert_null(quota_policy_parse(*state, QUOTA_STREAM, "10", NULL, &rate));
    assert_int_equal(rate.limit, 10);
    assert_null(quota_policy_parse(*state, QUOTA_STREAM, "off", NULL, &rate));
    assert_int_equal(rate.limit, 0);
}

static void what_is_no_rate_is_said(void **state)
{
    static const char *const rates[] = {
        "", "/", "/min", "100", "100/", "0/min", "-1/min", "1000001/min", "2147483647/min",
        "2147483648/s", "9223372036854775808/s", "300x/s", "1e3/min", " 5/min", "5 /min", "5/ min",
        "5/0", "5/0s", "5/1500ms", "5/25h", "5/2d", "5/week", "5/-1", "5/minute", "Off", "5//s",
        "5/1e3", "5/99999999999999999999s" };
    static const char *const bursts[] = { "", "20", "burst", "burst=", "burst=0", "burst=-1",
                                          "burst=1000001", "burst=1x", "Burst=2", "burst= 2" };
    static const char *const streams[] = { "", "0", "-1", "10/min", "1000001", "ten", "1e3", " 5" };
    apr_size_t i;
    quota_rate rate;

    for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        const char *said = quota_policy_parse(*state, QUOTA_READ, rates[i], NULL, &rate);

        assert_non_null(said);
        assert_non_null(strstr(said, "expected a rate such as 100/min"));
    }
    for (i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++) {
        assert_non_null(quota_policy_parse(*state, QUOTA_READ, "5/s", bursts[i], &rate));
    }
    for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        assert_non_null(quota_policy_parse(*state, QUOTA_STREAM, streams[i], NULL, &rate));
    }
    assert_non_null(quota_policy_parse(*state, QUOTA_STREAM, "10", "burst=2", &rate));
    assert_non_null(quota_policy_parse(*state, QUOTA_READ, "off", "burst=2", &rate));
}

static void networks_are_cut(void **state)
{
    static const unsigned char v4[] = { 192, 0, 2, 77 };
    static const unsigned char v6[] = { 0x20, 1, 0xd, 0xb8, 0, 0, 1, 0x23, 9, 9, 9, 9, 9, 9, 9, 9 };
    static const unsigned char mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1 };
    static const unsigned char longest[] = { 255, 255, 255, 255, 255, 255, 255, 255,
                                             255, 255, 255, 255, 255, 255, 255, 255 };
    char text[QUOTA_SUBJECT_SIZE];

    quota_net(text, v4, 4);
    assert_string_equal(text, "net:192.0.2.0/24");
    quota_net(text, v6, 16);
    assert_string_equal(text, "net:2001:db8:0:100::/56");
    quota_net(text, mapped, 16);
    assert_string_equal(text, "net:192.0.2.0/24");
    quota_net(text, longest, 16);
    assert_string_equal(text, "net:ffff:ffff:ffff:ff00::/56");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_is_named_by_class_and_scope),
        cmocka_unit_test(defaults_are_the_playbooks),
        unit_pool_test(rates_are_read),
        unit_pool_test(what_is_no_rate_is_said),
        cmocka_unit_test(networks_are_cut),
    };

    return unit_run(tests);
}
