/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  quota_policy.h
 * @brief The one table of limits: class x scope, its names, its defaults (P§16.1), and what a
 *        directive says
 *
 * Pure.
 */
#ifndef QUOTA_POLICY_H
#define QUOTA_POLICY_H

#include <apr_pools.h>
#include <apr_time.h>

/** What a request is charged as. */
typedef enum {
    QUOTA_WRITE,
    QUOTA_READ,
    QUOTA_SIGN,
    QUOTA_STREAM, /**< counted while it lasts, not charged: its policies are caps */
    QUOTA_CLASSES
} quota_class;

/** Whom. */
typedef enum { QUOTA_USER, QUOTA_ORG, QUOTA_ADDRESS, QUOTA_SCOPES } quota_scope;

/** Fields of the table, by quota_cell(). */
#define QUOTA_CELLS (QUOTA_CLASSES * QUOTA_SCOPES)

/** What a field holds. */
typedef struct quota_rate {
    apr_int64_t limit;          /**< charges a period, or streams at once; 0: off */
    apr_interval_time_t period; /**< microseconds, whole seconds; 0: a cap on streams */
    apr_int64_t burst;          /**< charges that may come at once */
} quota_rate;

static inline int quota_cell(quota_class class, quota_scope scope)
{
    return (int)class * QUOTA_SCOPES + (int)scope;
}

/** "write", … or NULL behind the last. */
const char *quota_class_name(int class);
const char *quota_scope_name(int scope);

/** "write-user", and as P§16.2 calls it "WRITE_USER". */
const char *quota_policy_name(int cell);
const char *quota_policy_type(int cell);

/** What holds where no policy was named; NULL: no limit. */
const quota_rate *quota_policy_default(int cell);

/**
 * What QuotaPolicy says of a class: "100/min", "5000/10min", "10" for streams, "off".
 * @param burst  "burst=20", or NULL: as many as the limit
 * @return NULL, or what was expected (from p)
 */
const char *quota_policy_parse(apr_pool_t *p, quota_class class, const char *text,
                               const char *burst, quota_rate *rate);

#endif /* QUOTA_POLICY_H */
