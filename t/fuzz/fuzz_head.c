/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What has a hash is one whole head of a GET: a strict reading line by line, done here another way,
 * finds its only empty line at the end. With another query, one that stays within the target, its
 * hash is the same; with any byte outside of the query changed it is another or none. */
#include "fuzz.h"

#include "rt_head.h"

static const unsigned char seed[APR_SIPHASH_KSIZE] = "a 16 byte secret";

/* Where the query starts, behind its ?, and where the target ends; both the latter if there
 * is none */
static void find_query(const char *text, size_t *start, size_t *end)
{
    for (*end = 4; text[*end] != ' '; ++*end) {
    }
    for (*start = 4; *start < *end && text[*start - 1] != '?'; ++*start) {
    }
}

static void check_shape(const char *text, size_t len)
{
    size_t i;

    must(len <= RT_HEAD_MAX && len > 8 && memcmp(text, "GET ", 4) == 0);
    must(memcmp(text + len - 4, "\r\n\r\n", 4) == 0);
    for (i = 0; i < len; i++) {
        must(text[i] != '\n' || (i && text[i - 1] == '\r'));
        must(i + 4 >= len || memcmp(text + i, "\r\n\r\n", 4) != 0);
    }
}

static void check_query(const char *text, size_t len, apr_uint64_t hash)
{
    static const char other[] = "another=query";
    size_t start, end, added = sizeof(other) - 1;
    char *changed = malloc(len + added);
    apr_uint64_t again;

    find_query(text, &start, &end);
    if (start < end || text[end - 1] == '?') {
        memcpy(changed, text, start);
        memcpy(changed + start, other, added);
        memcpy(changed + start + added, text + end, len - end);
        len = start + added + len - end;
        must(len > RT_HEAD_MAX || (rt_head_hash(&again, changed, len, seed) && again == hash));
    }
    free(changed);
}

static void check_rest(char *text, size_t len, size_t at, apr_uint64_t hash)
{
    size_t start, end;
    apr_uint64_t again;

    find_query(text, &start, &end);
    if (at < start || at >= end) {
        text[at] ^= 1;
        must(!rt_head_hash(&again, text, len, seed) || again != hash);
        text[at] ^= 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    apr_uint64_t hash = 0;
    size_t i;

    if (size) {
        memcpy(text, data, size);
    }
    if (rt_head_hash(&hash, text, size, seed)) {
        must(hash != 0);
        check_shape(text, size);
        check_query(text, size, hash);
        for (i = 0; i < size; i += 1 + size / 64) {
            check_rest(text, size, i, hash);
        }
    }
    free(text);
    return 0;
}
