/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Directives of mod_quota: member, create, merge, table line. */
#include "quota.h"

#include "og_number.h"
#include "rest_merge.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>

#define TABLE_SIZE     262144
#define TABLE_SIZE_MIN 64
#define TABLE_SIZE_MAX (APR_INT64_C(1) << 28)

static quota_server_conf effective; /* process: what quota_conf() gives */

void *quota_server_create(apr_pool_t *p, server_rec *s)
{
    quota_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->table_size = OG_UNSET;
    return conf;
}

void *quota_server_merge(apr_pool_t *p, void *basev, void *addv)
{
    const quota_server_conf *base = basev, *add = addv;
    quota_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->store = add->store ? add->store : base->store;
    conf->table_size = og_set_or(add->table_size, base->table_size);
    return conf;
}

/* Nothing is set. */
static const quota_dir_conf blank = { .enabled = OG_UNSET, .dry_run = OG_UNSET,
                                      .class = OG_UNSET };

void *quota_dir_create(apr_pool_t *p, char *dir)
{
    return apr_pmemdup(p, &blank, sizeof(blank));
}

void *quota_dir_merge(apr_pool_t *p, void *basev, void *addv)
{
    const quota_dir_conf *base = basev, *add = addv;
    quota_dir_conf *conf = rest_merge_one(basev, addv, &blank, sizeof(blank));
    int i;

    if (conf) {
        return conf;
    }
    conf = apr_pcalloc(p, sizeof(*conf));
    conf->enabled = (int)og_set_or(add->enabled, base->enabled);
    conf->dry_run = (int)og_set_or(add->dry_run, base->dry_run);
    conf->class = (int)og_set_or(add->class, base->class);
    for (i = 0; i < QUOTA_CELLS; i++) {
        conf->policies[i] = add->policies[i] ? add->policies[i] : base->policies[i];
    }
    return conf;
}

const quota_dir_conf *quota_dir(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &quota_module);
}

const quota_rate *quota_rate_of(const quota_dir_conf *conf, int cell)
{
    const quota_rate *rate = conf->policies[cell];
    int i = 0;

    while (i < QUOTA_CELLS && !conf->policies[i]) {
        i++;
    }
    if (i == QUOTA_CELLS) {
        return quota_policy_default(cell); /* nobody named any */
    }
    return rate && rate->limit ? rate : NULL;
}

const quota_server_conf *quota_conf(void)
{
    return &effective;
}

static const char *complaint(cmd_parms *cmd, const char *problem)
{
    return problem ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", problem, NULL) : NULL;
}

static quota_server_conf *server_conf(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &quota_module);
}

/* The place of a word in a list that its function gives, or -1. */
static int place_of(const char *word, const char *(*name)(int))
{
    int i = 0;

    while (name(i) && strcmp(name(i), word) != 0) {
        i++;
    }
    return name(i) ? i : -1;
}

static const char *set_policy(cmd_parms *cmd, void *confv, int argc, char *const argv[])
{
    quota_dir_conf *conf = confv;
    quota_rate *rate = apr_palloc(cmd->pool, sizeof(*rate));
    const char *problem = NULL;
    int class, scope;

    if (argc < 3 || argc > 4) {
        return complaint(cmd, "expected a class, a scope and a rate, such as write user 100/min, "
                              "and maybe burst=20");
    }
    class = place_of(argv[0], quota_class_name);
    scope = place_of(argv[1], quota_scope_name);
    if (class < 0) {
        problem = apr_psprintf(cmd->pool, "expected write, read, sign or stream, not \"%.40s\"",
                               argv[0]);
    }
    else if (scope < 0) {
        problem = apr_psprintf(cmd->pool, "expected user, org or address, not \"%.40s\"", argv[1]);
    }
    else {
        problem = quota_policy_parse(cmd->pool, (quota_class)class, argv[2],
                                     argc == 4 ? argv[3] : NULL, rate);
        conf->policies[quota_cell((quota_class)class, (quota_scope)scope)] = rate;
    }
    return complaint(cmd, problem);
}

static const char *set_class(cmd_parms *cmd, void *confv, const char *arg)
{
    quota_dir_conf *conf = confv;

    conf->class = !strcmp(arg, "auto")   ? QUOTA_CLASS_AUTO
                  : !strcmp(arg, "none") ? QUOTA_CLASS_NONE
                                         : place_of(arg, quota_class_name);
    return conf->class >= 0
               ? NULL
               : complaint(cmd, apr_psprintf(cmd->pool, "expected auto, write, read, sign, stream "
                                                        "or none, not \"%.40s\"", arg));
}

static const char *set_store(cmd_parms *cmd, void *unused, const char *arg)
{
    server_conf(cmd)->store = arg; /* whether there is one of that name: quota_store.c */
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_table_size(cmd_parms *cmd, void *unused, const char *arg)
{
    const char *context = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return context ? context
                   : complaint(cmd, og_arg_int(cmd->pool, arg, TABLE_SIZE_MIN, TABLE_SIZE_MAX,
                                               &server_conf(cmd)->table_size));
}

#define HERE (RSRC_CONF | ACCESS_CONF)

const command_rec quota_cmds[] = {
    AP_INIT_FLAG("QuotaEnable", ap_set_flag_slot, (void *)APR_OFFSETOF(quota_dir_conf, enabled),
                 HERE, "On to charge requests here (Off)"),
    AP_INIT_FLAG("QuotaDryRun", ap_set_flag_slot, (void *)APR_OFFSETOF(quota_dir_conf, dry_run),
                 HERE, "On to tell who would be refused, and refuse nobody (Off)"),
    AP_INIT_TAKE_ARGV("QuotaPolicy", set_policy, NULL, HERE,
                      "a class (write, read, sign, stream), a scope (user, org, address), a rate "
                      "such as 100/min, a number of streams, or off, and maybe burst=N"),
    AP_INIT_TAKE1("QuotaClass", set_class, NULL, HERE,
                  "what requests here are: auto, write, read, sign, stream or none (auto)"),
    AP_INIT_TAKE1("QuotaStore", set_store, NULL, RSRC_CONF,
                  "shm, or redis where mod_orgscale_redis is loaded (shm)"),
    AP_INIT_TAKE1("QuotaTableSize", set_table_size, NULL, RSRC_CONF,
                  "buckets that this host keeps at once, 64 to 268435456 (262144)"),
    { NULL }
};

/* Before quota_segment.c's and quota_store.c's: defaults filled in. */
static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const quota_server_conf *conf = ap_get_module_config(s->module_config, &quota_module);

    effective.store = conf->store ? conf->store : "shm";
    effective.table_size = og_set_or(conf->table_size, TABLE_SIZE);
    return OK;
}

void quota_config_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_FIRST);
}
