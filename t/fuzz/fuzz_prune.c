/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A line for fields=, one for expand=, and a JSON text: jansson takes what is taken, and what is
 * not it does not take either (but for the depth, and a NUL that it overlooks); what is left is
 * what filtering jansson's values gives, and names are unknown that none of them has. */
#include "fuzz.h"

#include "edge_prune.h"
#include "og_utf8.h"

#include <apr_strings.h>
#include <jansson.h>

static int depth_of(const json_t *value)
{
    const char *name;
    json_t *each;
    size_t i;
    int deepest = 0, depth;

    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, name, each)
        {
            depth = depth_of(each);
            deepest = depth > deepest ? depth : deepest;
        }
    }
    json_array_foreach(value, i, each)
    {
        depth = depth_of(each);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + (json_is_object(value) || json_is_array(value));
}

static json_t *filter(json_t *value, const edge_selection *selection, const edge_field *parent);

static json_t *filter_object(json_t *object, const edge_selection *selection,
                             const edge_field *parent)
{
    json_t *made = json_object(), *each;
    const char *name;

    json_object_foreach(object, name, each)
    {
        const edge_field *field =
            edge_field_find(parent ? parent->members : selection->fields, name, strlen(name));
        int expanded = !parent && edge_field_find(selection->expand, name, strlen(name))
                       && (json_is_object(each) || json_is_array(each) || json_is_null(each));

        if (field && field->members) {
            json_object_set_new(made, name, filter(each, selection, field));
        }
        else if (field || expanded || (!parent && !strcmp(name, "id"))) {
            json_object_set(made, name, each);
        }
    }
    return made;
}

static json_t *filter(json_t *value, const edge_selection *selection, const edge_field *parent)
{
    json_t *made, *each;
    size_t i;

    if (json_is_object(value)) {
        return filter_object(value, selection, parent);
    }
    if (!json_is_array(value)) {
        return json_incref(value);
    }
    made = json_array();
    json_array_foreach(value, i, each)
    {
        json_array_append_new(made, json_is_object(each) ? filter_object(each, selection, parent)
                                                         : json_incref(each));
    }
    return made;
}

/* What the whole text comes to; elements: what the selection is of */
static json_t *expected(json_t *value, const edge_selection *selection, json_t *elements)
{
    json_t *data = json_object_get(value, "data"), *made, *each;
    size_t i;

    json_array_foreach(json_is_array(value) ? value : json_is_array(data) ? data : NULL, i, each)
    {
        if (json_is_object(each)) {
            json_array_append(elements, each);
        }
    }
    if (!json_is_array(data)) {
        if (json_is_object(value)) {
            json_array_append(elements, value);
        }
        return selection->fields ? filter(value, selection, NULL) : json_incref(value);
    }
    made = json_copy(value);
    if (selection->fields) {
        json_object_set_new(made, "data", filter(data, selection, NULL));
    }
    return made;
}

static int any_has(const json_t *objects, const char *name)
{
    json_t *each;
    size_t i;

    json_array_foreach(objects, i, each)
    {
        if (json_object_get(each, name)) {
            return 1;
        }
    }
    return 0;
}

/* The objects that members of a name hold */
static json_t *inner(const json_t *objects, const char *name)
{
    json_t *found = json_array(), *each, *one;
    size_t i, j;

    json_array_foreach(objects, i, each)
    {
        json_t *value = json_object_get(each, name);

        if (json_is_object(value)) {
            json_array_append(found, value);
        }
        json_array_foreach(value, j, one)
        {
            if (json_is_object(one)) {
                json_array_append(found, one);
            }
        }
    }
    return found;
}

static char *unknown_of(apr_pool_t *p, const json_t *objects, const edge_field *list,
                        const char *prefix)
{
    char *all = apr_pstrdup(p, "");

    for (; list && json_array_size(objects); list = list->next) {
        if (!any_has(objects, list->name)) {
            all = apr_pstrcat(p, all, prefix, list->name, ",", NULL);
        }
        else if (list->members) {
            json_t *found = inner(objects, list->name);

            all = apr_pstrcat(
                p, all,
                unknown_of(p, found, list->members, apr_pstrcat(p, prefix, list->name, ".", NULL)),
                NULL);
            json_decref(found);
        }
    }
    return all;
}

static void check_names(apr_pool_t *p, const edge_pruned *out, const edge_selection *selection,
                        const json_t *elements)
{
    char *unknown = unknown_of(p, elements, selection->fields, "");
    const edge_field *each;
    int i;

    for (each = selection->expand; each; each = each->next) {
        if (json_array_size(elements) && !any_has(elements, each->name)
            && !edge_field_find(selection->fields, each->name, each->len)) {
            unknown = apr_pstrcat(p, unknown, each->name, ",", NULL);
        }
    }
    must(!strcmp(unknown, out->unknown->nelts
                              ? apr_pstrcat(p, apr_array_pstrcat(p, out->unknown, ','), ",", NULL)
                              : ""));
    must(out->available->nelts <= EDGE_PRUNE_AVAILABLE_MAX
         && out->returned->nelts <= EDGE_SELECTOR_NAMES_MAX + 1);
    for (i = 0; i < out->available->nelts; i++) {
        const char *name = APR_ARRAY_IDX(out->available, i, const char *);

        must(any_has(elements, name) && edge_field_is_name(name, strlen(name)));
    }
    for (i = 0; i < out->returned->nelts; i++) {
        must(any_has(elements, APR_ARRAY_IDX(out->returned, i, const char *)));
    }
}

static void check(apr_pool_t *p, const edge_selection *selection, const char *text, size_t len)
{
    json_error_t error;
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
                               &error),
           *want, *got, *elements;
    edge_pruned out;
    edge_prune_verdict verdict = edge_prune(p, text, len, "data", selection, &out);

    if (verdict == EDGE_PRUNE_MALFORMED) {
        /* jansson overlooks a NUL behind a number */
        must(out.why != NULL && (!value || depth_of(value) > 32 || memchr(text, '\0', len)));
        json_decref(value);
        return;
    }
    if (!value) { /* numbers too large for jansson, and names it does not hold */
        must(json_error_code(&error) == json_error_numeric_overflow
             || json_error_code(&error) == json_error_null_byte_in_key
             || json_error_code(&error) == json_error_null_character);
        return;
    }
    must(depth_of(value) <= 32 && !memchr(text, '\0', len) && out.len <= len
         && og_utf8_valid(out.body, out.len));
    elements = json_array();
    want = expected(value, selection, elements);
    got = json_loadb(out.body, out.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
                     NULL);
    must(got && json_equal(want, got));
    check_names(p, &out, selection, elements);
    json_decref(elements);
    json_decref(want);
    json_decref(got);
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    const uint8_t *end2 = end ? memchr(end + 1, '\n', size - (size_t)(end + 1 - data)) : NULL;
    const edge_selection *selection;
    const char *fields, *expand;
    apr_pool_t *p;

    if (!end2) {
        return 0;
    }
    p = pool_of();
    fields = end == data ? NULL : apr_pstrmemdup(p, (const char *)data, (size_t)(end - data));
    expand =
        end2 == end + 1 ? NULL : apr_pstrmemdup(p, (const char *)end + 1, (size_t)(end2 - end) - 1);
    if ((fields || expand) && !edge_selector_parse(p, fields, expand, &selection)) {
        size_t len = size - (size_t)(end2 + 1 - data);
        char *text = malloc(len ? len : 1);

        if (len) {
            memcpy(text, end2 + 1, len);
        }
        check(p, selection, text, len);
        free(text);
    }
    apr_pool_destroy(p);
    return 0;
}
