/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_number.h
 * @brief Whole numbers from outside: ids, and the values of directives
 *
 * Pure. One parser for ids in tokens, paths, queries and configuration, so that no two places
 * disagree about what "007", "7 " or "+7" mean: nothing, each of them.
 */
#ifndef OG_NUMBER_H
#define OG_NUMBER_H

#include <apr_pools.h>
#include <apr_time.h>

/** Ids and JSON integers stay below this: the largest whole number that JavaScript keeps exact. */
#define OG_ID_MAX APR_INT64_C(9007199254740991)

/** Longest canonical id in characters, and with a NUL. */
#define OG_ID_DIGITS   16
#define OG_ID_TEXT_LEN (OG_ID_DIGITS + 1)

/**
 * A canonical positive decimal id: 1..OG_ID_MAX, no sign, no leading zero, nothing around it.
 * @return 1 and *id, or 0
 */
int og_id_parse(apr_int64_t *id, const char *text, apr_size_t len);

/**
 * A whole number as a directive or query gives it: optional '-', digits, nothing else.
 * @return 1 and *value when it is within min..max, else 0
 */
int og_int_parse(apr_int64_t *value, const char *text, apr_size_t len, apr_int64_t min,
                 apr_int64_t max);

/** A directive's value, or the other where nobody set it (OG_UNSET): merges and defaults. */
apr_int64_t og_set_or(apr_int64_t value, apr_int64_t other);

/**
 * Directive argument: a whole number from min to max.
 * @return NULL, or what to tell the administrator (from p)
 */
const char *og_arg_int(apr_pool_t *p, const char *arg, apr_int64_t min, apr_int64_t max,
                       apr_int64_t *value);

/**
 * Directive argument: a span of time, digits and one of ms, s, min, h, d; no unit means seconds.
 * @param min,max  microseconds
 * @return NULL, or what to tell the administrator (from p)
 */
const char *og_arg_span(apr_pool_t *p, const char *arg, apr_interval_time_t min,
                        apr_interval_time_t max, apr_interval_time_t *value);

/**
 * Directive argument: a size in bytes, digits and optionally K, M or G (powers of 1024).
 * @return NULL, or what to tell the administrator (from p)
 */
const char *og_arg_size(apr_pool_t *p, const char *arg, apr_int64_t min, apr_int64_t max,
                        apr_int64_t *value);

/** A span as a directive would say it: "25s", "1500ms". */
const char *og_span_text(apr_pool_t *p, apr_interval_time_t span);

#endif /* OG_NUMBER_H */
