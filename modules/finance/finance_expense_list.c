/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* GET /finance/expenses: a keyset page, newest first, in one round trip. */
#include "finance.h"

#include "og_number.h"
#include "og_rfc3339.h"
#include "rest_page.h"
#include "rest_query.h"
#include "rest_reply.h"

#include <apr_strings.h>

/* Properties that a filter may name */
#define PROPERTIES_MAX 100

typedef struct filter {
    const apr_array_header_t *properties; /* of apr_int64_t, NULL: all that were granted */
    const char *from, *to;                /* days, NULL: none */
    const char *status, *category;
    apr_int64_t limit;
    int after;                            /* key is where the last page ended */
    rest_page_key key;
} filter;

/* A statement that grows: its text and its parameters. */
typedef struct builder {
    apr_pool_t *p;
    const char *sql;
    apr_array_header_t *values; /* of const char * */
} builder;

static int refuse(const finance_call *call, const char *detail)
{
    rest_problem problem = { HTTP_BAD_REQUEST, "invalid_request", detail, NULL, 0 };

    return rest_problem_send(call->r, &problem);
}

static int is_status(const char *text)
{
    return !strcmp(text, "pending") || !strcmp(text, "approved") || !strcmp(text, "rejected");
}

/* NULL, or what is wrong with the query. */
static const char *read_filter(const finance_call *call, filter *f)
{
    static const char *const names[] = { "propertyId", "from",  "to",     "status",
                                         "category",   "limit", "cursor", NULL };
    apr_pool_t *p = call->r->pool;
    const char *unknown = rest_query_unknown(call->query, names);
    const char *properties = rest_query_get(call->query, "propertyId");
    const char *limit = rest_query_get(call->query, "limit");
    const char *cursor = rest_query_get(call->query, "cursor");
    apr_array_header_t *ids = NULL;

    if (unknown) {
        return "The query has a parameter that this list does not take: it takes propertyId, from, "
               "to, status, category, limit and cursor.";
    }
    if (properties && !rest_query_ids(p, properties, PROPERTIES_MAX, &ids)) {
        return apr_psprintf(p, "propertyId must be 1 to %d ids, separated by commas.",
                            PROPERTIES_MAX);
    }
    f->properties = ids;
    f->from = rest_query_get(call->query, "from");
    f->to = rest_query_get(call->query, "to");
    if ((f->from && !og_date_valid(f->from)) || (f->to && !og_date_valid(f->to))) {
        return "from and to must be days, YYYY-MM-DD.";
    }
    f->status = rest_query_get(call->query, "status");
    if (f->status && !is_status(f->status)) {
        return "status must be pending, approved or rejected.";
    }
    f->category = rest_query_get(call->query, "category");
    if (f->category && (!*f->category || strlen(f->category) > 200)) {
        return "category must be 1 to 200 bytes.";
    }
    f->limit = REST_PAGE_LIMIT_DEFAULT;
    if (limit && !og_int_parse(&f->limit, limit, strlen(limit), 1, REST_PAGE_LIMIT_MAX)) {
        return apr_psprintf(p, "limit must be 1 to %d.", REST_PAGE_LIMIT_MAX);
    }
    f->after = cursor != NULL;
    if (cursor && !rest_page_decode(&f->key, cursor)) {
        return "cursor is not one that this list gave.";
    }
    return NULL;
}

/* "$n" for a value that is added. */
static const char *param(builder *b, const char *value)
{
    APR_ARRAY_PUSH(b->values, const char *) = value;
    return apr_psprintf(b->p, "$%d", b->values->nelts);
}

/* Adds " AND left $n right". Both texts are ours; what the caller sent is only ever a value. */
static void where(builder *b, const char *left, const char *value, const char *right)
{
    b->sql = apr_pstrcat(b->p, b->sql, " AND ", left, param(b, value), right, NULL);
}

static void where_properties(builder *b, const finance_call *call, const filter *f)
{
    const tenant_identity *caller = call->caller;

    if (f->properties && f->properties->nelts == 1) {
        where(b, "x.property_id = ",
              finance_int(b->p, APR_ARRAY_IDX(f->properties, 0, apr_int64_t)), "::bigint");
    }
    else if (f->properties) {
        where(
            b, "x.property_id = ANY (",
            finance_int_array(b->p, (const apr_int64_t *)f->properties->elts, f->properties->nelts),
            "::bigint[])");
    }
    else if (!caller->all_properties) {
        where(b, "x.property_id = ANY (",
              finance_int_array(b->p, caller->properties, caller->property_count), "::bigint[])");
    }
}

