/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_fields.h
 * @brief Names of header fields that several modules treat alike
 *
 * Pure.
 */
#ifndef REST_FIELDS_H
#define REST_FIELDS_H

#include <apr_lib.h>

/** Initialiser: what leaves only toward a trusted edge (http-semantics.md 1). */
#define REST_FIELDS_INTERNAL \
    "X-Org-Key", "Surrogate-Key", "Surrogate-Control", "X-Cache-Tags", "X-Tenant-Partition", \
    "CDN-Cache-Control", "Cache-Tag"

/** Whether two names are one to a CGI or an application server: case, and every character that an
 * environment variable can't have, are the same there (HTTP_X_ORG_KEY). */
static inline int rest_fields_same(const char *name, const char *ours)
{
    for (; *name && *ours; name++, ours++) {
        if (apr_isalnum(*name) ? apr_tolower(*name) != apr_tolower(*ours) : apr_isalnum(*ours)) {
            return 0;
        }
    }
    return !*name && !*ours;
}

#endif /* REST_FIELDS_H */
