/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What answers show, and what writes outdate.
 *
 * An answer without one of its tags could never be purged, so it is kept by nobody: where a tag
 * can't be one (an id that is none, B28), where there are too many, where an expression fails. A
 * write moves the epochs of its tags before its answer leaves, whatever the answer says but a
 * refusal (4xx): a backend that broke off in the middle may have written. */
#include "edge.h"

#include <apr_optional_hooks.h>
#include <apr_siphash.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>

static int is_in(const apr_array_header_t *tags, const char *tag)
{
    int i;

    for (i = 0; i < tags->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(tags, i, const char *), tag)) {
            return 1;
        }
    }
    return 0;
}

/* Add a tag, which is not copied. */
static void push(request_rec *r, edge_request *own, const char *tag)
{
    apr_size_t len = strlen(tag) + 1;

    if (!own->tags) {
        own->tags = apr_array_make(r->pool, 8, sizeof(const char *));
    }
    if (is_in(own->tags, tag)) {
        return;
    }
    if (!edge_tag_ok(tag) || own->tags->nelts == EDGE_TAGS_MAX
        || own->tag_bytes + len > EDGE_TAGS_BYTES_MAX) {
        if (!own->untagged) {
            ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, OGLOGNO(1300)
                          "\"%.80s\" is no tag, or one too many (of %d): the answer is kept by "
                          "nobody (EdgeTag)", tag, EDGE_TAGS_MAX);
        }
        own->untagged = 1;
        return;
    }
    own->tag_bytes += len;
    APR_ARRAY_PUSH(own->tags, const char *) = tag;
}

void edge_tags_add(request_rec *r, edge_request *own, const char *tag)
{
    push(r, own, apr_pstrdup(r->pool, tag));
}

/* What takes a tag of an expression */
typedef void sink(request_rec *r, void *to, const char *tag);

/* "a:b:12,14" stands for "a:b:12" and "a:b:14"; nothing behind the last ':' for no tag at all. A
 * gap in the list is no tag, and is said to be one. As many as there are: a write outdates them
 * all. */
static void expand(request_rec *r, const char *text, sink *each, void *to)
{
    const char *colon = strrchr(text, ':');
    const char *last = colon ? colon + 1 : text;
    const char *prefix = apr_pstrmemdup(r->pool, text, (apr_size_t)(last - text));
    int more = *last != '\0';

    while (more) {
        apr_size_t len = strcspn(last, ",");

        each(r, to,
             len ? apr_pstrcat(r->pool, prefix, apr_pstrmemdup(r->pool, last, len), NULL) : "");
        more = last[len] != '\0';
        last += len + (more != 0);
    }
}

/* @return 0 when one of the expressions fails; the others count all the same */
static int evaluate(request_rec *r, const apr_array_header_t *exprs, sink *each, void *to)
{
    int i, done = 1;

    for (i = 0; exprs && i < exprs->nelts; i++) {
        const char *wrong = NULL;
        const char *text = ap_expr_str_exec(r, APR_ARRAY_IDX(exprs, i, const ap_expr_info_t *),
                                            &wrong);

        if (wrong) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, OGLOGNO(1301)
                          "an expression for a tag failed: %s (EdgeTag, EdgePurge)", wrong);
            done = 0;
            continue;
        }
        expand(r, text, each, to);
    }
    return done;
}

static void add(request_rec *r, void *own, const char *tag)
{
    edge_tags_add(r, own, tag);
}

/* One number for all epochs: it differs when any of them does. Mostly there is one, the
 * organisation's. */
static apr_uint64_t epoch_of(const edge_request *own)
{
    static const unsigned char nothing_to_hide[APR_SIPHASH_KSIZE];
    apr_uint64_t epochs[EDGE_TAGS_MAX];
    int i, n = own->tags ? own->tags->nelts : 0;

    for (i = 0; i < n; i++) {
        epochs[i] = edge_epoch(APR_ARRAY_IDX(own->tags, i, const char *));
    }
    return n == 1 ? epochs[0]
                  : apr_siphash24(epochs, (apr_size_t)n * sizeof(epochs[0]), nothing_to_hide);
}

/* The optional function. */
static void edge_tag(request_rec *r, const char *tag)
{
    if (!r->main) {
        edge_tags_add(r, edge_request_begin(r), tag);
    }
}

static const char *tag_of(apr_pool_t *p, apr_int64_t org)
{
    static const char kind[] = "org:";
    const char *id = apr_off_t_toa(p, org);
    apr_size_t size = strlen(id) + 1;
    char *tag = apr_palloc(p, sizeof(kind) - 1 + size);

    memcpy(tag, kind, sizeof(kind) - 1);
    memcpy(tag + sizeof(kind) - 1, id, size);
    return tag;
}

void edge_tags_begin(request_rec *r, edge_request *own)
{
    const tenant_identity *identity = edge_identity(r);

    if (identity && identity->org && own->family->shared != EDGE_SHARED_PUBLIC) {
        push(r, own, tag_of(r->pool, identity->org));
    }
    if (!evaluate(r, own->conf->tags, add, own)) {
        own->untagged = 1;
    }
    own->epoch = epoch_of(own);
}

const char *edge_tags_text(apr_pool_t *p, const edge_request *own)
{
    return own->tags && own->tags->nelts ? apr_array_pstrcat(p, own->tags, ' ') : NULL;
}

static void move(request_rec *r, void *unused, const char *tag)
{
    if (edge_tag_ok(tag)) {
        edge_move(&tag, 1);
        return;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  OGLOGNO(1302) "\"%.80s\" is no tag: nothing is purged by it (EdgePurge)", tag);
}

static int fixups(request_rec *r)
{
    if (!r->main && r->method_number != M_GET && r->method_number != M_OPTIONS) {
        edge_request_begin(r)->is_write = 1;
    }
    return DECLINED;
}

/* Behind a redirect inside the server the write is one of those before: what is answered is another
 * resource then, or the page of an error. */
static int egress(request_rec *r, int trusted)
{
    for (; r; r = r->prev) {
        const edge_request *own = ap_get_module_config(r->request_config, &edge_module);
        const edge_dir_conf *conf = edge_dir(r);

        if (own && own->is_write && conf->purges && !ap_is_HTTP_CLIENT_ERROR(r->status)) {
            evaluate(r, conf->purges, move, NULL);
        }
    }
    return DECLINED;
}

void edge_tags_register(apr_pool_t *p)
{
    APR_REGISTER_OPTIONAL_FN(edge_tag);
    ap_hook_fixups(fixups, NULL, NULL, APR_HOOK_REALLY_FIRST);
    APR_OPTIONAL_HOOK(tenant, egress, egress, NULL, NULL, APR_HOOK_FIRST);
}
