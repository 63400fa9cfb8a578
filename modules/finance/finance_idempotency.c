/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The store "dbd" (http-semantics.md 8, decisions.md 9, 22), a transactional one of
 * mod_idempotency.h: the answer is a row in the write's own transaction, so a crash at any point
 * leaves both or neither.
 *
 * A key is held by a transaction-level advisory lock from the first statement on: a second request
 * with it is told so at once rather than made to wait on a row lock. The look-up is a statement of
 * its own behind the lock: READ COMMITTED gives it a snapshot that sees what the last holder
 * committed. A row that is past its time is as good as none and is overwritten. The write's own
 * statements travel in the same two round trips.
 *
 * Each answer that is known to be committed is remembered (finance_recall.c), for as long as its
 * row counts. */
#include "finance.h"

#include "og_clock.h"
#include "og_json.h"
#include "og_mac.h"
#include "rest_key.h"

#include <ap_provider.h>
#include <apr_strings.h>

/* Statements that claim a key */
#define CLAIM 2

/* The columns of the row that an answer is */
typedef struct columns {
    int status;
    const char *type;     /* Content-Type */
    const char *location; /* or NULL */
    const char *body;
} columns;

static void claim_stmts(const idempotency_claim *claim, apr_pool_t *p, rest_tx_stmt stmts[CLAIM])
{
    const char **values = apr_palloc(p, 4 * sizeof(*values));

    values[0] = finance_int(p, claim->org);
    values[1] = finance_int(p, claim->user);
    values[2] = claim->key;
    values[3] = finance_int(p, claim->ttl);
    /* digits first and a key without spaces: the joined text is unambiguous */
    stmts[0].sql = "SELECT pg_try_advisory_xact_lock(hashtextextended("
                   "'idempotency ' || $1::text || ' ' || $2::text || ' ' || $3::text, 0))";
    stmts[0].count = 3;
    stmts[0].values = values;
    stmts[1].sql = "SELECT encode(fingerprint, 'hex'), status, content_type, location, body,"
                   " (extract(epoch FROM created_at - now()) * 1000000)::bigint + $4::bigint"
                   " FROM idempotency_keys"
                   " WHERE org_id = $1::bigint AND user_id = $2::bigint AND key = $3"
                   " AND created_at > now() - $4::bigint * interval '1 microsecond'";
    stmts[1].count = 4;
    stmts[1].values = values;
}

/* Whether an answer that was stored is one that we send: its status and type, a path of ours, JSON.
 * The row is as good as those who may write to the table. */
static int is_answer(apr_pool_t *p, const columns *row)
{
    int success = row->status == HTTP_OK || row->status == HTTP_CREATED;
    const char *type = success ? "application/json" : "application/problem+json";

    return (success || (row->status >= 400 && rest_idempotency_kept(row->status)))
           && !strcmp(row->type, type)
           && (!row->location
               || (!strncmp(row->location, "/v1/", 4) && rest_key_valid(row->location)))
           && og_json_load(p, row->body, strlen(row->body), NULL);
}

/* The answer in a row of the table. 1, or 0 when it is none that we can have stored. */
static int read_answer(apr_pool_t *p, const PGresult *stored, idempotency_found *found)
{
    rest_answer answer = { 0 };
    apr_int64_t status;
    columns row;

    if (!finance_number(stored, 0, 1, 599, &status)) {
        return 0;
    }
    row.status = answer.status = (int)status;
    row.type = finance_text(stored, 0, 2);
    row.location = finance_field(stored, 0, 3);
    row.body = answer.body = finance_text(stored, 0, 4);
    if (!is_answer(p, &row)) {
        return 0;
    }
    answer.body_len = strlen(answer.body);
    answer.fields = apr_table_make(p, 2);
    apr_table_setn(answer.fields, "Content-Type", row.type);
    if (row.location) {
        apr_table_setn(answer.fields, "Location", row.location);
    }
    found->answer = rest_answer_write(p, &answer);
    found->answer_len = rest_answer_size(&answer);
    return found->answer != NULL;
}

/* A row that was found. Where its time makes no sense, as when the database's clock went back, it
 * is not remembered. */
static int found_again(const idempotency_claim *claim, apr_pool_t *p, const PGresult *stored,
                       idempotency_found *found)
{
    const finance_keeping *keeping = claim->context;
    apr_int64_t left;

    if (!read_answer(p, stored, found)) {
        return 0;
    }
    if (finance_number(stored, 0, 5, claim->ttl, &left)) {
        finance_remember(claim, found->answer, found->answer_len, keeping->begun, left);
    }
    return 1;
}

/* What the results of claim_stmts() say. NULL, or what of them can't be true. */
static const char *tell(const idempotency_claim *claim, apr_pool_t *p,
                        const PGresult *const res[CLAIM], idempotency_found *found)
{
    char fingerprint[2 * IDEMPOTENCY_FINGERPRINT_LEN + 1];
    const char *locked = finance_field(res[0], 0, 0);

    og_hex(fingerprint, claim->fingerprint, IDEMPOTENCY_FINGERPRINT_LEN);
    if (!locked) {
        return "a lock";
    }
    if (strcmp(locked, "t") != 0) {
        found->verdict = IDEMPOTENCY_RUNNING;
    }
    else if (!PQntuples(res[1])) {
        found->verdict = IDEMPOTENCY_NEW;
    }
    else if (strcmp(finance_text(res[1], 0, 0), fingerprint) != 0) {
        found->verdict = IDEMPOTENCY_REUSED;
    }
    else if (found_again(claim, p, res[1], found)) {
        found->verdict = IDEMPOTENCY_DONE;
    }
    else {
        return "a stored answer";
    }
    return NULL;
}

