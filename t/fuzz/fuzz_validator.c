/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Tags of a list lose one suffix each, between their quotes, and nothing else changes; a tag that
 * is one gets its suffixes and loses them again. */
#include "fuzz.h"

#include "edge_validator.h"

static size_t without(const char *tag, size_t len)
{
    if (len > 5 && !memcmp(tag + len - 5, "-gzip", 5)) {
        return len - 5;
    }
    return len > 3 && !memcmp(tag + len - 3, "-br", 3) ? len - 3 : len;
}

/* What edge_validator_bases() is to give, quote by quote. */
static char *plain(const char *list)
{
    char *out = calloc(1, strlen(list) + 1), *to = out;

    while (*list) {
        const char *open = strchr(list, '"');
        const char *close = open ? strchr(open + 1, '"') : NULL;
        size_t len, kept;

        if (!close) {
            strcpy(to, list);
            return out;
        }
        memcpy(to, list, (size_t)(open + 1 - list));
        to += open + 1 - list;
        len = (size_t)(close - open - 1);
        kept = without(open + 1, len);
        memcpy(to, open + 1, kept);
        to += kept;
        *to++ = '"';
        list = close + 1;
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size), *want = plain(text);
    apr_pool_t *p;
    int i;

    must(apr_pool_create(&p, NULL) == APR_SUCCESS);
    must(!strcmp(edge_validator_bases(p, text), want));
    if (edge_validator_ok(text)) {
        must(strlen(text) >= 2 && strlen(text) <= 258 && text[strlen(text) - 1] == '"');
        for (i = 0; i < EDGE_CODINGS; i++) {
            const char *tag = edge_validator_of(p, text, (edge_coding)i);

            must(!i || strcmp(tag, text) != 0);
            must(!i || strlen(text) <= (text[0] == 'W' ? 4 : 2)
                 || !strcmp(edge_validator_bases(p, tag), text));
            must(!strcmp(edge_validator_held(p, tag, text, (edge_coding)i), tag)
                 || strstr(tag, text));
        }
    }
    apr_pool_destroy(p);
    free(want);
    free(text);
    return 0;
}
