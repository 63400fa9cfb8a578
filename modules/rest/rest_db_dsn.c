/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The administrator's connection string, completed: see rest_db_dsn.h. */
#include "rest_db_dsn.h"

#include <apr_strings.h>
#include <libpq-fe.h>
#include <string.h>

/* " keyword='value'", quotes and backslashes escaped as libpq wants them (its manual, 34.1.1.1) */
static char *append(apr_pool_t *p, char *dsn, const char *keyword, const char *value)
{
    char *quoted = apr_palloc(p, 2 * strlen(value) + 1);
    char *out = quoted;

    for (; *value; value++) {
        if (*value == '\'' || *value == '\\') {
            *out++ = '\\';
        }
        *out++ = *value;
    }
    *out = '\0';
    return apr_pstrcat(p, dsn, *dsn ? " " : "", keyword, "='", quoted, "'", NULL);
}

const char *rest_db_dsn_complete(apr_pool_t *p, const char *dsn, apr_interval_time_t timeout,
                                 const char **why)
{
    apr_int64_t seconds = timeout < APR_USEC_PER_SEC ? 1 : apr_time_sec(timeout);
    const char *defaults[][2] = {
        { "connect_timeout", apr_psprintf(p, "%" APR_INT64_T_FMT, seconds) },
        { "application_name", "orgscale" },
        { "client_encoding", "UTF8" } /* JSON is UTF-8, whatever the server's default is */
    };
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &error);
    PQconninfoOption *option;
    char *complete = apr_pstrdup(p, "");
    size_t i;

    if (!options) {
        *why = apr_pstrdup(p, error ? error : "out of memory");
        PQfreemem(error);
        return NULL;
    }
    for (option = options; option->keyword; option++) {
        if (option->val) {
            complete = append(p, complete, option->keyword, option->val);
        }
        for (i = 0; i < sizeof defaults / sizeof *defaults; i++) {
            if (!option->val && strcmp(option->keyword, defaults[i][0]) == 0) {
                complete = append(p, complete, option->keyword, defaults[i][1]);
            }
        }
    }
    PQconninfoFree(options);
    return complete;
}
