/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mod_edge: the module record and its hooks, nothing else. */
#include "edge.h"

#include "edge_storage.h"

static void hooks(apr_pool_t *p)
{
    edge_config_register(p);
    edge_check_register(p);
    edge_peers_register(p);
    edge_expr_register(p);
    edge_request_register(p);
    edge_key_register(p);
    edge_tags_register(p);
    edge_miss_register(p);
    edge_fields_register(p);
    edge_fields_filter_register(p);
    edge_etag_register(p);
    edge_compress_register(p);
    edge_face_register(p);
    edge_conditions_register(p);
    edge_segment_register(p);
    edge_collapse_register(p);
    edge_storage_register(p);
    edge_counts_register(p);
    edge_breaker_register(p);
    edge_canary_register(p);
    edge_selftest_register(p);
}

module AP_MODULE_DECLARE_DATA edge_module = {
    STANDARD20_MODULE_STUFF,
    edge_dir_create, /* per-directory config */
    edge_dir_merge,
    edge_server_create, /* per-server config */
    edge_server_merge,
    edge_cmds,
    hooks
};
