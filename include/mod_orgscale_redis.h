/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  mod_orgscale_redis.h
 * @brief What mod_orgscale_redis tells the other modules: how its calls of Redis ended
 *
 * Its stores are providers, registered as "redis" for QuotaStore (mod_quota.h) and IdempotencyStore
 * (mod_idempotency.h).
 */
#ifndef MOD_ORGSCALE_REDIS_H
#define MOD_ORGSCALE_REDIS_H

#include <apr.h>
#include <apr_optional.h>

/** How a call ended. All but the first mean the same to a store: Redis is not there. */
typedef enum {
    OG_REDIS_OK,
    OG_REDIS_DOWN,       /**< known to be down, so it was not asked */
    OG_REDIS_CROWDED,    /**< no connection came free in time */
    OG_REDIS_TIMEOUT,    /**< no answer in time */
    OG_REDIS_LOST,       /**< the connection broke, or none could be made */
    OG_REDIS_PROTOCOL,   /**< an answer that is none: malformed, too large, of another type */
    OG_REDIS_READONLY,   /**< a replica */
    OG_REDIS_LOADING,    /**< it still reads its file */
    OG_REDIS_OOM,        /**< maxmemory is reached */
    OG_REDIS_NOREPLICAS, /**< fewer replicas than min-replicas-to-write */
    OG_REDIS_BUSY,       /**< somebody's script does not end */
    OG_REDIS_MOVED,      /**< a node of a cluster, which these stores can't use */
    OG_REDIS_WRONGTYPE,  /**< a key of ours holds something else */
    OG_REDIS_NOAUTH,     /**< no password, or a wrong one */
    OG_REDIS_MASTERDOWN, /**< a replica without its primary */
    OG_REDIS_MISCONF,    /**< it can't save, and so takes no writes */
    OG_REDIS_NOPERM,     /**< a user who may not run our scripts */
    OG_REDIS_NOSCRIPT,   /**< a script that it did not have: asked again with the text */
    OG_REDIS_OTHER,      /**< any other error that it answered */
    OG_REDIS_REASONS
} og_redis_reason;

/** Of all processes of this host since its shared memory was made. */
typedef struct og_redis_counts {
    apr_uint64_t ended[OG_REDIS_REASONS]; /**< calls, and attempts to connect that failed */
    apr_uint64_t went_down, came_back;    /**< once a child */
} og_redis_counts;

APR_DECLARE_OPTIONAL_FN(void, og_redis_counts_get, (og_redis_counts *counts));

#endif /* MOD_ORGSCALE_REDIS_H */
