/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The members of an expense (docs/openapi.json lists the same): one table drives the SELECT and
 * the JSON, so neither can have a member that the other lacks. Each value is looked at on its way
 * from the one to the other: only what is a number becomes a JSON number. */
#include "finance.h"

#include "og_number.h"
#include "og_rfc3339.h"

#include <apr_strings.h>

/* The end of the year 9999 */
#define TIME_MAX (apr_time_from_sec(APR_INT64_C(253402300800)) - 1)

typedef enum {
    TEXT,
    NUMBER, /* an id, an amount, a count: 1 to OG_ID_MAX */
    TIME,   /* microseconds since 1970 */
    DAY     /* YYYY-MM-DD */
} kind;

enum { NEVER_NULL, MAY_BE_NULL }; /* the first where a row below says nothing */

static const struct {
    const char *name;
    kind kind;
    const char *sql;
    int null;
} members[EXPENSE_MEMBERS] = {
    [EXPENSE_ID] = { "id", NUMBER, "t.id" },
    [EXPENSE_PROPERTY_ID] = { "propertyId", NUMBER, "t.property_id" },
    [EXPENSE_PROPERTY_NAME] = { "propertyName", TEXT, "p.name" },
    [EXPENSE_STATUS] = { "status", TEXT, "t.status" },
    [EXPENSE_CATEGORY] = { "category", TEXT, "t.category" },
    [EXPENSE_VENDOR] = { "vendor", TEXT, "t.vendor", MAY_BE_NULL },
    [EXPENSE_DESCRIPTION] = { "description", TEXT, "t.description" },
    [EXPENSE_NOTES] = { "notes", TEXT, "t.notes", MAY_BE_NULL },
    [EXPENSE_AMOUNT_CENTS] = { "amountCents", NUMBER, "t.amount_cents" },
    [EXPENSE_CURRENCY] = { "currency", TEXT, "t.currency" },
    [EXPENSE_PAYMENT_MODE] = { "paymentMode", TEXT, "t.payment_mode" },
    [EXPENSE_PAYMENT_REFERENCE] = { "paymentReference", TEXT, "t.payment_reference", MAY_BE_NULL },
    [EXPENSE_INVOICE_NUMBER] = { "invoiceNumber", TEXT, "t.invoice_number", MAY_BE_NULL },
    [EXPENSE_RECEIPT_DOCUMENT_ID] = { "receiptDocumentId", NUMBER, "t.receipt_document_id",
                                      MAY_BE_NULL },
    [EXPENSE_OCCURRED_AT] = { "occurredAt", TIME, "t.occurred_at" },
    [EXPENSE_BUSINESS_DATE] = { "businessDate", DAY, "t.business_date" },
    [EXPENSE_CREATED_BY] = { "createdBy", NUMBER, "t.created_by" },
    [EXPENSE_CREATED_BY_NAME] = { "createdByName", TEXT, "c.name" },
    [EXPENSE_CREATED_AT] = { "createdAt", TIME, "t.created_at" },
    [EXPENSE_DECIDED_BY] = { "decidedBy", NUMBER, "t.decided_by", MAY_BE_NULL },
    [EXPENSE_DECIDED_BY_NAME] = { "decidedByName", TEXT, "d.name", MAY_BE_NULL },
    [EXPENSE_DECIDED_AT] = { "decidedAt", TIME, "t.decided_at", MAY_BE_NULL },
    [EXPENSE_DECISION_NOTE] = { "decisionNote", TEXT, "t.decision_note", MAY_BE_NULL },
    [EXPENSE_UPDATED_AT] = { "updatedAt", TIME, "t.updated_at" },
    [EXPENSE_VERSION] = { "version", NUMBER, "t.version" }
};

const char *finance_expense_select(apr_pool_t *p)
{
    /* the same whatever DateStyle and TimeZone say; extract() is numeric: exact microseconds */
    static const char *const around[][2] = {
        [TEXT] = { "", "" },
        [NUMBER] = { "", "" },
        [TIME] = { "(extract(epoch FROM ", ") * 1000000)::bigint" },
        [DAY] = { "to_char(", ", 'YYYY-MM-DD')" }
    };
    const char *parts[EXPENSE_MEMBERS];
    struct iovec text[EXPENSE_MEMBERS];
    int i;

    for (i = 0; i < EXPENSE_MEMBERS; i++) {
        parts[i] = apr_pstrcat(p, i ? ", " : "SELECT ", around[members[i].kind][0], members[i].sql,
                               around[members[i].kind][1], NULL);
        text[i].iov_base = (void *)parts[i];
        text[i].iov_len = strlen(parts[i]);
    }
    return apr_pstrcatv(p, text, EXPENSE_MEMBERS, NULL);
}

static int write_number(og_jsonw *w, const char *value)
{
    apr_int64_t number;
    int ok = og_id_parse(&number, value, strlen(value));

    if (ok) {
        og_jsonw_int(w, number);
    }
    return ok;
}

static int write_time(og_jsonw *w, const char *value)
{
    char text[OG_RFC3339_SIZE];
    apr_time_t time;
    int ok = og_int_parse(&time, value, strlen(value), 0, TIME_MAX);

    if (ok) {
        og_rfc3339_format(text, time);
        og_jsonw_string(w, text);
    }
    return ok;
}

/* 1, or 0 when the value is none that the member can have. */
static int write_member(og_jsonw *w, int member, const char *value)
{
    og_jsonw_name(w, members[member].name);
    if (!value) {
        og_jsonw_null(w);
        return members[member].null == MAY_BE_NULL;
    }
    if (members[member].kind == NUMBER) {
        return write_number(w, value);
    }
    if (members[member].kind == TIME) {
        return write_time(w, value);
    }
    og_jsonw_string(w, value);
    return members[member].kind != DAY || og_date_valid(value);
}

const char *finance_expense_write(og_jsonw *w, const char *const values[EXPENSE_MEMBERS])
{
    int i;

    og_jsonw_begin(w, '{');
    for (i = 0; i < EXPENSE_MEMBERS; i++) {
        if (!write_member(w, i, values[i])) {
            return members[i].name;
        }
    }
    og_jsonw_end(w, '}');
    return NULL;
}

const char *finance_expense_write_row(og_jsonw *w, const PGresult *res, int row)
{
    const char *values[EXPENSE_MEMBERS];
    int i;

    for (i = 0; i < EXPENSE_MEMBERS; i++) {
        values[i] = finance_field(res, row, i);
    }
    return finance_expense_write(w, values);
}
