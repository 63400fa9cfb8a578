/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mod_realtime_lp: the module record and its hooks, nothing else. */
#include "rest_mac.h"
#include "rt_poll.h"

static void hooks(apr_pool_t *p)
{
    rest_mac_register(p);
    rt_config_register(p);
    rt_places_register(p);
    rt_segment_register(p);
    rt_caller_register(p);
    rt_lease_register(p);
    rt_waits_register(p);
    rt_park_cond_register(p);
    rt_bell_register(p);
    rt_waitio_register(p);
    rt_orphan_register(p);
    rt_stop_register(p);
    rt_revoked_register(p);
    rt_subscribe_register(p);
    rt_legacy_register(p);
    rt_publish_register(p);
    rt_metrics_register(p);
}

module AP_MODULE_DECLARE_DATA realtime_lp_module = {
    STANDARD20_MODULE_STUFF,
    rt_dir_create,    /* per-directory config */
    rt_dir_merge,
    rt_server_create, /* per-server config */
    rt_server_merge,
    rt_cmds,
    hooks
};
