/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is taken for an idempotency key is 1 to 255 visible ASCII characters, and nothing
 * else is. */
#include "fuzz.h"

#include "rest_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size);
    size_t len = strlen(text), i, visible = 0;

    for (i = 0; i < len; i++) {
        visible += (unsigned char)text[i] >= 0x21 && (unsigned char)text[i] <= 0x7e;
    }
    must(rest_key_valid(text) == (len >= 1 && len <= 255 && visible == len));
    free(text);
    return 0;
}
