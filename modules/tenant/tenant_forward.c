/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who calls, told to a backend: TenantForward names the request headers that carry the verified
 * caller. What a client sends under such a name is dropped at the first hook, in every server of
 * ours and in every spelling (tenant_ingress.c), so that a backend can believe what it gets. */
#include "tenant.h"

#include "rest_fields.h"

#include <apr_strings.h>
#include <http_request.h>

/* process: every name that some TenantForward gives; of pconf, made anew with the configuration */
static apr_array_header_t *names;

void tenant_forward_begin(apr_pool_t *pconf)
{
    names = apr_array_make(pconf, 8, sizeof(const char *));
}

int tenant_forwards(const char *name)
{
    int i;

    for (i = 0; i < names->nelts; i++) {
        if (rest_fields_same(name, APR_ARRAY_IDX(names, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

/* Headers that a request needs for itself: TenantForward drops what clients send under
 * its names. */
static int is_needed(const char *name)
{
    static const char *const needed[] = {
        "Authorization", "Connection", "Cookie", "Early-Data", "Expect", "Host", "Idempotency-Key",
        "Origin", "Range", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "X-Request-Id", NULL
    };
    int i;

    for (i = 0; needed[i]; i++) {
        if (rest_fields_same(name, needed[i])) {
            return 1;
        }
    }
    return !strncasecmp(name, "Accept", 6) || !strncasecmp(name, "Content-", 8)
           || !strncasecmp(name, "If-", 3);
}

const char *tenant_forward_set(cmd_parms *cmd, void *confv, const char *word, const char *name)
{
    static const char *const words[TENANT_FORWARD_COUNT] = { "org", "user", "role", "properties",
                                                             "session", "expires" };
    static const char *const usual[TENANT_FORWARD_COUNT] = {
        "X-Org-Id", "X-User-Id", "X-User-Role", "X-User-Properties", "X-User-Session",
        "X-User-Expires"
    };
    tenant_dir_conf *conf = confv;
    int i, none = !strcasecmp(word, "none") && !name, found = none;

    tenant_active(cmd);
    if (name && (!tenant_is_token(name) || name[strcspn(name, "_.")] || is_needed(name))) {
        return apr_psprintf(cmd->pool, "TenantForward: expected the name of a header that no "
                                       "client needs to send, not \"%.80s\"", name);
    }
    for (i = 0; i < TENANT_FORWARD_COUNT; i++) {
        if (none) {
            conf->forward[i] = "";
        }
        else if (!strcmp(words[i], word)) {
            conf->forward[i] = name ? name : usual[i];
            APR_ARRAY_PUSH(names, const char *) = conf->forward[i];
            found = 1;
        }
    }
    return found ? NULL : apr_psprintf(cmd->pool, "TenantForward: expected org, user, role, "
                                       "properties, session or expires and the name of a header, "
                                       "or none, not \"%.40s\"", word);
}

/* "1,2,3", "*" for all of the organisation, "" for none */
static const char *properties_of(apr_pool_t *p, const tenant_identity *identity)
{
    apr_array_header_t *ids = apr_array_make(p, identity->property_count, sizeof(const char *));
    int i;

    if (identity->all_properties) {
        return "*";
    }
    for (i = 0; i < identity->property_count; i++) {
        APR_ARRAY_PUSH(ids, const char *) = apr_psprintf(p, "%" APR_INT64_T_FMT,
                                                         identity->properties[i]);
    }
    return apr_array_pstrcat(p, ids, ',');
}

/* NULL: there is nothing to say. */
static const char *value_of(apr_pool_t *p, const tenant_identity *identity, tenant_forward what)
{
    switch (what) {
    case TENANT_FORWARD_ORG:
        return identity->org ? apr_psprintf(p, "%" APR_INT64_T_FMT, identity->org) : NULL;
    case TENANT_FORWARD_USER:
        return apr_psprintf(p, "%" APR_INT64_T_FMT, identity->user);
    case TENANT_FORWARD_ROLE:
        return *identity->role ? identity->role : NULL;
    case TENANT_FORWARD_PROPERTIES:
        return properties_of(p, identity);
    case TENANT_FORWARD_SESSION:
        return identity->session;
    default:
        return apr_psprintf(p, "%" APR_TIME_T_FMT, apr_time_sec(identity->expires));
    }
}

/* Once nobody can change who calls any more. */
static int forward(request_rec *r)
{
    const tenant_dir_conf *conf = tenant_dir_get(r);
    const tenant_identity *identity = tenant_identity_get(r);
    int i;

    for (i = 0; identity && i < TENANT_FORWARD_COUNT; i++) {
        const char *name = conf->forward[i];
        const char *value = name && *name ? value_of(r->pool, identity, (tenant_forward)i) : NULL;

        if (value) {
            apr_table_setn(r->headers_in, name, value);
        }
    }
    return DECLINED;
}

void tenant_forward_register(apr_pool_t *p)
{
    ap_hook_fixups(forward, NULL, NULL, APR_HOOK_MIDDLE);
}
