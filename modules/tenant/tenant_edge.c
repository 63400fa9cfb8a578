/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Whom we tell more: peers by the address of their connection. Never by a header, and not by
 * mod_remoteip's idea of the client, which is a header's, too. */
#include "tenant.h"

#include "rest_fields.h"

const char *const tenant_edge_headers[] = { REST_FIELDS_INTERNAL, NULL };

int tenant_trusted(const request_rec *r)
{
    const apr_array_header_t *edges = tenant_server_get(r->server)->trusted;
    const conn_rec *c = r->connection;
    int i;

    /* an HTTP/2 stream has a connection of its own; the peer is at the other end of its master */
    while (c->master) {
        c = c->master;
    }
    for (i = 0; edges && i < edges->nelts; i++) {
        if (apr_ipsubnet_test(APR_ARRAY_IDX(edges, i, tenant_edge).subnet, c->client_addr)) {
            return 1;
        }
    }
    return 0;
}

void tenant_edge_register(apr_pool_t *p)
{
    APR_REGISTER_OPTIONAL_FN(tenant_trusted);
}
