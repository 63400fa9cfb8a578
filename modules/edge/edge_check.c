/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What of other modules' configuration contradicts ours: found at config test, not by who gets
 * another's data.
 *
 * mod_cache's quick handler answers before anybody is verified, so it has to be off. mod_tenant's
 * egress filter has the last word on Cache-Control; where it does not work, the line that mod_cache
 * is to see would be what clients get. And a tag without mod_purge would outdate nothing. */
#include "edge.h"

#include <apr_strings.h>
#include <http_core.h>

/* parent: of the configuration that is being read; from pconf */
static apr_array_header_t *servers; /* server_rec *, in which EdgeCache stands */
static const char *purger;          /* a directive that needs mod_purge, or NULL */

void edge_check_note(cmd_parms *cmd)
{
    int i;

    for (i = 0; i < servers->nelts; i++) {
        if (APR_ARRAY_IDX(servers, i, server_rec *) == cmd->server) {
            return;
        }
    }
    APR_ARRAY_PUSH(servers, server_rec *) = cmd->server;
}

void edge_check_note_purger(cmd_parms *cmd)
{
    purger = cmd->cmd->name;
}

/* The last value of a directive among siblings, else the other. */
static const char *last_of(const ap_directive_t *each, const char *name, const char *other)
{
    for (; each; each = each->next) {
        if (!strcasecmp(each->directive, name)) {
            other = each->args;
        }
    }
    return other;
}

static const ap_directive_t *section_of(const server_rec *s)
{
    const ap_directive_t *each;

    for (each = ap_conftree; each; each = each->next) {
        if (!strcasecmp(each->directive, "<VirtualHost") && s->defn_name
            && (unsigned)each->line_num == s->defn_line_number
            && !strcmp(each->filename, s->defn_name)) {
            return each->first_child;
        }
    }
    return NULL;
}

static int is_quick(const server_rec *s)
{
    const char *value = last_of(ap_conftree, "CacheQuickHandler", "on");

    return strcasecmp(last_of(section_of(s), "CacheQuickHandler", value), "off") != 0;
}

static int refuse(const server_rec *s, const char *what)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, OGLOGNO(1303) "%s", what);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static int check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server)
{
    /* before optional_fn_retrieve hooks: this one is for config tests as well */
    APR_OPTIONAL_FN_TYPE(tenant_is_on) *is_on = APR_RETRIEVE_OPTIONAL_FN(tenant_is_on);
    int has_cache = ap_find_linked_module("mod_cache.c") != NULL;
    int i;

    if (purger && !APR_RETRIEVE_OPTIONAL_FN(purge_move)) {
        return refuse(main_server, apr_pstrcat(ptemp, purger, ": expected mod_purge to be loaded: "
                                               "nothing else outdates what has a tag", NULL));
    }
    for (i = 0; i < servers->nelts; i++) {
        const server_rec *s = APR_ARRAY_IDX(servers, i, server_rec *);

        if (!is_on || !is_on(s)) {
            return refuse(s, "EdgeCache: expected mod_tenant, and one of its directives in this "
                             "server, TenantTrustedEdge none at least: it writes what clients see");
        }
        if (has_cache && is_quick(s)) {
            return refuse(s, "EdgeCache: expected CacheQuickHandler off in this server: mod_cache "
                             "would answer before anybody is verified");
        }
    }
    return OK;
}

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    servers = apr_array_make(pconf, 4, sizeof(server_rec *));
    purger = NULL;
    return OK;
}

void edge_check_register(apr_pool_t *p)
{
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(check, NULL, NULL, APR_HOOK_MIDDLE);
}
