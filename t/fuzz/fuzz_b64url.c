/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes is the one encoding of its bytes: encoded again it is the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "og_b64url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *bytes = malloc(og_b64url_decoded_max(size) + 1);
    char *again = malloc(size + 1);
    apr_size_t len;

    if (og_b64url_decode(bytes, &len, (const char *)data, size)
        && (len > og_b64url_decoded_max(size) || og_b64url_encoded_len(len) != size
            || og_b64url_encode(again, bytes, len) != size || memcmp(again, data, size) != 0)) {
        abort();
    }
    free(bytes);
    free(again);
    return 0;
}
