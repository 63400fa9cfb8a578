/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The table of limits, see quota_policy.h. */
#include "quota_policy.h"

#include "mod_quota.h"
#include "og_number.h"

#include <apr_strings.h>
#include <string.h>

#define MINUTE (60 * APR_USEC_PER_SEC)
#define DAY    (86400 * APR_USEC_PER_SEC)

static const char *const class_names[] = { "write", "read", "sign", "stream", NULL };
static const char *const scope_names[] = { "user", "org", "address", NULL };

/* By quota_cell(). P§16.1; who is nobody shares with his network what a user has for himself. */
static const struct {
    const char *name, *type;
    quota_rate rate; /* limit 0: none */
} table[QUOTA_CELLS] = {
    { "write-user", "WRITE_USER", { 100, MINUTE, 100 } },
    { "write-org", "WRITE_ORG", { 500, MINUTE, 500 } },
    { "write-address", "WRITE_ADDRESS", { 100, MINUTE, 100 } },
    { "read-user", "READ_USER", { 300, MINUTE, 300 } },
    { "read-org", "READ_ORG", { 0, 0, 0 } },
    { "read-address", "READ_ADDRESS", { 300, MINUTE, 300 } },
    { "sign-user", "SIGN_USER", { 50, MINUTE, 50 } },
    { "sign-org", "SIGN_ORG", { 500, MINUTE, 500 } },
    { "sign-address", "SIGN_ADDRESS", { 50, MINUTE, 50 } },
    { "stream-user", "STREAM_USER", { 10, 0, 0 } },
    { "stream-org", "STREAM_ORG", { 1000, 0, 0 } },
    { "stream-address", "STREAM_ADDRESS", { 10, 0, 0 } },
};

const char *quota_class_name(int class)
{
    return class_names[class];
}

const char *quota_scope_name(int scope)
{
    return scope_names[scope];
}

const char *quota_policy_name(int cell)
{
    return table[cell].name;
}

const char *quota_policy_type(int cell)
{
    return table[cell].type;
}

const quota_rate *quota_policy_default(int cell)
{
    return table[cell].rate.limit ? &table[cell].rate : NULL;
}

/* What stands behind the '/': a unit, or a time that begins with its number. Whole seconds, since
 * RateLimit-Policy tells it in seconds. */
static int parse_period(apr_pool_t *p, const char *text, apr_interval_time_t *period)
{
    const char *span = *text >= '0' && *text <= '9' ? text : apr_pstrcat(p, "1", text, NULL);

    return *text && !og_arg_span(p, span, APR_USEC_PER_SEC, DAY, period)
           && *period % APR_USEC_PER_SEC == 0;
}

static int parse_rate(apr_pool_t *p, const char *text, quota_rate *rate)
{
    const char *slash = strchr(text, '/');

    return slash
           && og_int_parse(&rate->limit, text, (apr_size_t)(slash - text), 1, QUOTA_LIMIT_MAX)
           && parse_period(p, slash + 1, &rate->period);
}

static const char *parse_streams(apr_pool_t *p, const char *text, const char *burst,
                                 quota_rate *rate)
{
    if (!og_int_parse(&rate->limit, text, strlen(text), 1, QUOTA_LIMIT_MAX)) {
        return apr_psprintf(p, "expected a number of streams from 1 to %d, or off, not \"%.40s\"",
                            QUOTA_LIMIT_MAX, text);
    }
    return burst ? apr_psprintf(p, "expected no more than the number of streams, not \"%.40s\"",
                                burst)
                 : NULL;
}

const char *quota_policy_parse(apr_pool_t *p, quota_class class, const char *text,
                               const char *burst, quota_rate *rate)
{
    memset(rate, 0, sizeof(*rate));
    if (!strcmp(text, "off") && !burst) {
        return NULL;
    }
    if (class == QUOTA_STREAM) {
        return parse_streams(p, text, burst, rate);
    }
    if (!parse_rate(p, text, rate)) {
        return apr_psprintf(p, "expected a rate such as 100/min or 5000/10min, of 1 to %d in 1s to "
                               "1d, or off, not \"%.40s\"", QUOTA_LIMIT_MAX, text);
    }
    rate->burst = rate->limit;
    if (burst
        && (strncmp(burst, "burst=", 6)
            || !og_int_parse(&rate->burst, burst + 6, strlen(burst + 6), 1, QUOTA_LIMIT_MAX))) {
        return apr_psprintf(p, "expected burst=1 to burst=%d, not \"%.40s\"", QUOTA_LIMIT_MAX,
                            burst);
    }
    return NULL;
}
