/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Entity tags, see edge_validator.h. */
#include "edge_validator.h"

#include "og_b64url.h"

#include <apr_strings.h>
#include <string.h>

#define DIGEST_BYTES 16
#define TAG_MAX      256

static const char *const suffixes[EDGE_CODINGS] = { "", "-gzip", "-br" };

void edge_validator_make(char tag[EDGE_VALIDATOR_SIZE], const unsigned char *digest)
{
    apr_size_t len;

    memcpy(tag, "\"~", 2);
    len = og_b64url_encode(tag + 2, digest, DIGEST_BYTES);
    memcpy(tag + 2 + len, "\"", 2);
}

int edge_validator_is_ours(const char *tag)
{
    return !strncmp(tag, "\"~", 2) && strlen(tag) >= EDGE_VALIDATOR_SIZE - 1;
}

int edge_validator_ok(const char *text)
{
    apr_size_t len = strlen(text), i;

    if (len > TAG_MAX) {
        return 0;
    }
    if (!strncmp(text, "W/", 2)) {
        text += 2;
        len -= 2;
    }
    if (len < 2 || text[0] != '"' || text[len - 1] != '"') {
        return 0;
    }
    for (i = 1; i < len - 1; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c <= ' ' || c == 127) {
            return 0;
        }
    }
    return 1;
}

const char *edge_validator_of(apr_pool_t *p, const char *tag, edge_coding coding)
{
    apr_size_t len = strlen(tag);

    if (coding == EDGE_IDENTITY || len < 2) {
        return tag;
    }
    return apr_pstrcat(p, apr_pstrmemdup(p, tag, len - 1), suffixes[coding], "\"", NULL);
}

/* How long the suffix is that stands before the quote at `at`; 0 without any. */
static apr_size_t suffix_before(const char *start, const char *at)
{
    int i;

    for (i = EDGE_IDENTITY + 1; i < EDGE_CODINGS; i++) {
        apr_size_t len = strlen(suffixes[i]);

        if ((apr_size_t)(at - start) > len && !strncmp(at - len, suffixes[i], len)) {
            return len;
        }
    }
    return 0;
}

const char *edge_validator_bases(apr_pool_t *p, const char *list)
{
    char *bases = apr_palloc(p, strlen(list) + 1), *at = bases;
    const char *opened = NULL;

    for (; *list; list++) {
        if (*list == '"' && !opened) {
            opened = list;
        }
        else if (*list == '"') {
            at -= suffix_before(opened + 1, list);
            opened = NULL;
        }
        *at++ = *list;
    }
    *at = '\0';
    return bases;
}

const char *edge_validator_held(apr_pool_t *p, const char *list, const char *tag,
                                edge_coding coding)
{
    const char *mine = edge_validator_of(p, tag, coding);
    int i;

    if (strstr(list, mine)) {
        return mine;
    }
    for (i = EDGE_IDENTITY; i < EDGE_CODINGS; i++) {
        const char *other = edge_validator_of(p, tag, (edge_coding)i);

        if (strstr(list, other)) {
            return other;
        }
    }
    return tag;
}
