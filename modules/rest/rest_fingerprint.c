/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Fingerprints, see rest_fingerprint.h. */
#include "rest_fingerprint.h"

#include "og_mac.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>

/* method, route, query, type, body */
#define PARTS 5

static int hex_value(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, apr_tolower(c)) : NULL;

    return at ? (int)(at - digits) : -1;
}

static int is_unreserved(int c)
{
    return (c < 128 && apr_isalnum(c)) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* One parameter in place: it never becomes longer. */
static void spell_plainly(char *text)
{
    const char *from = text;
    char *to = text;

    while (*from) {
        int high = *from == '%' ? hex_value(from[1]) : -1;
        int low = high >= 0 ? hex_value(from[2]) : -1;

        if (low < 0) {
            *to++ = *from++;
            continue;
        }
        if (is_unreserved(high << 4 | low)) {
            *to++ = (char)(high << 4 | low);
        }
        else {
            *to++ = '%';
            *to++ = "0123456789ABCDEF"[high];
            *to++ = "0123456789ABCDEF"[low];
        }
        from += 3;
    }
    *to = '\0';
}

static int by_name(const char *a, const char *b)
{
    apr_size_t a_len = strcspn(a, "="), b_len = strcspn(b, "=");
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order ? order : (a_len > b_len) - (a_len < b_len);
}

/* Merge sort of a few pointers: qsort() would mix up parameters of one name */
static void sort(const char **list, const char **spare, int n)
{
    int half = n / 2, left = 0, right = half, i;

    if (n < 2) {
        return;
    }
    sort(list, spare, half);
    sort(list + half, spare, n - half);
    memcpy(spare, list, (apr_size_t)n * sizeof(*list));
    for (i = 0; i < n; i++) {
        if (right == n || (left < half && by_name(spare[left], spare[right]) <= 0)) {
            list[i] = spare[left++];
        }
        else {
            list[i] = spare[right++];
        }
    }
}

const char *rest_fingerprint_query(apr_pool_t *p, const char *query)
{
    apr_array_header_t *params = apr_array_make(p, 8, sizeof(const char *));
    char *text = apr_pstrdup(p, query ? query : ""), *rest, *param;

    for (param = apr_strtok(text, "&", &rest); param; param = apr_strtok(NULL, "&", &rest)) {
        spell_plainly(param);
        APR_ARRAY_PUSH(params, const char *) = param;
    }
    sort((const char **)params->elts,
         apr_palloc(p, (apr_size_t)params->nelts * sizeof(const char *)), params->nelts);
    return apr_array_pstrcat(p, params, '&');
}

static const char *media_type(apr_pool_t *p, const char *type)
{
    char *plain = apr_pstrndup(p, type ? type : "", strcspn(type ? type : "", "; \t"));
    char *at;

    for (at = plain; *at; at++) {
        *at = (char)apr_tolower(*at);
    }
    return plain;
}

int rest_fingerprint_make(unsigned char out[IDEMPOTENCY_FINGERPRINT_LEN], apr_pool_t *p,
                          const rest_fingerprint *parts)
{
    const char *texts[PARTS - 1];
    unsigned char hashes[PARTS][OG_SHA256_LEN];
    int i;

    texts[0] = parts->method;
    texts[1] = parts->route;
    texts[2] = rest_fingerprint_query(p, parts->query);
    texts[3] = media_type(p, parts->type);
    for (i = 0; i < PARTS - 1; i++) {
        if (!og_sha256(hashes[i], texts[i], strlen(texts[i]))) {
            return 0;
        }
    }
    return og_sha256(hashes[PARTS - 1], parts->body, parts->body_len)
           && og_sha256(out, hashes, sizeof(hashes));
}
