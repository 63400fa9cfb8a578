/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Statement parameters and result fields: PostgreSQL's text format, which is what unnamed
 * statements with casts take ($1::bigint). */
#include "finance.h"

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
    return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}
