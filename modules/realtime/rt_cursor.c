/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Cursors, see rt_cursor.h. */
#include "rt_cursor.h"

#include <stdio.h>
#include <string.h>

#include "og_b64url.h"
#include "og_bytes.h"
#include "og_mac.h"

#define VERSION    1
#define PLAIN      18
#define MAC        16
#define BYTES      (PLAIN + MAC)
#define DOMAIN_MAX 64
#define SECRET_MAX 64 /* a longer one's are all computed */

/* What was signed, and with what */
typedef struct signature {
    unsigned char text[PLAIN + 8 + DOMAIN_MAX], secret[SECRET_MAX];
    apr_size_t len, secret_len;
    unsigned char mac[OG_SHA256_LEN];
} signature;

/* This thread's last one: an event is told all clients of an org at once, and with the cursor that
 * they were told they come back, which would be thousands of times the same. */
static _Thread_local signature last;

static int is_last(const unsigned char *text, apr_size_t len, const rt_cursor_bond *bond)
{
    return len == last.len && bond->secret_len == last.secret_len && !memcmp(text, last.text, len)
           && og_equal(bond->secret, last.secret, bond->secret_len);
}

static void remember(const unsigned char *text, apr_size_t len, const rt_cursor_bond *bond,
                     const unsigned char mac[OG_SHA256_LEN])
{
    if (bond->secret_len <= SECRET_MAX) {
        memcpy(last.text, text, len);
        memcpy(last.secret, bond->secret, bond->secret_len);
        memcpy(last.mac, mac, OG_SHA256_LEN);
        last.len = len;
        last.secret_len = bond->secret_len;
    }
}

static int sign(unsigned char out[OG_SHA256_LEN], const unsigned char *plain,
                const rt_cursor_bond *bond)
{
    unsigned char text[PLAIN + 8 + DOMAIN_MAX];
    apr_size_t len = strlen(bond->domain);

    if (len > DOMAIN_MAX) {
        return 0;
    }
    memcpy(text, plain, PLAIN);
    og_put64(text + PLAIN, (apr_uint64_t)bond->org);
    memcpy(text + PLAIN + 8, bond->domain, len);
    len += PLAIN + 8;
    if (is_last(text, len, bond)) {
        memcpy(out, last.mac, OG_SHA256_LEN);
        return 1;
    }
    if (!og_hmac_sha256(out, bond->secret, bond->secret_len, text, len)) {
        return 0;
    }
    remember(text, len, bond, out);
    return 1;
}

int rt_cursor_partition(apr_int64_t org)
{
    unsigned char hash[OG_SHA256_LEN];
    char text[32];
    int len = snprintf(text, sizeof(text), "%" APR_INT64_T_FMT, org);

    return og_sha256(hash, text, (apr_size_t)len) ? hash[0] % 16 : -1;
}

int rt_cursor_write(char out[RT_CURSOR_SIZE], const rt_cursor *cursor, const rt_cursor_bond *bond)
{
    unsigned char bytes[BYTES], mac[OG_SHA256_LEN];

    bytes[0] = VERSION;
    bytes[1] = (unsigned char)cursor->partition;
    og_put64(bytes + 2, cursor->epoch);
    og_put64(bytes + 10, cursor->id);
    if (!sign(mac, bytes, bond)) {
        return 0;
    }
    memcpy(bytes + PLAIN, mac, MAC);
    out[og_b64url_encode(out, bytes, BYTES)] = '\0';
    return 1;
}

rt_cursor_verdict rt_cursor_read(rt_cursor *cursor, const char *text, apr_size_t len,
                                 const rt_cursor_bond *bond)
{
    unsigned char bytes[BYTES], mac[OG_SHA256_LEN];
    apr_size_t written;

    /* The length first: bytes has room for exactly one cursor (B33) */
    if (len != og_b64url_encoded_len(BYTES) || !og_b64url_decode(bytes, &written, text, len)
        || written != BYTES || bytes[0] != VERSION) {
        return RT_CURSOR_MALFORMED;
    }
    if (!sign(mac, bytes, bond)) {
        return RT_CURSOR_FAILED;
    }
    if (!og_equal(mac, bytes + PLAIN, MAC)) {
        return RT_CURSOR_FOREIGN;
    }
    cursor->partition = bytes[1];
    cursor->epoch = og_get64(bytes + 2);
    cursor->id = og_get64(bytes + 10);
    return RT_CURSOR_OK;
}
