/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Directives of mod_realtime_lp: member, create, merge, table line. */
#include "rt.h"

#include "og_number.h"
#include "rest_kept.h"
#include "rest_merge.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>

#define MIB      APR_INT64_C(1048576)
#define POLL_MAX (25 * APR_USEC_PER_SEC)

static const apr_interval_time_t second = APR_USEC_PER_SEC;

/* RealtimeLinger: ten events a second are still sent one by one, as fast as they come; and never */
static const rt_burst_tiers linger_auto = { { 20, 50, 200 } };
static const rt_burst_tiers linger_off = { { APR_INT64_MAX, APR_INT64_MAX, APR_INT64_MAX } };

/* Process: what rt_conf() gives, and the domains that any location named; set at configuration. */
static rt_server_conf effective;
static char domains[RT_DOMAINS_MAX][RT_DOMAIN_SIZE];
static int domain_count;

void *rt_server_create(apr_pool_t *p, server_rec *s)
{
    rt_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->buffer_size = OG_UNSET;
    conf->buffer_memory = OG_UNSET;
    conf->event_ttl = OG_UNSET;
    conf->idle_evict = OG_UNSET;
    conf->max_waiters = OG_UNSET;
    conf->max_parked = OG_UNSET;
    conf->park = OG_UNSET;
    return conf;
}

void *rt_server_merge(apr_pool_t *p, void *basev, void *addv)
{
    const rt_server_conf *base = basev, *add = addv;
    rt_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->buffer_size = og_set_or(add->buffer_size, base->buffer_size);
    conf->buffer_memory = og_set_or(add->buffer_memory, base->buffer_memory);
    conf->event_ttl = og_set_or(add->event_ttl, base->event_ttl);
    conf->idle_evict = og_set_or(add->idle_evict, base->idle_evict);
    conf->max_waiters = og_set_or(add->max_waiters, base->max_waiters);
    conf->max_parked = og_set_or(add->max_parked, base->max_parked);
    conf->cursor_secret = add->cursor_secret ? add->cursor_secret : base->cursor_secret;
    conf->cursor_previous = add->cursor_secret ? add->cursor_previous : base->cursor_previous;
    conf->park = (int)og_set_or(add->park, base->park);
    return conf;
}

/* Nothing is set. */
static const rt_dir_conf blank = { .poll_timeout = OG_UNSET, .log_idle = OG_UNSET,
                                   .coalesce = OG_UNSET, .legacy = OG_UNSET };

void *rt_dir_create(apr_pool_t *p, char *dir)
{
    return apr_pmemdup(p, &blank, sizeof(blank));
}

void *rt_dir_merge(apr_pool_t *p, void *basev, void *addv)
{
    const rt_dir_conf *base = basev, *add = addv;
    rt_dir_conf *conf = rest_merge_one(basev, addv, &blank, sizeof(blank));

    if (conf) {
        return conf;
    }
    conf = apr_pcalloc(p, sizeof(*conf));
    conf->domain = add->domain ? add->domain : base->domain;
    conf->poll_timeout = og_set_or(add->poll_timeout, base->poll_timeout);
    conf->log_idle = og_set_or(add->log_idle, base->log_idle);
    conf->coalesce = (int)og_set_or(add->coalesce, base->coalesce);
    conf->legacy = (int)og_set_or(add->legacy, base->legacy);
    conf->linger = add->linger ? add->linger : base->linger;
    return conf;
}

const rt_dir_conf *rt_dir(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &realtime_lp_module);
}

const rt_burst_tiers *rt_dir_linger(const request_rec *r)
{
    const rt_burst_tiers *tiers = rt_dir(r)->linger;

    return tiers ? tiers : &linger_auto;
}

const rt_server_conf *rt_conf(void)
{
    return &effective;
}

int rt_domain_known(const char *domain)
{
    int i = 0;

    while (i < domain_count && strcmp(domains[i], domain) != 0) {
        i++;
    }
    return i < domain_count;
}

