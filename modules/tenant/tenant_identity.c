/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who calls: AuthType TenantJWT verifies the bearer token and keeps what it says with the request.
 * Identities of other modules (tenant_external.c) end in tenant_assume(), too: one record, one
 * partition key. */
#include "tenant.h"

#include <ap_provider.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_auth.h>
#include <openssl/rand.h>

#include "og_clock.h"
#include "og_mac.h"
#include "tenant_cache.h"

/* child: made in child_init, NULL without memory for it; has its own locks */
static tenant_cache *verified;

const tenant_identity *tenant_identity_get(const request_rec *r)
{
    /* httpd skips the authentication hooks of a subrequest or internal redirect whose
     * configuration did not change (httpd-facts.md 10): then the caller is the first one's */
    for (; r; r = r->main ? r->main : r->prev) {
        const tenant_request *own = ap_get_module_config(r->request_config, &tenant_module);

        if (own && own->identity) {
            return own->identity;
        }
    }
    return NULL;
}

/* The keys of the organisation and of what the caller may see of it, where they are not known yet.
 * 1, or 0 when OpenSSL fails. */
static int derive_keys(tenant_claims *claims, const request_rec *r)
{
    return !claims->org || claims->key[0]
           || (tenant_key_permissions(claims->permissions, claims->role, claims->all_properties,
                                      claims->properties, claims->property_count)
               && tenant_key_derive(claims->key, claims->org,
                                    tenant_server_get(r->server)->secret));
}

int tenant_assume(request_rec *r, tenant_claims *claims)
{
    tenant_identity *identity = apr_pcalloc(r->pool, sizeof(*identity));

    if (!derive_keys(claims, r)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      OGLOGNO(1010) "no partition key for org %" APR_INT64_T_FMT
                      ": OpenSSL failed (TenantKeySecret)", claims->org);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    memcpy(identity->key, claims->key, sizeof(identity->key));
    memcpy(identity->permissions, claims->permissions, sizeof(identity->permissions));
    identity->org = claims->org;
    identity->user = claims->user;
    identity->role = claims->role;
    identity->session = claims->session;
    identity->properties = claims->properties;
    identity->property_count = claims->property_count;
    identity->all_properties = claims->all_properties;
    identity->issued = claims->issued;
    identity->expires = claims->expires;
    identity->revision = claims->revision;
    tenant_request_of(r)->identity = identity;
    return OK;
}

int tenant_hold_against(request_rec *r, tenant_claims *claims, tenant_reason *reason)
{
    tenant_holder whose = { claims->org, claims->user, claims->session };
    int refused = tenant_revoke_look(&whose, claims->issued, &claims->revision);

    if (refused < 0) {
        apr_table_setn(r->err_headers_out, "Retry-After", "1");
        return HTTP_SERVICE_UNAVAILABLE;
    }
    *reason = refused ? TENANT_REVOKED : TENANT_OK;
    return OK;
}

/* The bearer token. Two Authorization fields reach us as one with a comma (httpd merges them),
 * which no token contains; a token in the query is not looked for (RFC 6750 2.3, B09). */
static tenant_reason find_token(const request_rec *r, const char **token)
{
    const char *field = apr_table_get(r->headers_in, "Authorization");

    if (!field || strncasecmp(field, "Bearer", 6) != 0 || (field[6] && field[6] != ' ')) {
        return TENANT_MISSING;
    }
    for (field += 6; *field == ' '; field++) {
    }
    *token = field;
    return *field ? TENANT_OK : TENANT_MALFORMED;
}

/* What a verification and the partition key depend on, besides the token; last, the number of the
 * JWKS file's version. The pointers are those of directives, so they live and stay the same as long
 * as the configuration does. */
static void against(apr_uint64_t words[TENANT_CACHE_AGAINST], const request_rec *r,
                    const tenant_dir_conf *conf, apr_uint64_t number)
{
    const void *settings[TENANT_CACHE_AGAINST - 1] = {
        conf->jwks, conf->secrets, conf->issuer, conf->audiences, conf->all_properties_roles,
        tenant_server_get(r->server)->secret
    };
    int i;

    memcpy(&settings[TENANT_CACHE_AGAINST - 1 - TENANT_CLAIMS_COUNT], conf->claims,
           sizeof(conf->claims));
    for (i = 0; i < TENANT_CACHE_AGAINST - 1; i++) {
        words[i] = (apr_uint64_t)(apr_uintptr_t)settings[i];
    }
    words[i] = number;
}

static const apr_array_header_t *all_properties_roles(apr_pool_t *p, const tenant_dir_conf *conf)
{
    apr_array_header_t *owner;

    if (conf->all_properties_roles) {
        return conf->all_properties_roles;
    }
    owner = apr_array_make(p, 1, sizeof(const char *));
    APR_ARRAY_PUSH(owner, const char *) = "owner";
    return owner;
}

int tenant_holds_all(const tenant_dir_conf *conf, const char *role)
{
    const apr_array_header_t *roles = conf->all_properties_roles;
    int i;

    for (i = 0; roles && i < roles->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(roles, i, const char *), role)) {
            return 1;
        }
    }
    return !roles && !strcmp(role, "owner");
}

static void fill_rules(tenant_rules *rules, apr_pool_t *p, const tenant_dir_conf *conf)
{
    static const char *const names[TENANT_CLAIMS_COUNT] = { "orgId", "sub", "role", "properties",
                                                            "sid" };
    int i;

    rules->issuer = conf->issuer;
    rules->audiences = conf->audiences;
    for (i = 0; i < TENANT_CLAIMS_COUNT; i++) {
        rules->names[i] = conf->claims[i] ? conf->claims[i] : names[i];
    }
    rules->all_properties_roles = all_properties_roles(p, conf);
}

