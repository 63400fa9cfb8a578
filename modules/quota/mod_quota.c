/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mod_quota: the module record and its hooks, nothing else. */
#include "quota.h"

static void hooks(apr_pool_t *p)
{
    quota_config_register(p);
    quota_segment_register(p);
    quota_children_register(p);
    quota_store_register(p);
    quota_caller_register(p);
    quota_charge_register(p);
    quota_reply_register(p);
    quota_lease_register(p);
    quota_counts_register(p);
}

module AP_MODULE_DECLARE_DATA quota_module = {
    STANDARD20_MODULE_STUFF,
    quota_dir_create,    /* per-directory config */
    quota_dir_merge,
    quota_server_create, /* per-server config */
    quota_server_merge,
    quota_cmds,
    hooks
};
