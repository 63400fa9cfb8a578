/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tenant_origin.h
 * @brief An entry of TenantCorsOrigins and the Origin that a browser sends (RFC 6454)
 *
 * Pure: no httpd.h. A browser sends scheme and host in lower case and leaves a default port out, so
 * an entry is brought into that form once and what is sent is compared byte by byte.
 */
#ifndef TENANT_ORIGIN_H
#define TENANT_ORIGIN_H

#include <apr_pools.h>

/** Bytes that an origin may have: a scheme, a name of 253 bytes, a port. */
#define TENANT_ORIGIN_MAX 300

/** pool: the one it was parsed into. Read-only. */
typedef struct tenant_origin {
    const char *text;      /**< as browsers send it; with a star: what is before it, "https://" */
    const char *suffix;    /**< NULL, or what stands behind the star: ".x.test", ".x.test:8443" */
} tenant_origin;

/**
 * Parse scheme://host[:port]. The host's first label may be a star, that is one whole label, when
 * two more at least stand behind it. "*" and "null" are no origins.
 * @return 1, or 0: it is none
 */
int tenant_origin_parse(tenant_origin *origin, apr_pool_t *p, const char *text);

/** Whether a browser's Origin is this one. */
int tenant_origin_is(const tenant_origin *origin, const char *sent);

#endif /* TENANT_ORIGIN_H */
