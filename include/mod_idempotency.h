/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  mod_idempotency.h
 * @brief What a store of idempotency keys implements, and how an answer is kept in it
 *
 * A store is a provider: `IdempotencyStore NAME` takes what was registered, in a module's
 * register_hooks, as
 *
 *     ap_register_provider(p, IDEMPOTENCY_STORE_GROUP, NAME, IDEMPOTENCY_STORE_VERSION, &store)
 *
 * where store is an idempotency_store that lives as long as the module. A key of a user of an
 * organisation is in one of these states, and begin() is the only way to run a request under it:
 *
 *     state    is left by                                   begin() with its fingerprint says
 *     (none)   begin                                        IDEMPOTENCY_NEW, and it runs
 *     running  finish -> done, release -> (none),           IDEMPOTENCY_RUNNING
 *              doubt -> doubt, its lease ends -> doubt
 *     done     its ttl ends -> (none)                       IDEMPOTENCY_DONE and the answer
 *     doubt    its ttl ends -> (none), begin with retry     IDEMPOTENCY_DOUBT, or with retry and
 *              -> running                                   behind its pause IDEMPOTENCY_NEW
 *
 * begin() with another fingerprint says IDEMPOTENCY_REUSED in each of them. A lease that ends is
 * doubt, never freedom: the request may have had its effect. It ends when the process that holds
 * the claim is known to be dead, or, for a store that can't know, when nobody renewed it in time; a
 * store of the first kind leaves renew NULL and never ends the lease of a process that lives. The
 * ttl counts from finish() or doubt(), and from begin() where a lease ended by itself.
 *
 * A claim is told from others of its key by its token: finish(), doubt(), renew() and release() do
 * nothing, and return APR_NOTFOUND, where the key runs under another token, is done or is gone. So
 * whoever lost a claim can't end the next one's. begin() with the token of the running claim says
 * IDEMPOTENCY_NEW again: a call whose reply was lost may be repeated.
 *
 * A store whose keys are in a database may put them into the transaction of the write itself: then
 * key, answer and effect are there together or not at all, and nothing is ever in doubt. Such a
 * store is `transactional`. Its caller opens the transaction, and says with claim->context, of the
 * store's own type, which one it is; begin() is the first thing in it, finish() is its COMMIT, and
 * release() and doubt() are its ROLLBACK. A claim ends with its transaction at the latest, so there
 * is no lease, and its token is the transaction. The effect has to be in the transaction as well:
 * mod_idempotency, which has no hand in what its handlers do, takes no such store. mod_finance
 * writes through one, `dbd`.
 */
#ifndef MOD_IDEMPOTENCY_H
#define MOD_IDEMPOTENCY_H

#include <apr.h>
#include <apr_errno.h>
#include <apr_optional.h>
#include <apr_pools.h>
#include <apr_time.h>

#define IDEMPOTENCY_STORE_GROUP   "orgscale-idempotency-store"
#define IDEMPOTENCY_STORE_VERSION "1"

#define IDEMPOTENCY_KEY_MAX         255
#define IDEMPOTENCY_FINGERPRINT_LEN 32
#define IDEMPOTENCY_TOKEN_LEN       16

/** What begin() says of a key. */
typedef enum {
    IDEMPOTENCY_NEW,     /**< it is the caller's now: run the request, then end the claim */
    IDEMPOTENCY_DONE,    /**< it was answered: found->answer */
    IDEMPOTENCY_RUNNING, /**< a request under it still runs */
    IDEMPOTENCY_REUSED,  /**< it belongs to another request */
    IDEMPOTENCY_DOUBT    /**< a request under it ended, and nobody knows how */
} idempotency_verdict;

/** Who wants what done once. Stays as it is, strings too, until the claim is ended. */
typedef struct idempotency_claim {
    apr_int64_t org;                 /**< 0 for an admin without one, else 1..2^53-1 */
    apr_int64_t user;                /**< 1..2^53-1 */
    const char *key;                 /**< 1 to IDEMPOTENCY_KEY_MAX visible ASCII characters */
    unsigned char fingerprint[IDEMPOTENCY_FINGERPRINT_LEN];
    unsigned char token[IDEMPOTENCY_TOKEN_LEN]; /**< random: this claim, and no other */
    apr_interval_time_t lease;       /**< without renewal; a third of it passes between two */
    apr_interval_time_t ttl;         /**< of an answer, or of a doubt */
    apr_size_t answer_max;           /**< no answer is longer: a bounded store sets this aside */
    void *context;                   /**< of a transactional store, for each call; else NULL */
    int retry;                       /**< 1: a key in doubt may run again … */
    apr_interval_time_t retry_pause; /**< … so long after its last begin(), 0: at once */
} idempotency_claim;

