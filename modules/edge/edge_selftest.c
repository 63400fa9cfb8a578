/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The self-test: asks this server for the canary as two tenants, and looks whether anything
 * crosses from the one to the other (http-semantics.md 3).
 *
 * A job of mod_watchdog's, in one child of the host, never on a thread of requests. It asks from
 * outside, over loopback, so that nothing on the way is left out. Two ends are kept apart:
 * something crossed, which opens the breaker for good; or it could not be told, or a purge
 * missed, which is a line in the log. Nothing that a slow or broken server does is taken for a
 * crossing: that is only what the one tenant was answered and is the other's. */
#include "edge.h"

#include "og_clock.h"
#include "rest_fields.h"
#include "rest_watchdog.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <mod_status.h>

/* Tags share counters, so the tenants' epochs may come to differ by the moves of others; more than
 * these at once are not made up for */
#define LEVEL_MAX 100000

/* pool: a turn's */
typedef struct test {
    apr_pool_t *p;
    const edge_loopback *target;
    const char *query;
    const char *tags[EDGE_CANARIES], *nonces[EDGE_CANARIES];
    edge_loopback_answer answers[EDGE_CANARIES]; /* the last of each tenant */
    const char *failed;  /* what could not be told, or NULL */
    const char *crossed; /* what did, or NULL */
    const char *leaked;  /* a header that has to stay inside, or NULL: counts as crossed */
} test;

static int is_over(const test *t)
{
    return t->failed || t->crossed;
}

/* Whether a body says that it is of tenant n: by its nonce, or by its number. */
static int is_of(const test *t, const char *body, int n)
{
    return strstr(body, t->nonces[n]) || strstr(body, apr_psprintf(t->p, "\"canary\":%d,", n));
}

static int is_hit(const test *t, const edge_loopback_answer *answer)
{
    const char *status = edge_loopback_field(t->p, answer, "Cache-Status");

    return status && strstr(status, "orgscale; hit") != NULL;
}

/* A header that is for trusted edges, and came to us who are none; NULL: none. Only the server
 * knows whom it trusts, and says so in the body. */
static const char *leak_of(const test *t, const edge_loopback_answer *answer)
{
    static const char *const internal[] = { REST_FIELDS_INTERNAL, NULL };
    const char *control = edge_loopback_field(t->p, answer, "Cache-Control");
    int i;

    if (!strstr(answer->body, "\"trusted\":false")) {
        return NULL;
    }
    for (i = 0; internal[i]; i++) {
        if (edge_loopback_field(t->p, answer, internal[i])) {
            return internal[i];
        }
    }
    return control && ap_find_token(t->p, control, "public") ? "Cache-Control: public" : NULL;
}

/* Ask as tenant n, by a tag if there is one; what comes has to be his own. */
static void ask(test *t, int n, const char *tag)
{
    edge_loopback_answer *answer = &t->answers[n];
    const char *fields = edge_canary_field(t->p, n, 0);

    if (is_over(t)) {
        return;
    }
    if (tag) {
        fields = apr_psprintf(t->p, "%sIf-None-Match: %.200s\r\n", fields, tag);
    }
    edge_loopback_ask(t->p, t->target, t->query, fields, rest_watchdog_ends, answer);
    if (answer->wrong) {
        t->failed = answer->wrong;
        return;
    }
    if (!t->leaked) {
        t->leaked = leak_of(t, answer);
    }
    if (is_of(t, answer->body, 1 - n)) {
        t->crossed = apr_psprintf(t->p, "tenant %d was given what is tenant %d's, %s the cache", n,
                                  1 - n, is_hit(t, answer) ? "from" : "past");
    }
    else if (answer->status == HTTP_NOT_MODIFIED && tag) {
        t->crossed = apr_psprintf(t->p, "the tag of tenant %d made a 304 for tenant %d", 1 - n, n);
    }
    else if (answer->status != HTTP_OK) {
        t->failed = apr_psprintf(t->p, "the canary's status is %d", answer->status);
    }
    else if (!strstr(answer->body, t->nonces[n])) {
        t->failed = "what was answered is no canary of ours (SetHandler edge-canary)";
    }
}

/* Keys hold epochs as well as tenants. Were those of the two tags to differ, they would keep
 * apart what the tenants' own part of the key does not. */
static void make_epochs_alike(const test *t)
{
    const char *const *behind;
    apr_uint64_t goal;
    int i;

    edge_move(t->tags, EDGE_CANARIES);
    behind = &t->tags[edge_epoch(t->tags[0]) > edge_epoch(t->tags[1])];
    goal = edge_epoch(behind == t->tags ? t->tags[1] : t->tags[0]);
    for (i = 0; i < LEVEL_MAX && edge_epoch(*behind) < goal; i++) {
        edge_move(behind, 1);
    }
}

/* Each gets what is his, from the origin and then from the cache. */
static void own_answers(test *t)
{
    int i;

    make_epochs_alike(t);
    for (i = 0; i < 2 * EDGE_CANARIES; i++) {
        ask(t, i % EDGE_CANARIES, NULL);
    }
}

/* The one's tag says nothing of what the other is answered. */
static void tags_of_the_other(test *t)
{
    const char *tag = is_over(t) ? NULL : edge_loopback_field(t->p, &t->answers[0], "ETag");

    if (tag) {
        ask(t, 1, tag);
    }
}

/* Purging what is the one's outdates that, and nothing of the other's. Without mod_purge, or
 * where the two tags have a counter in common, there is nothing to see. */