int rt_domains(void)
{
    return domain_count;
}

/* What a server's sections say: each that serves a domain, or only says how long. */
static apr_interval_time_t longest_of(const apr_array_header_t *sections,
                                      apr_interval_time_t usual, int *apart)
{
    apr_interval_time_t longest = 0, each;
    int i;

    for (i = 0; i < sections->nelts; i++) {
        const rt_dir_conf *conf =
            ap_get_module_config(APR_ARRAY_IDX(sections, i, ap_conf_vector_t *),
                                 &realtime_lp_module);

        if (conf) {
            each = og_set_or(conf->poll_timeout, conf->domain ? usual : 0);
            longest = each > longest ? each : longest;
            *apart |= !conf->domain && conf->poll_timeout != OG_UNSET;
        }
    }
    return longest;
}

apr_interval_time_t rt_config_longest_poll(const server_rec *s)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const rt_dir_conf *whole = ap_get_module_config(s->lookup_defaults, &realtime_lp_module);
    apr_interval_time_t usual = og_set_or(whole->poll_timeout, POLL_MAX), urls, dirs;
    int apart = 0;

    urls = longest_of(core->sec_url, usual, &apart);
    dirs = longest_of(core->sec_dir, usual, &apart);
    if (apart) {
        /* sections that say how long apart from those that say what: which meet is not told here */
        apart = 0;
        urls = longest_of(core->sec_url, 0, &apart);
        dirs = longest_of(core->sec_dir, 0, &apart);
    }
    urls = urls > dirs ? urls : dirs;
    return whole->domain && usual > urls ? usual : urls;
}

const char *rt_domain_at(int n)
{
    return n < domain_count ? domains[n] : NULL;
}

static const char *complaint(cmd_parms *cmd, const char *problem)
{
    return problem ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", problem, NULL) : NULL;
}

static const char *global(cmd_parms *cmd, const char *problem)
{
    const char *context = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return context ? context : complaint(cmd, problem);
}

static rt_server_conf *server_conf(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &realtime_lp_module);
}

static const char *set_buffer_size(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, og_arg_int(cmd->temp_pool, arg, 1, 10000, &server_conf(cmd)->buffer_size));
}

static const char *set_buffer_memory(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, og_arg_size(cmd->temp_pool, arg, 8 * MIB, 65536 * MIB,
                                   &server_conf(cmd)->buffer_memory));
}

static const char *set_event_ttl(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, og_arg_span(cmd->temp_pool, arg, second, 86400 * second,
                                   &server_conf(cmd)->event_ttl));
}

/* Longer than any poll: what is published while one is parked is in its slot when the poll looks */
static const char *set_idle_evict(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, og_arg_span(cmd->temp_pool, arg, 30 * second, 86400 * second,
                                   &server_conf(cmd)->idle_evict));
}

static const char *set_max_waiters(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, og_arg_int(cmd->temp_pool, arg, 1, 1000000, &server_conf(cmd)->max_waiters));
}

static const char *set_max_parked(cmd_parms *cmd, void *unused, const char *arg)
{
    return global(cmd, og_arg_int(cmd->temp_pool, arg, 1, 10000000, &server_conf(cmd)->max_parked));
}

static const char *set_cursor_secret(cmd_parms *cmd, void *unused, const char *current,
                                     const char *previous)
{
    static const rest_kept_shape shape = { RT_SECRET_LEN, 0 };
    rt_server_conf *conf = server_conf(cmd);
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_size_t len;

    conf->cursor_previous = NULL;
    if (!wrong) {
        wrong = rest_kept_secret(cmd, current, &shape, &conf->cursor_secret, &len);
    }
    if (!wrong && previous) {
        wrong = rest_kept_secret(cmd, previous, &shape, &conf->cursor_previous, &len);
    }
    return wrong;
}

