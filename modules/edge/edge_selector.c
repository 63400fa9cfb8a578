/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* fields= and expand=, see edge_selector.h. */
#include "edge_selector.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

/* One parameter as it is read. */
typedef struct reader {
    apr_pool_t *pool;
    const char *param; /* its name, for sentences */
    const char *at;
    unsigned int count; /* names so far, of both parameters */
    const char *wrong;  /* NULL: nothing yet */
} reader;

static int starts_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Length of the name at text, however long; 0: there is none */
static apr_size_t name_len(const char *text, apr_size_t len)
{
    apr_size_t n = 0;

    while (n < len && (starts_name(text[n]) || (n && text[n] >= '0' && text[n] <= '9'))) {
        n++;
    }
    return n;
}

int edge_field_is_name(const char *text, apr_size_t len)
{
    return len && len <= EDGE_SELECTOR_NAME_MAX && name_len(text, len) == len;
}

const edge_field *edge_field_find(const edge_field *list, const char *name, apr_size_t len)
{
    while (list && (list->len != len || memcmp(list->name, name, len) != 0)) {
        list = list->next;
    }
    return list;
}

static edge_field *fail(reader *in, const char *sentence)
{
    in->wrong = apr_pstrcat(in->pool, in->param, " ", sentence, NULL);
    return NULL;
}

/* Put a field where it belongs. 0: its name is there already */
static int insert(edge_field **list, edge_field *field)
{
    int order = -1;

    while (*list && (order = strcmp((*list)->name, field->name)) < 0) {
        list = &(*list)->next;
    }
    if (*list && !order) {
        return 0;
    }
    field->next = *list;
    *list = field;
    return 1;
}

static edge_field *read_name(reader *in)
{
    apr_size_t len = name_len(in->at, strlen(in->at));
    edge_field *field;

    if (!len || len > EDGE_SELECTOR_NAME_MAX) {
        fail(in, *in->at ? "has something in it that is no name: a name is 1 to 64 letters, digits "
                           "and _, and names are separated by one comma"
                         : "ends where a name is expected");
        return NULL;
    }
    if (in->count == EDGE_SELECTOR_NAMES_MAX) {
        fail(in, "is too long: fields and expand name at most 32 members together");
        return NULL;
    }
    field = apr_pcalloc(in->pool, sizeof(*field));
    field->name = apr_pstrmemdup(in->pool, in->at, len);
    field->len = len;
    field->index = in->count++;
    in->at += len;
    return field;
}

/* A list, up to what can't belong to it. depth: of lists that may still be in it */
static edge_field *read_list(reader *in, int depth)
{
    edge_field *list = NULL, *field;

    for (;; in->at++) {
        field = read_name(in);
        if (!field) {
            return NULL;
        }
        if (*in->at == '(') {
            if (!depth) {
                return fail(in,
                            "nests lists deeper than it may: 4 levels in fields, none in expand");
            }
            in->at++;
            field->members = read_list(in, depth - 1);
            if (!field->members) {
                return NULL;
            }
            if (*in->at++ != ')') {
                return fail(in, "opens a parenthesis that it does not close");
            }
        }
        if (!insert(&list, field)) {
            return fail(in, "names a member twice");
        }
        if (*in->at != ',') {
            return list;
        }
    }
}

static edge_field *read_param(reader *in, const char *param, const char *value, int depth)
{
    edge_field *list;

    in->param = param;
    in->at = value;
    if (!*value) {
        return fail(in, "is empty: it names at least one member");
    }
    list = read_list(in, depth);
    if (list && *in->at) {
        return fail(in, *in->at == ')' ? "closes a parenthesis that it did not open"
                                       : "has something behind a name that is no comma");
    }
    return list;
}

static apr_size_t list_size(const edge_field *list)
{
    apr_size_t size = 0;

    for (; list; list = list->next) {
        size += list->len + 1 + (list->members ? list_size(list->members) + 2 : 0);
    }
    return size;
}

static char *write_list(char *at, const edge_field *list)
{
    for (; list; list = list->next) {
        memcpy(at, list->name, list->len);
        at += list->len;
        if (list->members) {
            *at++ = '(';
            at = write_list(at, list->members);
            *at++ = ')';
        }
        if (list->next) {
            *at++ = ',';
        }
    }
    return at;
}

static const char *text_of(apr_pool_t *p, const edge_selection *selection)
{
    char *text = apr_palloc(p, sizeof("fields=&expand=") + list_size(selection->fields)
                                   + list_size(selection->expand));
    char *at = text;

    if (selection->fields) {
        at = write_list(strcpy(at, "fields=") + 7, selection->fields);
    }
    if (selection->expand) {
        if (selection->fields) {
            *at++ = '&';
        }
        at = write_list(strcpy(at, "expand=") + 7, selection->expand);
    }
    *at = '\0';
    return text;
}

const char *edge_selector_parse(apr_pool_t *p, const char *fields, const char *expand,
                                const edge_selection **selection)
{
    edge_selection *made = apr_pcalloc(p, sizeof(*made));
    reader in = { p, NULL, NULL, 0, NULL };

    if (fields) {
        made->fields = read_param(&in, "fields", fields, EDGE_SELECTOR_DEPTH_MAX - 1);
    }
    if (expand && !in.wrong) {
        made->expand = read_param(&in, "expand", expand, 0);
    }
    if (in.wrong) {
        return in.wrong;
    }
    made->text = text_of(p, made);
    *selection = made;
    return NULL;
}
