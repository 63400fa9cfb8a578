/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A query that is accepted decodes to what a plain second decoder gives, names no parameter twice,
 * and stays within its bounds; a list of ids is ascending and means each id of the text. */
#include "fuzz.h"

#include "og_number.h"
#include "og_utf8.h"
#include "rest_query.h"

static int hex(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next piece up to an end, decoded the plain way; moves *at behind it. */
static char *decode(const char **at, const char *ends)
{
    char *text = malloc(strlen(*at) + 1), *to = text;

    while (**at && !strchr(ends, **at)) {
        if (**at == '%') {
            must(hex((*at)[1]) >= 0 && hex((*at)[2]) >= 0);
            *to++ = (char)(hex((*at)[1]) * 16 + hex((*at)[2]));
            *at += 3;
        }
        else {
            *to++ = **at == '+' ? ' ' : **at;
            (*at)++;
        }
    }
    *to = '\0';
    return text;
}

static void check_params(const char *text, const apr_array_header_t *params)
{
    const char *at = text;
    int i, j;

    must(params->nelts <= REST_QUERY_PARAMS_MAX && strlen(text) <= REST_QUERY_LEN_MAX);
    for (i = 0; i < params->nelts; i++) {
        const rest_param *param = &APR_ARRAY_IDX(params, i, rest_param);
        char *name, *value;

        while (*at == '&') {
            at++;
        }
        name = decode(&at, "=&");
        at += *at == '=';
        value = decode(&at, "&");
        must(!strcmp(name, param->name) && !strcmp(value, param->value));
        must(og_utf8_valid(param->name, strlen(param->name)));
        must(og_utf8_valid(param->value, strlen(param->value)));
        must(rest_query_get(params, param->name) == param->value);
        for (j = 0; j < i; j++) {
            must(strcmp(APR_ARRAY_IDX(params, j, rest_param).name, param->name) != 0);
        }
        free(name);
        free(value);
    }
    while (*at == '&') {
        at++;
    }
    must(!*at);
}

static void check_ids(apr_pool_t *p, const char *text)
{
    apr_array_header_t *ids;
    const char *at = text;
    int i, count = 0;

    if (!rest_query_ids(p, text, 5, &ids)) {
        return;
    }
    must(ids->nelts >= 1 && ids->nelts <= 5);
    for (i = 1; i < ids->nelts; i++) {
        must(APR_ARRAY_IDX(ids, i - 1, apr_int64_t) < APR_ARRAY_IDX(ids, i, apr_int64_t));
    }
    for (;; at++) { /* each id of the text is there */
        apr_size_t len = strcspn(at, ",");
        apr_int64_t id;
        int found = 0;

        must(og_id_parse(&id, at, len));
        for (i = 0; i < ids->nelts; i++) {
            found += APR_ARRAY_IDX(ids, i, apr_int64_t) == id;
        }
        must(found == 1 && ++count <= 5);
        at += len;
        if (!*at) {
            break;
        }
    }
    must(count >= ids->nelts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = pool_of();
    char *text = text_of(data, size);
    apr_array_header_t *params = NULL;
    const char *wrong = rest_query_parse(p, text, &params);

    must(wrong ? *wrong && strlen(wrong) < 200 : params != NULL);
    if (!wrong) {
        check_params(text, params);
    }
    check_ids(p, text);
    apr_pool_destroy(p);
    free(text);
    return 0;
}
