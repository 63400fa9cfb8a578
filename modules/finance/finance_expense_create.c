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
    idempotency_claim claim;
    finance_keeping keeping; /* its context */
    finance_expense_input input;
    int valid;               /* the body is an expense; else: */
    rest_problem refused;    /* what it is instead */
    rest_answer answer;
    int replayed;
} creation;

static int send_answer(const creation *c)
{
    request_rec *r = c->call->r;
    const char *location = apr_table_get(c->answer.fields, "Location");

    if (location) {
        apr_table_setn(r->headers_out, "Location", location);
    }
    if (c->replayed) {
        rest_idempotency_replayed(r);
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    return rest_reply(r, c->answer.status, apr_table_get(c->answer.fields, "Content-Type"),
                      c->answer.body, c->answer.body_len);
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

static void make_answer(creation *c, int status, const char *type, const char *body)
{
    c->answer.status = status;
    c->answer.fields = apr_table_make(c->call->r->pool, 2);
    apr_table_setn(c->answer.fields, "Content-Type", type);
    c->answer.body = body;
    c->answer.body_len = strlen(body);
}

/* These statements, the answer, commit. */
static rest_db_status finish(creation *c, const rest_tx_stmt *stmts, int n, const PGresult **res)
{
    const char *bytes = rest_answer_write(c->call->r->pool, &c->answer);

    c->keeping.with = stmts;
    c->keeping.count = n;
    c->keeping.res = res;
    c->keeping.status = REST_DB_ERROR;
    return bytes && finance_keys.finish(&c->claim, bytes, rest_answer_size(&c->answer),
                                        APR_INT64_MAX) == APR_SUCCESS
               ? REST_DB_OK
               : c->keeping.status;
}

/* Stored with the key, and nothing else: a refusal that the same request will get again. */
static rest_db_status refuse(creation *c, const rest_problem *problem)
{
    make_answer(c, problem->status, "application/problem+json",
                rest_problem_json(c->call->r, problem));
    return finish(c, NULL, 0, NULL);
}

/* Row, effects, answer, commit; then the event is published. */
static rest_db_status write_row(creation *c, const PGresult *context, rest_problem *problem)
{
    apr_pool_t *p = c->call->r->pool;
    finance_effects effects = { "expense.created", "expense" };
    rest_tx_stmt stmts[FINANCE_EFFECT_STMTS + 1];
    const PGresult *res[FINANCE_EFFECT_STMTS + 1];
    const char *wrong, *json = row_json(c, context, &wrong);
    rest_db_status status;

    if (!json) {
        finance_db_untrue(c->call, wrong, problem);
        return REST_DB_OK;
    }
    make_answer(c, HTTP_CREATED, "application/json", json);
    effects.id = c->keeping.entity = apr_atoi64(finance_text(context, 0, NEW_ID));
    effects.property = c->input.property;
    effects.date = finance_field(context, 0, BUSINESS_DATE);
    effects.data = json;
    apr_table_setn(c->answer.fields, "Location",
                   apr_psprintf(p, "/v1/finance/expenses/%" APR_INT64_T_FMT, effects.id));
    if (!finance_effects_stmts(c->call, &effects, stmts)) {
        return REST_DB_ERROR;
    }
    insert_stmt(c, context, &stmts[FINANCE_EFFECT_STMTS]);
    status = finish(c, stmts, FINANCE_EFFECT_STMTS + 1, res);
    if (status == REST_DB_OK) {
        finance_effects_committed(c->call, &effects, res[0]);
    }
    return status;
}

/* A fresh key: what its request deserves. 0 from *problem->status: c->answer is the answer. */
static rest_db_status decide(creation *c, const PGresult *context, rest_problem *problem)
{
    rest_problem absent;

    if (!c->valid) {
        return refuse(c, &c->refused);
    }
    if (!PQntuples(context)) {
        finance_access_problem(FINANCE_ABSENT, "There is no such property.", &absent);
        return refuse(c, &absent);
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
    return write_row(c, context, problem);
}

/* What the key says. On REST_DB_OK *problem or, when its status is 0, c->answer is to be sent. */
static rest_db_status heed(creation *c, const idempotency_found *found, const PGresult *context,
                           rest_problem *problem)
{
    rest_db_status status = REST_DB_OK;

    c->replayed = found->verdict == IDEMPOTENCY_DONE;
    if (found->verdict == IDEMPOTENCY_NEW) {
        status = decide(c, context, problem);
        if (problem->status) {
            finance_keys.release(&c->claim, APR_INT64_MAX);
        }
        return status;
    }
    if (!c->replayed) {
        rest_idempotency_refusal(found->verdict, problem);
    }
    else if (!rest_answer_read(c->call->r->pool, found->answer, found->answer_len, &c->answer)) {
        finance_db_untrue(c->call, "a stored answer", problem);
    }
    rest_tx_rollback(c->keeping.tx);
    return status;
}

/* One transaction. */
static rest_db_status attempt(creation *c, rest_problem *problem)
{
    finance_keeping fresh = { c->call };
    const PGresult *context = NULL;
    idempotency_found found = { IDEMPOTENCY_REUSED };
    rest_tx_stmt stmt;
    rest_db_status status = finance_db_begin(c->call, 0, &fresh.tx);

    c->keeping = fresh;
    if (status != REST_DB_OK) {
        return status;
    }
    context_stmt(c, &stmt);
    c->keeping.with = &stmt;
    c->keeping.count = 1;
    c->keeping.res = &context;
    if (finance_keys.begin(&c->claim, APR_INT64_MAX, c->call->r->pool, &found) == APR_SUCCESS) {
        return heed(c, &found, context, problem);
    }
    if (c->keeping.status == REST_DB_OK) {
        *problem = c->keeping.problem;
        rest_tx_rollback(c->keeping.tx);
    }
    return c->keeping.status;
}

static void claim_for(creation *c, const char *key)
{
    c->claim.org = c->call->caller->org;
    c->claim.user = c->call->caller->user;
    c->claim.key = key;
    c->claim.ttl = FINANCE_KEY_TTL;
    c->claim.answer_max = BODY_MAX;
    c->claim.context = &c->keeping;
}

/* Key, query and bytes of the body: which request it is. 1, or 0 and *problem. */
static int read_request(creation *c, const char **body, apr_size_t *len, rest_problem *problem)
{
    APR_OPTIONAL_FN_TYPE(tenant_max_body) *max = APR_RETRIEVE_OPTIONAL_FN(tenant_max_body);
    request_rec *r = c->call->r;
    static const char *const names[] = { NULL };
    const char *key = rest_idempotency_key(r, problem);

    if (!key) {
        return 0;
    }
    claim_for(c, key);
    problem->status = HTTP_BAD_REQUEST;
    problem->code = "invalid_request";
    if (rest_query_unknown(c->call->query, names)) {
        problem->detail = "This request takes no query parameters.";
        return 0;
    }
    return rest_body_read(r, "application/json", max ? max(r) : BODY_MAX, body, len, problem)
           && rest_idempotency_fingerprint(r, c->call->match.route->pattern, *body, *len,
                                           c->claim.fingerprint, problem);
}

/* What the body says. 1, or 0 and *problem: then it is not one that a key could be kept for. */
static int read_body(creation *c, const char *body, apr_size_t len, rest_problem *problem)
{
    request_rec *r = c->call->r;
    const char *why = NULL;
    json_t *json = og_json_load(r->pool, body, len, &why);

    if (!json) {
        problem->status = HTTP_BAD_REQUEST;
        problem->code = "invalid_request";
        problem->detail = apr_psprintf(r->pool, "The body is %s.", why);
        return 0;
    }
    c->valid = finance_expense_input_read(r->pool, json, og_clock_wall(), &c->input, &c->refused);
    return 1;
}

/* All that needs no connection is done before one is borrowed. */
int finance_expense_create(finance_call *call)
{
    creation c = { call };
    rest_problem problem = { 0 };
    rest_db_status status;
    const char *body;
    apr_size_t len;
    int try = 0;

    if (!read_request(&c, &body, &len, &problem)) {
        return rest_problem_send(call->r, &problem);
    }
    c.replayed = finance_recall(call->r->pool, &c.claim, &c.answer);
    if (c.replayed) {
        return send_answer(&c);
    }
    if (!read_body(&c, body, len, &problem)) {
        return rest_problem_send(call->r, &problem);
    }
    do {
        memset(&problem, 0, sizeof(problem));
        status = attempt(&c, &problem);
    } while (status == REST_DB_RETRY && ++try < TRIES);
    if (status != REST_DB_OK) {
        return finance_db_problem(call, status, c.keeping.tx);
    }
    return problem.status ? rest_problem_send(call->r, &problem) : send_answer(&c);
}
