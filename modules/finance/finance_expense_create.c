/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* POST /finance/expenses: two round trips. The first claims the Idempotency-Key and fetches what
 * the row needs besides the body (its id, names, the property's day), so that its JSON is made
 * before it is written; the second writes row, outboxes, audit record and stored answer, and
 * commits. Nothing is published before that. */
#include "finance.h"

#include "og_clock.h"
#include "og_rfc3339.h"
#include "rest_body.h"
#include "rest_query.h"
#include "rest_reply.h"

#include <apr_strings.h>

/* A transaction that lost to another (40001, 40P01) is run again this often */
#define TRIES 3

/* Where mod_tenant is not there to say: TenantMaxBody's default */
#define BODY_MAX (1024 * 1024)

/* Columns of context_stmt() */
enum { NEW_ID, PROPERTY_NAME, BUSINESS_DATE, USER_NAME, NOW };

typedef struct creation {
    finance_call *call;
    finance_idempotency idem;
    finance_expense_input input;
    int valid;            /* the body is an expense; else: */
    rest_problem refused; /* what it is instead */
    finance_answer answer;
    int replayed;
} creation;

static int send_answer(const creation *c)
{
    request_rec *r = c->call->r;

    if (c->answer.location) {
        apr_table_set(r->headers_out, "Location", c->answer.location);
    }
    if (c->replayed) {
        rest_idempotency_replayed(r);
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    return rest_reply(r, c->answer.status, c->answer.type, c->answer.body, strlen(c->answer.body));
}

static void context_stmt(const creation *c, rest_tx_stmt *stmt)
{
    apr_pool_t *p = c->call->r->pool;
    const char **values = apr_palloc(p, 4 * sizeof(*values));
    char *occurred = NULL;

    if (c->input.occurred_at) {
        occurred = apr_palloc(p, OG_RFC3339_MICRO_SIZE);
        og_rfc3339_format_micro(occurred, c->input.occurred_at);
    }
    values[0] = finance_int(p, c->call->caller->org);
    values[1] = finance_int(p, c->call->caller->user);
    values[2] = c->valid ? finance_int(p, c->input.property) : NULL;
    values[3] = occurred;
    stmt->sql = "SELECT nextval('transactions_id_seq'), p.name,"
                " to_char(coalesce($4::timestamptz, now()) AT TIME ZONE p.timezone, 'YYYY-MM-DD'),"
                " u.name,"
                " (extract(epoch FROM now()) * 1000000)::bigint"
                " FROM properties p LEFT JOIN users u ON u.org_id = p.org_id AND u.id = $2::bigint"
                " WHERE p.org_id = $1::bigint AND p.id = $3::bigint";
    stmt->count = 4;
    stmt->values = values;
}

/* The new row as list and event will show it; times as microseconds, all else as it is stored.
 * NULL, and why not, when the context makes none. */
static const char *row_json(const creation *c, const PGresult *context, const char **wrong)
{
    apr_pool_t *p = c->call->r->pool;
    const finance_expense_input *in = &c->input;
    const char *now = finance_field(context, 0, NOW);
    const char *values[EXPENSE_MEMBERS] = { NULL };
    og_jsonw w;

    values[EXPENSE_ID] = finance_field(context, 0, NEW_ID);
    values[EXPENSE_PROPERTY_ID] = finance_int(p, in->property);
    values[EXPENSE_PROPERTY_NAME] = finance_field(context, 0, PROPERTY_NAME);
    values[EXPENSE_STATUS] = "pending";
    values[EXPENSE_CATEGORY] = in->category;
    values[EXPENSE_VENDOR] = in->vendor;
    values[EXPENSE_DESCRIPTION] = in->description;
    values[EXPENSE_NOTES] = in->notes;
    values[EXPENSE_AMOUNT_CENTS] = finance_int(p, in->amount_cents);
    values[EXPENSE_CURRENCY] = in->currency;
    values[EXPENSE_PAYMENT_MODE] = in->payment_mode;
    values[EXPENSE_PAYMENT_REFERENCE] = in->payment_reference;
    values[EXPENSE_INVOICE_NUMBER] = in->invoice_number;
    values[EXPENSE_RECEIPT_DOCUMENT_ID] =
        in->receipt_document ? finance_int(p, in->receipt_document) : NULL;
    values[EXPENSE_OCCURRED_AT] = in->occurred_at ? finance_int(p, in->occurred_at) : now;
    values[EXPENSE_BUSINESS_DATE] = finance_field(context, 0, BUSINESS_DATE);
    values[EXPENSE_CREATED_BY] = finance_int(p, c->call->caller->user);
    values[EXPENSE_CREATED_BY_NAME] = finance_field(context, 0, USER_NAME);
    values[EXPENSE_CREATED_AT] = now;
    values[EXPENSE_UPDATED_AT] = now;
    values[EXPENSE_VERSION] = "1";
    og_jsonw_init(&w, p, 1024);
    *wrong = finance_expense_write(&w, values);
    return *wrong ? NULL : og_jsonw_text(&w);
}

static void insert_stmt(const creation *c, const PGresult *context, rest_tx_stmt *stmt)
{
    apr_pool_t *p = c->call->r->pool;
    const finance_expense_input *in = &c->input;
    const char **values = apr_palloc(p, 16 * sizeof(*values));
    char *occurred = apr_palloc(p, OG_RFC3339_MICRO_SIZE);

    og_rfc3339_format_micro(occurred, in->occurred_at ? in->occurred_at
                                                      : apr_atoi64(finance_text(context, 0, NOW)));
    values[0] = finance_field(context, 0, NEW_ID);
    values[1] = finance_int(p, c->call->caller->org);
    values[2] = finance_int(p, in->property);
    values[3] = in->category;
    values[4] = in->vendor;
    values[5] = in->description;
    values[6] = in->notes;
    values[7] = finance_int(p, in->amount_cents);
    values[8] = in->currency;
    values[9] = in->payment_mode;
    values[10] = in->payment_reference;
    values[11] = in->invoice_number;
    values[12] = in->receipt_document ? finance_int(p, in->receipt_document) : NULL;
    values[13] = occurred;
    values[14] = finance_int(p, c->call->caller->user);
    values[15] = finance_field(context, 0, BUSINESS_DATE);
    stmt->sql = "INSERT INTO transactions (type, id, org_id, property_id, category, vendor,"
                " description, notes, amount_cents, currency, payment_mode, payment_reference,"
                " invoice_number, receipt_document_id, occurred_at, created_by, business_date)"
                " VALUES ('expense', $1::bigint, $2::bigint, $3::bigint, $4, $5, $6, $7,"
                " $8::bigint, $9, $10, $11, $12, $13::bigint, $14::timestamptz, $15::bigint,"
                " $16::date)";
    stmt->count = 16;
    stmt->values = values;
}

/* Stored with the key, and nothing else: a refusal that the same request will get again. */
static rest_db_status refuse(creation *c, rest_tx *tx, const rest_problem *problem)
{
    const PGresult *res;
    rest_tx_stmt stmt;

    c->answer.status = problem->status;
    c->answer.type = "application/problem+json";
    c->answer.body = rest_problem_json(c->call->r, problem);
    finance_idempotency_record(c->call, &c->idem, &c->answer, &stmt);
    return rest_tx_finish(tx, &stmt, 1, &res);
}

/* Row, effects, answer, commit; then the event is published. */
static rest_db_status write_row(creation *c, rest_tx *tx, const PGresult *context,
                                rest_problem *problem)
{
    apr_pool_t *p = c->call->r->pool;
    finance_effects effects = { "expense.created", "expense" };
    rest_tx_stmt stmts[FINANCE_EFFECT_STMTS + 2];
    const PGresult *res[FINANCE_EFFECT_STMTS + 2];
    rest_db_status status;
    const char *wrong;

    c->answer.status = HTTP_CREATED;
    c->answer.type = "application/json";
    c->answer.body = row_json(c, context, &wrong);
    if (wrong) {
        finance_db_untrue(c->call, wrong, problem);
        return REST_DB_OK;
    }
    c->answer.entity = apr_atoi64(finance_text(context, 0, NEW_ID));
    c->answer.location =
        apr_psprintf(p, "/v1/finance/expenses/%" APR_INT64_T_FMT, c->answer.entity);
    effects.id = c->answer.entity;
    effects.property = c->input.property;
    effects.date = finance_field(context, 0, BUSINESS_DATE);
    effects.data = c->answer.body;
    if (!finance_effects_stmts(c->call, &effects, stmts)) {
        return REST_DB_ERROR;
    }
    insert_stmt(c, context, &stmts[FINANCE_EFFECT_STMTS]);
    finance_idempotency_record(c->call, &c->idem, &c->answer, &stmts[FINANCE_EFFECT_STMTS + 1]);
    status = rest_tx_finish(tx, stmts, FINANCE_EFFECT_STMTS + 2, res);
    if (status == REST_DB_OK) {
        finance_effects_committed(c->call, &effects, res[0]);
    }
    return status;
}

/* A fresh key: what its request deserves. 0 from *problem->status: c->answer is the answer. */
static rest_db_status decide(creation *c, rest_tx *tx, const PGresult *context,
                             rest_problem *problem)
{
    rest_problem absent;

    if (!c->valid) {
        return refuse(c, tx, &c->refused);
    }
    if (!PQntuples(context)) {
        finance_access_problem(FINANCE_ABSENT, "There is no such property.", &absent);
        return refuse(c, tx, &absent);
    }
    /* 403 is not stored: a grant may come, and the same key may then succeed */
    if (!tenant_granted(c->call->caller, c->input.property)) {
        finance_access_problem(FINANCE_FORBIDDEN, NULL, problem);
        return REST_DB_OK;
    }
    if (!finance_field(context, 0, USER_NAME)) {
        problem->status = HTTP_FORBIDDEN;
        problem->code = "forbidden";
        problem->detail = "The caller is not a user of this organisation.";
        return REST_DB_OK;
    }
    return write_row(c, tx, context, problem);
}

/* One transaction. On REST_DB_OK *problem or, when its status is 0, c->answer is to be sent. */
static rest_db_status attempt(creation *c, rest_tx **tx, rest_problem *problem)
{
    rest_tx_stmt stmts[FINANCE_CLAIM_STMTS + 1];
    const PGresult *res[FINANCE_CLAIM_STMTS + 1];
    rest_db_status status = finance_db_begin(c->call, 0, tx);
    idempotency_verdict verdict = IDEMPOTENCY_REUSED;

    if (status != REST_DB_OK) {
        return status;
    }
    finance_idempotency_claim(c->call, &c->idem, stmts);
    context_stmt(c, &stmts[FINANCE_CLAIM_STMTS]);
    status = rest_tx_batch(*tx, stmts, FINANCE_CLAIM_STMTS + 1, res);
    if (status != REST_DB_OK) {
        return status;
    }
    if (finance_idempotency_claimed(c->call, &c->idem, res, &verdict, &c->answer, problem)) {
        if (verdict == IDEMPOTENCY_NEW) {
            status = decide(c, *tx, res[FINANCE_CLAIM_STMTS], problem);
        }
        else if (verdict != IDEMPOTENCY_DONE) {
            rest_idempotency_refusal(verdict, problem);
        }
    }
    c->replayed = verdict == IDEMPOTENCY_DONE;
    if (verdict != IDEMPOTENCY_NEW || problem->status) {
        rest_tx_rollback(*tx);
    }
    return status;
}

/* Key, query and body, before any connection is borrowed. 1, or 0 and *problem. */
static int read_request(creation *c, rest_problem *problem)
{
    APR_OPTIONAL_FN_TYPE(tenant_max_body) *max = APR_RETRIEVE_OPTIONAL_FN(tenant_max_body);
    request_rec *r = c->call->r;
    static const char *const names[] = { NULL };
    const char *body, *why = NULL;
    apr_size_t len;
    json_t *json;

    c->idem.key = rest_idempotency_key(r, problem);
    if (!c->idem.key) {
        return 0;
    }
    problem->status = HTTP_BAD_REQUEST;
    problem->code = "invalid_request";
    if (rest_query_unknown(c->call->query, names)) {
        problem->detail = "This request takes no query parameters.";
        return 0;
    }
    if (!rest_body_read(r, "application/json", max ? max(r) : BODY_MAX, &body, &len, problem)) {
        return 0;
    }
    json = og_json_load(r->pool, body, len, &why);
    if (!json) {
        problem->status = HTTP_BAD_REQUEST;
        problem->code = "invalid_request";
        problem->detail = apr_psprintf(r->pool, "The body is %s.", why);
        return 0;
    }
    if (!rest_idempotency_fingerprint(r, c->call->match.route->pattern, body, len,
                                      c->idem.fingerprint, problem)) {
        return 0;
    }
    c->valid = finance_expense_input_read(r->pool, json, og_clock_wall(), &c->input, &c->refused);
    return 1;
}

int finance_expense_create(finance_call *call)
{
    creation c = { call };
    rest_problem problem = { 0 };
    rest_db_status status;
    rest_tx *tx = NULL;
    int try = 0;

    if (!read_request(&c, &problem)) {
        return rest_problem_send(call->r, &problem);
    }
    do {
        memset(&problem, 0, sizeof(problem));
        status = attempt(&c, &tx, &problem);
    } while (status == REST_DB_RETRY && ++try < TRIES);
    if (status != REST_DB_OK) {
        return finance_db_problem(call, status, tx);
    }
    return problem.status ? rest_problem_send(call->r, &problem) : send_answer(&c);
}
