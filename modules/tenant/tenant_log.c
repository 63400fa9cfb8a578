/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* %{org|user|role|session}^TN for CustomLog: who called. Each value passed the token's rules, so
 * none can break a log line (B40). */
#include "tenant.h"

#include <apr_strings.h>
#include <mod_log_config.h>

static const char *item(request_rec *r, char *what)
{
    const tenant_identity *identity = tenant_identity_get(r);

    if (!identity) {
        return "-";
    }
    if (!strcmp(what, "org")) {
        return identity->org ? apr_psprintf(r->pool, "%" APR_INT64_T_FMT, identity->org) : "-";
    }
    if (!strcmp(what, "user")) {
        return apr_psprintf(r->pool, "%" APR_INT64_T_FMT, identity->user);
    }
    if (!strcmp(what, "role")) {
        return identity->role;
    }
    return !strcmp(what, "session") && identity->session ? identity->session : "-";
}

static int pre_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp)
{
    APR_OPTIONAL_FN_TYPE(ap_register_log_handler) *log_handler =
        APR_RETRIEVE_OPTIONAL_FN(ap_register_log_handler);

    if (log_handler) {
        log_handler(p, (char *)"^TN", item, 0); /* it is only read */
    }
    return OK;
}

void tenant_log_register(apr_pool_t *p)
{
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
}
