/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON reading, see og_json.h. jansson checks UTF-8, duplicates and trailing text; it
 * recurses up to 2048 levels, so the depth is bounded before it sees the text, and it takes a NUL
 * behind a number for the end of that, so none is let through. */
#include "og_json.h"

#include <apr_strings.h>
#include <string.h>

static apr_status_t drop(void *value)
{
    json_decref(value);
    return APR_SUCCESS;
}

/* Deepest nesting of brackets outside of strings; a malformed text is left to the parser. */
static int depth_of(const char *text, apr_size_t len)
{
    int depth = 0, deepest = 0, quoted = 0;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        char c = text[i];

        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        }
        else if (c == '"') {
            quoted = 1;
        }
        else if (c == '{' || c == '[') {
            depth++;
            deepest = depth > deepest ? depth : deepest;
        }
        else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return deepest;
}

json_t *og_json_load(apr_pool_t *p, const char *text, apr_size_t len, const char **why)
{
    const char *nul = len ? memchr(text, '\0', len) : NULL;
    json_error_t error;
    json_t *value;

    if (nul) {
        if (why) {
            *why = apr_psprintf(p, "not valid JSON at byte %" APR_SIZE_T_FMT,
                                (apr_size_t)(nul - text));
        }
        return NULL;
    }

    if (depth_of(text, len) > OG_JSON_DEPTH_MAX) {
        if (why) {
            *why = apr_psprintf(p, "nested deeper than %d levels", OG_JSON_DEPTH_MAX);
        }
        return NULL;
    }
    value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value) {
        if (why) {
            /* jansson quotes the input near the error: not repeated, it may hold anything */
            *why = apr_psprintf(p, "not valid JSON at byte %d", error.position);
        }
        return NULL;
    }
    apr_pool_cleanup_register(p, value, drop, apr_pool_cleanup_null);
    return value;
}
