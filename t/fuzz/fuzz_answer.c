/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Bytes that are read as a stored answer are the very bytes that it is written as, and nothing in
 * it can end a line of the head. The input is read as it is, and as fields and body behind a head
 * that fits their sizes. */
#include "fuzz.h"

#include "rest_answer.h"

static void check(const char *bytes, size_t size)
{
    apr_pool_t *p = pool_of();
    rest_answer answer;

    if (rest_answer_read(p, bytes, size, &answer)) {
        const apr_array_header_t *all = apr_table_elts(answer.fields);
        const apr_table_entry_t *field = (const apr_table_entry_t *)all->elts;
        char *again = rest_answer_write(p, &answer);
        int i;

        must(again && rest_answer_size(&answer) == size && !memcmp(again, bytes, size));
        must(answer.status >= 200 && answer.status <= 599);
        for (i = 0; i < all->nelts; i++) {
            must(*field[i].key && !strpbrk(field[i].key, " :\r\n"));
            must(!strpbrk(field[i].val, "\r\n") && rest_answer_keeps(field[i].key));
        }
    }
    apr_pool_destroy(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t fields = size > 1 ? data[0] * (size - 1) / 255 : 0;
    unsigned char *bytes = malloc(size + IDEMPOTENCY_ANSWER_HEAD);
    char *input = malloc(size ? size : 1);

    if (size) {
        memcpy(input, data, size);
    }
    check(input, size);
    free(input);
    if (size > 1) {
        memcpy(bytes, IDEMPOTENCY_ANSWER_MAGIC "\0\xc9\0\0\0\0\0\0\0\0\0\0",
               IDEMPOTENCY_ANSWER_HEAD);
        bytes[10] = (unsigned char)(fields >> 8);
        bytes[11] = (unsigned char)fields;
        bytes[14] = (unsigned char)((size - 1 - fields) >> 8);
        bytes[15] = (unsigned char)(size - 1 - fields);
        memcpy(bytes + IDEMPOTENCY_ANSWER_HEAD, data + 1, size - 1);
        check((const char *)bytes, size - 1 + IDEMPOTENCY_ANSWER_HEAD);
    }
    free(bytes);
    return 0;
}
