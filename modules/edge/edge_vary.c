/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Two levels, as Vary needs them: under the key of the URL stands what the answer depends on, names
 * of fields in small letters, in order, each with its NUL; under a key of their values stands the
 * answer. A field that is absent is another thing than one that is empty. One that the origin does
 * not get is absent, whatever the client sent: it is taken out between the look and the answer. */
#include "edge.h"

#include "edge_storage.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <stdlib.h>

/* Of names, and what they have together; bytes of their values */
#define NAMES_MAX  16
#define BYTES_MAX  512
#define VALUES_MAX 8192

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in order, each once. @return bytes, or -1: too many */
static int write_names(char text[BYTES_MAX], const char **name, int n)
{
    int len = 0, i;

    qsort(name, (size_t)n, sizeof(*name), by_text);
    for (i = 0; i < n; i++) {
        int size = (int)strlen(name[i]) + 1;

        if (i && !strcmp(name[i], name[i - 1])) {
            continue;
        }
        if (size > BYTES_MAX - len) {
            return -1;
        }
        memcpy(text + len, name[i], (size_t)size);
        len += size;
    }
    return len;
}

int edge_vary_names(request_rec *r, struct iovec *names)
{
    const char *fields[NAMES_MAX], *in_errors, *list;
    const char *field;
    char *text;
    int n = 0, len;

    names->iov_base = NULL;
    names->iov_len = 0;
    in_errors = apr_table_getm(r->pool, r->err_headers_out, "Vary");
    list = apr_table_getm(r->pool, r->headers_out, "Vary");
    if (in_errors) {
        list = list ? apr_pstrcat(r->pool, list, ",", in_errors, NULL) : in_errors;
    }
    while (list && (field = ap_get_list_item(r->pool, &list)) != NULL) {
        if (n == NAMES_MAX || !strcmp(field, "*")) {
            return 0;
        }
        fields[n++] = field;
    }
    if (!n) {
        return 1;
    }
    text = apr_palloc(r->pool, BYTES_MAX);
    len = write_names(text, fields, n);
    names->iov_base = text;
    names->iov_len = len > 0 ? (size_t)len : 0;
    return len > 0;
}

/* The value that the origin sees: mod_proxy tells it the client's address. Where compression is
 * ours the coding is in the key itself. */
static const char *value_of(const request_rec *r, const edge_request *own, const char *name)
{
    if (!strcmp(name, "x-forwarded-for")) {
        return r->useragent_ip;
    }
    if (edge_miss_drops(own, name)
        || (own->conf->compress == 1 && !strcmp(name, "accept-encoding"))) {
        return NULL;
    }
    return apr_table_getm(r->pool, r->headers_in, name);
}

int edge_vary_key(const request_rec *r, const unsigned char first[EDGE_STORE_KEY],
                  const char *names, apr_size_t len, unsigned char key[EDGE_STORE_KEY])
{
    unsigned char bytes[EDGE_STORE_KEY + BYTES_MAX + VALUES_MAX];
    const edge_request *own = edge_request_of(r);
    const char *name = names, *end = names + len;
    apr_size_t used = EDGE_STORE_KEY;

    if (!len || names[len - 1]) {
        return 0;
    }
    memcpy(bytes, first, EDGE_STORE_KEY);
    for (; name < end; name += strlen(name) + 1) {
        const char *value = value_of(r, own, name);
        apr_size_t size = strlen(name) + 1, value_size = value ? strlen(value) + 1 : 0;

        if (size + value_size + 1 > sizeof(bytes) - used) {
            return 0;
        }
        memcpy(bytes + used, name, size);
        bytes[used + size] = value != NULL;
        memcpy(bytes + used + size + 1, value ? value : "", value_size);
        used += size + 1 + value_size;
    }
    edge_segment_key(key, bytes, used);
    return 1;
}
