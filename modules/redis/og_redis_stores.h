/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_redis_stores.h
 * @brief The stores "redis" of mod_quota and mod_idempotency, on the link of og_redis_link_use()
 *
 * Their keys begin with RedisPrefix and a ':', where there is a prefix; then comes the store's
 * name. Neither a prefix nor what follows it up to its last part has a ':' in it, so that no two
 * keys of different meaning are the same text.
 */
#ifndef OG_REDIS_STORES_H
#define OG_REDIS_STORES_H

#include "mod_idempotency.h"
#include "mod_quota.h"

/** Characters of RedisPrefix. */
#define OG_REDIS_PREFIX_MAX 64

extern const quota_store og_redis_quota;
extern const idempotency_store og_redis_idempotency;

#endif /* OG_REDIS_STORES_H */
