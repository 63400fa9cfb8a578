/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A request with a key, in front of whatever handler there is: its handler hook claims the key, or
 * answers in the handler's place; then the filter IDEMPOTENCY holds the answer until it is whole
 * and stored, and only then passes it on. So an answer that a client has is one that it gets again.
 *
 * The filter is the first one behind the handler: what later filters do to an answer (compression,
 * Header directives) they do to its replay as well. An error that the handler only returned is made
 * by the server, which drops all filters of content; it is held behind whoever rewrites its
 * body. */
#include "idem.h"

#include "rest_answer.h"
#include "rest_idempotency.h"

#include <apr_strings.h>
#include <http_connection.h>
#include <http_protocol.h>
#include <http_request.h>

/* An answer that is being held; in the request's pool. */
typedef struct capture {
    idem_request *own;
    apr_array_header_t *body;
} capture;

static ap_filter_rec_t *filter, *error_filter;

static int add_field(void *fields, const char *name, const char *value)
{
    if (rest_answer_keeps(name)) {
        apr_table_addn(fields, name, value);
    }
    return 1;
}

/* What of the head is kept. Fields that Connection names are hop-by-hop as well. */
static void take_head(request_rec *r, rest_answer *answer)
{
    const char *named = apr_table_get(r->headers_out, "Connection");
    apr_table_t *all = apr_table_overlay(r->pool, r->err_headers_out, r->headers_out);
    char *name;

    answer->status = r->status;
    answer->fields = apr_table_make(r->pool, 8);
    while (named && (name = ap_get_list_item(r->pool, &named)) != NULL) {
        apr_table_unset(all, name);
    }
    apr_table_unset(all, "Content-Type");
    if (r->content_type) {
        apr_table_setn(answer->fields, "Content-Type", r->content_type);
    }
    if (r->content_encoding && !apr_table_get(all, "Content-Encoding")) {
        apr_table_setn(answer->fields, "Content-Encoding", r->content_encoding);
    }
    apr_table_do(add_field, answer->fields, all, NULL);
}

/* Redirects are kept, too: 303 is how a form's POST says that it had its effect. */
static int is_kept(int status)
{
    return rest_idempotency_kept(status)
           || (ap_is_HTTP_REDIRECT(status) && status != HTTP_NOT_MODIFIED);
}

/* 502 and 504 are said of a server behind, which may have done it all the same. */
static int is_doubtful(int status)
{
    return status == HTTP_BAD_GATEWAY || status == HTTP_GATEWAY_TIME_OUT;
}

static void keep(request_rec *r, const capture *held, int no_body)
{
    idem_request *own = held->own;
    rest_answer answer = { 0 };
    const char *bytes;

    take_head(r, &answer);
    answer.body = held->body->elts;
    answer.body_len = (apr_size_t)held->body->nelts;
    answer.no_body = no_body || rest_answer_size(&answer) > own->claim.answer_max;
    if (answer.no_body && rest_answer_size(&answer) > own->claim.answer_max) {
        apr_table_clear(answer.fields);
    }
    bytes = rest_answer_write(r->pool, &answer);
    if (bytes) {
        idem_store_finish(r, own, bytes, rest_answer_size(&answer));
    }
    else { /* fields that no line can hold: the server refuses to send them as well */
        idem_store_doubt(r, own);
    }
}

/* The answer's status is known, and its body whole or too large. */
static void decide(request_rec *r, const capture *held, int no_body)
{
    if (is_kept(r->status)) {
        keep(r, held, no_body);
    }
    else if (is_doubtful(r->status)) {
        idem_store_doubt(r, held->own);
    }
    else {
        idem_store_release(r, held->own);
    }
}

