/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  mod_quota.h
 * @brief What mod_quota offers the other modules: charges given back, stream leases, counts; and
 *        what a store of buckets on other hosts has to do
 *
 * A bucket is a policy, a subject and a rate: it holds burst charges and fills with limit of them a
 * period. Optional functions that are absent are limits that are off: retrieve them in an
 * optional_fn_retrieve hook.
 */
#ifndef MOD_QUOTA_H
#define MOD_QUOTA_H

#include <apr.h>
#include <apr_errno.h>
#include <apr_optional.h>
#include <apr_time.h>

struct request_rec;

/** Bounds of a policy (QuotaPolicy), and of the name of whom it is about, with its NUL. */
#define QUOTA_LIMIT_MAX    1000000
#define QUOTA_SUBJECT_SIZE 64

/** Charges of one request: one a scope. */
#define QUOTA_CHARGES_MAX  3

/** One thing that a request is charged. Strings live as long as the call. */
typedef struct quota_charge {
    const char *policy;         /**< "write-user": small letters and '-' */
    const char *subject;        /**< "user:8:42", "org:8", "net:192.0.2.0/24": no blanks */
    apr_int64_t limit;          /**< charges a period, 1..QUOTA_LIMIT_MAX */
    apr_interval_time_t period; /**< microseconds, 1 s to 1 d */
    apr_int64_t burst;          /**< charges that the bucket holds, 1..QUOTA_LIMIT_MAX */
    apr_int64_t cost;           /**< how many of them this request takes, 1..QUOTA_LIMIT_MAX */
} quota_charge;

/** What its bucket says to it, in microseconds from now: no store's clock is anybody else's. */
typedef struct quota_verdict {
    int allowed;                /**< by this bucket alone */
    apr_int64_t remaining;      /**< single charges that would be allowed now; 0..burst */
    apr_interval_time_t retry_after; /**< until cost would be allowed; 0 when it is */
    apr_interval_time_t next;   /**< until remaining is one more; 0 when the bucket is full */
    apr_interval_time_t reset;  /**< until the bucket is full again; 0 when it is */
} quota_verdict;

/** Registered with ap_register_provider(p, QUOTA_STORE_GROUP, name, QUOTA_STORE_VERSION, &store):
 * its name is what QuotaStore takes. */
#define QUOTA_STORE_GROUP   "orgscale-quota-store"
#define QUOTA_STORE_VERSION "1"

/**
 * Where buckets are kept. Called by many threads of many processes at once, on request threads:
 * each call ends within the time it is given, and at once while the store is known to be down.
 */
typedef struct quota_store {
    /** At each start and reload, once the configuration is read: NULL, or a sentence that says what
     * is missing ("expected RedisServer"). May be NULL. */
    const char *(*ready)(void);

    /**
     * Take all charges, when all of their buckets allow it; else none.
     * @param n         1..QUOTA_CHARGES_MAX
     * @param verdicts  n of them, set on success: of the buckets behind the charge when all are
     *                  allowed, else as they are
     * @param within    microseconds
     * @return APR_SUCCESS; APR_TIMEUP or another status: nothing is known about what was charged,
     *         and the buckets of this host decide
     */
    apr_status_t (*decide)(const quota_charge *charges, int n, quota_verdict *verdicts,
                           apr_interval_time_t within);

    /**
     * Put charges back that decide() took: a bucket never holds more than burst by it.
     * @return APR_SUCCESS, or why they were not
     */
    apr_status_t (*give_back)(const quota_charge *charges, int n, apr_interval_time_t within);
} quota_store;

/**
 * What this request was charged is given back, and its response says nothing about limits: for
 * answers that cost nothing (replays). Harmless when nothing was charged, and when called twice.
 * To be called by the thread that has the request, before the response's header is written.
 */
APR_DECLARE_OPTIONAL_FN(void, quota_give_back, (struct request_rec *r));

/** Requests that a handler (SetHandler) answers are streams: not charged as reads, it takes leases
 * for them. handler lives as long as the process. For optional_fn_retrieve hooks. */
APR_DECLARE_OPTIONAL_FN(void, quota_streams_by, (const char *handler));

/** Why there is no lease: what the 429 says. Strings are literals or live in r->pool. */
typedef struct quota_refusal {
    const char *code;           /**< "stream_limit_exceeded" */
    const char *detail;         /**< a sentence for people */
    const char *details;        /**< a JSON object for machines */
    int retry_after;            /**< seconds, jittered */
} quota_refusal;

typedef struct quota_lease quota_lease;

/**
 * A stream (a long poll) of r's caller begins: counted by the policies stream-user and stream-org,
 * or stream-address, of r's location. Given back with r->pool at the latest, and by others when
 * this process dies.
 * @param lease  set on success; NULL where no limit holds
 * @return 1; 0: a cap is reached, and *refusal says what to answer
 */
APR_DECLARE_OPTIONAL_FN(int, quota_lease_take,
                        (struct request_rec *r, quota_lease **lease, quota_refusal *refusal));

/** The stream ended. lease may be NULL; harmless when called twice. Never blocks, any thread. */
APR_DECLARE_OPTIONAL_FN(void, quota_lease_give, (quota_lease *lease));

/** Of all processes of this host since its shared memory was made. */
typedef struct quota_counts {
    apr_uint64_t allowed, refused; /**< requests */
    apr_uint64_t dry;              /**< … that QuotaDryRun let pass */
    apr_uint64_t given_back;
    apr_uint64_t overflowed;       /**< charges to a shared bucket: the table was full */
    apr_uint64_t fallbacks;        /**< decisions of this host's buckets in place of QuotaStore's */
    apr_uint64_t undecided;        /**< requests that passed: no bucket was to be had in time */
    apr_uint64_t streams_refused;
    apr_int64_t streams;           /**< leases held now */
} quota_counts;

APR_DECLARE_OPTIONAL_FN(void, quota_counts_get, (quota_counts *counts));

#endif /* MOD_QUOTA_H */
