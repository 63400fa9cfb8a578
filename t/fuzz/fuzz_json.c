/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A text that is accepted keeps the rules (depth, no NUL), and means the same when it is written
 * and read again; our writer's strings are read as what they were, where that was UTF-8. */
#include "fuzz.h"

#include "og_json.h"
#include "og_utf8.h"

static int depth_of(const json_t *value)
{
    const char *name;
    json_t *each;
    size_t i;
    int deepest = 0, depth;

    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, name, each)
        {
            depth = depth_of(each);
            deepest = depth > deepest ? depth : deepest;
        }
    }
    json_array_foreach(value, i, each)
    {
        depth = depth_of(each);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + (json_is_object(value) || json_is_array(value));
}

static void check_reading(apr_pool_t *p, const char *text, size_t len)
{
    const char *why = NULL;
    json_t *value = og_json_load(p, text, len, &why), *again;
    char *written;

    must(value ? !why : why && *why && strlen(why) < 100);
    if (!value) {
        return;
    }
    must(depth_of(value) <= OG_JSON_DEPTH_MAX);
    must(og_utf8_valid(text, len) && !memchr(text, '\0', len));
    written = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    must(written != NULL);
    again = og_json_load(p, written, strlen(written), NULL);
    must(again && json_equal(value, again));
    free(written);
}

static void check_writing(apr_pool_t *p, const char *text, size_t len)
{
    const json_t *value;
    og_jsonw w;

    og_jsonw_init(&w, p, 1);
    og_jsonw_string_n(&w, text, len);
    value = og_json_load(p, og_jsonw_text(&w), w.len, NULL);
    must(value || memchr(text, '\0', len) != NULL);
    must(!value || !og_utf8_valid(text, len)
         || (json_string_length(value) == len
             && memcmp(json_string_value(value), text, len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = pool_of();
    char *text = malloc(size ? size : 1);

    if (size) {
        memcpy(text, data, size);
    }
    check_reading(p, text, size);
    check_writing(p, text, size);
    apr_pool_destroy(p);
    free(text);
    return 0;
}
