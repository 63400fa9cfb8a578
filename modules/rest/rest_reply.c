/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Whole answers, see rest_reply.h. */
#include "rest_reply.h"

#include <apr_buckets.h>
#include <http_protocol.h>
#include <util_filter.h>

int rest_reply(request_rec *r, int status, const char *type, const char *body, apr_size_t len)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_bucket *eos = apr_bucket_eos_create(bb->bucket_alloc);

    r->status = status;
    ap_set_content_type(r, type);
    ap_set_content_length(r, (apr_off_t)len);
    if (len) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(body, len, r->pool, bb->bucket_alloc));
    }
    APR_BRIGADE_INSERT_TAIL(bb, eos);
    /* a client that left meanwhile is no error of the handler's: the connection is closed anyway */
    if (ap_pass_brigade(r->output_filters, bb) != APR_SUCCESS) {
        r->connection->aborted = 1;
    }
    return OK;
}
