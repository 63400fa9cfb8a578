/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Whose key, and whether it is one: a fixups hook, behind authorisation and before a byte of the
 * body is read. Safe methods have no effect that a key could guard. A key of a caller whom nobody
 * verified would be everybody's: where keys are required the request is refused, elsewhere it runs
 * as one without a key. */
#include "idem.h"

#include "mod_tenant.h"
#include "rest_idempotency.h"

#include <http_request.h>

static APR_OPTIONAL_FN_TYPE(tenant_identity_get) *identity_get;

static void retrieve(void)
{
    identity_get = APR_RETRIEVE_OPTIONAL_FN(tenant_identity_get);
}

idem_request *idem_request_of(const request_rec *r)
{
    idem_request *own = NULL;

    for (; r && !own; r = r->prev) {
        own = ap_get_module_config(r->request_config, &idempotency_module);
    }
    return own;
}

static int is_safe(const request_rec *r)
{
    switch (r->method_number) {
    case M_GET: /* and HEAD */
    case M_OPTIONS:
    case M_TRACE:
    case M_PROPFIND:
    case M_CONNECT:
        return 1;
    default:
        return 0;
    }
}

/* Answered here, so that the hooks behind this one and the handler never see it. What still comes
 * of a body of unknown size is not waited for. */
static int refuse(request_rec *r, const rest_problem *problem)
{
    if (apr_table_get(r->headers_in, "Transfer-Encoding")) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    rest_problem_send(r, problem);
    return DONE;
}

static int nobody(request_rec *r)
{
    static const rest_problem problem = { HTTP_UNAUTHORIZED, "unauthenticated",
                                          "An Idempotency-Key needs a verified caller.",
                                          "{\"reason\":\"missing\"}", 0 };

    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, OGLOGNO(1200)
                  "%s requires a key and has no verified caller to tell keys apart by: refused "
                  "(AuthType TenantJWT)", r->uri);
    apr_table_setn(r->headers_out, "WWW-Authenticate", "Bearer");
    return refuse(r, &problem);
}

static int check(request_rec *r)
{
    const tenant_identity *caller;
    rest_problem problem;
    idem_request *own;
    idem_dir_conf conf;
    const char *key;

    idem_dir(r, &conf);
    if (conf.mode == IDEM_OFF || r->main || is_safe(r) || idem_request_of(r)
        || (conf.mode == IDEM_OPTIONAL && !apr_table_get(r->headers_in, "Idempotency-Key"))) {
        return DECLINED;
    }
    caller = identity_get ? identity_get(r) : NULL;
    if (!caller) {
        return conf.mode == IDEM_REQUIRED ? nobody(r) : DECLINED;
    }
    key = rest_idempotency_key(r, &problem);
    if (!key) {
        return refuse(r, &problem);
    }
    own = apr_pcalloc(r->pool, sizeof(*own));
    own->conf = conf;
    own->claim.org = caller->org;
    own->claim.user = caller->user;
    own->claim.key = key;
    ap_set_module_config(r->request_config, &idempotency_module, own);
    return DECLINED;
}

void idem_key_register(apr_pool_t *p)
{
    /* what is no key is charged like any other request */
    static const char *const before[] = { "mod_quota.c", NULL };

    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_fixups(check, before, NULL, APR_HOOK_MIDDLE);
}
