/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Directives of mod_purge: member, create, merge, table line. */
#include "purge.h"

#include "og_number.h"

#include <apr_strings.h>
#include <http_core.h>

#define EPOCHS     1048576
#define EPOCHS_MIN 1024
#define EPOCHS_MAX (APR_INT64_C(1) << 28)

void *purge_server_create(apr_pool_t *p, server_rec *s)
{
    purge_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->epochs = OG_UNSET;
    return conf;
}

void *purge_server_merge(apr_pool_t *p, void *basev, void *addv)
{
    const purge_server_conf *base = basev, *add = addv;
    purge_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->epochs = og_set_or(add->epochs, base->epochs);
    return conf;
}

apr_int64_t purge_epochs_wanted(const server_rec *s)
{
    const purge_server_conf *conf = ap_get_module_config(s->module_config, &purge_module);

    return og_set_or(conf->epochs, EPOCHS);
}

static const char *set_epochs(cmd_parms *cmd, void *unused, const char *arg)
{
    purge_server_conf *conf = ap_get_module_config(cmd->server->module_config, &purge_module);
    const char *problem = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (problem) {
        return problem;
    }
    problem = og_arg_int(cmd->pool, arg, EPOCHS_MIN, EPOCHS_MAX, &conf->epochs);
    return problem ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", problem, NULL) : NULL;
}

const command_rec purge_cmds[] = {
    AP_INIT_TAKE1("PurgeEpochs", set_epochs, NULL, RSRC_CONF,
                  "counters that all tags share, 1024 to 268435456 (1048576)"),
    { NULL }
};
