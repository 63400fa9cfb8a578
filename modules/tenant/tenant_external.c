/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who calls, said by another authentication module: TenantOrg, TenantUser, TenantRole,
 * TenantProperties and TenantExpires are expressions over what that module left with the request
 * (http-semantics.md 3). They are looked at once it has named a user, never before: a request that
 * nobody authenticated has no identity, whatever the expressions would come to. */
#include "tenant.h"

#include <ap_expr.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>

#include "og_clock.h"
#include "og_json.h"
#include "og_number.h"

/* For how long an identity without TenantExpires is good: no request lasts so long */
#define LIFETIME (apr_time_from_sec(86400))
/* The last second of the year 9999 */
#define SECONDS_MAX APR_INT64_C(253402300799)
/* Longer lists than TENANT_PROPERTIES_MAX ids are refused, before they are looked at */
#define LIST_MAX (TENANT_PROPERTIES_MAX * 20)

int tenant_external_is_on(const tenant_dir_conf *conf)
{
    return conf->external[TENANT_EXTERNAL_ORG] != NULL;
}

/* What an expression comes to: "" where there is none. NULL: it failed */
static const char *value_of(request_rec *r, const ap_expr_info_t *expr)
{
    const char *wrong = NULL, *value = expr ? ap_expr_str_exec(r, expr, &wrong) : "";

    return wrong ? NULL : value;
}

static int ascending(const void *a, const void *b)
{
    apr_int64_t left = *(const apr_int64_t *)a, right = *(const apr_int64_t *)b;

    return (left > right) - (left < right);
}

/* The next id of "1,2 3" or "[1,"2"]". 1: *id, 0: the end, -1: something else */
static int next_id(const char **at, apr_int64_t *id)
{
    apr_size_t len;

    *at += strspn(*at, ", \"");
    len = strspn(*at, "0123456789");
    if (!**at) {
        return 0;
    }
    if (!len || !og_id_parse(id, *at, len)) {
        return -1;
    }
    *at += len;
    return !**at || strchr(", \"", **at) ? 1 : -1;
}

/* A list as other modules write it: separated by commas or spaces, or a JSON array. */
static int read_properties(tenant_claims *claims, apr_pool_t *p, const char *list)
{
    apr_size_t len = strlen(list);
    apr_int64_t *ids, id;
    int i, count = 0, kept = 0, more;

    if (len > LIST_MAX) {
        return 0;
    }
    if (*list == '[') {
        if (list[len - 1] != ']') {
            return 0;
        }
        list = apr_pstrmemdup(p, list + 1, len - 2);
    }
    ids = apr_palloc(p, (len / 2 + 1) * sizeof(*ids));
    while ((more = next_id(&list, &id)) > 0 && count < TENANT_PROPERTIES_MAX) {
        ids[count++] = id;
    }
    if (more) {
        return 0;
    }
    qsort(ids, (size_t)count, sizeof(*ids), ascending);
    for (i = 0; i < count; i++) {
        if (!kept || ids[kept - 1] != ids[i]) {
            ids[kept++] = ids[i];
        }
    }
    claims->properties = ids;
    claims->property_count = kept;
    return 1;
}

static tenant_reason read_expiry(tenant_claims *claims, const char *text)
{
    apr_time_t now = og_clock_wall();
    apr_int64_t seconds;

    claims->expires = now + LIFETIME;
    if (!*text) {
        return TENANT_OK;
    }
    if (!og_id_parse(&seconds, text, strlen(text)) || seconds > SECONDS_MAX) {
        return TENANT_CLAIMS;
    }
    claims->expires = apr_time_from_sec(seconds);
    return now < claims->expires ? TENANT_OK : TENANT_EXPIRED;
}

static tenant_reason read_caller(tenant_claims *claims, request_rec *r,
                                 const tenant_dir_conf *conf)
{
    const char *value[TENANT_EXTERNAL_COUNT];
    int i;

    memset(claims, 0, sizeof(*claims));
    for (i = 0; i < TENANT_EXTERNAL_COUNT; i++) {
        value[i] = value_of(r, conf->external[i]);
        if (!value[i]) {
            return TENANT_CLAIMS;
        }
    }
    claims->role = value[TENANT_EXTERNAL_ROLE];
    if ((*claims->role || conf->external[TENANT_EXTERNAL_ROLE]) && !tenant_role_ok(claims->role)) {
        return TENANT_CLAIMS;
    }
    if (!og_id_parse(&claims->user, value[TENANT_EXTERNAL_USER],
                     strlen(value[TENANT_EXTERNAL_USER]))) {
        return TENANT_CLAIMS;
    }
    /* only an admin may be of no organisation; a wrong one is wrong for everybody */
    if (*value[TENANT_EXTERNAL_ORG] ? !og_id_parse(&claims->org, value[TENANT_EXTERNAL_ORG],
                                                   strlen(value[TENANT_EXTERNAL_ORG]))
                                    : strcmp(claims->role, "admin") != 0) {
        return TENANT_CLAIMS;
    }
    if (!*value[TENANT_EXTERNAL_PROPERTIES]) {
        claims->all_properties = claims->org && tenant_holds_all(conf, claims->role);
    }
    else if (!read_properties(claims, r->pool, value[TENANT_EXTERNAL_PROPERTIES])) {
        return TENANT_CLAIMS;
    }
    return read_expiry(claims, value[TENANT_EXTERNAL_EXPIRES]);
}

/* Once another module knows the user, and before anybody asks what the caller may do. */
static int identify(request_rec *r)
{
    const tenant_dir_conf *conf = tenant_dir_get(r);
    const char *type = ap_auth_type(r);
    tenant_reason reason;
    tenant_claims claims;
    int rc;

    if (!tenant_external_is_on(conf) || !r->user || tenant_identity_get(r)
        || (type && !strcasecmp(type, TENANT_AUTH_TYPE))) {
        return DECLINED;
    }
    if (!conf->external[TENANT_EXTERNAL_USER]) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      OGLOGNO(1014) "TenantOrg without user: nobody can be told apart "
                                    "(TenantUser)");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    reason = read_caller(&claims, r, conf);
    rc = reason == TENANT_OK ? tenant_hold_against(r, &claims, &reason) : OK;
    if (rc != OK) {
        return rc;
    }
    if (reason != TENANT_OK) {
        tenant_request_of(r)->reason = reason;
        ap_note_auth_failure(r);
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, OGLOGNO(1015)
                      "identity of another module refused: %s (TenantOrg, TenantUser, TenantRole, "
                      "TenantProperties, TenantExpires)", tenant_reason_name(reason));
        return HTTP_UNAUTHORIZED;
    }
    return tenant_assume(r, &claims) == OK ? DECLINED : HTTP_INTERNAL_SERVER_ERROR;
}

void tenant_external_register(apr_pool_t *p)
{
    /* mod_authz_core's auth_checker, which asks the Require lines, is LAST; where they grant
     * without asking who calls (client certificates), fixups comes in its place */
    ap_hook_check_authz(identify, NULL, NULL, APR_HOOK_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(identify, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
