/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A line for fields=, and one for expand=: what a plain second reader takes is taken, nothing else
 * is; the normalised text is sorted, names what was named, and parses to itself. */
#include "fuzz.h"

#include "edge_selector.h"

#include <apr_strings.h>
#include <apr_tables.h>

static int is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Names of a text, "/a/b" each with the lists it is in, or NULL when it is none: read without a
 * stack, list by list. */
static apr_array_header_t *names_of(apr_pool_t *p, const char *text, int depth_max)
{
    apr_array_header_t *names = apr_array_make(p, 8, sizeof(char *));
    const char *path = "", *at = text;
    int depth = 1, behind_list = 0, i;

    for (;;) {
        if (!behind_list) {
            size_t len = 0;
            const char *name;

            while (is_letter(at[len]) || (len && at[len] >= '0' && at[len] <= '9')) {
                len++;
            }
            if (!len || len > 64) {
                return NULL;
            }
            name = apr_pstrcat(p, path, "/", apr_pstrmemdup(p, at, len), NULL);
            for (i = 0; i < names->nelts; i++) {
                if (!strcmp(APR_ARRAY_IDX(names, i, char *), name)) {
                    return NULL;
                }
            }
            APR_ARRAY_PUSH(names, const char *) = name;
            at += len;
            if (*at == '(') {
                if (++depth > depth_max) {
                    return NULL;
                }
                path = name;
                at++;
                continue;
            }
        }
        if (*at == ')' && depth > 1) {
            depth--;
            path = apr_pstrmemdup(p, path, (size_t)(strrchr(path, '/') - path));
            behind_list = 1;
            at++;
        }
        else if (*at == ',') {
            behind_list = 0;
            at++;
        }
        else {
            return *at || depth > 1 ? NULL : names;
        }
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *sorted(apr_pool_t *p, const apr_array_header_t *names)
{
    qsort(names->elts, (size_t)names->nelts, sizeof(char *), by_text);
    return apr_array_pstrcat(p, names, ' ');
}

static void check_list(const edge_field *list, apr_uint32_t *indexes)
{
    for (; list; list = list->next) {
        must(list->len == strlen(list->name) && edge_field_is_name(list->name, list->len));
        must(!list->next || strcmp(list->name, list->next->name) < 0);
        must(list->index < EDGE_SELECTOR_NAMES_MAX && !(*indexes >> list->index & 1));
        *indexes |= (apr_uint32_t)1 << list->index;
        check_list(list->members, indexes);
    }
}

/* The two values of a normalised text */
static void split(apr_pool_t *p, const char *text, const char **fields, const char **expand)
{
    char *copy = apr_pstrdup(p, text), *amp = strchr(copy, '&');

    *fields = *expand = NULL;
    if (amp) {
        *amp = '\0';
        must(!strncmp(amp + 1, "expand=", 7));
        *expand = amp + 8;
    }
    if (!strncmp(copy, "fields=", 7)) {
        *fields = copy + 7;
    }
    else {
        must(!amp && !strncmp(copy, "expand=", 7));
        *expand = copy + 7;
    }
}

static void check(apr_pool_t *p, const char *fields, const char *expand)
{
    const apr_array_header_t *fields_names = fields ? names_of(p, fields, 4) : NULL;
    const apr_array_header_t *expand_names = expand ? names_of(p, expand, 1) : NULL;
    int count = (fields_names ? fields_names->nelts : 0) + (expand_names ? expand_names->nelts : 0);
    int good = (!fields || fields_names) && (!expand || expand_names) && count <= 32;
    const edge_selection *selection = NULL, *again = NULL;
    const char *wrong = edge_selector_parse(p, fields, expand, &selection);
    const char *fields_again, *expand_again;
    apr_uint32_t indexes = 0;

    must(wrong ? *wrong && strlen(wrong) < 200 && !good : selection && good);
    if (wrong) {
        return;
    }
    check_list(selection->fields, &indexes);
    check_list(selection->expand, &indexes);
    split(p, selection->text, &fields_again, &expand_again);
    must(!fields == !fields_again && !expand == !expand_again);
    if (fields) {
        must(!strcmp(sorted(p, fields_names), sorted(p, names_of(p, fields_again, 4))));
    }
    if (expand) {
        must(!strcmp(sorted(p, expand_names), sorted(p, names_of(p, expand_again, 1))));
    }
    must(!edge_selector_parse(p, fields_again, expand_again, &again));
    must(!strcmp(again->text, selection->text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = pool_of();
    char *fields = text_of(data, size), *expand = strchr(fields, '\n');

    if (expand) {
        *expand++ = '\0';
        check(p, fields, expand);
        check(p, NULL, expand);
    }
    check(p, fields, NULL);
    apr_pool_destroy(p);
    free(fields);
    return 0;
}
