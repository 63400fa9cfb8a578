/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The fields of an answer from the cache, on their way into r->headers_out.
 *
 * mod_cache takes a table of them, parses and writes dates anew, compares what Vary names, and
 * merges the table into the answer's. Of a fresh answer it mostly needs none of that: then it is
 * given an empty table, and the fields are put into the answer when it asks for the body. */
#include "edge.h"

#include "edge_storage.h"

#include <apr_strings.h>
#include <http_protocol.h>

/* Without regard to case; most names are told apart by their first letter. */
static int is_named(const char *name, const char *wanted)
{
    return (*name | ' ') == (*wanted | ' ') && !strcasecmp(name, wanted);
}

/* What it says of its own age is for mod_cache to add to. */
static int says_age(const edge_pair *fields, apr_uint32_t count)
{
    apr_uint32_t i;

    for (i = 0; i < count; i++) {
        if (is_named(fields[i].name, "Age") || is_named(fields[i].name, "Warning")) {
            return 1;
        }
    }
    return 0;
}

/* Whether mod_cache has no use for them: nobody compares them, or not yet, and by what they vary
 * the entry was found. */
static int is_to_withhold(const request_rec *r, const edge_request *own, const edge_pair *fields,
                          apr_uint32_t count)
{
    return own->is_held && !own->modified_since && !own->unmodified_since
           && !apr_table_get(r->headers_in, "Range") && !says_age(fields, count);
}

apr_table_t *edge_recall_table(apr_pool_t *p, const edge_pair *fields, apr_uint32_t count)
{
    /* some more: mod_cache adds Age, and egress its own */
    apr_table_t *table = apr_table_make(p, (int)(count % 256) + 8);
    apr_uint32_t i;

    for (i = 0; i < count; i++) {
        apr_table_addn(table, fields[i].name, fields[i].value);
    }
    return table;
}

apr_table_t *edge_recall_begin(edge_recall *recall, request_rec *r, const edge_request *own,
                               const edge_pair *fields, apr_uint32_t count)
{
    if (!is_to_withhold(r, own, fields, count)) {
        return edge_recall_table(r->pool, fields, count);
    }
    recall->r = r;
    recall->fields = fields;
    recall->count = count;
    recall->before = apr_table_elts(r->headers_out)->nelts;
    return apr_table_make(r->pool, 2);
}

/* In the order that mod_cache would have put them in. */
static void put_fields(request_rec *r, const edge_pair *fields, apr_uint32_t count)
{
    apr_uint32_t i;

    for (i = 0; i < count; i++) {
        if (is_named(fields[i].name, "Last-Modified")) {
            apr_table_setn(r->headers_out, "Last-Modified", fields[i].value);
        }
        else if (is_named(fields[i].name, "Content-Type")) {
            ap_set_content_type(r, fields[i].value);
            edge_header_drop(r, "Content-Type");
        }
    }
    for (i = 0; i < count; i++) {
        if (!is_named(fields[i].name, "Last-Modified")
            && !is_named(fields[i].name, "Content-Type")) {
            apr_table_setn(r->headers_out, fields[i].name, fields[i].value);
        }
    }
}

/* They come where they would have been: behind what was there, before what mod_cache put in
 * meanwhile (Age, X-Cache). */
void edge_recall_end(const edge_recall *recall)
{
    apr_table_t *out = recall->r ? recall->r->headers_out : NULL;
    const apr_array_header_t *now = out ? apr_table_elts(out) : NULL;
    apr_table_entry_t *later;
    int i, count;

    if (!out) {
        return;
    }
    count = now->nelts > recall->before ? now->nelts - recall->before : 0;
    later = apr_pmemdup(recall->r->pool, (apr_table_entry_t *)now->elts + recall->before,
                        (apr_size_t)count * sizeof(*later));
    for (i = 0; i < count; i++) {
        apr_table_unset(out, later[i].key);
    }
    put_fields(recall->r, recall->fields, recall->count);
    for (i = 0; i < count; i++) {
        apr_table_setn(out, later[i].key, later[i].val);
    }
}
