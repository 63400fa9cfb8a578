/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Require tenant-org, tenant-role, tenant-property: what a verified caller may enter. Arguments
 * are parsed when the configuration is read, so a misspelt one stops the start, not a request. */
#include "tenant.h"

#include <ap_expr.h>
#include <ap_provider.h>
#include <apr_strings.h>
#include <http_request.h>
#include <mod_auth.h>

#include "og_number.h"
#include "rest_query.h"

/* Ids that one request may name in its propertyId */
#define PROPERTIES_ASKED_MAX 100

/* Nobody verified yet makes httpd authenticate first and ask again. */
static authz_status denied(request_rec *r, const char *what)
{
    tenant_request_of(r)->denied = what;
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  OGLOGNO(1020) "user %s: not allowed by Require tenant-%s", r->user, what);
    return AUTHZ_DENIED;
}

/* Require tenant-org [id …] */
static const char *org_parse(cmd_parms *cmd, const char *line, const void **parsed)
{
    apr_array_header_t *ids = apr_array_make(cmd->pool, 2, sizeof(apr_int64_t));
    const char *word;

    while (*(word = ap_getword_conf(cmd->pool, &line))) {
        if (!og_id_parse(apr_array_push(ids), word, strlen(word))) {
            return apr_psprintf(cmd->pool, "Require tenant-org: expected ids of organisations, not "
                                           "\"%.40s\"", word);
        }
    }
    *parsed = ids;
    return NULL;
}

static authz_status org_check(request_rec *r, const char *line, const void *parsed)
{
    const apr_array_header_t *ids = parsed;
    const tenant_identity *identity = tenant_identity_get(r);
    int i;

    if (!identity) {
        return AUTHZ_DENIED_NO_USER;
    }
    for (i = 0; i < ids->nelts; i++) {
        if (APR_ARRAY_IDX(ids, i, apr_int64_t) == identity->org) {
            return AUTHZ_GRANTED;
        }
    }
    return identity->org && !ids->nelts ? AUTHZ_GRANTED : denied(r, "org");
}

/* Require tenant-role name … */
static const char *role_parse(cmd_parms *cmd, const char *line, const void **parsed)
{
    apr_array_header_t *roles = apr_array_make(cmd->pool, 2, sizeof(const char *));
    const char *word;

    while (*(word = ap_getword_conf(cmd->pool, &line))) {
        if (!tenant_role_ok(word)) {
            return apr_psprintf(cmd->pool, "Require tenant-role: expected names of roles, not "
                                           "\"%.80s\"", word);
        }
        APR_ARRAY_PUSH(roles, const char *) = word;
    }
    *parsed = roles;
    return roles->nelts ? NULL : "Require tenant-role: expected at least one role";
}

static authz_status role_check(request_rec *r, const char *line, const void *parsed)
{
    const apr_array_header_t *roles = parsed;
    const tenant_identity *identity = tenant_identity_get(r);
    int i;

    if (!identity) {
        return AUTHZ_DENIED_NO_USER;
    }
    for (i = 0; i < roles->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(roles, i, const char *), identity->role)) {
            return AUTHZ_GRANTED;
        }
    }
    return denied(r, "role");
}

/* Require tenant-property [ap_expr]; *parsed NULL: the query's propertyId */
static const char *property_parse(cmd_parms *cmd, const char *line, const void **parsed)
{
    const char *wrong = NULL;

    *parsed = NULL;
    if (*line == '"') {
        line = ap_getword_conf(cmd->pool, &line); /* Require hands us its quotes, too */
    }
    if (*line) {
        *parsed = ap_expr_parse_cmd(cmd, line, AP_EXPR_FLAG_STRING_RESULT, &wrong, NULL);
    }
    return wrong ? apr_pstrcat(cmd->pool, "Require tenant-property: expected an expression for a "
                                          "list of ids: ", wrong, NULL)
                 : NULL;
}

/* The list of ids the request names, "" for none. @return NULL, or what is wrong */
static const char *asked(request_rec *r, const ap_expr_info_t *expr, const char **list)
{
    apr_array_header_t *params;
    const char *wrong = NULL;

    if (expr) {
        *list = ap_expr_str_exec(r, expr, &wrong);
        return wrong;
    }
    wrong = rest_query_parse(r->pool, r->args, &params);
    if (!wrong) {
        *list = rest_query_get(params, "propertyId");
    }
    return wrong;
}

static authz_status property_check(request_rec *r, const char *line, const void *parsed)
{
    const tenant_identity *identity = tenant_identity_get(r);
    apr_array_header_t *ids;
    const char *list = NULL;
    int i;

    if (!identity) {
        return AUTHZ_DENIED_NO_USER;
    }
    if (asked(r, parsed, &list)) {
        return denied(r, "property");
    }
    /* an expression gives "" for what is not there, a query can tell */
    if (!list || (parsed && !*list)) {
        return AUTHZ_GRANTED;
    }
    if (!rest_query_ids(r->pool, list, PROPERTIES_ASKED_MAX, &ids)) {
        return denied(r, "property");
    }
    for (i = 0; i < ids->nelts; i++) {
        if (!tenant_granted(identity, APR_ARRAY_IDX(ids, i, apr_int64_t))) {
            return denied(r, "property");
        }
    }
    return AUTHZ_GRANTED;
}

static const authz_provider by_org = { org_check, org_parse };
static const authz_provider by_role = { role_check, role_parse };
static const authz_provider by_property = { property_check, property_parse };

void tenant_authz_register(apr_pool_t *p)
{
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "tenant-org", AUTHZ_PROVIDER_VERSION,
                              &by_org, AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "tenant-role", AUTHZ_PROVIDER_VERSION,
                              &by_role, AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "tenant-property", AUTHZ_PROVIDER_VERSION,
                              &by_property, AP_AUTH_INTERNAL_PER_CONF);
}
