/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* EDGE_COMPRESS: the gate in front of mod_brotli's and mod_deflate's filters (decisions.md 15).
 *
 * These have no minimum, take the first coding that they know whatever its weight, and say Vary
 * only where they compress. The gate decides, puts in the one filter that fits, and takes out
 * others that were configured. Behind it EDGE_CODED names the representation: its tag gets the
 * coding's suffix, whatever BrotliAlterETag and DeflateAlterETag say, and Vary loses
 * Accept-Encoding, which the key has; every response here gets it back at the end (edge_face.c).
 *
 * A representation is compressed once where mod_cache keeps it: behind this (CACHE_SAVE). */
#include "edge.h"

#include "edge_validator.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_protocol.h>
#include <util_filter.h>

static ap_filter_rec_t *gate_filter, *coded_filter;

/* process: the modules' filters, by coding */
static const char *const codecs[EDGE_CODINGS] = { NULL, "deflate", "brotli_compress" };

/* child: bits 1 << coding of those whose modules are loaded */
static unsigned available;

unsigned edge_compress_available(void)
{
    return available;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    int i;

    available = 0;
    for (i = EDGE_IDENTITY + 1; i < EDGE_CODINGS; i++) {
        if (ap_get_output_filter_handle(codecs[i])) {
            available |= 1U << i;
        }
    }
}

/* text/…, and what is text under another name */
static int is_compressible(const char *type)
{
    static const char *const exact[] = { "application/json",       "application/javascript",
                                         "application/xml",        "application/wasm",
                                         "application/x-ndjson",   "application/manifest+json",
                                         "application/geo+json",   "image/svg+xml",
                                         "image/bmp",              "font/ttf",
                                         "font/otf",               "application/vnd.ms-fontobject",
                                         NULL };
    apr_size_t len = type ? strcspn(type, "; \t") : 0;
    int i;

    if (len > 5 && !strncasecmp(type, "text/", 5)) {
        return len != strlen("text/event-stream")
               || strncasecmp(type, "text/event-stream", len) != 0;
    }
    for (i = 0; exact[i]; i++) {
        if (strlen(exact[i]) == len && !strncasecmp(type, exact[i], len)) {
            return 1;
        }
    }
    return len > 5
           && (!strncasecmp(type + len - 5, "+json", 5) || !strncasecmp(type + len - 4, "+xml", 4));
}

static apr_int64_t least(const edge_request *own)
{
    return own->conf->compress_min != OG_UNSET ? own->conf->compress_min
                                               : EDGE_COMPRESS_MIN_DEFAULT;
}

/* Whether the response may be compressed at all, whatever its length. */
static int is_open(request_rec *r, const edge_request *own)
{
    const char *control = edge_header_list(r, "Cache-Control");

    return own->conf->compress == 1 && own->coding != EDGE_IDENTITY
           && (r->status == HTTP_OK || r->status == HTTP_NON_AUTHORITATIVE)
           && !edge_header(r, "Content-Encoding") && !edge_header(r, "Content-Range")
           && !(control && ap_find_token(r->pool, control, "no-transform"))
           && is_compressible(r->content_type);
}

edge_coding edge_compress_coding(request_rec *r, const edge_request *own, apr_off_t length)
{
    return is_open(r, own) && (length < 0 || length >= least(own) || own->no_identity)
               ? own->coding
               : EDGE_IDENTITY;
}

/* EDGE_CODED, behind the compressor. */
static apr_status_t coded(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    const char *tag = f->ctx;

    if (tag) {
        edge_header_say(r, "ETag", tag);
    }
    edge_header_less(r, "Vary", "Accept-Encoding");
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

static void put_in(ap_filter_t *f, edge_coding coding)
{
    /* of other bytes; mod_brotli and mod_deflate see to Content-MD5 themselves */
    static const char *const digests[] = { "Digest", "Content-Digest", "Repr-Digest", NULL };
    request_rec *r = f->r;
    const char *tag = edge_header(r, "ETag");
    int i;

    for (i = 0; digests[i]; i++) {
        edge_header_drop(r, digests[i]);
    }
    apr_table_setn(r->headers_in, "Accept-Encoding", edge_coding_name(coding));
    ap_add_output_filter(codecs[coding], NULL, r, f->c);
    ap_add_output_filter_handle(coded_filter,
                                tag ? (void *)edge_validator_of(r->pool, tag, coding) : NULL, r,
                                f->c);
}

/* Compressors that a configuration put in: theirs is ours to decide. */
static void take_out_others(ap_filter_t *f)
{
    ap_filter_t *each = f->next;

    while (each) {
        ap_filter_t *next = each->next;
        int i;

        for (i = EDGE_IDENTITY + 1; i < EDGE_CODINGS; i++) {
            if (!strcmp(each->frec->name, codecs[i])) {
                ap_remove_output_filter(each);
                break;
            }
        }
        each = next;
    }
}

static apr_status_t decide(ap_filter_t *f, apr_bucket_brigade *bb, apr_off_t length)
{
    request_rec *r = f->r;
    edge_request *own = edge_request_of(r);
    edge_coding coding = edge_compress_coding(r, own, length);

    take_out_others(f);
    if (coding != EDGE_IDENTITY) {
        put_in(f, coding);
    }
    else if (!edge_header(r, "Content-Encoding")) {
        edge_header_less(r, "Vary", "Accept-Encoding");
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

/* How long the response is, if all of it is here; -1: it goes on. */
static apr_off_t whole(apr_bucket_brigade *bb)
{
    apr_off_t length = 0;
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (APR_BUCKET_IS_EOS(b)) {
            return length;
        }
        if (b->length == (apr_size_t)-1) {
            return -1;
        }
        length += (apr_off_t)b->length;
    }
    return -1;
}

/* Hold so many bytes as may be too few. */
static apr_status_t hold(ap_filter_t *f, apr_bucket_brigade *bb, apr_int64_t most)
{
    apr_bucket_brigade *held = f->ctx;
    apr_off_t length = -1;
    apr_status_t rv;

    rv = ap_save_brigade(f, &held, &bb, f->r->pool);
    f->ctx = held;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_brigade_length(held, 1, &length);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (whole(held) >= 0) {
        return decide(f, held, length);
    }
    return length >= most ? decide(f, held, -1) : APR_SUCCESS;
}

static apr_status_t gate(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    const edge_request *own = edge_request_of(r);
    const char *text;
    apr_off_t length;

    if (f->ctx) {
        return hold(f, bb, least(own));
    }
    if (APR_BRIGADE_EMPTY(bb)) {
        return APR_SUCCESS;
    }
    if (!own || r->main || AP_BUCKET_IS_ERROR(APR_BRIGADE_FIRST(bb))) {
        ap_remove_output_filter(f);
        return ap_pass_brigade(f->next, bb);
    }
    length = whole(bb);
    if (length >= 0 || !is_open(r, own)) {
        return decide(f, bb, length);
    }
    text = edge_header(r, "Content-Length");
    if (text && ap_parse_strict_length(&length, text)) {
        return decide(f, bb, length);
    }
    return hold(f, bb, least(own));
}

void edge_compress_insert(request_rec *r)
{
    ap_add_output_filter_handle(gate_filter, NULL, r, r->connection);
}

void edge_compress_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    gate_filter = ap_register_output_filter("EDGE_COMPRESS", gate, NULL, AP_FTYPE_RESOURCE);
    coded_filter = ap_register_output_filter("EDGE_CODED", coded, NULL, AP_FTYPE_CONTENT_SET);
}
