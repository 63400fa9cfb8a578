/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer, see og_json.h. */
#include "og_json.h"
#include "og_utf8.h"

#include <apr_strings.h>
#include <string.h>

/* Room for more bytes and a NUL. */
static char *reserve(og_jsonw *w, apr_size_t more)
{
    if (w->size - w->len <= more) {
        apr_size_t size = w->size * 2 > w->len + more + 1 ? w->size * 2 : w->len + more + 1;
        char *text = apr_palloc(w->pool, size);

        memcpy(text, w->text, w->len);
        w->text = text;
        w->size = size;
    }
    return w->text + w->len;
}

static void put(og_jsonw *w, const char *bytes, apr_size_t len)
{
    memcpy(reserve(w, len), bytes, len);
    w->len += len;
}

static void before_value(og_jsonw *w)
{
    if (w->comma) {
        put(w, ",", 1);
    }
    w->comma = 1;
}

void og_jsonw_init(og_jsonw *w, apr_pool_t *p, apr_size_t hint)
{
    w->pool = p;
    w->size = hint < 128 ? 128 : hint;
    w->text = apr_palloc(p, w->size);
    w->len = 0;
    w->comma = 0;
}

const char *og_jsonw_text(og_jsonw *w)
{
    *reserve(w, 0) = '\0';
    return w->text;
}

void og_jsonw_begin(og_jsonw *w, char bracket)
{
    before_value(w);
    put(w, &bracket, 1);
    w->comma = 0;
}

void og_jsonw_end(og_jsonw *w, char bracket)
{
    put(w, &bracket, 1);
    w->comma = 1;
}

void og_jsonw_name(og_jsonw *w, const char *name)
{
    before_value(w);
    put(w, "\"", 1);
    put(w, name, strlen(name));
    put(w, "\":", 2);
    w->comma = 0;
}

static void put_escaped(og_jsonw *w, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char escape[6] = { '\\', 'u', '0', '0', '0', '0' };
    const char *at = c ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", c) : NULL;

    if (at) {
        escape[1] = at[1];
        put(w, escape, 2);
        return;
    }
    escape[4] = hex[c >> 4];
    escape[5] = hex[c & 0x0F];
    put(w, escape, 6);
}

void og_jsonw_string_n(og_jsonw *w, const char *text, apr_size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    apr_size_t i = 0, plain = 0;

    before_value(w);
    put(w, "\"", 1);
    while (i < len) {
        apr_size_t n = og_utf8_len(s + i, len - i);

        if (n && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' && s[i] != 0x7F) {
            i += n;
            continue;
        }
        put(w, text + plain, i - plain);
        if (n) {
            put_escaped(w, s[i]);
        }
        else {
            put(w, "\xEF\xBF\xBD", 3);
        }
        plain = ++i;
    }
    put(w, text + plain, i - plain);
    put(w, "\"", 1);
}

void og_jsonw_string(og_jsonw *w, const char *text)
{
    if (text) {
        og_jsonw_string_n(w, text, strlen(text));
    }
    else {
        og_jsonw_null(w);
    }
}

void og_jsonw_int(og_jsonw *w, apr_int64_t value)
{
    char text[24];

    og_jsonw_raw(w, text,
                 (apr_size_t)apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT, value));
}

void og_jsonw_bool(og_jsonw *w, int value)
{
    og_jsonw_raw(w, value ? "true" : "false", value ? 4 : 5);
}

void og_jsonw_null(og_jsonw *w)
{
    og_jsonw_raw(w, "null", 4);
}

void og_jsonw_raw(og_jsonw *w, const char *json, apr_size_t len)
{
    before_value(w);
    put(w, json, len);
}
