/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Directives of mod_orgscale_redis: member, create, merge, table line. */
#include "og_redis.h"

#include <apr_strings.h>
#include <http_core.h>
#include <string.h>

#include "og_number.h"
#include "og_redis_stores.h"
#include "rest_kept.h"

#define USER_MAX 128

void *og_redis_server_create(apr_pool_t *p, server_rec *s)
{
    og_redis_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->database = OG_UNSET;
    conf->timeout = OG_UNSET;
    conf->connections = OG_UNSET;
    return conf;
}

void *og_redis_server_merge(apr_pool_t *p, void *basev, void *addv)
{
    const og_redis_conf *base = basev, *add = addv;
    og_redis_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->servers = add->servers ? add->servers : base->servers;
    conf->server_count = add->servers ? add->server_count : base->server_count;
    conf->password = add->password ? add->password : base->password;
    conf->password_len = add->password ? add->password_len : base->password_len;
    conf->user = add->password ? add->user : base->user;
    conf->database = og_set_or(add->database, base->database);
    conf->timeout = og_set_or(add->timeout, base->timeout);
    conf->connections = og_set_or(add->connections, base->connections);
    conf->prefix = add->prefix ? add->prefix : base->prefix;
    return conf;
}

const og_redis_conf *og_redis_conf_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &orgscale_redis_module);
}

/* A child has one link, whatever vhost a request came to */
static const char *global(cmd_parms *cmd, const char *problem)
{
    const char *context = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (context) {
        return context;
    }
    return problem ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", problem, NULL) : NULL;
}

static og_redis_conf *server_conf(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &orgscale_redis_module);
}

static const char *server_problem(cmd_parms *cmd, og_redis_conf *conf, const char *arg)
{
    const char *wrong;
    int i;

    if (!conf->servers) {
        conf->servers = apr_pcalloc(cmd->pool, OG_REDIS_SERVERS_MAX * sizeof(*conf->servers));
    }
    if (conf->server_count == OG_REDIS_SERVERS_MAX) {
        return apr_psprintf(cmd->temp_pool, "expected at most %d servers", OG_REDIS_SERVERS_MAX);
    }
    for (i = 0; i < conf->server_count; i++) {
        if (strcmp(conf->servers[i].text, arg) == 0) {
            return apr_psprintf(cmd->temp_pool, "expected each server once, not \"%.80s\" again",
                                arg);
        }
    }
    wrong = og_redis_address_parse(cmd->pool, arg, &conf->servers[conf->server_count]);
    if (wrong) {
        return apr_psprintf(cmd->temp_pool, "%s, not \"%.80s\"", wrong, arg);
    }
    conf->server_count++;
    return NULL;
}

static const char *add_server(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, server_problem(cmd, server_conf(cmd), arg));
}

static const char *set_password(cmd_parms *cmd, void *unused, const char *arg, const char *user)
{
    static const rest_kept_shape line = { 1, 1 };
    og_redis_conf *conf = server_conf(cmd);
    const char *context = global(cmd, NULL);
    const char *c;

    if (context) {
        return context;
    }
    for (c = user ? user : ""; *c; c++) {
        if (*c <= ' ' || *c > '~' || c - user >= USER_MAX) {
            return global(cmd, apr_psprintf(cmd->temp_pool, "expected a user of at most %d visible "
                                            "ASCII characters, not \"%.80s\"", USER_MAX, user));
        }
    }
    conf->user = user;
    return rest_kept_secret(cmd, arg, &line, &conf->password, &conf->password_len);
}

static const char *set_database(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, og_arg_int(cmd->temp_pool, arg, 0, 65535, &server_conf(cmd)->database));
}

static const char *set_timeout(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, og_arg_span(cmd->temp_pool, arg, 1000, APR_USEC_PER_SEC,
                                   &server_conf(cmd)->timeout));
}

static const char *set_connections(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, og_arg_int(cmd->temp_pool, arg, 1, 100, &server_conf(cmd)->connections));
}

/* No ':' in it, see og_redis_stores.h. */
static const char *prefix_problem(apr_pool_t *p, const char *arg)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    apr_size_t len = strlen(arg);

    return len >= 1 && len <= OG_REDIS_PREFIX_MAX && strspn(arg, allowed) == len
               ? NULL
               : apr_psprintf(p, "expected 1 to %d of A-Z, a-z, 0-9, '.', '_' and '-', not "
                              "\"%.80s\"", OG_REDIS_PREFIX_MAX, arg);
}

static const char *set_prefix(cmd_parms *cmd, void *unused, const char *arg)
{
    server_conf(cmd)->prefix = arg;
    return global(cmd, prefix_problem(cmd->temp_pool, arg));
}

const command_rec og_redis_cmds[] = {
    AP_INIT_ITERATE("RedisServer", add_server, NULL, RSRC_CONF,
                    "servers, HOST:PORT or unix:/PATH, of which one is the primary"),
    AP_INIT_TAKE12("RedisPassword", set_password, NULL, RSRC_CONF,
                   "file:PATH of the password, and the user where it is not the default one"),
    AP_INIT_TAKE1("RedisDatabase", set_database, NULL, RSRC_CONF,
                  "number of the database, 0 to 65535 (0)"),
    AP_INIT_TAKE1("RedisTimeout", set_timeout, NULL, RSRC_CONF,
                  "longest time that a request waits for Redis, 1ms to 1s (20ms)"),
    AP_INIT_TAKE1("RedisConnections", set_connections, NULL, RSRC_CONF,
                  "connections of each child, 1 to 100 (4)"),
    AP_INIT_TAKE1("RedisPrefix", set_prefix, NULL, RSRC_CONF,
                  "what all keys begin with, a ':' behind it (nothing)"),
    { NULL }
};

/* Contradictions, said at config test; the first of a start's two passes says them. */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const og_redis_conf *conf = og_redis_conf_of(s);

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG && !conf->server_count
        && (conf->password || conf->prefix || conf->database != OG_UNSET
            || conf->timeout != OG_UNSET || conf->connections != OG_UNSET)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(2110)
                     "directives for Redis, and no server: expected RedisServer");
    }
    return OK;
}

void og_redis_config_register(apr_pool_t *p)
{
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
}
