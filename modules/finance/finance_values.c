/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Statement parameters and result fields: PostgreSQL's text format, which is what unnamed
 * statements with casts take ($1::bigint).
 *
 * A result is read through these functions alone. The database is another program: what it says is
 * taken for what the schema promises only after a look at it (B42). */
#include "finance.h"

#include "og_number.h"

#include <apr_strings.h>

const char *finance_int(apr_pool_t *p, apr_int64_t value)
{
    return apr_psprintf(p, "%" APR_INT64_T_FMT, value);
}

const char *finance_int_array(apr_pool_t *p, const apr_int64_t *ids, int count)
{
    /* '{', up to 20 characters and a comma each, '}', NUL */
    char *text = apr_palloc(p, (apr_size_t)count * 21 + 3);
    char *at = text;
    int i;

    *at++ = '{';
    for (i = 0; i < count; i++) {
        at += apr_snprintf(at, 22, "%s%" APR_INT64_T_FMT, i ? "," : "", ids[i]);
    }
    *at++ = '}';
    *at = '\0';
    return text;
}

const char *finance_field(const PGresult *res, int row, int column)
{
    /* libpq calls a field NULL that is not there, and has no value for it */
    return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

const char *finance_text(const PGresult *res, int row, int column)
{
    const char *text = finance_field(res, row, column);

    return text ? text : "";
}

int finance_number(const PGresult *res, int row, int column, apr_int64_t max, apr_int64_t *value)
{
    const char *text = finance_text(res, row, column);

    return og_int_parse(value, text, strlen(text), 0, max);
}
