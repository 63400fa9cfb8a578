/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The members of an expense (docs/openapi.json lists the same): one table drives the SELECT and
 * the JSON, so neither can have a member that the other lacks. */
#include "finance.h"

#include "og_rfc3339.h"

#include <apr_strings.h>

typedef enum {
    TEXT,
    NUMBER, /* an integer: copied as it is */
    TIME    /* microseconds since 1970 */
} kind;

static const struct {
    const char *name;
    kind kind;
    const char *sql;
} members[EXPENSE_MEMBERS] = {
    [EXPENSE_ID] = { "id", NUMBER, "t.id" },
    [EXPENSE_PROPERTY_ID] = { "propertyId", NUMBER, "t.property_id" },
    [EXPENSE_PROPERTY_NAME] = { "propertyName", TEXT, "p.name" },
    [EXPENSE_STATUS] = { "status", TEXT, "t.status" },
    [EXPENSE_CATEGORY] = { "category", TEXT, "t.category" },
    [EXPENSE_VENDOR] = { "vendor", TEXT, "t.vendor" },
    [EXPENSE_DESCRIPTION] = { "description", TEXT, "t.description" },
    [EXPENSE_NOTES] = { "notes", TEXT, "t.notes" },
    [EXPENSE_AMOUNT_CENTS] = { "amountCents", NUMBER, "t.amount_cents" },
    [EXPENSE_CURRENCY] = { "currency", TEXT, "t.currency" },
    [EXPENSE_PAYMENT_MODE] = { "paymentMode", TEXT, "t.payment_mode" },
    [EXPENSE_PAYMENT_REFERENCE] = { "paymentReference", TEXT, "t.payment_reference" },
    [EXPENSE_INVOICE_NUMBER] = { "invoiceNumber", TEXT, "t.invoice_number" },
    [EXPENSE_RECEIPT_DOCUMENT_ID] = { "receiptDocumentId", NUMBER, "t.receipt_document_id" },
    [EXPENSE_OCCURRED_AT] = { "occurredAt", TIME, "t.occurred_at" },
    [EXPENSE_BUSINESS_DATE] = { "businessDate", TEXT, "t.business_date" },
    [EXPENSE_CREATED_BY] = { "createdBy", NUMBER, "t.created_by" },
    [EXPENSE_CREATED_BY_NAME] = { "createdByName", TEXT, "c.name" },
    [EXPENSE_CREATED_AT] = { "createdAt", TIME, "t.created_at" },
    [EXPENSE_DECIDED_BY] = { "decidedBy", NUMBER, "t.decided_by" },
    [EXPENSE_DECIDED_BY_NAME] = { "decidedByName", TEXT, "d.name" },
    [EXPENSE_DECIDED_AT] = { "decidedAt", TIME, "t.decided_at" },
    [EXPENSE_DECISION_NOTE] = { "decisionNote", TEXT, "t.decision_note" },
    [EXPENSE_UPDATED_AT] = { "updatedAt", TIME, "t.updated_at" },
    [EXPENSE_VERSION] = { "version", NUMBER, "t.version" }
};

const char *finance_expense_select(apr_pool_t *p)
{
    const char *parts[EXPENSE_MEMBERS];
    struct iovec text[EXPENSE_MEMBERS];
    int i;

    for (i = 0; i < EXPENSE_MEMBERS; i++) {
        /* extract() is numeric: exact to the microsecond, whatever DateStyle and TimeZone say */
        parts[i] = apr_psprintf(p, members[i].kind == TIME
                                       ? "%s(extract(epoch FROM %s) * 1000000)::bigint"
                                       : "%s%s",
                                i ? ", " : "SELECT ", members[i].sql);
        text[i].iov_base = (void *)parts[i];
        text[i].iov_len = strlen(parts[i]);
    }
    return apr_pstrcatv(p, text, EXPENSE_MEMBERS, NULL);
}

static void write_member(og_jsonw *w, int member, const char *value)
{
    char time[OG_RFC3339_SIZE];

    og_jsonw_name(w, members[member].name);
    if (!value) {
        og_jsonw_null(w);
    }
    else if (members[member].kind == NUMBER) {
        og_jsonw_raw(w, value, strlen(value));
    }
    else if (members[member].kind == TIME) {
        og_rfc3339_format(time, apr_atoi64(value));
        og_jsonw_string(w, time);
    }
    else {
        og_jsonw_string(w, value);
    }
}

void finance_expense_write(og_jsonw *w, const char *const values[EXPENSE_MEMBERS])
{
    int i;

    og_jsonw_begin(w, '{');
    for (i = 0; i < EXPENSE_MEMBERS; i++) {
        write_member(w, i, values[i]);
    }
    og_jsonw_end(w, '}');
}

void finance_expense_write_row(og_jsonw *w, const PGresult *res, int row)
{
    const char *values[EXPENSE_MEMBERS];
    int i;

    for (i = 0; i < EXPENSE_MEMBERS; i++) {
        values[i] = finance_field(res, row, i);
    }
    finance_expense_write(w, values);
}
