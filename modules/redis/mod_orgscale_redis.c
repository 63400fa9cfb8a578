/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mod_orgscale_redis: the module record and its hooks, nothing else. */
#include "og_redis.h"

static void hooks(apr_pool_t *p)
{
    og_redis_config_register(p);
    og_redis_counts_register(p);
    og_redis_child_register(p);
}

module AP_MODULE_DECLARE_DATA orgscale_redis_module = {
    STANDARD20_MODULE_STUFF,
    NULL,                   /* per-directory config */
    NULL,
    og_redis_server_create, /* per-server config */
    og_redis_server_merge,
    og_redis_cmds,
    hooks
};
