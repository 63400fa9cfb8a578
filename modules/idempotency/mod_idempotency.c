/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mod_idempotency: the module record and its hooks, nothing else. */
#include "idem.h"
#include "rest_mac.h"

static void hooks(apr_pool_t *p)
{
    rest_mac_register(p);
    idem_config_register(p);
    idem_key_register(p);
    idem_fingerprint_register(p);
    idem_owner_register(p);
    idem_store_shm_register(p);
    idem_store_register(p);
    idem_recall_register(p);
    idem_replay_register(p);
}

module AP_MODULE_DECLARE_DATA idempotency_module = {
    STANDARD20_MODULE_STUFF, idem_dir_create, idem_dir_merge,
    idem_server_create,      idem_server_merge, idem_cmds, hooks
};
