/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* An event's data as the compact JSON that replies hold. Members stay in the order they came in,
 * and numbers are as short as they can be: jansson writes 0.1 as 0.10000000000000001. */
#include "rt.h"

#include <apr_strings.h>
#include <stdlib.h>

/* The fewest digits that read back as the same number; with a point or an exponent, so that it
 * stays a real one. */
static void write_real(og_jsonw *w, double value)
{
    char text[40];
    int digits = 15;

    do {
        snprintf(text, sizeof(text) - 2, "%.*g", digits, value);
    } while (digits++ < 17 && strtod(text, NULL) != value);
    if (!strpbrk(text, ".e")) {
        strcat(text, ".0");
    }
    og_jsonw_raw(w, text, strlen(text));
}

static void write_name(og_jsonw *w, const char *name)
{
    og_jsonw_string(w, name);
    w->comma = 0;
    og_jsonw_raw(w, ":", 1);
    w->comma = 0;
}

static void write_object(og_jsonw *w, const json_t *value)
{
    void *at = json_object_iter((json_t *)value);

    og_jsonw_begin(w, '{');
    for (; at; at = json_object_iter_next((json_t *)value, at)) {
        write_name(w, json_object_iter_key(at));
        rt_data_write(w, json_object_iter_value(at));
    }
    og_jsonw_end(w, '}');
}

static void write_array(og_jsonw *w, const json_t *value)
{
    size_t i;

    og_jsonw_begin(w, '[');
    for (i = 0; i < json_array_size(value); i++) {
        rt_data_write(w, json_array_get(value, i));
    }
    og_jsonw_end(w, ']');
}

/* As deep as og_json_load() lets a body nest. */
void rt_data_write(og_jsonw *w, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(w, value);
        return;
    case JSON_ARRAY:
        write_array(w, value);
        return;
    case JSON_STRING:
        og_jsonw_string_n(w, json_string_value(value), json_string_length(value));
        return;
    case JSON_INTEGER:
        og_jsonw_int(w, json_integer_value(value));
        return;
    case JSON_REAL:
        write_real(w, json_real_value(value));
        return;
    case JSON_NULL:
        og_jsonw_null(w);
        return;
    default:
        og_jsonw_bool(w, json_is_true(value));
    }
}
