/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_json.h
 * @brief JSON in (strict, through jansson) and JSON out (a growing buffer)
 *
 * Pure. Reading and writing are the two halves of one format; a handler needs both.
 */
#ifndef OG_JSON_H
#define OG_JSON_H

#include <apr_pools.h>
#include <jansson.h>

/** How deep objects and arrays may nest in what we read (B36 of bad-inputs-and-faults.md). */
#define OG_JSON_DEPTH_MAX 32

/**
 * Parse one JSON text: UTF-8, no duplicate members, no NUL, no byte-order mark, at most
 * OG_JSON_DEPTH_MAX levels, nothing after it.
 * @param p    its cleanup drops the value; jansson allocates on the heap
 * @param why  set to a short reason (from p) on failure; may be NULL
 * @return the value, owned by p, or NULL
 */
json_t *og_json_load(apr_pool_t *p, const char *text, apr_size_t len, const char **why);

/**
 * A JSON text under construction. The buffer doubles in p, so what is written costs at most twice
 * its size; the text is NUL-terminated by og_jsonw_text(). Commas are the writer's business.
 */
typedef struct og_jsonw {
    apr_pool_t *pool;
    char *text;
    apr_size_t len, size;
    int comma; /* the next member or element needs one before it */
} og_jsonw;

/** @param hint  expected bytes */
void og_jsonw_init(og_jsonw *w, apr_pool_t *p, apr_size_t hint);

/** The text so far, NUL-terminated; valid until the next call that writes. */
const char *og_jsonw_text(og_jsonw *w);

void og_jsonw_begin(og_jsonw *w, char bracket); /**< '{' or '[' */
void og_jsonw_end(og_jsonw *w, char bracket);   /**< '}' or ']' */

/** Name of the next member. name is ours, never the caller's: it is not escaped. */
void og_jsonw_name(og_jsonw *w, const char *name);

/** A string; bytes that are not UTF-8 become U+FFFD. NULL writes null. */
void og_jsonw_string(og_jsonw *w, const char *text);
void og_jsonw_string_n(og_jsonw *w, const char *text, apr_size_t len);
void og_jsonw_int(og_jsonw *w, apr_int64_t value);
void og_jsonw_bool(og_jsonw *w, int value);
void og_jsonw_null(og_jsonw *w);

/** Text that already is one JSON value. */
void og_jsonw_raw(og_jsonw *w, const char *json, apr_size_t len);

#endif /* OG_JSON_H */
