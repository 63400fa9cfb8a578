/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Fields of a response as they are kept: an edge_head and pairs of strings, so that they
 * are found by their NULs. */
#include "edge.h"

#include "edge_storage.h"

#include <apr_strings.h>
#include <http_protocol.h>

/* What belongs to one connection, or to one client */
static const char *const unkept[] = {
    "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
    "Set-Cookie", "Set-Cookie2", "TE", "Trailer", "Transfer-Encoding", "Upgrade", NULL
};

/* What was said when it was received the last time */
static const char *const renewed[] = { "Age", "Warning", NULL };

static void leave_out(apr_table_t *fields, const char *const *names)
{
    for (; *names; names++) {
        apr_table_unset(fields, *names);
    }
}

static apr_table_t *fields_of(request_rec *r, int revalidated)
{
    apr_table_t *fields = apr_table_overlay(r->pool, r->headers_out, r->err_headers_out);

    leave_out(fields, unkept);
    if (revalidated) {
        leave_out(fields, renewed);
    }
    if (r->content_type && !apr_table_get(fields, "Content-Type")) {
        const char *type = ap_make_content_type(r, r->content_type);

        apr_table_setn(fields, "Content-Type", type ? type : r->content_type);
    }
    if (r->content_encoding && !apr_table_get(fields, "Content-Encoding")) {
        apr_table_setn(fields, "Content-Encoding", r->content_encoding);
    }
    return fields;
}

static char *append(char *to, const char *text)
{
    apr_size_t size = strlen(text) + 1;

    memcpy(to, text, size);
    return to + size;
}

struct iovec edge_head_pack(request_rec *r, const edge_head *head, int revalidated)
{
    const apr_array_header_t *fields = apr_table_elts(fields_of(r, revalidated));
    const apr_table_entry_t *field = (const apr_table_entry_t *)fields->elts;
    edge_head own = *head;
    struct iovec bytes = { NULL, sizeof(own) };
    char *to;
    int i;

    own.fields = (apr_uint32_t)fields->nelts;
    for (i = 0; i < fields->nelts; i++) {
        bytes.iov_len += strlen(field[i].key) + strlen(field[i].val) + 2;
    }
    bytes.iov_base = to = apr_palloc(r->pool, bytes.iov_len);
    memcpy(to, &own, sizeof(own));
    to += sizeof(own);
    for (i = 0; i < fields->nelts; i++) {
        to = append(append(to, field[i].key), field[i].val);
    }
    return bytes;
}

/* The string there, or NULL when it has no end. */
static const char *string_at(const char **at, const char *end)
{
    const char *text = *at, *nul = memchr(text, '\0', (apr_size_t)(end - text));

    *at = nul ? nul + 1 : end;
    return nul ? text : NULL;
}

const edge_pair *edge_head_unpack(apr_pool_t *p, const char *bytes, apr_size_t len, edge_head *head)
{
    const char *at = bytes + sizeof(*head), *end = bytes + len;
    edge_pair *fields;
    apr_uint32_t i;

    if (len < sizeof(*head)) {
        return NULL;
    }
    memcpy(head, bytes, sizeof(*head));
    if (head->fields > len / 2) {
        return NULL;
    }
    fields = apr_palloc(p, (head->fields + 1) * sizeof(*fields));
    for (i = 0; i < head->fields; i++) {
        fields[i].name = string_at(&at, end);
        fields[i].value = string_at(&at, end);
        if (!fields[i].name || !fields[i].value) {
            return NULL;
        }
    }
    return fields;
}
