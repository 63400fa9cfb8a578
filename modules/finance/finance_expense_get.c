/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* GET /finance/expenses/{id}. */
#include "finance.h"

#include "rest_query.h"
#include "rest_reply.h"

#include <apr_strings.h>

static const char from[] =
    " FROM transactions t JOIN properties p ON p.org_id = t.org_id AND p.id = t.property_id"
    " JOIN users c ON c.org_id = t.org_id AND c.id = t.created_by"
    " LEFT JOIN users d ON d.org_id = t.org_id AND d.id = t.decided_by"
    " WHERE t.org_id = $1::bigint AND t.id = $2::bigint AND t.type = 'expense'";

static int send_row(const finance_call *call, const PGresult *res)
{
    request_rec *r = call->r;
    rest_problem problem;
    const char *wrong;
    og_jsonw w;

    if (!PQntuples(res)) {
        finance_access_problem(FINANCE_ABSENT, "There is no such expense.", &problem);
        return rest_problem_send(r, &problem);
    }
    og_jsonw_init(&w, r->pool, 1024);
    wrong = finance_expense_write_row(&w, res, 0);
    if (wrong) {
        finance_db_untrue(call, wrong, &problem);
        return rest_problem_send(r, &problem);
    }
    if (!tenant_granted(call->caller, apr_atoi64(finance_text(res, 0, EXPENSE_PROPERTY_ID)))) {
        finance_access_problem(FINANCE_FORBIDDEN, NULL, &problem);
        return rest_problem_send(r, &problem);
    }
    finance_tags_say(r);
    return rest_reply(r, HTTP_OK, "application/json", w.text, w.len);
}

int finance_expense_get(finance_call *call)
{
    static const char *const names[] = { NULL };
    request_rec *r = call->r;
    const char *values[] = { finance_int(r->pool, call->caller->org),
                             finance_int(r->pool, call->match.ids[0]) };
    rest_tx_stmt stmt = { apr_pstrcat(r->pool, finance_expense_select(r->pool), from, NULL), 2,
                          values };
    const PGresult *res;
    rest_db_status status;
    rest_tx *tx = NULL;

    if (rest_query_unknown(call->query, names)) {
        rest_problem problem = { HTTP_BAD_REQUEST, "invalid_request",
                                 "This resource takes no query parameters.", NULL, 0 };

        return rest_problem_send(r, &problem);
    }
    status = finance_db_begin(call, 1, &tx);
    if (status == REST_DB_OK) {
        status = rest_tx_finish(tx, &stmt, 1, &res);
    }
    return status == REST_DB_OK ? send_row(call, res) : finance_db_problem(call, status, tx);
}
