/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The body of POST /finance/expenses, checked member by member against one table. Pure but for
 * rest_problem.h's struct: every wrong member is named in one answer, not one an attempt. */
#include "finance.h"

#include "og_number.h"
#include "og_rfc3339.h"

#include <apr_strings.h>

/* P§18.1: amounts are whole cents; sums of them never overflow */
#define AMOUNT_MAX APR_INT64_C(1000000000000)

/* An expense is of this century, and at most a day ahead of our clock */
#define OCCURRED_MIN (apr_time_from_sec(APR_INT64_C(946684800)))
#define AHEAD_MAX    (86400 * APR_USEC_PER_SEC)

typedef enum { ID, AMOUNT, STRING, ONE_LINE, CURRENCY, PAYMENT_MODE, MOMENT } rule;

static const struct {
    const char *name;
    rule rule;
    int required;
    apr_size_t max;      /* characters */
    apr_size_t offset;   /* of the field in finance_expense_input */
    const char *expected;
} members[] = {
    { "propertyId", ID, 1, 0, APR_OFFSETOF(finance_expense_input, property),
      "must be the id of a property" },
    { "amountCents", AMOUNT, 1, 0, APR_OFFSETOF(finance_expense_input, amount_cents),
      "must be a whole number of cents from 1 to 1000000000000" },
    { "category", ONE_LINE, 1, 50, APR_OFFSETOF(finance_expense_input, category),
      "must be a line of 1 to 50 characters" },
    { "description", STRING, 1, 1000, APR_OFFSETOF(finance_expense_input, description),
      "must be a text of 1 to 1000 characters" },
    { "paymentMode", PAYMENT_MODE, 1, 0, APR_OFFSETOF(finance_expense_input, payment_mode),
      "must be cash, bank, card, upi or cheque" },
    { "vendor", ONE_LINE, 0, 200, APR_OFFSETOF(finance_expense_input, vendor),
      "must be a line of 1 to 200 characters" },
    { "notes", STRING, 0, 2000, APR_OFFSETOF(finance_expense_input, notes),
      "must be a text of 1 to 2000 characters" },
    { "currency", CURRENCY, 0, 3, APR_OFFSETOF(finance_expense_input, currency),
      "must be three capital letters (ISO 4217)" },
    { "paymentReference", ONE_LINE, 0, 100, APR_OFFSETOF(finance_expense_input, payment_reference),
      "must be a line of 1 to 100 characters" },
    { "invoiceNumber", ONE_LINE, 0, 100, APR_OFFSETOF(finance_expense_input, invoice_number),
      "must be a line of 1 to 100 characters" },
    { "receiptDocumentId", ID, 0, 0, APR_OFFSETOF(finance_expense_input, receipt_document),
      "must be the id of a document" },
    { "occurredAt", MOMENT, 0, 0, APR_OFFSETOF(finance_expense_input, occurred_at),
      "must be a time (RFC 3339) from the year 2000 to tomorrow" }
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

/* 1..max characters without control characters; a text may hold tabs and line ends. */
static int is_text(const char *text, apr_size_t max, int lines)
{
    apr_size_t characters = 0;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c < 0x20 && !(lines && (c == '\n' || c == '\r' || c == '\t'))) || c == 0x7F) {
            return 0;
        }
        characters += (c & 0xC0) != 0x80; /* jansson has checked that it is UTF-8 */
    }
    return characters >= 1 && characters <= max;
}

static int is_currency(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3 && !text[3];
}

static int is_payment_mode(const char *text)
{
    static const char *const modes[] = { "cash", "bank", "card", "upi", "cheque", NULL };
    const char *const *mode = modes;

    while (*mode && strcmp(*mode, text) != 0) {
        mode++;
    }
    return *mode != NULL;
}

static int read_integer(const json_t *value, apr_int64_t max, void *field)
{
    if (!json_is_integer(value) || json_integer_value(value) < 1
        || json_integer_value(value) > max) {
        return 0;
    }
    *(apr_int64_t *)field = json_integer_value(value);
    return 1;
}

static int read_moment(const char *text, apr_time_t now, void *field)
{
    apr_time_t time;

    if (!og_rfc3339_parse(&time, text) || time < OCCURRED_MIN || time > now + AHEAD_MAX) {
        return 0;
    }
    *(apr_time_t *)field = time;
    return 1;
}

/* One member by its rule, into its field. */
static int read_member(apr_pool_t *p, size_t i, const json_t *value, apr_time_t now, void *field)
{
    const char *text = json_string_value(value);
    int ok;

    if (members[i].rule == ID) {
        return read_integer(value, OG_ID_MAX, field);
    }
    if (members[i].rule == AMOUNT) {
        return read_integer(value, AMOUNT_MAX, field);
    }
    if (!text) {
        return 0;
    }
    if (members[i].rule == MOMENT) {
        return read_moment(text, now, field);
    }
    if (members[i].rule == CURRENCY) {
        ok = is_currency(text);
    }
    else if (members[i].rule == PAYMENT_MODE) {
        ok = is_payment_mode(text);
    }
    else {
        ok = is_text(text, members[i].max, members[i].rule == STRING);
    }
    if (ok) {
        *(const char **)field = apr_pstrdup(p, text);
    }
    return ok;
}

static void complain(og_jsonw *errors, const char *member, const char *what)
{
    og_jsonw_begin(errors, '{');
    og_jsonw_name(errors, "member");
    og_jsonw_string(errors, member);
    og_jsonw_name(errors, "problem");
    og_jsonw_string(errors, what);
    og_jsonw_end(errors, '}');
}

static int is_known(const char *name)
{
    size_t i = 0;

    while (i < MEMBERS && strcmp(members[i].name, name) != 0) {
        i++;
    }
    return i < MEMBERS;
}

/* Members that an expense does not have: one complaint, whatever their number. */
static int unknown_members(const json_t *body, og_jsonw *errors)
{
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)body, name, value) {
        if (!is_known(name)) {
            complain(errors, strlen(name) <= 64 ? name : "", "is not a member of an expense");
            return 1;
        }
    }
    return 0;
}

int finance_expense_input_read(apr_pool_t *p, const json_t *body, apr_time_t now,
                               finance_expense_input *input, rest_problem *problem)
{
    static const rest_problem refused = { 422, "validation_failed",
                                          "The body is not an acceptable expense.", NULL, 0 };
    og_jsonw errors;
    int bad = 0;
    size_t i;

    memset(input, 0, sizeof(*input));
    og_jsonw_init(&errors, p, 256);
    og_jsonw_begin(&errors, '{');
    og_jsonw_name(&errors, "errors");
    og_jsonw_begin(&errors, '[');
    if (!json_is_object(body)) {
        complain(&errors, "", "the body must be an object");
        bad = 1;
    }
    for (i = 0; json_is_object(body) && i < MEMBERS; i++) {
        const json_t *value = json_object_get(body, members[i].name);
        int absent = !value || (json_is_null(value) && !members[i].required);

        if (absent ? members[i].required
                   : !read_member(p, i, value, now, (char *)input + members[i].offset)) {
            complain(&errors, members[i].name, members[i].expected);
            bad = 1;
        }
    }
    bad |= json_is_object(body) && unknown_members(body, &errors);
    og_jsonw_end(&errors, ']');
    og_jsonw_end(&errors, '}');
    if (!input->currency) {
        input->currency = "INR";
    }
    if (bad) {
        *problem = refused;
        problem->details = og_jsonw_text(&errors);
    }
    return !bad;
}