static const char *set_domain(cmd_parms *cmd, void *confv, const char *arg)
{
    rt_dir_conf *conf = confv;
    const char *at = arg;

    while (apr_isalnum(*at) || *at == '-' || *at == '_') {
        at++;
    }
    if (at == arg || *at || at - arg >= RT_DOMAIN_SIZE) {
        return complaint(cmd, apr_psprintf(cmd->temp_pool,
                                           "expected a name of 1 to %d letters, "
                                           "digits, '-' and '_', not \"%.40s\"",
                                           RT_DOMAIN_SIZE - 1, arg));
    }
    if (!rt_domain_known(arg)) {
        if (domain_count == RT_DOMAINS_MAX) {
            return complaint(cmd, apr_psprintf(cmd->temp_pool, "expected at most %d domains",
                                               RT_DOMAINS_MAX));
        }
        apr_cpystrn(domains[domain_count++], arg, RT_DOMAIN_SIZE);
    }
    conf->domain = arg;
    return NULL;
}

static const char *set_poll_timeout(cmd_parms *cmd, void *confv, const char *arg)
{
    rt_dir_conf *conf = confv;

    return complaint(cmd, og_arg_span(cmd->temp_pool, arg, second, POLL_MAX,
                                      &conf->poll_timeout));
}

static const char *set_log_idle(cmd_parms *cmd, void *confv, const char *arg)
{
    rt_dir_conf *conf = confv;

    return complaint(cmd, og_arg_int(cmd->temp_pool, arg, 0, 1000000, &conf->log_idle));
}

/* NULL, or the argument that is wrong */
static const char *read_tiers(apr_pool_t *p, const char *const args[RT_BURST_TIERS],
                              rt_burst_tiers *tiers)
{
    apr_int64_t least = 1;
    int i;

    for (i = 0; i < RT_BURST_TIERS; i++) {
        if (og_arg_int(p, args[i], least, 1000000, &tiers->from[i])) {
            return args[i];
        }
        least = tiers->from[i];
    }
    return NULL;
}

/* One word, or three numbers */
static const char *set_linger(cmd_parms *cmd, void *confv, const char *low, const char *middle,
                              const char *high)
{
    const char *args[RT_BURST_TIERS] = { low, middle, high }, *wrong = NULL;
    rt_burst_tiers *tiers = apr_pcalloc(cmd->pool, sizeof(*tiers));
    rt_dir_conf *conf = confv;

    if (middle) {
        wrong = read_tiers(cmd->temp_pool, args, tiers);
        conf->linger = tiers;
    }
    else if (!strcmp(low, "auto")) {
        conf->linger = &linger_auto;
    }
    else {
        wrong = strcmp(low, "off") ? low : NULL;
        conf->linger = &linger_off;
    }
    return wrong ? complaint(cmd, apr_psprintf(cmd->temp_pool,
                                               "expected off, auto or three ascending numbers of "
                                               "events a second from 1 to 1000000, not \"%.40s\"",
                                               wrong))
                 : NULL;
}

static const char *set_park(cmd_parms *cmd, void *unused, const char *arg)
{
    static const char *const ways[] = { "auto", "waitio", "condvar", "owned" };
    int way = RT_PARK_OWNED;

    while (way >= RT_PARK_AUTO && strcmp(arg, ways[way]) != 0) {
        way--;
    }
    server_conf(cmd)->park = way;
    return global(cmd, way >= RT_PARK_AUTO
                           ? NULL
                           : apr_psprintf(cmd->temp_pool,
                                          "expected auto, waitio, condvar or owned, not \"%.40s\"",
                                          arg));
}

