/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a poll is known again by, see rt_head.h. */
#include "rt_head.h"

#include <string.h>

static const char get[] = { 'G', 'E', 'T', ' ' };

/* The first of a character, or NULL */
static const char *find(const char *text, apr_size_t len, char c)
{
    return memchr(text, c, len);
}

/* Whether the first empty line is the last of the text, and each ends as RFC 9112 has it: what
 * others might take for two requests is for a worker. */
static int is_one_head(const char *text, apr_size_t len)
{
    const char *end = text + len, *line = text, *feed;

    while ((feed = find(line, (apr_size_t)(end - line), '\n')) && feed > line && feed[-1] == '\r') {
        if (feed - line == 1) {
            return feed + 1 == end;
        }
        line = feed + 1;
    }
    return 0;
}

int rt_head_hash(apr_uint64_t *hash, const char *text, apr_size_t len,
                 const unsigned char seed[APR_SIPHASH_KSIZE])
{
    const char *target = text + sizeof(get), *line_end, *target_end, *query;
    apr_uint64_t parts[2];

    if (len > RT_HEAD_MAX || len <= sizeof(get) || memcmp(text, get, sizeof(get)) != 0
        || !is_one_head(text, len)) {
        return 0;
    }
    line_end = find(text, len, '\n');
    target_end = line_end > target ? find(target, (apr_size_t)(line_end - target), ' ') : NULL;
    if (!target_end) {
        return 0;
    }
    query = find(target, (apr_size_t)(target_end - target), '?');
    query = query ? query : target_end;
    parts[0] = apr_siphash24(text, (apr_size_t)(query - text), seed);
    parts[1] = apr_siphash24(target_end, (apr_size_t)(text + len - target_end), seed);
    *hash = apr_siphash24(parts, sizeof(parts), seed) | 1;
    return 1;
}