/* What travels along, and what became of it. */

static void take_along(const finance_keeping *keeping, rest_tx_stmt *stmts)
{
    int i;

    for (i = 0; i < keeping->count; i++) {
        stmts[i] = keeping->with[i];
    }
}

static void hand_over(const finance_keeping *keeping, const PGresult *const *res)
{
    int i;

    for (i = 0; i < keeping->count; i++) {
        keeping->res[i] = res[i];
    }
}

static apr_status_t begin(const idempotency_claim *claim, apr_time_t deadline, apr_pool_t *p,
                          idempotency_found *found)
{
    finance_keeping *keeping = claim->context;
    rest_tx_stmt stmts[CLAIM + FINANCE_WITH_MAX];
    const PGresult *res[CLAIM + FINANCE_WITH_MAX];
    const char *untrue;

    keeping->begun = og_clock_mono();
    claim_stmts(claim, p, stmts);
    take_along(keeping, stmts + CLAIM);
    keeping->status = rest_tx_batch(keeping->tx, stmts, CLAIM + keeping->count, res);
    if (keeping->status != REST_DB_OK) {
        return APR_EGENERAL;
    }
    hand_over(keeping, res + CLAIM);
    untrue = tell(claim, p, res, found);
    if (untrue) {
        finance_db_untrue(keeping->call, untrue, &keeping->problem);
        return APR_EGENERAL;
    }
    keeping->running = found->verdict == IDEMPOTENCY_NEW;
    return APR_SUCCESS;
}

static void record_stmt(const idempotency_claim *claim, apr_pool_t *p, const rest_answer *answer,
                        rest_tx_stmt *stmt)
{
    const finance_keeping *keeping = claim->context;
    const char **values = apr_palloc(p, 10 * sizeof(*values));
    char *fingerprint = apr_palloc(p, 2 + 2 * IDEMPOTENCY_FINGERPRINT_LEN + 1);

    memcpy(fingerprint, "\\x", 2); /* a bytea */
    og_hex(fingerprint + 2, claim->fingerprint, IDEMPOTENCY_FINGERPRINT_LEN);
    values[0] = finance_int(p, claim->org);
    values[1] = finance_int(p, claim->user);
    values[2] = claim->key;
    values[3] = fingerprint;
    values[4] = finance_int(p, answer->status);
    values[5] = apr_table_get(answer->fields, "Content-Type");
    values[6] = apr_table_get(answer->fields, "Location");
    values[7] = apr_pstrmemdup(p, answer->body, answer->body_len);
    values[8] = keeping->entity ? finance_int(p, keeping->entity) : NULL;
    values[9] = finance_int(p, claim->ttl);
    stmt->sql =
        "INSERT INTO idempotency_keys AS old (org_id, user_id, key, fingerprint, status,"
        " content_type, location, body, entity_id) VALUES ($1::bigint, $2::bigint, $3,"
        " $4::bytea, $5::integer, $6, $7, $8, $9::bigint)"
        " ON CONFLICT (org_id, user_id, key) DO UPDATE SET fingerprint = EXCLUDED.fingerprint,"
        " status = EXCLUDED.status, content_type = EXCLUDED.content_type,"
        " location = EXCLUDED.location, body = EXCLUDED.body,"
        " entity_id = EXCLUDED.entity_id, created_at = now()"
        " WHERE old.created_at <= now() - $10::bigint * interval '1 microsecond'";
    stmt->count = 10;
    stmt->values = values;
}

static apr_status_t finish(const idempotency_claim *claim, const char *bytes, apr_size_t len,
                           apr_time_t deadline)
{
    finance_keeping *keeping = claim->context;
    apr_pool_t *p = keeping->call->r->pool;
    rest_tx_stmt stmts[FINANCE_WITH_MAX + 1];
    const PGresult *res[FINANCE_WITH_MAX + 1];
    rest_answer answer;

    if (!keeping->running) {
        return APR_NOTFOUND;
    }
    if (!rest_answer_read(p, bytes, len, &answer)) {
        return APR_EINVAL;
    }
    keeping->running = 0;
    take_along(keeping, stmts);
    record_stmt(claim, p, &answer, &stmts[keeping->count]);
    keeping->status = rest_tx_finish(keeping->tx, stmts, keeping->count + 1, res);
    if (keeping->status != REST_DB_OK) {
        return APR_EGENERAL;
    }
    hand_over(keeping, res);
    finance_remember(claim, bytes, len, keeping->begun, claim->ttl);
    return APR_SUCCESS;
}

static apr_status_t release(const idempotency_claim *claim, apr_time_t deadline)
{
    finance_keeping *keeping = claim->context;

    if (!keeping->running) {
        return APR_NOTFOUND;
    }
    keeping->running = 0;
    rest_tx_rollback(keeping->tx);
    return APR_SUCCESS;
}

/* A transaction that is rolled back had no effect: there is nothing to doubt. */
const idempotency_store finance_keys = { NULL, 1, begin, NULL, finish, release, release, NULL };

void finance_idempotency_register(apr_pool_t *p)
{
    ap_register_provider(p, IDEMPOTENCY_STORE_GROUP, "dbd", IDEMPOTENCY_STORE_VERSION,
                         &finance_keys);
}
