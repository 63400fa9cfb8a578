/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* ULIDs, see og_ulid.h. */
#include "og_ulid.h"

#include "og_clock.h"

#include <openssl/rand.h>

int og_ulid_make(char out[OG_ULID_SIZE])
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    apr_uint64_t ms = (apr_uint64_t)(og_clock_wall() / 1000);
    unsigned char random[16];
    int i;

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return 0;
    }
    for (i = 9; i >= 0; i--) {
        out[i] = alphabet[ms & 31];
        ms >>= 5;
    }
    for (i = 0; i < 16; i++) {
        out[10 + i] = alphabet[random[i] & 31];
    }
    out[26] = '\0';
    return 1;
}
