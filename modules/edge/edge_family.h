/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_family.h
 * @brief Families of responses that are kept alike (http-semantics.md 4), and their three faces
 *
 * Pure. Times are seconds.
 */
#ifndef EDGE_FAMILY_H
#define EDGE_FAMILY_H

#include <apr_pools.h>

/** Who may be given a response that somebody else asked for. */
typedef enum edge_shared {
    EDGE_SHARED_PERMISSIONS, /**< callers of the same organisation, role and properties */
    EDGE_SHARED_USER,        /**< the caller himself */
    EDGE_SHARED_PUBLIC       /**< anybody, verified or not */
} edge_shared;

/** pool: pconf. Read-only once the configuration is read. */
typedef struct edge_family {
    const char *name;
    apr_int64_t max_age;                /**< for clients */
    apr_int64_t s_maxage;               /**< for the origin's cache and edges; 0: not kept there */
    apr_int64_t stale_while_revalidate;
    apr_int64_t stale_if_error;
    edge_shared shared;
    int immutable;
    int no_store;                       /**< nobody keeps it */
    const char *stored, *client, *edge, *cdn; /**< the lines below, written once */
} edge_family;

/** Longest name of a family, and longest time. */
#define EDGE_FAMILY_NAME_MAX 64
#define EDGE_FAMILY_AGE_MAX  APR_INT64_C(31536000)

/**
 * What stands behind the name in EdgeFamily: no-store, or max-age=S, s-maxage=S,
 * stale-while-revalidate=S, stale-if-error=S, shared=permissions|user|public, immutable.
 * @param family  its name is left alone
 * @return NULL, or what was expected (from p)
 */
const char *edge_family_parse(apr_pool_t *p, int argc, char *const argv[], edge_family *family);

/** Whether text can be a family's name: small letters, digits and '-'. */
int edge_family_name_ok(const char *text);

/** Whether mod_cache may keep responses of the family at all. */
int edge_family_kept(const edge_family *family);

/** Write the family's lines, which the functions below make, into it. */
void edge_family_write(apr_pool_t *p, edge_family *family);

/** Cache-Control as mod_cache is to see it. NULL unless edge_family_kept(). */
const char *edge_family_stored(apr_pool_t *p, const edge_family *family);

/** Cache-Control of a good response, for a client. */
const char *edge_family_client(apr_pool_t *p, const edge_family *family);

/** … for a trusted edge, and its CDN-Cache-Control (RFC 9213), NULL: none. */
const char *edge_family_edge(apr_pool_t *p, const edge_family *family);
const char *edge_family_cdn(apr_pool_t *p, const edge_family *family);

#endif /* EDGE_FAMILY_H */
