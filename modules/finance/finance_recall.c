/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Answers of the store "dbd" that this host remembers, in mod_idempotency's shared memory: a replay
 * of one borrows no connection, and works while the database is away. The database stays the only
 * one to say that a key is free, runs, or belongs to another request; what is remembered says no
 * more than that it committed this answer. */
#include "finance.h"

#include "og_mac.h"

/* retrieved by the parent, then inherited */
static APR_OPTIONAL_FN_TYPE(idempotency_remember) *remember;
static APR_OPTIONAL_FN_TYPE(idempotency_recall) *recall;

/* Of the configuration: SHA-256 of FinanceDSN; known: it is */
static unsigned char database[OG_SHA256_LEN];
static int known;

static void retrieve(void)
{
    remember = APR_RETRIEVE_OPTIONAL_FN(idempotency_remember);
    recall = APR_RETRIEVE_OPTIONAL_FN(idempotency_recall);
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const char *dsn = finance_conf(s)->dsn;

    known = dsn && og_sha256(database, dsn, strlen(dsn));
    return OK;
}

void finance_recall_register(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}

/* The memory outlives reloads. Which database an answer is in is a part of what it answers: another
 * one's, of a FinanceDSN of before, is another request's. */
static idempotency_claim in_database(const idempotency_claim *claim)
{
    idempotency_claim own = *claim;
    int i;

    for (i = 0; i < IDEMPOTENCY_FINGERPRINT_LEN; i++) {
        own.fingerprint[i] ^= database[i];
    }
    return own;
}

int finance_recall(apr_pool_t *p, const idempotency_claim *claim, rest_answer *answer)
{
    idempotency_claim own = in_database(claim);
    idempotency_found found;

    return recall && known && recall(&own, p, &found)
           && rest_answer_read(p, found.answer, found.answer_len, answer);
}

void finance_remember(const idempotency_claim *claim, const char *bytes, apr_size_t len,
                      apr_time_t from, apr_interval_time_t left)
{
    idempotency_claim own = in_database(claim);

    if (remember && known) {
        remember(&own, bytes, len, from + left);
    }
}
