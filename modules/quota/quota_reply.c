/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What clients are told: the headers of http-semantics.md 7 on every response that was charged, and
 * the 429 of P§16.2.
 *
 * The headers are written by mod_tenant's egress hook, behind mod_cache's filters: one caller's
 * numbers are never stored with an answer that others get. The input filter QUOTA is put in where
 * a request is refused: who reads the body, to throw it away for instance, finds it at its end, no
 * 100 is sent for it, and the connection closes behind the answer, so that nothing of the body is
 * taken for the next request (B29, B30). */
#include "quota.h"

#include "og_clock.h"
#include "rest_problem.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

static ap_filter_rec_t *filter;

int quota_seconds(apr_interval_time_t span)
{
    apr_interval_time_t seconds = span / APR_USEC_PER_SEC + (span % APR_USEC_PER_SEC != 0);

    return seconds < APR_INT32_MAX ? (int)seconds : APR_INT32_MAX;
}

/* What a browser's script may read of other origins' answers. Retry-After is mod_tenant's own. */
static void retrieve(void)
{
    static const char *const names[] = { "RateLimit-Policy", "RateLimit", "X-RateLimit-Limit",
                                         "X-RateLimit-Remaining", "X-RateLimit-Reset", NULL };
    APR_OPTIONAL_FN_TYPE(tenant_exposes) *exposes = APR_RETRIEVE_OPTIONAL_FN(tenant_exposes);
    int i;

    for (i = 0; exposes && names[i]; i++) {
        exposes(names[i]);
    }
}

/* In place of whatever a backend said. */
static void say(request_rec *r, const char *name, const char *value)
{
    apr_table_unset(r->err_headers_out, name);
    apr_table_setn(r->headers_out, name, value);
}

static const char *policies_text(apr_pool_t *p, const quota_state *state)
{
    const char *text = "";
    int i;

    for (i = 0; i < state->n; i++) {
        text = apr_psprintf(p, "%s%s\"%s\";q=%" APR_INT64_T_FMT ";w=%" APR_INT64_T_FMT, text,
                            i ? ", " : "", state->charges[i].policy, state->charges[i].limit,
                            (apr_int64_t)apr_time_sec(state->charges[i].period));
    }
    return text;
}

/* X-RateLimit-Reset: when the bucket is full again (decisions.md 24); the wall clock is the
 * client's. */
static void say_limits(request_rec *r, const quota_state *state)
{
    const quota_charge *charge = &state->charges[state->tightest];
    const quota_verdict *verdict = &state->verdicts[state->tightest];
    apr_time_t full = og_clock_wall() + verdict->reset;

    say(r, "RateLimit-Policy", policies_text(r->pool, state));
    say(r, "RateLimit",
        apr_psprintf(r->pool, "\"%s\";r=%" APR_INT64_T_FMT ";t=%d", charge->policy,
                     verdict->remaining,
                     quota_seconds(verdict->allowed ? verdict->next : verdict->retry_after)));
    say(r, "X-RateLimit-Limit", apr_psprintf(r->pool, "%" APR_INT64_T_FMT, charge->limit));
    say(r, "X-RateLimit-Remaining", apr_psprintf(r->pool, "%" APR_INT64_T_FMT, verdict->remaining));
    say(r, "X-RateLimit-Reset",
        apr_psprintf(r->pool, "%" APR_INT64_T_FMT,
                     (apr_int64_t)apr_time_sec(full + APR_USEC_PER_SEC - 1)));
}

/* An answer without content was worth nothing */
static int egress(request_rec *r, int trusted)
{
    const quota_state *state = quota_state_of(r);

    if (r->status == HTTP_NOT_MODIFIED) {
        quota_give_back(r);
    }
    else if (state && state->n) {
        say_limits(r, state);
    }
    return DECLINED;
}

/* Nothing more comes. Placed by hand (SetInputFilter QUOTA) it does nothing before a refusal. */
static apr_status_t swallow(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode,
                            apr_read_type_e block, apr_off_t bytes)
{
    const quota_state *state = quota_state_of(f->r);

    if (!state || !state->refused) {
        ap_remove_input_filter(f);
        return ap_get_brigade(f->next, bb, mode, block, bytes);
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(f->c->bucket_alloc));
    return APR_SUCCESS;
}

/* As the client announced it, whatever the method: ap_request_has_body() believes that HEAD has
 * none, and it would be taken for the next request. Over HTTP/2 there need be no announcement, nor
 * is there a connection to close: the stream ends with its answer. */
static int has_body(const request_rec *r)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    return apr_table_get(r->headers_in, "Transfer-Encoding") || (length && strcmp(length, "0"));
}

const char *quota_wait_sentence(apr_pool_t *p, const char *what, int seconds)
{
    return apr_psprintf(p, "%s. Please retry after %d second%s.", what, seconds,
                        seconds == 1 ? "" : "s");
}

const char *quota_details(apr_pool_t *p, const char *type, int seconds, apr_int64_t remaining)
{
    return apr_psprintf(p, "{\"retryAfter\":%d,\"limitType\":\"%s\",\"remaining\":%" APR_INT64_T_FMT
                        "}", seconds, type, remaining);
}

int quota_refuse(request_rec *r, quota_state *state)
{
    const quota_verdict *verdict = &state->verdicts[state->tightest];
    int seconds = quota_seconds(verdict->retry_after);
    rest_problem problem = { HTTP_TOO_MANY_REQUESTS, "rate_limit_exceeded", NULL, NULL, 0 };

    state->refused = 1;
    ap_add_input_filter_handle(filter, NULL, r, r->connection);
    if (has_body(r)) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    problem.detail = quota_wait_sentence(r->pool, "Rate limit exceeded", seconds);
    problem.details = quota_details(r->pool, state->types[state->tightest], seconds,
                                    verdict->remaining);
    problem.retry_after = seconds;
    say_limits(r, state); /* without mod_tenant nobody else would */
    return rest_problem_send(r, &problem);
}

void quota_reply_register(apr_pool_t *p)
{
    filter = ap_register_input_filter("QUOTA", swallow, NULL, AP_FTYPE_CONTENT_SET);
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(tenant, egress, egress, NULL, NULL, APR_HOOK_MIDDLE);
}
