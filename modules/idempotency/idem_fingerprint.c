/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The body of a request with a key: read whole, since nobody may run before its fingerprint is
 * known, and given to the handler again by the input filter IDEMPOTENCY, byte for byte and at the
 * size it asks for. */
#include "idem.h"

#include "rest_body.h"
#include "rest_idempotency.h"

#include <apr_buckets.h>
#include <apr_strings.h>
#include <http_request.h>

static ap_filter_rec_t *filter;

/* Lines and reads of a size; whatever asks for it gets no more than there is. */
static apr_size_t portion(const idem_body *body, ap_input_mode_t mode, apr_off_t readbytes)
{
    const char *end;

    if (mode == AP_MODE_GETLINE) {
        end = body->left ? memchr(body->at, '\n', body->left) : NULL;
        return end ? (apr_size_t)(end - body->at) + 1 : body->left;
    }
    if (mode == AP_MODE_EXHAUSTIVE || readbytes < 0 || (apr_uint64_t)readbytes > body->left) {
        return body->left;
    }
    return (apr_size_t)readbytes;
}

static apr_status_t give(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode,
                         apr_read_type_e block, apr_off_t readbytes)
{
    idem_body *body = f->ctx;
    apr_size_t n;

    if (!body) { /* placed by hand where no key is */
        ap_remove_input_filter(f);
        return ap_get_brigade(f->next, bb, mode, block, readbytes);
    }
    if (mode == AP_MODE_INIT || mode == AP_MODE_EATCRLF) {
        return APR_SUCCESS;
    }
    n = portion(body, mode, readbytes);
    if (n) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_immortal_create(body->at, n, bb->bucket_alloc));
    }
    if (mode == AP_MODE_SPECULATIVE) {
        return APR_SUCCESS;
    }
    body->at += n;
    body->left -= n;
    /* as often as it is asked for: the server reads on to see that all is read */
    if (!body->left) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    }
    return APR_SUCCESS;
}

int idem_fingerprint_take(request_rec *r, idem_request *own, rest_problem *problem)
{
    idem_body *body = apr_pcalloc(r->pool, sizeof(*body));
    const char *route;

    if (!rest_body_take(r, (apr_size_t)own->conf.max_body, &body->at, &body->left, problem)) {
        return 0;
    }
    own->body = body;
    ap_add_input_filter_handle(filter, body, r, r->connection);
    /* the same path of another site is another request */
    route = apr_pstrcat(r->pool, r->server->server_hostname, " ", r->uri, NULL);
    return rest_idempotency_fingerprint(r, route, body->at, body->left, own->claim.fingerprint,
                                        problem);
}

/* A redirect inside the server starts with a fresh stack of filters. */
static void insert(request_rec *r)
{
    idem_request *own = r->prev ? idem_request_of(r) : NULL;

    if (own && own->body) {
        ap_add_input_filter_handle(filter, own->body, r, r->connection);
    }
}

void idem_fingerprint_register(apr_pool_t *p)
{
    /* above all others, which have done their work on these bytes already */
    filter = ap_register_input_filter("IDEMPOTENCY", give, NULL, AP_FTYPE_RESOURCE - 1);
    ap_hook_insert_filter(insert, NULL, NULL, APR_HOOK_MIDDLE);
}