/* What was held, in front of what comes. */
static apr_status_t let_go(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const capture *held = f->ctx;

    if (held->body->nelts) {
        APR_BRIGADE_INSERT_HEAD(bb, apr_bucket_pool_create(held->body->elts,
                                                           (apr_size_t)held->body->nelts,
                                                           f->r->pool, bb->bucket_alloc));
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

typedef enum { HELD_MORE, HELD_WHOLE, HELD_BROKEN, HELD_TOO_LARGE } held_state;

/* Take what the brigade has. Where it is too large, the rest stays in it. */
static held_state take(capture *held, apr_bucket_brigade *bb, apr_status_t *rv)
{
    apr_bucket *b;

    while ((b = APR_BRIGADE_FIRST(bb)) != APR_BRIGADE_SENTINEL(bb)) {
        const char *data;
        apr_size_t n;

        if (APR_BUCKET_IS_EOS(b)) {
            return HELD_WHOLE;
        }
        /* mod_proxy's words for an answer that was cut off */
        if (AP_BUCKET_IS_ERROR(b) || AP_BUCKET_IS_EOC(b)) {
            return HELD_BROKEN;
        }
        if (!APR_BUCKET_IS_METADATA(b)) {
            *rv = apr_bucket_read(b, &data, &n, APR_BLOCK_READ);
            if (*rv != APR_SUCCESS) {
                return HELD_BROKEN;
            }
            if (n > held->own->claim.answer_max - (apr_size_t)held->body->nelts) {
                return HELD_TOO_LARGE;
            }
            if (n) {
                apr_array_header_t chunk = { held->body->pool, 1, (int)n, (int)n, (char *)data };

                apr_array_cat(held->body, &chunk);
            }
        }
        apr_bucket_delete(b);
    }
    return HELD_MORE;
}

static apr_status_t hold(ap_filter_t *f, apr_bucket_brigade *bb)
{
    capture *held = f->ctx;
    apr_status_t rv = APR_SUCCESS;

    if (!held || !held->own->running) { /* placed by hand where no key is, or nothing left to do */
        ap_remove_output_filter(f);
        return ap_pass_brigade(f->next, bb);
    }
    switch (take(held, bb, &rv)) {
    case HELD_WHOLE:
        decide(f->r, held, 0);
        return let_go(f, bb);
    case HELD_TOO_LARGE:
        decide(f->r, held, 1);
        return let_go(f, bb);
    case HELD_BROKEN:
        idem_store_doubt(f->r, held->own);
        if (rv == APR_SUCCESS) {
            return let_go(f, bb);
        }
        ap_remove_output_filter(f);
        return rv;
    default:
        return APR_SUCCESS;
    }
}

static void capture_with(ap_filter_rec_t *which, request_rec *r, idem_request *own)
{
    capture *held = apr_palloc(r->pool, sizeof(*held));

    held->own = own;
    held->body = apr_array_make(r->pool, 1024, 1);
    ap_add_output_filter_handle(which, held, r, r->connection);
}

/* A redirect inside the server starts with a fresh stack of filters. */
static void insert(request_rec *r)
{
    idem_request *own = r->prev ? idem_request_of(r) : NULL;

    if (own && own->running && !r->main) {
        capture_with(filter, r, own);
    }
}

/* So does an error that the server makes. */
static void insert_error(request_rec *r)
{
    idem_request *own = idem_request_of(r);

    if (own && own->running && !r->main) {
        capture_with(error_filter, r, own);
    }
}

static int set_field(void *rv, const char *name, const char *value)
{
    request_rec *r = rv;

    if (!strcasecmp(name, "Content-Type")) {
        ap_set_content_type(r, value);
    }
    else {
        apr_table_addn(r->headers_out, name, value);
    }
    return 1;
}

static int replay(request_rec *r, const idempotency_found *found)
{
    static const rest_problem too_large = {
        HTTP_CONFLICT, "idempotency_answer_too_large",
        "The request with this Idempotency-Key was answered, and its answer was too large to keep.",
        NULL, 0
    };
    apr_bucket_brigade *bb;
    rest_answer answer;
    rest_problem problem;

    if (!rest_answer_read(r->pool, found->answer, found->answer_len, &answer)
        || !is_kept(answer.status)) {
        idem_store_untrue(r, &problem);
        return rest_problem_send(r, &problem);
    }
    if (answer.no_body) {
        problem = too_large;
        problem.details = apr_psprintf(r->pool, "{\"status\":%d}", answer.status);
        return rest_problem_send(r, &problem);
    }
    rest_idempotency_replayed(r);
    apr_table_do(set_field, r, answer.fields, NULL);
    r->status = answer.status;
    bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    if (answer.body_len) {
        ap_set_content_length(r, (apr_off_t)answer.body_len);
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(answer.body, answer.body_len, r->pool,
                                                           bb->bucket_alloc));
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    if (ap_pass_brigade(r->output_filters, bb) != APR_SUCCESS) {
        r->connection->aborted = 1;
    }
    return OK;
}

static int handler(request_rec *r)
{
    idem_request *own = r->main ? NULL : idem_request_of(r);
    idempotency_found found;
    rest_problem problem;

    if (!own || own->body) { /* no key that counts, or a redirect of a request that has it */
        return DECLINED;
    }
    if (!idem_fingerprint_take(r, own, &problem) || !idem_store_begin(r, own, &found, &problem)) {
        return rest_problem_send(r, &problem);
    }
    switch (found.verdict) {
    case IDEMPOTENCY_NEW:
        capture_with(filter, r, own);
        return DECLINED;
    case IDEMPOTENCY_DONE:
        return replay(r, &found);
    default:
        rest_idempotency_refusal(found.verdict, &problem);
        return rest_problem_send(r, &problem);
    }
}

void idem_replay_register(apr_pool_t *p)
{
    static const char *const behind[] = { "mod_cache.c", "mod_proxy.c", NULL };

    filter = ap_register_output_filter("IDEMPOTENCY", hold, NULL, AP_FTYPE_RESOURCE - 1);
    error_filter = ap_register_output_filter("IDEMPOTENCY_ERROR", hold, NULL,
                                             AP_FTYPE_RESOURCE + 1);
    ap_hook_handler(handler, NULL, behind, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_filter(insert, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(insert_error, NULL, NULL, APR_HOOK_MIDDLE);
}
