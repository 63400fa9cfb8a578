/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A page cursor that is read is the very text that its key is written as, and its key is one that a
 * row can have. */
#include "fuzz.h"

#include "og_number.h"
#include "rest_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = pool_of();
    char *text = text_of(data, size);
    rest_page_key key;

    if (rest_page_decode(&key, text)) {
        must(key.id >= 1 && key.id <= OG_ID_MAX && key.time >= 0);
        must(!strcmp(rest_page_encode(p, &key), text));
    }
    apr_pool_destroy(p);
    free(text);
    return 0;
}
