/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The partition key, see tenant_key.h. */
#include "tenant_key.h"

#include <apr_strings.h>
#include <string.h>

#include "og_mac.h"
#include "tenant_token.h"

int tenant_key_derive(char key[TENANT_KEY_HEX + 1], apr_int64_t org, const tenant_secret *secret)
{
    unsigned char digest[OG_SHA256_LEN];
    char text[64];
    int len = apr_snprintf(text, sizeof(text), "org:%" APR_INT64_T_FMT ":tenant-isolation-key",
                           org);
    int ok = secret ? og_hmac_sha256(digest, secret->bytes, secret->len, text, (apr_size_t)len)
                    : og_sha256(digest, text, (apr_size_t)len);

    key[0] = '\0';
    if (ok) {
        og_hex(key, digest, TENANT_KEY_HEX / 2);
    }
    return ok;
}

int tenant_key_permissions(char text[TENANT_PERMISSIONS_HEX + 1], const char *role,
                           int all_properties, const apr_int64_t *ids, int count)
{
    unsigned char digest[OG_SHA256_LEN];
    char head[TENANT_ROLE_MAX + 2];
    apr_size_t len = strlen(role) + 1;
    int ok = len < sizeof(head);

    /* the role, its NUL, which no role has in it, whether all; then the ids, eight bytes each */
    if (ok) {
        memcpy(head, role, len);
        head[len] = all_properties != 0;
        ok = og_sha256_two(digest, head, len + 1, ids, (apr_size_t)count * sizeof(*ids));
    }
    text[0] = '\0';
    if (ok) {
        og_hex(text, digest, TENANT_PERMISSIONS_HEX / 2);
    }
    return ok;
}
