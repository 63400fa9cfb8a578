/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mod_purge: the module record and its hooks, nothing else. */
#include "purge.h"

static void hooks(apr_pool_t *p)
{
    purge_epoch_register(p);
}

module AP_MODULE_DECLARE_DATA purge_module = {
    STANDARD20_MODULE_STUFF,
    NULL, /* per-directory config */
    NULL,
    purge_server_create, /* per-server config */
    purge_server_merge,
    purge_cmds,
    hooks
};