static void purges(test *t)
{
    apr_uint64_t before[EDGE_CANARIES] = { edge_epoch(t->tags[0]), edge_epoch(t->tags[1]) };

    if (is_over(t) || !is_hit(t, &t->answers[0]) || !is_hit(t, &t->answers[1])) {
        return;
    }
    edge_move(&t->tags[1], 1);
    ask(t, 0, NULL);
    if (!is_over(t) && !is_hit(t, &t->answers[0]) && edge_epoch(t->tags[0]) == before[0]) {
        t->failed = "purging tenant 1's outdated what is tenant 0's, or there is no room for it";
    }
    ask(t, 1, NULL);
    if (!is_over(t) && is_hit(t, &t->answers[1]) && edge_epoch(t->tags[1]) != before[1]) {
        t->failed = "what was purged was given from the cache";
    }
    edge_move(&t->tags[0], 1);
}

/* Who does not know the secret is told nothing. */
static void strangers(test *t)
{
    const char *fields[2] = { "", edge_canary_field(t->p, 0, 1) };
    edge_loopback_answer answer;
    int i;

    for (i = 0; i < 2 && !is_over(t); i++) {
        edge_loopback_ask(t->p, t->target, t->query, fields[i], rest_watchdog_ends, &answer);
        if (answer.wrong) {
            t->failed = answer.wrong;
        }
        else if (is_of(t, answer.body, 0) || is_of(t, answer.body, 1)) {
            t->crossed = i ? "a forged secret was answered with a tenant's canary"
                           : "a request without a secret was answered with a tenant's canary";
        }
        else if (answer.status != HTTP_NOT_FOUND) {
            t->failed = apr_psprintf(t->p, "a stranger's status is %d", answer.status);
        }
    }
}

/* @return 0: OpenSSL failed */
static int begin(test *t, apr_pool_t *p, const edge_loopback *target)
{
    const char *run = edge_canary_run(p);
    int n;

    memset(t, 0, sizeof(*t));
    t->p = p;
    t->target = target;
    t->query = apr_pstrcat(p, "run=", run, NULL);
    for (n = 0; n < EDGE_CANARIES; n++) {
        t->tags[n] = edge_canary_tag(p, n);
        t->nonces[n] = edge_canary_nonce(p, n);
    }
    return run && t->nonces[0] && t->nonces[1];
}

/* What no cache is in front of is told once a process: it may be meant. */
static void note_what_is_kept(const test *t, const server_rec *s)
{
    static int is_noted; /* child: this job's alone */

    if (!is_noted && !is_hit(t, &t->answers[0])) {
        is_noted = 1;
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, s, OGLOGNO(1362)
                     "the canary is not kept by mod_cache, so its keys are not tested: expected "
                     "EdgeCache and CacheEnable in its location (EdgeSelfTest)");
    }
}

static void conclude(const test *t, const server_rec *s)
{
    if (t->crossed) {
        edge_breaker_open(); /* before anybody reads about it */
        edge_breaker_count(EDGE_SELFTEST_CROSSED);
        ap_log_error(APLOG_MARK, APLOG_ALERT, 0, s, OGLOGNO(1363)
                     "cross_tenant: %s. Nothing is looked up in the cache or kept from now on, on "
                     "this server, until httpd is stopped and started (EdgeSelfTest)", t->crossed);
        return;
    }
    edge_breaker_count(t->failed ? EDGE_SELFTEST_FAILED : EDGE_SELFTEST_OK);
    if (t->failed && edge_breaker_may_warn(og_clock_mono())) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1364)
                     "the self-test of http://%s%s could not be done: %s (EdgeSelfTest)",
                     t->target->host, t->target->path, t->failed);
    }
}

static void run(apr_pool_t *p, const server_rec *s)
{
    test t;

    if (edge_breaker_is_open()) {
        return; /* nothing is kept that could cross */
    }
    if (!begin(&t, p, edge_conf()->selftest)) {
        t.failed = "no secret could be made";
    }
    own_answers(&t);
    if (!is_over(&t)) {
        note_what_is_kept(&t, s);
    }
    tags_of_the_other(&t);
    purges(&t);
    strangers(&t);
    if (t.leaked && !t.crossed) {
        t.crossed = apr_pstrcat(p, t.leaked, " came to a peer that is not trusted", NULL);
    }
    if (t.crossed || !rest_watchdog_ends()) {
        conclude(&t, s);
    }
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    if (edge_conf()->selftest
        && !rest_watchdog_add(s, pconf, "edge-selftest", "EdgeSelfTest", 1,
                              edge_conf()->selftest_every, run)) {
        return !OK;
    }
    return OK;
}

static int status(request_rec *r, int flags)
{
    static const char *const names[EDGE_SELFTEST_RESULTS] = { "Ok", "Failed", "Crossed" };
    int is_short = flags & AP_STATUS_SHORT, i;

    ap_rputs(is_short ? "" : "<hr />\n<h2>mod_edge's self-test</h2>\n<dl>\n", r);
    for (i = 0; i < EDGE_SELFTEST_RESULTS; i++) {
        ap_rprintf(r, is_short ? "EdgeSelfTest%s: %" APR_INT64_T_FMT "\n"
                               : "<dt>%s: %" APR_INT64_T_FMT "</dt>\n",
                   names[i], edge_breaker_counted((edge_selftest_result)i));
    }
    ap_rprintf(r, is_short ? "EdgeCrossTenant: %s\n" : "<dt>Breaker cross_tenant: %s</dt>\n",
               edge_breaker_is_open() ? "open" : "closed");
    ap_rputs(is_short ? "" : "</dl>\n", r);
    return OK;
}

void edge_selftest_register(apr_pool_t *p)
{
    rest_watchdog_register(p, NULL);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ap, status_hook, status, NULL, NULL, APR_HOOK_MIDDLE);
}
