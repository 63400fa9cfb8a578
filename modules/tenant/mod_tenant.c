/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mod_tenant: the module record, and who registers hooks. What each does stands in its file. */
#include "rest_mac.h"
#include "tenant.h"
#include "tenant_keys.h"

static void hooks(apr_pool_t *p)
{
    rest_mac_register(p);
    ap_hook_pre_config(tenant_config_begin, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(tenant_config_check, NULL, NULL, APR_HOOK_MIDDLE);
    tenant_keys_register(p);
    tenant_request_register(p);
    tenant_edge_register(p);
    tenant_ingress_register(p);
    tenant_revoke_register(p);
    tenant_identity_register(p);
    tenant_external_register(p);
    tenant_authz_register(p);
    tenant_cors_register(p);
    tenant_early_register(p);
    tenant_forward_register(p);
    tenant_problem_register(p);
    tenant_revoke_handler_register(p);
    tenant_key_handler_register(p);
    tenant_egress_register(p);
    tenant_log_register(p);
}

/* not AP_DECLARE_MODULE: tenant.h already has its APLOG_USE_MODULE (build-and-test.md 1) */
module AP_MODULE_DECLARE_DATA tenant_module = {
    STANDARD20_MODULE_STUFF, tenant_dir_create, tenant_dir_merge,
    tenant_server_create,    tenant_server_merge, tenant_cmds, hooks
};
