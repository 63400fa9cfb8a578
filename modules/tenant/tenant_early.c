/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Early data (RFC 8470): what a trusted edge took from a TLS 1.3 client before the handshake was
 * complete may be a replay. Only what has no effect is served; the rest is to come again, 425.
 * tenant_ingress.c believes the header, and keeps it, of trusted edges alone: httpd's own TLS takes
 * no early data, so nobody else has anything to say. A backend gets it as the RFC wants. */
#include "tenant.h"

#include <http_protocol.h>
#include <http_request.h>

#define TOO_EARLY 425

static int has_no_effect(const request_rec *r)
{
    return r->method_number == M_GET || r->method_number == M_OPTIONS; /* M_GET is HEAD, too */
}

/* Before the caller is asked who it is, and before a byte of the body is read: it is not awaited
 * either, the connection ends in its place. */
static int refuse(request_rec *r)
{
    if (!tenant_request_of(r)->early || has_no_effect(r)) {
        return DECLINED;
    }
    if (ap_request_has_body(r)) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    return TOO_EARLY;
}

void tenant_early_register(apr_pool_t *p)
{
    ap_hook_header_parser(refuse, NULL, NULL, APR_HOOK_FIRST);
}
