/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "edge_selector.h"

#include <apr_strings.h>

static const char *text_of(void **state, const char *fields, const char *expand)
{
    const edge_selection *selection = NULL;
    const char *wrong = edge_selector_parse(*state, fields, expand, &selection);

    assert_true(wrong ? !selection : selection != NULL);
    return wrong ? NULL : selection->text;
}

static void what_asks_for_the_same_has_one_text(void **state)
{
    assert_string_equal(text_of(state, "status,id,amountCents", NULL),
                        "fields=amountCents,id,status");
    assert_string_equal(text_of(state, "b(z,y(x,w)),a,_1", NULL), "fields=_1,a,b(y(w,x),z)");
    assert_string_equal(text_of(state, NULL, "y,x"), "expand=x,y");
    assert_string_equal(text_of(state, "b,a", "d,a"), "fields=a,b&expand=a,d");
    assert_string_equal(text_of(state, "A,a,AA", NULL), "fields=A,AA,a");
    assert_string_equal(text_of(state, "a(a(a(a)))", NULL), "fields=a(a(a(a)))");
    assert_string_equal(text_of(state, "__proto__,constructor", NULL),
                        "fields=__proto__,constructor");
}

static void lists_are_trees(void **state)
{
    const edge_selection *selection;
    const edge_field *a, *c;

    assert_null(edge_selector_parse(*state, "c(e,d),a", "b", &selection));
    a = selection->fields;
    c = a->next;
    assert_string_equal(a->name, "a");
    assert_null(a->members);
    assert_string_equal(c->name, "c");
    assert_null(c->next);
    assert_string_equal(c->members->name, "d");
    assert_string_equal(c->members->next->name, "e");
    assert_string_equal(selection->expand->name, "b");
    assert_ptr_equal(edge_field_find(selection->fields, "cx", 1), c);
    assert_null(edge_field_find(selection->fields, "cx", 2));
    assert_null(edge_field_find(selection->fields, "d", 1));
    assert_null(edge_field_find(NULL, "d", 1));
    assert_true(c->index < 32 && a->index < 32 && c->index != a->index);
}

static void all_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "", ",", "id,", ",id", "id,,a", "id, a", " id", "id ", "id\t", "1a", "a-b", "a.b", "a/b",
        "*", "a*", "caf\xc3\xa9",
        "a;b", "a=b", "\"a\"", "'a'", "a'--", "id;DROP TABLE x", "id)", "(", ")", "()", "a(", "a()",
        "a(b", "a(b,)", "a(,b)",
        "a(b))", "a(b)c", "a(b)(c)", "a((b))", "a(b,c", "a,a", "a,b,a", "a,a(b)", "a(b,b)",
        "a(a(a(a(a))))", "a%2cb", "a\nb",
        "a\r\nX-Evil: 1", "\x01", "\xff" };
    static const char *const bad_expand[] = { "", "a(b)", "a,", ",a", "a,a",
                                              "a(b(c(d(e(f(g(h(i(j)))))))))", "a b" };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(text_of(state, bad[i], NULL));
        assert_null(text_of(state, bad[i], "a"));
    }
    for (i = 0; i < sizeof(bad_expand) / sizeof(bad_expand[0]); i++) {
        assert_null(text_of(state, NULL, bad_expand[i]));
        assert_null(text_of(state, "a", bad_expand[i]));
    }
}

static void sentences_hold_nothing_of_the_caller(void **state)
{
    static const char *const bad[] = { "secret)", "secret,secret", "secret\r\n", "secret(",
                                       "secret(secret(secret(secret(secret))))" };
    const edge_selection *selection;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *wrong = edge_selector_parse(*state, bad[i], NULL, &selection);

        assert_non_null(wrong);
        assert_null(strstr(wrong, "secret"));
        assert_ptr_equal(strstr(wrong, "fields "), wrong);
    }
    assert_non_null(strstr(edge_selector_parse(*state, "a", "", &selection), "expand "));
}

/* n names, the first one so long */
static char *names(apr_pool_t *p, int n, int len)
{
    char *text = apr_pstrdup(p, "");
    int i;

    for (i = 0; i < n; i++) {
        text = apr_psprintf(p, "%s%s%c%0*d", text, i ? "," : "", 'a', i ? 3 : len - 1, i);
    }
    return text;
}

static void bounds(void **state)
{
    assert_non_null(text_of(state, names(*state, 32, 4), NULL));
    assert_null(text_of(state, names(*state, 33, 4), NULL));
    assert_non_null(text_of(state, names(*state, 31, 4), "x"));
    assert_null(text_of(state, names(*state, 32, 4), "x"));
    assert_null(text_of(state, names(*state, 31, 4), "x,y"));
    assert_non_null(text_of(state, apr_psprintf(*state, "o(%s)", names(*state, 31, 4)), NULL));
    assert_null(text_of(state, apr_psprintf(*state, "o(%s)", names(*state, 32, 4)), NULL));
    assert_non_null(text_of(state, names(*state, 1, 64), NULL));
    assert_null(text_of(state, names(*state, 1, 65), NULL));
    assert_null(text_of(state, names(*state, 1, 10240), NULL));
    assert_true(edge_field_is_name("a1", 2) && edge_field_is_name(names(*state, 1, 64), 64));
    assert_false(edge_field_is_name("a", 0) || edge_field_is_name("1a", 2)
                 || edge_field_is_name("a-", 2) || edge_field_is_name(names(*state, 1, 65), 65)
                 || edge_field_is_name("a\0b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit_pool_test(what_asks_for_the_same_has_one_text),
                                        unit_pool_test(lists_are_trees),
                                        unit_pool_test(all_else_is_refused),
                                        unit_pool_test(sentences_hold_nothing_of_the_caller),
                                        unit_pool_test(bounds) };

    return unit_run(tests);
}
