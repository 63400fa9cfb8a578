/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tenant_keys.h
 * @brief A JWKS file that is watched: new keys without a restart, old keys while the new are bad
 *
 * One object a TenantJWKS line, made when the configuration is read and inherited by every child;
 * from then on each child looks after its own. Whoever verifies borrows a version and gives it
 * back, so a version is freed only when nobody verifies with it any more.
 */
#ifndef TENANT_KEYS_H
#define TENANT_KEYS_H

#include <httpd.h>

#include "tenant_jwks.h"

typedef struct tenant_keys tenant_keys;

/** One successfully parsed content of the file. Read-only but for its count. */
typedef struct tenant_keys_version {
    const tenant_keyset *set;
    unsigned int number;  /**< differs between versions of a process */
    apr_pool_t *pool;     /* its own, without a parent */
    int users;            /* under the tenant_keys' lock; the current version counts as one */
} tenant_keys_version;

/**
 * Read the file for the first time, at configuration time. At a reload a bad one does not stop the
 * server: the version before stays in use.
 * @return NULL and *keys (from pconf), or what is wrong with it (from pconf)
 */
const char *tenant_keys_open(tenant_keys **keys, apr_pool_t *pconf, server_rec *s,
                             const char *path);

/** The current version's number, without a lock; looks at the file once a second. Any thread. */
unsigned int tenant_keys_number(tenant_keys *keys, server_rec *s);

/** The current version, which may be newer than a number that was asked for before. Any thread. */
tenant_keys_version *tenant_keys_borrow(tenant_keys *keys);

/** Give a borrowed version back. Any thread. */
void tenant_keys_return(tenant_keys *keys, tenant_keys_version *version);

void tenant_keys_register(apr_pool_t *p);

#endif /* TENANT_KEYS_H */