const command_rec rt_cmds[] = {
    AP_INIT_TAKE1("RealtimeDomain", set_domain, NULL, RSRC_CONF | ACCESS_CONF,
                  "name of the stream of events that this location serves"),
    AP_INIT_TAKE1("RealtimePollTimeout", set_poll_timeout, NULL, RSRC_CONF | ACCESS_CONF,
                  "longest time a poll is parked, 1s to 25s (25s)"),
    AP_INIT_TAKE1("RealtimeLogIdle", set_log_idle, NULL, RSRC_CONF | ACCESS_CONF,
                  "log one in so many polls that ended without events, 0: none (1)"),
    AP_INIT_FLAG("RealtimeCoalesce", ap_set_flag_slot,
                 (void *)APR_OFFSETOF(rt_dir_conf, coalesce), RSRC_CONF | ACCESS_CONF,
                 "Off to send what a newer event of the same coalesceKey stands for, too (On)"),
    AP_INIT_FLAG("RealtimeLegacy", ap_set_flag_slot,
                 (void *)APR_OFFSETOF(rt_dir_conf, legacy), RSRC_CONF | ACCESS_CONF,
                 "On to serve the handler realtime-legacy as polls that never wait (Off: 410)"),
    AP_INIT_TAKE13("RealtimeLinger", set_linger, NULL, RSRC_CONF | ACCESS_CONF,
                   "off, auto, or the events a second that make polls gather 0 to 50, 50 to 150 "
                   "and 150 to 400 ms (20 50 200)"),
    AP_INIT_TAKE1("RealtimeBufferSize", set_buffer_size, NULL, RSRC_CONF,
                  "events kept an organisation, 1 to 10000 (200)"),
    AP_INIT_TAKE1("RealtimeBufferMemory", set_buffer_memory, NULL, RSRC_CONF,
                  "shared memory for events of all organisations, 8M to 64G (64M)"),
    AP_INIT_TAKE1("RealtimeEventTTL", set_event_ttl, NULL, RSRC_CONF,
                  "how long an event can be fetched, 1s to 1d (120s)"),
    AP_INIT_TAKE1("RealtimeIdleEvict", set_idle_evict, NULL, RSRC_CONF,
                  "after how long without polls and publications a buffer goes, 30s to 1d (120s)"),
    AP_INIT_TAKE1("RealtimeMaxWaiters", set_max_waiters, NULL, RSRC_CONF,
                  "polls parked an organisation, 1 to 1000000 (5000)"),
    AP_INIT_TAKE1("RealtimeMaxParked", set_max_parked, NULL, RSRC_CONF,
                  "polls parked in all children (two thirds of the threads)"),
    AP_INIT_TAKE12("RealtimeCursorSecret", set_cursor_secret, NULL, RSRC_CONF,
                   "file:PATH of 32 random bytes that sign cursors, the same on all nodes; and of "
                   "those that did before"),
    AP_INIT_TAKE1("RealtimePark", set_park, NULL, RSRC_CONF,
                  "auto, waitio, condvar or owned (auto)"),
    { NULL }
};

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    domain_count = 0;
    return OK;
}

/* The first of a start's two passes says it. */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const rt_server_conf *conf = ap_get_module_config(s->module_config, &realtime_lp_module);

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG
        && conf->event_ttl != OG_UNSET && conf->event_ttl < POLL_MAX) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1502)
                     "events live shorter (%d s) than a poll may last: clients that pause lose "
                     "events (RealtimeEventTTL)", (int)apr_time_sec(conf->event_ttl));
    }
    return OK;
}

/* Before rt_segment.c's: defaults filled in. */
static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const rt_server_conf *conf = ap_get_module_config(s->module_config, &realtime_lp_module);

    rt_places_count(conf, ptemp);
    effective.buffer_size = og_set_or(conf->buffer_size, 200);
    effective.buffer_memory = og_set_or(conf->buffer_memory, 64 * MIB);
    effective.event_ttl = og_set_or(conf->event_ttl, 120 * second);
    effective.idle_evict = og_set_or(conf->idle_evict, 120 * second);
    effective.max_waiters = og_set_or(conf->max_waiters, 5000);
    effective.max_parked = og_set_or(conf->max_parked, rt_places_get()->all);
    effective.cursor_secret = conf->cursor_secret;
    effective.cursor_previous = conf->cursor_previous;
    return OK;
}

void rt_config_register(apr_pool_t *p)
{
    APR_REGISTER_OPTIONAL_FN(rt_domain_known);
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_FIRST);
}
