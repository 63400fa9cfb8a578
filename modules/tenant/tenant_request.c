/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What we know about a request, and its id. Lives in the request_rec's own pool and is only
 * touched by the thread that owns the request. */
#include "tenant.h"

#include <openssl/rand.h>

#include "og_b64url.h"
#include "og_number.h"

#define ID_BYTES 16
#define ID_CHARS 22
/* How many ids a thread has bytes for at a time: to ask OpenSSL costs more than an id does */
#define IDS_AHEAD 32
/* TenantMaxBody's default */
#define MAX_BODY (1024 * 1024)

tenant_request *tenant_request_of(const request_rec *r)
{
    tenant_request *own = ap_get_module_config(r->request_config, &tenant_module);

    if (!own) {
        own = apr_pcalloc(r->pool, sizeof(*own));
        ap_set_module_config(r->request_config, &tenant_module, own);
    }
    return own;
}

/* A new id, to be freed with the pool. Only children serve requests: no process has a copy of the
 * bytes of another. */
static char *make_id(apr_pool_t *p)
{
    static _Thread_local unsigned char bytes[IDS_AHEAD * ID_BYTES];
    static _Thread_local unsigned int ahead;
    char *text = apr_palloc(p, ID_CHARS + 1);

    if (!ahead) {
        if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
            ap_random_insecure_bytes(bytes, sizeof(bytes)); /* an id names, it guards nothing */
        }
        ahead = IDS_AHEAD;
    }
    og_b64url_encode(text, bytes + --ahead * ID_BYTES, ID_BYTES);
    text[ID_CHARS] = '\0';
    return text;
}

const char *tenant_request_id(const request_rec *r)
{
    tenant_request *own;

    while (r->main || r->prev) {
        r = r->main ? r->main : r->prev;
    }
    own = tenant_request_of(r);
    /* made on demand: a request that could not be read never came to tenant_ingress.c */
    if (!own->id) {
        own->id = make_id(r->pool);
    }
    return own->id;
}

const char *tenant_problem_base(const request_rec *r)
{
    const tenant_dir_conf *conf = tenant_dir_get(r);

    return conf->problem_base ? conf->problem_base : "/problems/";
}

apr_size_t tenant_max_body(const request_rec *r)
{
    const tenant_dir_conf *conf = tenant_dir_get(r);

    return (apr_size_t)og_set_or(conf->max_body, MAX_BODY);
}

void tenant_request_register(apr_pool_t *p)
{
    APR_REGISTER_OPTIONAL_FN(tenant_request_id);
    APR_REGISTER_OPTIONAL_FN(tenant_problem_base);
    APR_REGISTER_OPTIONAL_FN(tenant_max_body);
}
