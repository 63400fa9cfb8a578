/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a request is charged, and when: writes and signatures in fixups, before a byte of their
 * body is read; reads in a handler hook behind mod_cache's and before all others, so that a cached
 * answer costs nothing (httpd-facts.md 10). A client's request is charged once, whatever it is
 * redirected to inside; subrequests are not. */
#include "quota.h"

#include "og_clock.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>

#define STATE "orgscale-quota"

/* By method where QuotaClass leaves it open; who only asks what is possible is charged nothing. */
static int class_of(const request_rec *r, const quota_dir_conf *conf)
{
    if (r->method_number == M_OPTIONS || r->method_number == M_TRACE) {
        return QUOTA_CLASS_NONE;
    }
    if (conf->class != OG_UNSET && conf->class != QUOTA_CLASS_AUTO) {
        return conf->class;
    }
    if (r->method_number != M_GET) {
        return QUOTA_WRITE;
    }
    return quota_is_stream(r->handler) ? QUOTA_STREAM : QUOTA_READ;
}

quota_state *quota_state_of(const request_rec *r)
{
    void *state = NULL;

    apr_pool_userdata_get(&state, STATE, r->pool);
    return state;
}

void quota_note(request_rec *r, const char *verdict)
{
    apr_table_setn(r->notes, "quota", verdict);
}

/* The policies that hold here for whoever calls. */
static void collect(request_rec *r, const quota_dir_conf *conf, int class, quota_state *state)
{
    quota_subject *subjects = apr_palloc(r->pool, QUOTA_CHARGES_MAX * sizeof(*subjects));
    int n = quota_caller(r, subjects), i;

    for (i = 0; i < n; i++) {
        int cell = quota_cell(class, subjects[i].scope);
        const quota_rate *rate = quota_rate_of(conf, cell);
        quota_charge *charge = &state->charges[state->n];

        if (rate) {
            charge->policy = quota_policy_name(cell);
            charge->subject = subjects[i].name;
            charge->limit = rate->limit;
            charge->period = rate->period;
            charge->burst = rate->burst;
            charge->cost = 1;
            state->types[state->n++] = quota_policy_type(cell);
        }
    }
}

/* The policy that clients are told of: of those that refuse the one that does so longest, else the
 * one with the least left. @return whether the request is allowed */
static int weigh(quota_state *state)
{
    const quota_verdict *tightest = &state->verdicts[0];
    int i;

    for (i = 1; i < state->n; i++) {
        const quota_verdict *verdict = &state->verdicts[i];

        if (verdict->retry_after > tightest->retry_after
            || (verdict->retry_after == tightest->retry_after
                && verdict->remaining < tightest->remaining)) {
            tightest = verdict;
        }
    }
    state->tightest = (int)(tightest - state->verdicts);
    return tightest->allowed;
}

/* @return whether the request goes on */
static int refused(request_rec *r, quota_state *state, int is_dry)
{
    const quota_charge *charge = &state->charges[state->tightest];
    int seconds = quota_seconds(state->verdicts[state->tightest].retry_after);

    if (is_dry) {
        atomic_fetch_add(&quota_segment_counters()->dry, 1);
        quota_note(r, apr_pstrcat(r->pool, "dry-run ", charge->policy, NULL));
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, OGLOGNO(1109)
                      "%s would be refused by %s for %d s (QuotaDryRun)", charge->subject,
                      charge->policy, seconds);
        return 1;
    }
    atomic_fetch_add(&quota_segment_counters()->refused, 1);
    quota_note(r, apr_pstrcat(r->pool, "refused ", charge->policy, NULL));
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, OGLOGNO(1108) "%s is refused by %s for %d s",
                  charge->subject, charge->policy, seconds);
    return 0;
}

/* @return whether the request goes on; else it is to be refused as quota_state_of() says */
static int charge(request_rec *r, const quota_dir_conf *conf, int class)
{
    quota_state *state = apr_pcalloc(r->pool, sizeof(*state));
    const quota_store *by;

    apr_pool_userdata_setn(state, STATE, NULL, r->pool);
    collect(r, conf, class, state);
    if (!state->n) {
        return 1;
    }
    if (!quota_decide(state->charges, state->n, state->verdicts, &by)) {
        quota_note(r, "undecided");
        state->n = 0;
        return 1;
    }
    if (!weigh(state)) {
        return refused(r, state, conf->dry_run == 1);
    }
    state->by = by;
    state->at = og_clock_mono();
    atomic_fetch_add(&quota_segment_counters()->allowed, 1);
    quota_note(r, "allowed");
    return 1;
}

/* The configuration where the request is to be looked at, now; else NULL. */
static const quota_dir_conf *conf_of(const request_rec *r)
{
    const quota_dir_conf *conf = quota_dir(r);

    /* the page of an error is part of the answer to a request that was charged, or refused */
    if (conf->enabled != 1 || r->main || (r->prev && ap_is_HTTP_ERROR(r->prev->status))
        || quota_state_of(r)) {
        return NULL;
    }
    return conf;
}

static int fixups(request_rec *r)
{
    const quota_dir_conf *conf = conf_of(r);
    int class = conf ? class_of(r, conf) : QUOTA_CLASS_NONE;

    if ((class != QUOTA_WRITE && class != QUOTA_SIGN) || charge(r, conf, class)) {
        return DECLINED;
    }
    quota_refuse(r, quota_state_of(r));
    return DONE;
}

static int handler(request_rec *r)
{
    const quota_dir_conf *conf = conf_of(r);

    if (!conf || class_of(r, conf) != QUOTA_READ || charge(r, conf, QUOTA_READ)) {
        return DECLINED;
    }
    return quota_refuse(r, quota_state_of(r));
}

/* Only while the bucket has not been full since: what ran over then was not this one's. */
void quota_give_back(request_rec *r)
{
    quota_state *state = quota_state_of(r);
    apr_time_t passed;
    int i;

    if (!state || !state->by) {
        return;
    }
    passed = og_clock_mono() - state->at;
    for (i = 0; i < state->n; i++) {
        if (passed < state->verdicts[i].reset) {
            quota_put_back(state->by, &state->charges[i], 1);
        }
    }
    atomic_fetch_add(&quota_segment_counters()->given_back, 1);
    state->by = NULL;
    state->n = 0;
    quota_note(r, "given back");
}

/* Without mod_tenant's egress nobody sees the answer before it is sent. */
static int log_transaction(request_rec *r)
{
    const request_rec *answer = r;

    while (answer->next) {
        answer = answer->next;
    }
    if (answer->status == HTTP_NOT_MODIFIED) {
        quota_give_back(r);
    }
    return DECLINED;
}

void quota_charge_register(apr_pool_t *p)
{
    /* mod_proxy's handler comes first, too */
    static const char *const successors[] = { "mod_proxy.c", NULL };

    APR_REGISTER_OPTIONAL_FN(quota_give_back);
    ap_hook_fixups(fixups, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, successors, APR_HOOK_FIRST);
    /* before the line of mod_log_config, which may tell of the note */
    ap_hook_log_transaction(log_transaction, NULL, NULL, APR_HOOK_FIRST);
}
