/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  mod_realtime_lp.h
 * @brief What mod_realtime_lp offers the other modules: publishing
 */
#ifndef MOD_REALTIME_LP_H
#define MOD_REALTIME_LP_H

#include <apr.h>
#include <apr_errno.h>
#include <apr_optional.h>

/** Bounds of an event; one past any of them is refused. */
#define RT_EVENT_ID_MAX       64
#define RT_EVENT_TYPE_MAX     64
#define RT_EVENT_COALESCE_MAX 128
#define RT_EVENT_DATA_MAX     65536

/** A cursor as clients get it, with its NUL. */
#define RT_CURSOR_SIZE 96

/** An event to publish. rt_publish() copies what it keeps. */
typedef struct rt_event {
    apr_int64_t org;          /**< 1..2^53-1 */
    apr_int64_t property;     /**< 0: every caller of the org may see it */
    const char *type;         /**< "expense.created": [a-z0-9_.]+ */
    const char *id;           /**< eventId, [A-Za-z0-9_-]+; NULL: one is made (ULID) */
    const char *coalesce_key; /**< or NULL */
    const char *data;         /**< one JSON value, already serialised; NULL: null */
    apr_size_t data_len;
    apr_int64_t ts;           /**< milliseconds since 1970; 0: now */
} rt_event;

/** What became of it. */
typedef struct rt_receipt {
    char cursor[RT_CURSOR_SIZE]; /**< just behind the event */
    int duplicate;               /**< an event of this id is in the buffer already: dropped */
} rt_receipt;

/**
 * Publish to a domain (RealtimeDomain) and ring whoever waits for it. Never waits for a
 * subscriber. Thread-safe; needs no request.
 * @param receipt  may be NULL
 * @return APR_SUCCESS; APR_EINVAL for an event past the bounds or an unknown domain;
 *         APR_TIMEUP when the store's lock was not to be had in time (try again later)
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, rt_publish,
                        (const char *domain, const rt_event *event, rt_receipt *receipt));

/** Whether a RealtimeDomain of the configuration that was read last has this name. */
APR_DECLARE_OPTIONAL_FN(int, rt_domain_known, (const char *domain));

#endif /* MOD_REALTIME_LP_H */
