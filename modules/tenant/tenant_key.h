/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tenant_key.h
 * @brief The partition key of an organisation (P§13.1), and that of what a caller may see of it
 *
 * Pure. The first 16 hex digits of SHA-256("org:{orgId}:tenant-isolation-key"), and with a secret
 * of HMAC-SHA-256 of the same text: the unkeyed hash of a small number can be enumerated (B13).
 */
#ifndef TENANT_KEY_H
#define TENANT_KEY_H

#include <apr.h>

#define TENANT_KEY_HEX         16
#define TENANT_PERMISSIONS_HEX 16
#define TENANT_KEY_SECRET_MIN  32

/** A secret as a file gave it. Read-only. */
typedef struct tenant_secret {
    const char *bytes;
    apr_size_t len;
} tenant_secret;

/**
 * @param secret  NULL: the unkeyed form
 * @return 1, or 0 when OpenSSL fails; key is "" then
 */
int tenant_key_derive(char key[TENANT_KEY_HEX + 1], apr_int64_t org, const tenant_secret *secret);

/**
 * Another word for another role, for all properties, and for other ones.
 * @param role  of TENANT_ROLE_MAX characters at most
 * @param ids   ascending
 * @return 1, or 0 when OpenSSL fails; text is "" then
 */
int tenant_key_permissions(char text[TENANT_PERMISSIONS_HEX + 1], const char *role,
                           int all_properties, const apr_int64_t *ids, int count);

#endif /* TENANT_KEY_H */
