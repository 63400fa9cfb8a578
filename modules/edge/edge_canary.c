/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The handler "edge-canary": what the self-test asks for, as two tenants that there are not
 * (decisions.md 6).
 *
 * Who asks says so in X-Edge-Canary, by a secret of this run of httpd and a number, over
 * loopback; nobody else finds anything there, nor in the cache. Such a request has an identity
 * of mod_edge's own, in that location alone, so it takes the way of any tenant's: same key,
 * storage, filters and egress. No token of a tenant's is ever made. What is answered depends on
 * the tenant by a nonce, and carries all headers that have to stay inside, so that the strip has
 * something to strip. */
#include "edge.h"

#include "og_mac.h"
#include "og_number.h"
#include "rest_fields.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>

#define HANDLER "edge-canary"
#define FIELD   "X-Edge-Canary"

#define SECRET_DIGITS (2 * EDGE_SECRET_LEN)

/* No key of a tenant's has letters behind 'f' */
static const tenant_identity tenants[EDGE_CANARIES] = {
    { .org = OG_ID_MAX - 1, .user = 1, .role = "canary", .key = "canary0000000001",
      .permissions = "canary0000000000" },
    { .org = OG_ID_MAX, .user = 1, .role = "canary", .key = "canary0000000002",
      .permissions = "canary0000000000" }
};

static int is_canary(const request_rec *r)
{
    return r->handler && !strcmp(r->handler, HANDLER);
}

/* The peer itself: not who a header says is behind it */
static int is_local(const request_rec *r)
{
    const conn_rec *c = r->connection;

    while (c->master) {
        c = c->master;
    }
    return edge_loopback_is((const struct sockaddr *)&c->client_addr->sa);
}

/* Which tenant the field says; -1: none, or the secret is wrong */
static int tenant_of(const request_rec *r)
{
    const char *field = apr_table_get(r->headers_in, FIELD);
    char secret[SECRET_DIGITS + 1];
    int n;

    if (!field || strlen(field) != SECRET_DIGITS + 2 || field[SECRET_DIGITS] != '.') {
        return -1;
    }
    og_hex(secret, edge_breaker_secret(), EDGE_SECRET_LEN);
    n = field[SECRET_DIGITS + 1] - '0';
    return og_equal(field, secret, SECRET_DIGITS) && n >= 0 && n < EDGE_CANARIES ? n : -1;
}

const tenant_identity *edge_canary_identity(const request_rec *r)
{
    int n = is_canary(r) && is_local(r) ? tenant_of(r) : -1;

    return n < 0 ? NULL : &tenants[n];
}

const char *edge_canary_tag(apr_pool_t *p, int n)
{
    return apr_psprintf(p, "org:%" APR_INT64_T_FMT, tenants[n].org);
}

const char *edge_canary_field(apr_pool_t *p, int n, int is_forged)
{
    char secret[SECRET_DIGITS + 1];

    og_hex(secret, edge_breaker_secret(), EDGE_SECRET_LEN);
    if (is_forged) {
        secret[SECRET_DIGITS - 1] = secret[SECRET_DIGITS - 1] == '0' ? '1' : '0';
    }
    return apr_psprintf(p, FIELD ": %s.%d\r\n", secret, n);
}

/* Hex of a mac under the secret; NULL: OpenSSL failed */
static const char *mac_of(apr_pool_t *p, const char *text)
{
    unsigned char mac[OG_SHA256_LEN];
    char *hex = apr_palloc(p, 33);

    if (!og_hmac_sha256(mac, edge_breaker_secret(), EDGE_SECRET_LEN, text, strlen(text))) {
        return NULL;
    }
    og_hex(hex, mac, 16);
    return hex;
}

const char *edge_canary_nonce(apr_pool_t *p, int n)
{
    return mac_of(p, apr_psprintf(p, "nonce of canary %d", n));
}

const char *edge_canary_run(apr_pool_t *p)
{
    return mac_of(p, "run of httpd");
}

/* Before the cache is looked at: a family for everybody would have it there for anybody. */
static int fixups(request_rec *r)
{
    return is_canary(r) && !edge_canary_identity(r) ? HTTP_NOT_FOUND : DECLINED;
}

static int handler(request_rec *r)
{
    static const char *const internal[] = { REST_FIELDS_INTERNAL, NULL };
    const tenant_identity *tenant = edge_canary_identity(r);
    const char *nonce, *text;
    int i;

    if (!is_canary(r)) {
        return DECLINED;
    }
    if (!tenant || r->method_number != M_GET) {
        return HTTP_NOT_FOUND;
    }
    nonce = edge_canary_nonce(r->pool, (int)(tenant - tenants));
    if (!nonce) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (i = 0; internal[i]; i++) {
        apr_table_setn(r->headers_out, internal[i], "canary");
    }
    text = apr_psprintf(r->pool, "{\"canary\":%d,\"nonce\":\"%s\",\"trusted\":%s}\n",
                        (int)(tenant - tenants), nonce, edge_trusted(r) ? "true" : "false");
    ap_set_content_type(r, "application/json");
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

void edge_canary_register(apr_pool_t *p)
{
    ap_hook_fixups(fixups, NULL, NULL, APR_HOOK_LAST);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
