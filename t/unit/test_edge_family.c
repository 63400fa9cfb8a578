/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Families: what a directive says, and the lines that come of it. */
#include "unit.h"

#include "edge_family.h"

#include <apr_strings.h>

/* Words of a directive, split at blanks. */
static const char *parse(apr_pool_t *p, const char *text, edge_family *family)
{
    char words[200], *argv[16], *last, *word;
    int argc = 0;

    apr_cpystrn(words, text, sizeof(words));
    for (word = apr_strtok(words, " ", &last); word; word = apr_strtok(NULL, " ", &last)) {
        argv[argc++] = apr_pstrdup(p, word);
    }
    family->name = "name";
    return edge_family_parse(p, argc, argv, family);
}

static void lines(void **state)
{
    static const struct {
        const char *said, *stored, *client, *edge, *cdn;
    } cases[] = {
        { "max-age=60 s-maxage=300 stale-while-revalidate=60 stale-if-error=3600",
          "public, max-age=300", "private, max-age=60",
          "public, max-age=60, s-maxage=300, stale-while-revalidate=60",
          "max-age=300, stale-while-revalidate=60, stale-if-error=3600" },
        { "max-age=60", NULL, "private, max-age=60", "private, max-age=60", NULL },
        { "s-maxage=5", "public, max-age=5", "private, max-age=0", "public, max-age=0, s-maxage=5",
          "max-age=5" },
        { "max-age=1 s-maxage=2 shared=user", "public, max-age=2", "private, max-age=1",
          "private, max-age=1", NULL },
        { "max-age=31536000 s-maxage=31536000 shared=public immutable",
          "public, max-age=31536000", "public, max-age=31536000, immutable",
          "public, max-age=31536000, s-maxage=31536000, immutable", "max-age=31536000" },
        { "no-store", NULL, "no-store", "no-store", NULL },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        edge_family family;
        const char *wrong = parse(*state, cases[i].said, &family);

        if (wrong) {
            fail_msg("%s: %s", cases[i].said, wrong);
        }
        assert_int_equal(edge_family_kept(&family), cases[i].stored != NULL);
        assert_string_equal(edge_family_client(*state, &family), cases[i].client);
        assert_string_equal(edge_family_edge(*state, &family), cases[i].edge);
        assert_true(!cases[i].stored == !edge_family_stored(*state, &family));
        assert_true(!cases[i].cdn == !edge_family_cdn(*state, &family));
        if (cases[i].stored) {
            assert_string_equal(edge_family_stored(*state, &family), cases[i].stored);
        }
        if (cases[i].cdn) {
            assert_string_equal(edge_family_cdn(*state, &family), cases[i].cdn);
        }
    }
}

static void refused(void **state)
{
    static const char *const cases[] = {
        "", "max-age", "max-age=", "max-age=-1", "max-age=1e3", "max-age=60s", "max-age=31536001",
        "max-age=9223372036854775808", "maxage=60", "Max-Age=60", "max-age=0", "s-maxage=0",
        "shared=org max-age=1", "shared= max-age=1", "no-store max-age=1", "no-store s-maxage=1",
        "no-store immutable", "max-age=1 stale-while-revalidate=1", "max-age=1 stale-if-error=1",
        "immutable", "max-age=1 public"
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        edge_family family;

        if (!parse(*state, cases[i], &family)) {
            fail_msg("\"%s\" is taken", cases[i]);
        }
    }
}

static void names(void **state)
{
    char longest[EDGE_FAMILY_NAME_MAX + 2];

    memset(longest, 'a', sizeof(longest));
    longest[EDGE_FAMILY_NAME_MAX + 1] = '\0';
    assert_false(edge_family_name_ok(longest));
    assert_true(edge_family_name_ok(longest + 1));
    assert_true(edge_family_name_ok("guest-checkin"));
    assert_false(edge_family_name_ok(""));
    assert_false(edge_family_name_ok("A"));
    assert_false(edge_family_name_ok("a b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines, pool_up, pool_down),
        cmocka_unit_test_setup_teardown(refused, pool_up, pool_down),
        cmocka_unit_test(names),
    };

    return unit_run(tests);
}
