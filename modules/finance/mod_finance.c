/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mod_finance: the module record and its hooks, nothing else. */
#include "finance.h"
#include "rest_mac.h"
#include "rest_watchdog.h"

static void hooks(apr_pool_t *p)
{
    rest_mac_register(p);
    finance_config_register(p);
    rest_watchdog_register(p, finance_relay_flush);
    finance_db_register(p);
    finance_idempotency_register(p);
    finance_recall_register(p);
    finance_effects_register(p);
    finance_tags_register(p);
    finance_relay_register(p);
    finance_retention_register(p);
    finance_routes_register(p);
}

module AP_MODULE_DECLARE_DATA finance_module = {
    STANDARD20_MODULE_STUFF,
    NULL,                  /* per-directory config */
    NULL,
    finance_server_create, /* per-server config */
    finance_server_merge,
    finance_cmds,
    hooks
};
