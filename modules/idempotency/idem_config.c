/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Directives of mod_idempotency: member, create, merge, table line. */
#include "idem.h"

#include "og_number.h"
#include "rest_merge.h"

#include <apr_strings.h>
#include <http_core.h>

#define KIB APR_INT64_C(1024)
#define MIB (KIB * KIB)

static const apr_interval_time_t second = APR_USEC_PER_SEC;

/* Process: set while the configuration is read */
static idem_server_conf effective;
static int used;
static apr_int64_t largest_answer;

#define ANSWER_DEFAULT (64 * KIB)

/* Nothing is set. */
static const idem_dir_conf blank = { .mode = OG_UNSET, .ttl = OG_UNSET, .lease = OG_UNSET,
                                     .retry = OG_UNSET, .retry_pause = OG_UNSET,
                                     .max_body = OG_UNSET, .max_answer = OG_UNSET };

void *idem_dir_create(apr_pool_t *p, char *dir)
{
    return apr_pmemdup(p, &blank, sizeof(blank));
}

void *idem_dir_merge(apr_pool_t *p, void *basev, void *addv)
{
    const idem_dir_conf *base = basev, *add = addv;
    idem_dir_conf *conf = rest_merge_one(basev, addv, &blank, sizeof(blank));

    if (conf) {
        return conf;
    }
    conf = apr_pcalloc(p, sizeof(*conf));
    conf->mode = (int)og_set_or(add->mode, base->mode);
    conf->ttl = og_set_or(add->ttl, base->ttl);
    conf->lease = og_set_or(add->lease, base->lease);
    conf->retry = (int)og_set_or(add->retry, base->retry);
    conf->retry_pause = add->retry != OG_UNSET ? add->retry_pause : base->retry_pause;
    conf->max_body = og_set_or(add->max_body, base->max_body);
    conf->max_answer = og_set_or(add->max_answer, base->max_answer);
    return conf;
}

void *idem_server_create(apr_pool_t *p, server_rec *s)
{
    idem_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->memory = OG_UNSET;
    conf->remember = OG_UNSET;
    return conf;
}

void *idem_server_merge(apr_pool_t *p, void *basev, void *addv)
{
    const idem_server_conf *base = basev, *add = addv;
    idem_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->store = add->store ? add->store : base->store;
    conf->memory = og_set_or(add->memory, base->memory);
    conf->remember = og_set_or(add->remember, base->remember);
    return conf;
}

void idem_dir(const request_rec *r, idem_dir_conf *conf)
{
    const idem_dir_conf *own = ap_get_module_config(r->per_dir_config, &idempotency_module);

    conf->mode = (int)og_set_or(own->mode, IDEM_OFF);
    conf->ttl = og_set_or(own->ttl, 24 * 3600 * second);
    conf->lease = og_set_or(own->lease, 60 * second);
    conf->retry = (int)og_set_or(own->retry, 0);
    conf->retry_pause = og_set_or(own->retry_pause, 0);
    conf->max_body = og_set_or(own->max_body, MIB);
    conf->max_answer = og_set_or(own->max_answer, ANSWER_DEFAULT);
}

const idem_server_conf *idem_conf(void)
{
    return &effective;
}

int idem_used(void)
{
    return used;
}

apr_int64_t idem_largest_answer(void)
{
    return largest_answer;
}

static const char *complaint(cmd_parms *cmd, const char *problem)
{
    return problem ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", problem, NULL) : NULL;
}

static const char *unexpected(cmd_parms *cmd, const char *expected, const char *arg)
{
    return complaint(cmd, apr_psprintf(cmd->temp_pool, "expected %s, not \"%.40s\"", expected,
                                       arg));
}

static const char *set_mode(cmd_parms *cmd, void *confv, const char *arg)
{
    static const char *const names[] = { "off", "optional", "required" };
    idem_dir_conf *conf = confv;
    int i = 0;

    while (i <= IDEM_REQUIRED && strcasecmp(arg, names[i]) != 0) {
        i++;
    }
    if (i > IDEM_REQUIRED) {
        return unexpected(cmd, "off, optional or required", arg);
    }
    conf->mode = i;
    used = used || i != IDEM_OFF;
    return NULL;
}

static const char *set_ttl(cmd_parms *cmd, void *confv, const char *arg)
{
    idem_dir_conf *conf = confv;

    return complaint(cmd, og_arg_span(cmd->temp_pool, arg, second, 30 * 86400 * second,
                                      &conf->ttl));
}

static const char *set_lease(cmd_parms *cmd, void *confv, const char *arg)
{
    idem_dir_conf *conf = confv;

    return complaint(cmd, og_arg_span(cmd->temp_pool, arg, 3 * second, 3600 * second,
                                      &conf->lease));
}

