/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The dbd store (http-semantics.md 8, decisions.md 9, 22): the answer is a row in the write's own
 * transaction, so a crash at any point leaves both or neither. It is what mod_idempotency.h calls
 * the transactional variant of a store: claim is begin, record is finish, ROLLBACK is release.
 *
 * A key is held by a transaction-level advisory lock from the first statement on: a second request
 * with it is told so at once rather than made to wait on a row lock. The look-up is a statement of
 * its own behind the lock: READ COMMITTED gives it a snapshot that sees what the last holder
 * committed. A key lives 24 h; an older row is as good as none and is overwritten. */
#include "finance.h"

#include "og_json.h"
#include "og_mac.h"
#include "rest_key.h"

#include <apr_strings.h>

void finance_idempotency_claim(const finance_call *call, const finance_idempotency *idem,
                               rest_tx_stmt stmts[FINANCE_CLAIM_STMTS])
{
    apr_pool_t *p = call->r->pool;
    const char **values = apr_palloc(p, 3 * sizeof(*values));

    values[0] = finance_int(p, call->caller->org);
    values[1] = finance_int(p, call->caller->user);
    values[2] = idem->key;
    /* digits first and a key without spaces: the joined text is unambiguous */
    stmts[0].sql = "SELECT pg_try_advisory_xact_lock(hashtextextended("
                   "'idempotency ' || $1::text || ' ' || $2::text || ' ' || $3::text, 0))";
    stmts[0].count = 3;
    stmts[0].values = values;
    stmts[1].sql = "SELECT encode(fingerprint, 'hex'), status, content_type, location, body"
                   " FROM idempotency_keys"
                   " WHERE org_id = $1::bigint AND user_id = $2::bigint AND key = $3"
                   " AND created_at > now() - interval '24 hours'";
    stmts[1].count = 3;
    stmts[1].values = values;
}

/* Whether an answer that was stored is one that we send: its status and type, a path of ours, JSON.
 * The row is as good as those who may write to the table. */
static int is_answer(apr_pool_t *p, const finance_answer *answer)
{
    int success = answer->status == HTTP_OK || answer->status == HTTP_CREATED;
    const char *type = success ? "application/json" : "application/problem+json";

    return (success || (answer->status >= 400 && rest_idempotency_kept(answer->status)))
           && !strcmp(answer->type, type)
           && (!answer->location
               || (!strncmp(answer->location, "/v1/", 4) && rest_key_valid(answer->location)))
           && og_json_load(p, answer->body, strlen(answer->body), NULL);
}

/* The answer in a row of the store. 1, or 0 when it is none that we can have stored. */
static int read_answer(const finance_call *call, const PGresult *stored, finance_answer *answer)
{
    apr_int64_t status;

    if (!finance_number(stored, 0, 1, 599, &status)) {
        return 0;
    }
    answer->status = (int)status;
    answer->type = finance_text(stored, 0, 2);
    answer->location = finance_field(stored, 0, 3);
    answer->body = finance_text(stored, 0, 4);
    return is_answer(call->r->pool, answer);
}

int finance_idempotency_claimed(const finance_call *call, const finance_idempotency *idem,
                                const PGresult *const res[FINANCE_CLAIM_STMTS],
                                idempotency_verdict *verdict, finance_answer *answer,
                                rest_problem *problem)
{
    char fingerprint[2 * IDEMPOTENCY_FINGERPRINT_LEN + 1];
    const char *locked = finance_field(res[0], 0, 0);

    og_hex(fingerprint, idem->fingerprint, IDEMPOTENCY_FINGERPRINT_LEN);
    if (!locked) {
        finance_db_untrue(call, "a lock", problem);
        return 0;
    }
    if (strcmp(locked, "t") != 0) {
        *verdict = IDEMPOTENCY_RUNNING;
    }
    else if (!PQntuples(res[1])) {
        *verdict = IDEMPOTENCY_NEW;
    }
    else if (strcmp(finance_text(res[1], 0, 0), fingerprint) != 0) {
        *verdict = IDEMPOTENCY_REUSED;
    }
    else if (read_answer(call, res[1], answer)) {
        *verdict = IDEMPOTENCY_DONE;
    }
    else {
        finance_db_untrue(call, "a stored answer", problem);
        return 0;
    }
    return 1;
}

void finance_idempotency_record(const finance_call *call, const finance_idempotency *idem,
                                const finance_answer *answer, rest_tx_stmt *stmt)
{
    apr_pool_t *p = call->r->pool;
    const char **values = apr_palloc(p, 9 * sizeof(*values));
    char *fingerprint = apr_palloc(p, 2 + 2 * IDEMPOTENCY_FINGERPRINT_LEN + 1);

    memcpy(fingerprint, "\\x", 2); /* a bytea */
    og_hex(fingerprint + 2, idem->fingerprint, IDEMPOTENCY_FINGERPRINT_LEN);
    values[0] = finance_int(p, call->caller->org);
    values[1] = finance_int(p, call->caller->user);
    values[2] = idem->key;
    values[3] = fingerprint;
    values[4] = finance_int(p, answer->status);
    values[5] = answer->type;
    values[6] = answer->location;
    values[7] = answer->body;
    values[8] = answer->entity ? finance_int(p, answer->entity) : NULL;
    stmt->sql =
        "INSERT INTO idempotency_keys AS old (org_id, user_id, key, fingerprint, status,"
        " content_type, location, body, entity_id) VALUES ($1::bigint, $2::bigint, $3,"
        " $4::bytea, $5::integer, $6, $7, $8, $9::bigint)"
        " ON CONFLICT (org_id, user_id, key) DO UPDATE SET fingerprint = EXCLUDED.fingerprint,"
        " status = EXCLUDED.status, content_type = EXCLUDED.content_type,"
        " location = EXCLUDED.location, body = EXCLUDED.body,"
        " entity_id = EXCLUDED.entity_id, created_at = now()"
        " WHERE old.created_at <= now() - interval '24 hours'";
    stmt->count = 9;
    stmt->values = values;
}
