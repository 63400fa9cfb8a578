/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Fields of a response: a handler may have put them into either of httpd's tables. */
#include "edge.h"

#include <apr_strings.h>
#include <http_protocol.h>

const char *edge_header(const request_rec *r, const char *name)
{
    const char *value = apr_table_get(r->err_headers_out, name);

    return value ? value : apr_table_get(r->headers_out, name);
}

/* One of the tables is mostly empty. */
static void drop_error(request_rec *r, const char *name)
{
    if (!apr_is_empty_table(r->err_headers_out)) {
        apr_table_unset(r->err_headers_out, name);
    }
}

void edge_header_drop(request_rec *r, const char *name)
{
    apr_table_unset(r->headers_out, name);
    drop_error(r, name);
}

void edge_header_say(request_rec *r, const char *name, const char *value)
{
    drop_error(r, name);
    apr_table_setn(r->headers_out, name, value);
}

/* A field that stands several times is one list (RFC 9110 5.3). */
typedef struct {
    apr_pool_t *pool;
    const char *list;
} gathered;

static int gather(void *to, const char *name, const char *value)
{
    gathered *all = to;

    all->list = all->list ? apr_pstrcat(all->pool, all->list, ", ", value, NULL) : value;
    return 1;
}

const char *edge_header_list(const request_rec *r, const char *name)
{
    gathered all = { r->pool, NULL };

    apr_table_do(gather, &all, r->headers_out, name, NULL);
    apr_table_do(gather, &all, r->err_headers_out, name, NULL);
    return all.list;
}

void edge_header_add(request_rec *r, const char *name, const char *member)
{
    const char *value = edge_header(r, name), *list;

    if (!value) {
        apr_table_setn(r->headers_out, name, member);
        return;
    }
    if (!strcmp(value, member)) {
        return; /* without a look at what else there may be */
    }
    list = edge_header_list(r, name);
    if (!ap_find_list_item(r->pool, list, member) && !ap_find_list_item(r->pool, list, "*")) {
        edge_header_say(r, name, apr_pstrcat(r->pool, list, ", ", member, NULL));
    }
}

void edge_header_less(request_rec *r, const char *name, const char *member)
{
    const char *list = edge_header_list(r, name), *kept = NULL;

    if (!list || !ap_find_list_item(r->pool, list, member)) {
        return;
    }
    while (*list) {
        const char *item = ap_get_token(r->pool, &list, 1);

        if (*item && strcasecmp(item, member) != 0) {
            kept = kept ? apr_pstrcat(r->pool, kept, ", ", item, NULL) : item;
        }
        list += *list == ',';
    }
    if (kept) {
        edge_header_say(r, name, kept);
    }
    else {
        edge_header_drop(r, name);
    }
}
