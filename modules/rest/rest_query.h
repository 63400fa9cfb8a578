/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_query.h
 * @brief Query strings, read strictly
 *
 * Pure. Bounds: REST_QUERY_LEN_MAX bytes, REST_QUERY_PARAMS_MAX parameters. A name may stand once
 * (B09 of bad-inputs-and-faults.md: never "last wins"); values are UTF-8 without NUL.
 */
#ifndef REST_QUERY_H
#define REST_QUERY_H

#include <apr_pools.h>
#include <apr_tables.h>

#define REST_QUERY_LEN_MAX    8192
#define REST_QUERY_PARAMS_MAX 64

typedef struct rest_param {
    const char *name;   /**< decoded, NUL-terminated */
    const char *value;  /**< decoded, NUL-terminated; rest_query_bare where there is no '=' */
} rest_param;

/** "", told from another one by its address: to some backends ?a is another thing than ?a=. */
extern const char rest_query_bare[];

/**
 * @param args    r->args, may be NULL
 * @param params  array of rest_param, in order
 * @return NULL, or what is wrong with the query (from p)
 */
const char *rest_query_parse(apr_pool_t *p, const char *args, apr_array_header_t **params);

/** The value of a parameter, or NULL when it is not there. */
const char *rest_query_get(const apr_array_header_t *params, const char *name);

/**
 * The first parameter that is not in the NULL-ended list of names, or NULL. Unknown parameters
 * are refused: a misspelt filter that is ignored shows more than was asked for.
 */
const char *rest_query_unknown(const apr_array_header_t *params, const char *const *names);

/**
 * "12,14": a comma-separated list of 1..max canonical ids (og_number.h).
 * @param ids  array of apr_int64_t, ascending, without duplicates
 * @return 1, or 0 when text is not such a list
 */
int rest_query_ids(apr_pool_t *p, const char *text, int max, apr_array_header_t **ids);

#endif /* REST_QUERY_H */
