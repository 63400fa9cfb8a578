/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Directives of mod_finance: member, create, merge, table line. */
#include "finance.h"
#include "mod_realtime_lp.h"

#include "og_number.h"

#include <apr_strings.h>
#include <http_core.h>

static const apr_interval_time_t span_max = 60 * APR_USEC_PER_SEC;

void *finance_server_create(apr_pool_t *p, server_rec *s)
{
    finance_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->pool_max = OG_UNSET;
    conf->pool_wait = OG_UNSET;
    conf->deadline = OG_UNSET;
    return conf;
}

void *finance_server_merge(apr_pool_t *p, void *basev, void *addv)
{
    const finance_server_conf *base = basev, *add = addv;
    finance_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->dsn = add->dsn ? add->dsn : base->dsn;
    conf->job_dsn = add->job_dsn ? add->job_dsn : base->job_dsn;
    conf->event_domain = add->event_domain ? add->event_domain : base->event_domain;
    conf->pool_max = og_set_or(add->pool_max, base->pool_max);
    conf->pool_wait = og_set_or(add->pool_wait, base->pool_wait);
    conf->deadline = og_set_or(add->deadline, base->deadline);
    return conf;
}

const finance_server_conf *finance_conf(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &finance_module);
}

const char *finance_event_domain(const server_rec *s)
{
    const char *domain = finance_conf(s)->event_domain;

    return domain ? domain : "finance";
}

/* All children share one pool each, whatever vhost a request came to */
static const char *global(cmd_parms *cmd, const char *problem)
{
    const char *context = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (context) {
        return context;
    }
    return problem ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", problem, NULL) : NULL;
}

static finance_server_conf *server_conf(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &finance_module);
}

static const char *dsn_problem(apr_pool_t *p, const char *dsn)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &why);
    const char *problem = NULL;

    if (!options) {
        problem = apr_psprintf(p,
                               "expected a libpq connection string such as \"host=/run/postgresql"
                               " dbname=orgscale user=orgscale_app\": %s",
                               why ? why : "no memory");
    }
    PQfreemem(why);
    PQconninfoFree(options);
    return problem;
}

static const char *set_dsn(cmd_parms *cmd, void *unused, const char *arg)
{
    server_conf(cmd)->dsn = arg;
    return global(cmd, dsn_problem(cmd->temp_pool, arg));
}

static const char *set_job_dsn(cmd_parms *cmd, void *unused, const char *arg)
{
    server_conf(cmd)->job_dsn = arg;
    return global(cmd, dsn_problem(cmd->temp_pool, arg));
}

static const char *set_event_domain(cmd_parms *cmd, void *unused, const char *arg)
{
    server_conf(cmd)->event_domain = arg;
    return global(cmd, *arg && strlen(arg) <= 32 ? NULL
                                                 : "expected a name that RealtimeDomain gives, "
                                                   "1 to 32 characters");
}

static const char *set_pool_max(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, og_arg_int(cmd->temp_pool, arg, 1, 1000, &server_conf(cmd)->pool_max));
}

static const char *set_pool_wait(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd,
                  og_arg_span(cmd->temp_pool, arg, 1000, span_max, &server_conf(cmd)->pool_wait));
}

static const char *set_deadline(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd,
                  og_arg_span(cmd->temp_pool, arg, 10000, span_max, &server_conf(cmd)->deadline));
}

const command_rec finance_cmds[] = {
    AP_INIT_TAKE1("FinanceDSN", set_dsn, NULL, RSRC_CONF,
                  "libpq connection string of the role orgscale_app"),
    AP_INIT_TAKE1("FinanceJobDSN", set_job_dsn, NULL, RSRC_CONF,
                  "libpq connection string of the role orgscale_job, direct, not through a pooler"),
    AP_INIT_TAKE1("FinanceEventDomain", set_event_domain, NULL, RSRC_CONF,
                  "RealtimeDomain that events are published to (finance)"),
    AP_INIT_TAKE1("FinancePoolMax", set_pool_max, NULL, RSRC_CONF,
                  "database connections a child may have, 1 to 1000 (8)"),
    AP_INIT_TAKE1("FinancePoolWait", set_pool_wait, NULL, RSRC_CONF,
                  "longest wait for a free connection, up to 60s (3s)"),
    AP_INIT_TAKE1("FinanceDeadline", set_deadline, NULL, RSRC_CONF,
                  "longest time that a request may spend in the database, up to 60s (5s)"),
    { NULL }
};

/* Contradictions, said at config test; the first of a start's two passes says them. */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(rt_domain_known) *known = APR_RETRIEVE_OPTIONAL_FN(rt_domain_known);
    const finance_server_conf *conf = finance_conf(s);

    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    if (!conf->dsn) {
        if (conf->job_dsn) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1613)
                         "FinanceJobDSN without FinanceDSN: expected both, requests get 503");
        }
        return OK;
    }
    if (conf->pool_wait != OG_UNSET && conf->deadline != OG_UNSET
        && conf->pool_wait >= conf->deadline) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1614)
                     "FinancePoolWait %" APR_TIME_T_FMT " ms: expected less than FinanceDeadline, %"
                     APR_TIME_T_FMT " ms, which ends the wait", apr_time_as_msec(conf->pool_wait),
                     apr_time_as_msec(conf->deadline));
    }
    if (known && !known(finance_event_domain(s))) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1615)
                     "FinanceEventDomain %s: expected a name that some RealtimeDomain gives, "
                     "events stay in the outbox", finance_event_domain(s));
    }
    return OK;
}

void finance_config_register(apr_pool_t *p)
{
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
}
