/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Answers as bytes, see rest_answer.h. */
#include "rest_answer.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "rest_fields.h"

int rest_answer_keeps(const char *name)
{
    static const char *const dropped[] = {
        REST_FIELDS_INTERNAL,
        /* of the connection (RFC 9110 7.6.1), and the length, which is made anew */
        "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info",
        "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
        /* of the moment and of this one request */
        "Age", "Date", "Set-Cookie", "Set-Cookie2", "X-Request-Id", "Server-Timing",
        "Idempotent-Replayed", NULL
    };
    const char *const *at = dropped;

    while (*at && strcasecmp(*at, name) != 0) {
        at++;
    }
    return !*at;
}

/* token of RFC 9110 5.6.2 */
static int is_name(const char *name)
{
    const char *at = name;

    while (*at && (apr_isalnum(*at) || strchr("!#$%&'*+-.^_`|~", *at))) {
        at++;
    }
    return at != name && !*at;
}

/* What can stand in a line: no control character but tab */
static int is_value(const char *value)
{
    while (*value && (*value == '\t' || (unsigned char)*value >= ' ') && *value != 127) {
        value++;
    }
    return !*value;
}

static void put(unsigned char *out, apr_size_t bytes, apr_size_t value)
{
    while (bytes--) {
        out[bytes] = (unsigned char)value;
        value >>= 8;
    }
}

static apr_size_t get(const char *in, apr_size_t bytes)
{
    apr_size_t value = 0, i;

    for (i = 0; i < bytes; i++) {
        value = value << 8 | (unsigned char)in[i];
    }
    return value;
}

static apr_size_t fields_size(const rest_answer *answer)
{
    const apr_array_header_t *all = apr_table_elts(answer->fields);
    const apr_table_entry_t *field = (const apr_table_entry_t *)all->elts;
    apr_size_t size = 0;
    int i;

    for (i = 0; i < all->nelts; i++) {
        size += strlen(field[i].key) + strlen(field[i].val) + 2;
    }
    return size;
}

apr_size_t rest_answer_size(const rest_answer *answer)
{
    return IDEMPOTENCY_ANSWER_HEAD + fields_size(answer) + (answer->no_body ? 0 : answer->body_len);
}

static int is_answer(const rest_answer *answer)
{
    const apr_array_header_t *all = apr_table_elts(answer->fields);
    const apr_table_entry_t *field = (const apr_table_entry_t *)all->elts;
    int i;

    for (i = 0; i < all->nelts; i++) {
        if (!is_name(field[i].key) || !is_value(field[i].val) || !rest_answer_keeps(field[i].key)) {
            return 0;
        }
    }
    return answer->status >= 200 && answer->status <= 599;
}

char *rest_answer_write(apr_pool_t *p, const rest_answer *answer)
{
    const apr_array_header_t *all = apr_table_elts(answer->fields);
    const apr_table_entry_t *field = (const apr_table_entry_t *)all->elts;
    apr_size_t fields = fields_size(answer), body = answer->no_body ? 0 : answer->body_len;
    char *bytes, *at;
    int i;

    if (!is_answer(answer) || fields > APR_UINT32_MAX || body > APR_UINT32_MAX) {
        return NULL;
    }
    bytes = apr_palloc(p, IDEMPOTENCY_ANSWER_HEAD + fields + body);
    memcpy(bytes, IDEMPOTENCY_ANSWER_MAGIC, 4);
    put((unsigned char *)bytes + 4, 2, (apr_size_t)answer->status);
    put((unsigned char *)bytes + 6, 2, answer->no_body ? IDEMPOTENCY_ANSWER_NO_BODY : 0);
    put((unsigned char *)bytes + 8, 4, fields);
    put((unsigned char *)bytes + 12, 4, body);
    at = bytes + IDEMPOTENCY_ANSWER_HEAD;
    for (i = 0; i < all->nelts; i++) {
        at = strcpy(at, field[i].key) + strlen(field[i].key) + 1;
        at = strcpy(at, field[i].val) + strlen(field[i].val) + 1;
    }
    if (body) {
        memcpy(at, answer->body, body);
    }
    return bytes;
}

/* A text that ends within left bytes, copied; NULL when it does not. */
static const char *text(apr_pool_t *p, const char **at, apr_size_t *left)
{
    const char *end = *left ? memchr(*at, 0, *left) : NULL, *copy;

    if (!end) {
        return NULL;
    }
    copy = apr_pstrmemdup(p, *at, (apr_size_t)(end - *at));
    *left -= (apr_size_t)(end - *at) + 1;
    *at = end + 1;
    return copy;
}

static int read_fields(apr_pool_t *p, const char *at, apr_size_t left, apr_table_t *fields)
{
    while (left) {
        const char *name = text(p, &at, &left);
        const char *value = name ? text(p, &at, &left) : NULL;

        if (!value) {
            return 0;
        }
        apr_table_addn(fields, name, value);
    }
    return 1;
}

int rest_answer_read(apr_pool_t *p, const char *bytes, apr_size_t len, rest_answer *answer)
{
    apr_size_t fields, flags;

    if (len < IDEMPOTENCY_ANSWER_HEAD || memcmp(bytes, IDEMPOTENCY_ANSWER_MAGIC, 4) != 0) {
        return 0;
    }
    answer->status = (int)get(bytes + 4, 2);
    flags = get(bytes + 6, 2);
    answer->no_body = flags == IDEMPOTENCY_ANSWER_NO_BODY;
    fields = get(bytes + 8, 4);
    answer->body_len = get(bytes + 12, 4);
    len -= IDEMPOTENCY_ANSWER_HEAD;
    if (flags > IDEMPOTENCY_ANSWER_NO_BODY || fields > len || answer->body_len != len - fields
        || (answer->no_body && answer->body_len)) {
        return 0;
    }
    answer->body = bytes + IDEMPOTENCY_ANSWER_HEAD + fields;
    answer->fields = apr_table_make(p, 8);
    return read_fields(p, bytes + IDEMPOTENCY_ANSWER_HEAD, fields, answer->fields)
           && is_answer(answer);
}
