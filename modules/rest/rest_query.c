/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Query strings, see rest_query.h. */
#include "rest_query.h"

#include "og_number.h"
#include "og_utf8.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

const char rest_query_bare[] = "";

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* len characters, percent-decoded and NUL-terminated, at *room, which moves behind them; NULL for a
 * bad escape, a NUL, or bytes that are not UTF-8. */
static char *decode(char **room, const char *text, apr_size_t len)
{
    char *out = *room;
    char *at = out;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        char c = text[i];

        if (c == '+') {
            c = ' ';
        }
        else if (c == '%') {
            int high = len - i > 2 ? hex_value(text[i + 1]) : -1;
            int low = len - i > 2 ? hex_value(text[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return NULL;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (!c) {
            return NULL;
        }
        *at++ = c;
    }
    *at = '\0';
    *room = at + 1;
    return og_utf8_valid(out, (apr_size_t)(at - out)) ? out : NULL;
}

/* How many parameters there can be. */
static int count_of(const char *args, apr_size_t len)
{
    int count = 1;
    apr_size_t i;

    for (i = 0; i < len && count < REST_QUERY_PARAMS_MAX; i++) {
        count += args[i] == '&';
    }
    return count;
}

const char *rest_query_parse(apr_pool_t *p, const char *args, apr_array_header_t **params)
{
    apr_size_t left = args ? strlen(args) : 0;
    char *room;

    if (left > REST_QUERY_LEN_MAX) {
        *params = apr_array_make(p, 1, sizeof(rest_param));
        return apr_psprintf(p, "the query is longer than %d bytes", REST_QUERY_LEN_MAX);
    }
    /* as much as it takes and no more: a long poll keeps it for as long as it waits */
    *params = apr_array_make(p, count_of(args, left), sizeof(rest_param));
    room = apr_palloc(p, left + 1);
    while (left) {
        const char *amp = memchr(args, '&', left);
        apr_size_t len = amp ? (apr_size_t)(amp - args) : left;
        const char *equals = memchr(args, '=', len);
        apr_size_t name_len = equals ? (apr_size_t)(equals - args) : len;
        const char *name = decode(&room, args, name_len);
        const char *value =
            equals ? decode(&room, equals + 1, len - name_len - 1) : rest_query_bare;

        if (!name || !value) {
            return "the query holds a malformed percent-escape, a NUL or bytes that are not UTF-8";
        }
        if (len) {
            rest_param *param;

            if ((*params)->nelts == REST_QUERY_PARAMS_MAX) {
                return apr_psprintf(p, "the query has more than %d parameters",
                                    REST_QUERY_PARAMS_MAX);
            }
            if (rest_query_get(*params, name)) {
                return "a query parameter stands twice";
            }
            param = apr_array_push(*params);
            param->name = name;
            param->value = value;
        }
        args += len + (amp != NULL);
        left -= len + (amp != NULL);
    }
    return NULL;
}

const char *rest_query_get(const apr_array_header_t *params, const char *name)
{
    const rest_param *param = (const rest_param *)params->elts;
    int i;

    for (i = 0; i < params->nelts; i++) {
        if (!strcmp(param[i].name, name)) {
            return param[i].value;
        }
    }
    return NULL;
}

const char *rest_query_unknown(const apr_array_header_t *params, const char *const *names)
{
    const rest_param *param = (const rest_param *)params->elts;
    int i;

    for (i = 0; i < params->nelts; i++) {
        const char *const *name = names;

        while (*name && strcmp(*name, param[i].name) != 0) {
            name++;
        }
        if (!*name) {
            return param[i].name;
        }
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    apr_int64_t x = *(const apr_int64_t *)a, y = *(const apr_int64_t *)b;

    return (x > y) - (x < y);
}

int rest_query_ids(apr_pool_t *p, const char *text, int max, apr_array_header_t **ids)
{
    apr_array_header_t *list = apr_array_make(p, 8, sizeof(apr_int64_t));
    apr_int64_t *elts;
    int i, kept = 0;

    for (;;) {
        apr_size_t len = strcspn(text, ",");
        apr_int64_t id;

        if (list->nelts == max || !og_id_parse(&id, text, len)) {
            return 0;
        }
        APR_ARRAY_PUSH(list, apr_int64_t) = id;
        if (!text[len]) {
            break;
        }
        text += len + 1;
    }
    elts = (apr_int64_t *)list->elts;
    qsort(elts, (size_t)list->nelts, sizeof(*elts), by_value);
    for (i = 0; i < list->nelts; i++) {
        if (!kept || elts[kept - 1] != elts[i]) {
            elts[kept++] = elts[i];
        }
    }
    list->nelts = kept;
    *ids = list;
    return 1;
}
