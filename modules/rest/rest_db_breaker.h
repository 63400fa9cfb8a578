/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_db_breaker.h
 * @brief When to stop asking a database that does not answer (decisions.md 19)
 *
 * Pure; the caller's lock guards it. Open: nobody asks but a probe each half second, so that a
 * database that came back is in use again within 2 s. A failed connect opens it at once, since
 * nothing else can be had; failures of connections that were open must come in a row.
 */
#ifndef REST_DB_BREAKER_H
#define REST_DB_BREAKER_H

#include <apr_time.h>

#define REST_DB_BREAKER_FAILURES 5
#define REST_DB_BREAKER_PROBE    (APR_USEC_PER_SEC / 2)

/** All zero: closed. */
typedef struct rest_db_breaker {
    int open;
    int failures;        /* in a row, while closed */
    apr_time_t since;    /* open since */
    apr_time_t probe_at; /* open: when to try next */
} rest_db_breaker;

/** A connection failed in use. @return 1 when this opened it */
int rest_db_breaker_failed(rest_db_breaker *b, apr_time_t now);

/** A connect, or the probe, that began at `now` failed. @return 1 when this opened it */
int rest_db_breaker_refused(rest_db_breaker *b, apr_time_t now);

/** A connection did its work: the row of failures is broken. An open breaker stays open. */
void rest_db_breaker_worked(rest_db_breaker *b);

/** A connect, or the probe, succeeded. @return 1 when this closed it */
int rest_db_breaker_reached(rest_db_breaker *b);

#endif /* REST_DB_BREAKER_H */