static void page_stmt(const finance_call *call, const filter *f, rest_tx_stmt *stmt)
{
    apr_pool_t *p = call->r->pool;
    builder b = { p, "", apr_array_make(p, 10, sizeof(const char *)) };

    b.sql = apr_pstrcat(p, finance_expense_select(p), " FROM (SELECT * FROM transactions x"
                        " WHERE x.type = 'expense' AND x.org_id = ",
                        param(&b, finance_int(p, call->caller->org)), "::bigint", NULL);
    where_properties(&b, call, f);
    /* Days are the property's: the bounds on occurred_at only let the index skip, with room for
     * every time zone there is */
    if (f->from) {
        where(&b, "x.business_date >= ", f->from, "::date");
        where(&b, "x.occurred_at >= ", f->from, "::date - interval '2 days'");
    }
    if (f->to) {
        where(&b, "x.business_date <= ", f->to, "::date");
        where(&b, "x.occurred_at < ", f->to, "::date + interval '3 days'");
    }
    if (f->status) {
        where(&b, "x.status = ", f->status, "");
    }
    if (f->category) {
        where(&b, "x.category = ", f->category, "");
    }
    if (f->after) {
        char *time = apr_palloc(p, OG_RFC3339_MICRO_SIZE);

        og_rfc3339_format_micro(time, f->key.time);
        where(&b, "(x.occurred_at, x.id) < (", time,
              apr_pstrcat(p, "::timestamptz, ", param(&b, finance_int(p, f->key.id)), "::bigint)",
                          NULL));
    }
    b.sql = apr_pstrcat(p, b.sql, " ORDER BY x.occurred_at DESC, x.id DESC LIMIT ",
                        param(&b, finance_int(p, f->limit + 1)), "::bigint) t"
                        " JOIN properties p ON p.org_id = t.org_id AND p.id = t.property_id"
                        " JOIN users c ON c.org_id = t.org_id AND c.id = t.created_by"
                        " LEFT JOIN users d ON d.org_id = t.org_id AND d.id = t.decided_by"
                        " ORDER BY t.occurred_at DESC, t.id DESC", NULL);
    stmt->sql = b.sql;
    stmt->count = b.values->nelts;
    stmt->values = (const char *const *)b.values->elts;
}

/* How many of the named properties are the organisation's: the others do not exist for it. */
static void known_stmt(const finance_call *call, const filter *f, rest_tx_stmt *stmt)
{
    apr_pool_t *p = call->r->pool;
    const char **values = apr_palloc(p, 2 * sizeof(*values));

    values[0] = finance_int(p, call->caller->org);
    values[1] =
        finance_int_array(p, (const apr_int64_t *)f->properties->elts, f->properties->nelts);
    stmt->sql = "SELECT count(*) FROM properties"
                " WHERE org_id = $1::bigint AND id = ANY ($2::bigint[])";
    stmt->count = 2;
    stmt->values = values;
}

static finance_access access_of(const finance_call *call, const filter *f, const PGresult *known)
{
    apr_int64_t count;
    int i;

    if (!finance_number(known, 0, 0, PROPERTIES_MAX, &count) || count != f->properties->nelts) {
        return FINANCE_ABSENT;
    }
    for (i = 0; i < f->properties->nelts; i++) {
        if (!tenant_granted(call->caller, APR_ARRAY_IDX(f->properties, i, apr_int64_t))) {
            return FINANCE_FORBIDDEN;
        }
    }
    return FINANCE_ALLOWED;
}

static int send_page(const finance_call *call, const filter *f, const PGresult *res)
{
    request_rec *r = call->r;
    int rows = PQntuples(res), more = rows > f->limit, i;
    rest_problem problem;
    og_jsonw w;

    rows = more ? (int)f->limit : rows;
    og_jsonw_init(&w, r->pool, (apr_size_t)rows * 1024 + 128);
    og_jsonw_begin(&w, '{');
    og_jsonw_name(&w, "data");
    og_jsonw_begin(&w, '[');
    for (i = 0; i < rows; i++) {
        const char *wrong = finance_expense_write_row(&w, res, i);

        if (wrong) {
            finance_db_untrue(call, wrong, &problem);
            return rest_problem_send(r, &problem);
        }
    }
    og_jsonw_end(&w, ']');
    og_jsonw_name(&w, "nextCursor");
    if (more) {
        rest_page_key last = { apr_atoi64(finance_text(res, rows - 1, EXPENSE_OCCURRED_AT)),
                               apr_atoi64(finance_text(res, rows - 1, EXPENSE_ID)) };

        og_jsonw_string(&w, rest_page_encode(r->pool, &last));
    }
    else {
        og_jsonw_null(&w);
    }
    og_jsonw_end(&w, '}');
    finance_tags_say(r);
    return rest_reply(r, HTTP_OK, "application/json", w.text, w.len);
}

int finance_expense_list(finance_call *call)
{
    filter f = { 0 };
    const char *wrong = read_filter(call, &f);
    const PGresult *res[2];
    rest_tx_stmt stmts[2];
    rest_db_status status;
    rest_tx *tx = NULL;
    int n = 0;

    if (wrong) {
        return refuse(call, wrong);
    }
    page_stmt(call, &f, &stmts[n++]);
    if (f.properties) {
        known_stmt(call, &f, &stmts[n++]);
    }
    status = finance_db_begin(call, 1, &tx);
    if (status == REST_DB_OK) {
        status = rest_tx_finish(tx, stmts, n, res);
    }
    if (status != REST_DB_OK) {
        return finance_db_problem(call, status, tx);
    }
    if (f.properties) {
        finance_access access = access_of(call, &f, res[1]);
        rest_problem problem;

        if (access != FINANCE_ALLOWED) {
            finance_access_problem(access, "There is no such property.", &problem);
            return rest_problem_send(call->r, &problem);
        }
    }
    return send_page(call, &f, res[0]);
}
