/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_page.h
 * @brief Keyset pages, newest first: where the next one begins
 *
 * Pure. A page cursor is base64url of one version byte, a time and an id, both big-endian: the
 * last row that was shown. It grants nothing (the query's own filters and row-level security do),
 * so it carries no signature; one that is not of this form is the caller's mistake.
 */
#ifndef REST_PAGE_H
#define REST_PAGE_H

#include <apr_pools.h>
#include <apr_time.h>

#define REST_PAGE_LIMIT_DEFAULT 100
#define REST_PAGE_LIMIT_MAX     500

typedef struct rest_page_key {
    apr_time_t time;
    apr_int64_t id;
} rest_page_key;

/** @return the cursor of a row, from p */
const char *rest_page_encode(apr_pool_t *p, const rest_page_key *key);

/** @return 1 and *key, or 0 when text is no page cursor */
int rest_page_decode(rest_page_key *key, const char *text);

#endif /* REST_PAGE_H */
