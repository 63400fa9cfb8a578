/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* When to stop asking a database that does not answer, see rest_db_breaker.h. */
#include "rest_db_breaker.h"

static int opened(rest_db_breaker *b, apr_time_t now)
{
    b->probe_at = now + REST_DB_BREAKER_PROBE;
    if (b->open) {
        return 0;
    }
    b->open = 1;
    b->since = now;
    return 1;
}

int rest_db_breaker_failed(rest_db_breaker *b, apr_time_t now)
{
    /* what was under way when it opened still fails: the probe's time is not moved by it */
    if (b->open || ++b->failures < REST_DB_BREAKER_FAILURES) {
        return 0;
    }
    return opened(b, now);
}

int rest_db_breaker_refused(rest_db_breaker *b, apr_time_t now)
{
    return opened(b, now);
}

void rest_db_breaker_worked(rest_db_breaker *b)
{
    b->failures = 0;
}

int rest_db_breaker_reached(rest_db_breaker *b)
{
    /* closed: a connect says nothing about statements that hang, so their row goes on */
    if (!b->open) {
        return 0;
    }
    b->open = 0;
    b->failures = 0;
    return 1;
}