/* The token's own word, by the keys that there are now. */
static tenant_reason verify_anew(tenant_claims *claims, request_rec *r, const tenant_dir_conf *conf,
                                 tenant_cache_key *key, apr_time_t now)
{
    tenant_keys_version *version = conf->jwks ? tenant_keys_borrow(conf->jwks) : NULL;
    const tenant_keyset *sets[3] = { NULL, NULL, NULL };
    tenant_reason reason;
    tenant_rules rules;
    int count = 0;

    if (version) {
        sets[count++] = version->set;
        key->against[TENANT_CACHE_AGAINST - 1] = version->number;
    }
    if (conf->secrets) {
        sets[count] = conf->secrets;
    }
    fill_rules(&rules, r->pool, conf);
    reason = tenant_token_verify(claims, r->pool, key->token, key->len, sets, &rules, now);
    if (version) {
        tenant_keys_return(conf->jwks, version);
    }
    return reason;
}

/* The token's own word, then that of who revoked it since. Claims that were verified before are
 * held against revocations as well, and then pass without a look until there is another.
 * @return OK and *reason, or an HTTP status */
static int verify(tenant_claims *claims, request_rec *r, const tenant_dir_conf *conf,
                  const char *token, tenant_reason *reason)
{
    tenant_cache_key key = { token, strlen(token), { 0 } };
    apr_time_t now = og_clock_wall();
    apr_uint64_t revision = APR_UINT64_MAX; /* none that is in the cache */
    int cacheable = verified && key.len <= TENANT_TOKEN_MAX, rc = OK;

    against(key.against, r, conf, conf->jwks ? tenant_keys_number(conf->jwks, r->server) : 0);
    if (cacheable && tenant_cache_get(verified, &key, now, claims, r->pool)) {
        *reason = TENANT_OK;
        revision = claims->revision;
    }
    else {
        *reason = verify_anew(claims, r, conf, &key, now);
    }
    if (*reason == TENANT_OK) {
        rc = tenant_hold_against(r, claims, reason);
    }
    if (rc == OK && *reason == TENANT_OK && cacheable && claims->revision != revision
        && derive_keys(claims, r)) {
        tenant_cache_put(verified, &key, now, claims);
    }
    return rc;
}

static int refuse(request_rec *r, tenant_reason reason)
{
    const char *realm = ap_auth_name(r);
    const char *challenge = reason == TENANT_MISSING ? "" : "error=\"invalid_token\"";

    /* RFC 6750 3: no error code for a caller who did not try. AuthName needs no realm of ours */
    if (realm) {
        challenge = apr_pstrcat(r->pool, "realm=\"", ap_escape_quotes(r->pool, realm), "\"",
                                *challenge ? ", " : "", challenge, NULL);
    }
    apr_table_setn(r->err_headers_out, "WWW-Authenticate",
                   apr_pstrcat(r->pool, "Bearer", *challenge ? " " : "", challenge, NULL));
    tenant_request_of(r)->reason = reason;
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, OGLOGNO(1011) "token refused: %s",
                  tenant_reason_name(reason));
    return HTTP_UNAUTHORIZED;
}

static int authenticate(request_rec *r)
{
    const tenant_dir_conf *conf = tenant_dir_get(r);
    const char *type = ap_auth_type(r), *token;
    tenant_reason reason;
    tenant_claims claims;
    int rc;

    if (!type || strcasecmp(type, TENANT_AUTH_TYPE) != 0) {
        return DECLINED;
    }
    if ((!conf->jwks && !conf->secrets) || !conf->issuer || !conf->audiences) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      OGLOGNO(1012) "AuthType " TENANT_AUTH_TYPE " without %s: nobody can be "
                      "verified (TenantJWKS, TenantIssuer, TenantAudience)",
                      !conf->issuer ? "issuer" : !conf->audiences ? "audience" : "keys");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    reason = find_token(r, &token);
    rc = reason == TENANT_OK ? verify(&claims, r, conf, token, &reason) : OK;
    if (rc != OK) {
        return rc;
    }
    if (reason != TENANT_OK) {
        return refuse(r, reason);
    }
    rc = tenant_assume(r, &claims);
    r->user = apr_off_t_toa(r->pool, claims.user);
    r->ap_auth_type = (char *)TENANT_AUTH_TYPE;
    return rc;
}

/* mod_authz_core asks for a challenge when it refuses a verified caller: no Basic, no Digest. */
static int note_failure(request_rec *r, const char *type)
{
    return strcasecmp(type, TENANT_AUTH_TYPE) != 0 ? DECLINED : OK;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    unsigned char seed[APR_SIPHASH_KSIZE];

    verified = RAND_bytes(seed, sizeof(seed)) == 1 ? tenant_cache_make(p, seed, TENANT_CACHE_SETS)
                                                    : NULL;
    if (!verified) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     OGLOGNO(1013) "no memory or randomness for the cache of verified tokens: "
                     "each is verified anew (TenantJWKS)");
    }
}

void tenant_identity_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_authn(authenticate, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_note_auth_failure(note_failure, NULL, NULL, APR_HOOK_MIDDLE);
    APR_REGISTER_OPTIONAL_FN(tenant_identity_get);
}