static const char *set_in_doubt(cmd_parms *cmd, void *confv, const char *arg, const char *pause)
{
    idem_dir_conf *conf = confv;

    conf->retry = !strcasecmp(arg, "retry");
    conf->retry_pause = 0;
    if (pause && conf->retry) {
        return complaint(cmd, og_arg_span(cmd->temp_pool, pause, second, 86400 * second,
                                          &conf->retry_pause));
    }
    return !pause && (conf->retry || !strcasecmp(arg, "refuse"))
               ? NULL
               : unexpected(cmd, "refuse, retry or retry with a time", arg);
}

static const char *set_max_body(cmd_parms *cmd, void *confv, const char *arg)
{
    idem_dir_conf *conf = confv;

    return complaint(cmd, og_arg_size(cmd->temp_pool, arg, KIB, 64 * MIB, &conf->max_body));
}

static const char *set_max_answer(cmd_parms *cmd, void *confv, const char *arg)
{
    idem_dir_conf *conf = confv;
    const char *wrong = og_arg_size(cmd->temp_pool, arg, KIB, MIB, &conf->max_answer);

    if (!wrong && conf->max_answer > largest_answer) {
        largest_answer = conf->max_answer;
    }
    return complaint(cmd, wrong);
}

static const char *set_store(cmd_parms *cmd, void *unused, const char *arg)
{
    idem_server_conf *conf = ap_get_module_config(cmd->server->module_config, &idempotency_module);

    conf->store = arg;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_memory(cmd_parms *cmd, void *unused, const char *arg)
{
    idem_server_conf *conf = ap_get_module_config(cmd->server->module_config, &idempotency_module);
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return wrong ? wrong
                 : complaint(cmd, og_arg_size(cmd->temp_pool, arg, 8 * MIB, 65536 * MIB,
                                              &conf->memory));
}

static const char *set_remember(cmd_parms *cmd, void *unused, const char *arg)
{
    idem_server_conf *conf = ap_get_module_config(cmd->server->module_config, &idempotency_module);
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (wrong) {
        return wrong;
    }
    if (!strcasecmp(arg, "off")) {
        conf->remember = 0;
        return NULL;
    }
    return og_arg_size(cmd->temp_pool, arg, 8 * MIB, 65536 * MIB, &conf->remember)
               ? unexpected(cmd, "off or a size from 8388608 to 68719476736 bytes", arg)
               : NULL;
}

const command_rec idem_cmds[] = {
    AP_INIT_TAKE1("Idempotency", set_mode, NULL, RSRC_CONF | ACCESS_CONF,
                  "off, optional or required: what Idempotency-Key means to writes here (off)"),
    AP_INIT_TAKE1("IdempotencyTTL", set_ttl, NULL, RSRC_CONF | ACCESS_CONF,
                  "how long an answer is replayed, 1s to 30d (24h)"),
    AP_INIT_TAKE1("IdempotencyLease", set_lease, NULL, RSRC_CONF | ACCESS_CONF,
                  "how long a request runs without a sign of life before its key is in doubt, 3s "
                  "to 1h (60s)"),
    AP_INIT_TAKE12("IdempotencyInDoubt", set_in_doubt, NULL, RSRC_CONF | ACCESS_CONF,
                   "refuse, or retry and maybe a time: what becomes of a request whose first try "
                   "was cut off (refuse)"),
    AP_INIT_TAKE1("IdempotencyMaxBody", set_max_body, NULL, RSRC_CONF | ACCESS_CONF,
                  "largest body of a request with a key, 1K to 64M (1M)"),
    AP_INIT_TAKE1("IdempotencyMaxAnswer", set_max_answer, NULL, RSRC_CONF | ACCESS_CONF,
                  "largest answer that is kept, head and body, 1K to 1M (64K)"),
    AP_INIT_TAKE1("IdempotencyStore", set_store, NULL, RSRC_CONF,
                  "where keys are kept: shm, or what another module provides (shm)"),
    AP_INIT_TAKE1("IdempotencyMemory", set_memory, NULL, RSRC_CONF,
                  "shared memory of the store shm, 8M to 64G (64M)"),
    AP_INIT_TAKE1("IdempotencyRemember", set_remember, NULL, RSRC_CONF,
                  "off, or shared memory for answers that mod_finance's database keeps, 8M to 64G "
                  "(off)"),
    { NULL }
};

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    used = 0;
    largest_answer = ANSWER_DEFAULT;
    return OK;
}

/* Before the stores' checks: defaults filled in. */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const idem_server_conf *conf = ap_get_module_config(s->module_config, &idempotency_module);

    effective.store = conf->store ? conf->store : "shm";
    effective.memory = og_set_or(conf->memory, 64 * MIB);
    effective.remember = og_set_or(conf->remember, 0);
    return OK;
}

void idem_config_register(apr_pool_t *p)
{
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_FIRST);
}