typedef struct idempotency_found {
    idempotency_verdict verdict;
    const char *answer;     /**< IDEMPOTENCY_DONE: as finish() got it, in begin()'s pool */
    apr_size_t answer_len;
} idempotency_found;

/**
 * A store. Each call is made by a request's thread, or by mod_idempotency's own in each child; any
 * number at once. None may last past its deadline, a time of og_clock_mono() (CLOCK_MONOTONIC in
 * microseconds). What is not APR_SUCCESS from begin() refuses the request with 503: a store that
 * does not know lets nobody run. A transactional store's deadline is its transaction's. APR_ENOSPC
 * says that it is full: a store never forgets a key before its ttl to make room.
 */
typedef struct idempotency_store {
    /** At each start and reload, once the configuration is read: NULL, or a sentence that says what
     * is missing ("expected RedisServer"). May be NULL. */
    const char *(*ready)(void);

    /** 1: keys are in the caller's transaction, see above. */
    int transactional;

    apr_status_t (*begin)(const idempotency_claim *claim, apr_time_t deadline, apr_pool_t *p,
                          idempotency_found *found);

    /** Start the lease anew. NULL where leases end with their process alone. */
    apr_status_t (*renew)(const idempotency_claim *claim, apr_time_t deadline);

    /** Keep the answer for claim->ttl. Only then is it sent. What is not APR_SUCCESS from a
     * transactional store leaves open whether there was a COMMIT: who asks again is told. */
    apr_status_t (*finish)(const idempotency_claim *claim, const char *answer, apr_size_t len,
                           apr_time_t deadline);

    /** The request ended, and whether it had its effect is not known. */
    apr_status_t (*doubt)(const idempotency_claim *claim, apr_time_t deadline);

    /** The request had no effect: forget the key. */
    apr_status_t (*release)(const idempotency_claim *claim, apr_time_t deadline);

    /** Once a second in each child: drop what is past its time. May be NULL. */
    void (*tidy)(apr_time_t deadline);
} idempotency_store;

/**
 * An answer as finish() gets it. Stores take it for bytes; its layout, with big-endian numbers:
 *
 *     offset  bytes  what
 *          0      4  "OGI1"
 *          4      2  status, 200..599
 *          6      2  flags: 1 = the body was too large, and is not here
 *          8      4  bytes of the header fields
 *         12      4  bytes of the body
 *         16         header fields, each its name, NUL, its value, NUL; Content-Type among them
 *                    body
 *
 * Nothing stands behind it, and other texts of the same meaning there are none. Not kept are fields
 * of one message or one connection: hop-by-hop ones, Content-Length, Date, Set-Cookie,
 * X-Request-Id, and the internal ones that mod_tenant strips.
 */
#define IDEMPOTENCY_ANSWER_MAGIC     "OGI1"
#define IDEMPOTENCY_ANSWER_HEAD      16
#define IDEMPOTENCY_ANSWER_NO_BODY   1

/**
 * A store that is far away, a database, may be spared most replays: who writes through it tells
 * mod_idempotency of each answer that was committed, and asks for it before the store. Shared
 * memory of this host and nobody's authority: no key is claimed in it, an answer may be forgotten
 * at any time, and what is not in it, or is another request's, is for the store to say. Off unless
 * IdempotencyRemember says otherwise. Optional functions; retrieve them in an optional_fn_retrieve
 * hook. Any thread of a child; no I/O, and never longer than 100 ms.
 *
 * Of the claim org, user, key and fingerprint count. An answer once recalled was committed; that
 * its row is there still it does not say.
 */

/**
 * Remember an answer that is committed, in place of one to another request under its key.
 * @param until  when its row is past its time, in og_clock_mono()'s time
 */
APR_DECLARE_OPTIONAL_FN(void, idempotency_remember,
                        (const idempotency_claim *claim, const char *answer, apr_size_t len,
                         apr_time_t until));

/** @return 1, and *found is IDEMPOTENCY_DONE with the answer, from p; 0: the store decides */
APR_DECLARE_OPTIONAL_FN(int, idempotency_recall,
                        (const idempotency_claim *claim, apr_pool_t *p, idempotency_found *found));

#endif /* MOD_IDEMPOTENCY_H */
