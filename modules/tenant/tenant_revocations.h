/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tenant_revocations.h
 * @brief Which tokens are refused before they expire
 *
 * Pure. A table in a block of shared memory. A revocation says: of this user, or of this session,
 * every token that was issued before a time. Nothing in it is ever forgotten, it only gets coarser:
 * when there is no room the oldest revocation goes, and from then on all tokens that were issued
 * before it are refused, of its organisation and of those that share one of 4096 floors with it
 * (the id modulo 4096). So does one that is past its time, when every token that it was meant for
 * has expired: that refuses only tokens that live longer than they should.
 *
 * Layout: seed, positions, floors, buckets, entries; offsets and counts, no pointers. Entries stand
 * in a ring in the order in which they came, chained by bucket. Everything but
 * tenant_revocations_revision() is called under the owner's lock.
 */
#ifndef TENANT_REVOCATIONS_H
#define TENANT_REVOCATIONS_H

#include <apr_pools.h>
#include <apr_siphash.h>
#include <apr_time.h>

/** The most that a limit may be. */
#define TENANT_REVOCATIONS_MAX 200000

typedef struct tenant_revocations tenant_revocations;

/** Whose token: to revoke, one of user and session; to look up, what there is. */
typedef struct tenant_holder {
    apr_int64_t org;     /**< 0: of none */
    apr_int64_t user;    /**< 0: not by user */
    const char *session; /**< NULL: not by session */
} tenant_holder;

/** Bytes of a table. What is not used of it is never touched. */
apr_size_t tenant_revocations_bytes(void);

/** Make an empty table in a block of zeros. The seed keys all hashes (B35). */
tenant_revocations *tenant_revocations_init(void *block,
                                            const unsigned char seed[2 * APR_SIPHASH_KSIZE]);

/**
 * Refuse the holder's tokens that were issued before a time.
 * @param until  tokens that do not say when they were issued are refused until then, and the
 *               revocation keeps a place of its own so long
 * @param limit  revocations there may be
 * @return 1 when an older one, not past its time, had to give its place up
 */
int tenant_revocations_add(tenant_revocations *table, const tenant_holder *whose,
                           apr_time_t before, apr_time_t until, apr_time_t now,
                           apr_uint32_t limit);

/** Whether a token is refused. issued: 0 when it does not say. */
int tenant_revocations_has(const tenant_revocations *table, const tenant_holder *whose,
                           apr_time_t issued, apr_time_t now);

/**
 * A number that changes whenever tokens of the organisation may be refused that were not before; 0:
 * there never were any. What was found not refused at a number stays so until it changes. Any
 * thread, without the lock; ask before the look-up that it is to stand for.
 */
apr_uint64_t tenant_revocations_revision(const tenant_revocations *table, apr_int64_t org);

/** Revocations that have a place of their own. */
apr_uint32_t tenant_revocations_count(const tenant_revocations *table);

/** The last holder of the lock died: make the table whole. */
void tenant_revocations_repair(tenant_revocations *table);

#endif /* TENANT_REVOCATIONS_H */
