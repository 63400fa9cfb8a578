/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_db_dsn.h
 * @brief The administrator's connection string, completed
 *
 * Pure but for libpq's parser.
 */
#ifndef REST_DB_DSN_H
#define REST_DB_DSN_H

#include <apr_pools.h>
#include <apr_time.h>

/**
 * dsn (keyword=value or URI) as keyword=value, with connect_timeout, application_name=orgscale and
 * client_encoding=UTF8 where it does not say otherwise. `options` is never added: PgBouncer refuses
 * a client that sends it (httpd-facts.md 3).
 * @param timeout  whole seconds count, at least 1
 * @param why      set to libpq's reason (from p; it may quote the DSN: not for the log)
 * @return from p, or NULL when dsn cannot be parsed
 */
const char *rest_db_dsn_complete(apr_pool_t *p, const char *dsn, apr_interval_time_t timeout,
                                 const char **why);

#endif /* REST_DB_DSN_H */
