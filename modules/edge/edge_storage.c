/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mod_cache's storage "orgscale" (CacheEnable orgscale), in shared memory (edge_store.h).
 *
 * Only what has a key of ours is kept: mod_cache's own text of it is not looked at. How old an
 * entry may be is what its family says now, on the monotonic clock; what mod_cache is told is made
 * so that it comes to the same end:
 *
 *     fresh, or another request asks already   fresh
 *     too old                                  to be revalidated; good enough when the origin fails
 *     another epoch: purged                    to be revalidated; served in no case
 *     older than all of that                   there is none
 *
 * Whoever finds no fresh entry builds it, or waits for who does (edge_collapse.c). */
#include "edge.h"

#include "edge_hot.h"
#include "edge_storage.h"
#include "og_clock.h"

#include <ap_provider.h>
#include <apr_date.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <mod_cache.h>

/* What an entry's bytes are */
enum { RESPONSE, NAMES /* of Vary */ };

/* A body comes in pieces, and is held in pieces until it is stored */
#define PIECE 32768

/* Two clocks that are read one after the other differ, on a loaded machine */
#define CLOCK_SLACK apr_time_from_sec(2)

/* How often an entry may be replaced between a look and a copy */
#define TRIES 4

typedef enum state { ABSENT, OUTDATED, STALE, STALE_FOR_OTHERS, FRESH } state;

/* An object of mod_cache's. pool: the request's */
typedef struct response {
    unsigned char first[EDGE_STORE_KEY]; /* of the URL */
    unsigned char key[EDGE_STORE_KEY];   /* of the response, another one where it has Vary */
    edge_entry entry;                    /* found */
    const char *bytes;                   /* found: all of them */
    edge_recall recall;                  /* found, and fresh: what mod_cache is not told of it */
    apr_time_t received;                 /* to be stored: monotonic */
    struct iovec head, names;
    apr_array_header_t *pieces;          /* … its body: struct iovec */
    apr_size_t length;                   /* … of its body */
    int failed;
} response;

/* child: of large entries; NULL: each request copies its own */
static edge_hot *hot;

static void count(atomic_ullong *what)
{
    atomic_fetch_add_explicit(what, 1, memory_order_relaxed);
}

static edge_request *keyed(const request_rec *r)
{
    edge_request *own = edge_request_of(r);

    return own && own->key && edge_segment_store() && !edge_breaker_is_open() ? own : NULL;
}

static response *make(request_rec *r, const edge_request *own)
{
    response *made = apr_pcalloc(r->pool, sizeof(*made));

    edge_segment_key(made->first, own->key, own->key_len);
    memcpy(made->key, made->first, EDGE_STORE_KEY);
    return made;
}

/* What is known of the response that a request is to get. @return 0: nothing */
static int look_up(request_rec *r, response *found)
{
    edge_store *store = edge_segment_store();
    char names[EDGE_STORE_BLOCK];
    apr_uint32_t len;

    memcpy(found->key, found->first, EDGE_STORE_KEY);
    if (!edge_store_find(store, found->first, &found->entry)) {
        return 0;
    }
    if (found->entry.kind == RESPONSE) {
        return 1;
    }
    len = found->entry.len;
    return len <= sizeof(names)
           && edge_store_copy(store, found->first, found->entry.version, names, len)
           && edge_vary_key(r, found->first, names, len, found->key)
           && edge_store_find(store, found->key, &found->entry)
           && found->entry.kind == RESPONSE;
}

/* How long anybody may have a use for an entry. */
static apr_interval_time_t life_of(const edge_family *family)
{
    apr_int64_t stale = family->stale_while_revalidate > family->stale_if_error
                            ? family->stale_while_revalidate : family->stale_if_error;

    return apr_time_from_sec(family->s_maxage + stale);
}

static state state_of(const edge_request *own, const edge_entry *entry)
{
    const edge_family *family = own->family;
    apr_time_t age = og_clock_mono() - entry->stored;

    if (age >= life_of(family)) {
        return ABSENT;
    }
    if (entry->epoch != own->epoch) {
        return OUTDATED;
    }
    if (age < apr_time_from_sec(family->s_maxage)) {
        return FRESH;
    }
    return age < apr_time_from_sec(family->s_maxage + family->stale_while_revalidate)
               ? STALE_FOR_OTHERS : STALE;
}

/* Who waited meets a breaker that was closed when he came. */
static state look(request_rec *r, const edge_request *own, response *found)
{
    return !edge_breaker_is_open() && look_up(r, found) ? state_of(own, &found->entry) : ABSENT;
}

/* Ask who builds what was not found, and wait for a round. @return 1: look again */
static int wait_for_it(request_rec *r, edge_request *own, const response *found, apr_time_t until,
                       apr_uint64_t *turn)
{
    edge_build build;

    if (edge_collapse_refused(own, found->key)) {
        return 0;
    }
    switch (edge_collapse_begin(r, own, found->key, &build)) {
    case EDGE_BUILDING_MINE:
        return 0;
    case EDGE_BUILDING_OTHERS:
        /* who came for another turn than this one saw its answer not being kept */
        if ((!*turn || *turn == build.turn) && edge_collapse_wait(&build, until)) {
            *turn = build.turn;
            return 1;
        }
        break;
    default:
        break;
    }
    count(&edge_segment_counters()->unawaited);
    return 0;
}

/* Look, and see to it that one request builds what is not there. @return what to do with what was
 * found: FRESH stands for serve it, all others for ask the origin */
static state look_or_wait(request_rec *r, edge_request *own, response *found)
{
    apr_time_t until = og_clock_mono() + edge_conf()->collapse_wait;
    apr_uint64_t turn = 0;
    edge_build build;
    state is;

    own->was_stale = 0;
    while ((is = look(r, own, found)) != FRESH) {
        if (is == STALE_FOR_OTHERS
            && edge_collapse_begin(r, own, found->key, &build) != EDGE_BUILDING_MINE) {
            own->was_stale = 1;
            count(&edge_segment_counters()->stale);
            return FRESH;
        }
        if (is == STALE_FOR_OTHERS || !wait_for_it(r, own, found, until, &turn)) {
            /* it may have been stored between the look and the question */
            is = look(r, own, found);
            break;
        }
    }
    if (is == FRESH) {
        edge_collapse_end(own);
        own->collapsed = turn != 0;
        count(&edge_segment_counters()->hits);
    }
    return is;
}

static apr_status_t let_go(void *bytes)
{
    edge_hot_release(bytes);
    return APR_SUCCESS;
}

/* A large one is copied once a process. @return NULL without memory for it, or when it was replaced
 * meanwhile */
static const char *take_large(request_rec *r, const response *found)
{
    const char *bytes = edge_hot_get(hot, found->key, found->entry.version);
    char *room = bytes ? NULL : edge_hot_room(found->entry.len);

    if (room && edge_store_copy(edge_segment_store(), found->key, found->entry.version, room,
                                found->entry.len)) {
        edge_hot_put(hot, found->key, found->entry.version, room);
        bytes = room;
    }
    else if (room) {
        edge_hot_release(room);
    }
    if (bytes) {
        apr_pool_cleanup_register(r->pool, bytes, let_go, apr_pool_cleanup_null);
    }
    return bytes;
}

static const char *take_small(request_rec *r, const response *found, apr_size_t len)
{
    char *bytes = apr_palloc(r->pool, len + 1);

    return edge_store_copy(edge_segment_store(), found->key, found->entry.version, bytes, len)
               ? bytes
               : NULL;
}

/* The bytes that the answer is made of. @return 0: it was replaced meanwhile */
static int take_bytes(request_rec *r, response *found)
{
    found->bytes = hot && found->entry.len >= EDGE_HOT_MIN
                       ? take_large(r, found)
                       : take_small(r, found, found->entry.len);
    return found->bytes != NULL;
}

/* What mod_cache is to think of it. Where the wall clock was set meanwhile, times move with it. */
static void describe(const request_rec *r, const response *found, const edge_head *head, state is,
                     cache_info *info)
{
    apr_interval_time_t moved = r->request_time - head->response_time
                                - (og_clock_mono() - found->entry.stored);

    if (moved > -CLOCK_SLACK && moved < CLOCK_SLACK) {
        moved = 0;
    }
    memset(info, 0, sizeof(*info));
    info->status = (int)head->status;
    /* by which mod_cache would not keep what takes its place and is dated before it: an origin may
     * be several, with a clock each */
    info->date = is == FRESH ? head->date + moved : APR_DATE_BAD;
    info->request_time = head->request_time + moved;
    info->response_time = head->response_time + moved;
    info->expire = APR_DATE_BAD;
    info->control.parsed = 1;
    info->control.cache_control = 1;
    info->control.max_stale_value = info->control.min_fresh_value = -1;
    info->control.s_maxage_value = -1;
    info->control.max_age = 1;
    info->control.max_age_value = is == FRESH ? APR_INT32_MAX : 0;
    info->control.invalidated = is != FRESH;
    info->control.must_revalidate = is == OUTDATED;
}

/* Whether what the origin changed since it was asked for this has another Last-Modified, which has
 * seconds (RFC 9110 8.8.2.2): by the origin's clock that was a second later at least. */
static int is_dated(const edge_head *head, const apr_table_t *fields)
{
    const char *text = apr_table_get(fields, "Last-Modified");
    apr_time_t modified = text ? apr_date_parse_http(text) : APR_DATE_BAD;

    return modified != APR_DATE_BAD
           && head->date - (head->response_time - head->request_time)
                  >= modified + apr_time_from_sec(1);
}

static int give(cache_handle_t *h, request_rec *r, edge_request *own, response *found, state is)
{
    edge_head head;
    const edge_pair *fields = edge_head_unpack(r->pool, found->bytes, found->entry.head_len,
                                               &head);

    if (!fields) {
        return DECLINED;
    }
    h->resp_hdrs = is == FRESH ? edge_recall_begin(&found->recall, r, own, fields, head.fields)
                               : edge_recall_table(r->pool, fields, head.fields);
    /* by their values it was found */
    h->req_hdrs = r->headers_in;
    h->cache_obj = apr_pcalloc(r->pool, sizeof(*h->cache_obj));
    h->cache_obj->key = own->key;
    h->cache_obj->vobj = found;
    describe(r, found, &head, is, &h->cache_obj->info);
    /* what is fresh is not asked for */
    own->is_vague = is == FRESH || !is_dated(&head, h->resp_hdrs);
    return OK;
}

static int open_entity(cache_handle_t *h, request_rec *r, const char *unused)
{
    edge_request *own = keyed(r);
    response *found = own && r->method_number == M_GET ? make(r, own) : NULL;
    state is = ABSENT;
    int tries = TRIES;

    h->cache_obj = NULL;
    if (!found) {
        return DECLINED;
    }
    do {
        is = look_or_wait(r, own, found);
    } while (is != ABSENT && !take_bytes(r, found) && --tries);
    if (is != FRESH) {
        own->was_stale = is != ABSENT;
        count(is == OUTDATED ? &edge_segment_counters()->outdated
                             : &edge_segment_counters()->misses);
    }
    else if (own->collapsed) {
        count(&edge_segment_counters()->collapsed);
    }
    return is != ABSENT && tries ? give(h, r, own, found, is) : DECLINED;
}

static apr_status_t recall_headers(cache_handle_t *h, request_rec *r)
{
    return APR_SUCCESS; /* open_entity() did */
}

static apr_status_t recall_body(cache_handle_t *h, apr_pool_t *p, apr_bucket_brigade *bb)
{
    const response *found = h->cache_obj->vobj;
    apr_size_t len = found->entry.len - found->entry.head_len;

    edge_recall_end(&found->recall);
    if (len) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(found->bytes + found->entry.head_len,
                                                           len, p, bb->bucket_alloc));
    }
    return APR_SUCCESS;
}

/* It is stored, or will not be: nobody waits any more. Unless that is for its client, who went
 * away: then another one builds. */
static void release(const request_rec *r)
{
    edge_request *own = edge_request_of(r);

    if (own && r->connection->aborted) {
        edge_collapse_give_up(own);
    }
    else if (own) {
        edge_collapse_end(own);
    }
}

/* It is nothing to keep, however often it is asked for. */
static void refuse(const request_rec *r)
{
    edge_request *own = edge_request_of(r);

    if (own) {
        edge_collapse_refuse(own);
    }
}

/* Bytes of the largest body. */
static apr_size_t most(void)
{
    apr_size_t largest = edge_store_largest(edge_segment_store());

    return (apr_size_t)edge_conf()->max_entry < largest ? (apr_size_t)edge_conf()->max_entry
                                                        : largest;
}

static int create_entity(cache_handle_t *h, request_rec *r, const char *unused, apr_off_t len,
                         apr_bucket_brigade *bb)
{
    edge_request *own = keyed(r);
    response *made = NULL;
    int is_large = own && len >= 0 && (apr_uint64_t)len > most();

    if (is_large) {
        count(&edge_store_counted(edge_segment_store())->too_large);
    }
    else if (own && !r->header_only
             && (r->status == HTTP_OK || r->status == HTTP_NON_AUTHORITATIVE)) {
        made = make(r, own);
    }
    if (!made || !edge_vary_names(r, &made->names)) {
        refuse(r);
        return DECLINED;
    }
    made->pieces = apr_array_make(r->pool, 4, sizeof(struct iovec));
    h->cache_obj = apr_pcalloc(r->pool, sizeof(*h->cache_obj));
    h->cache_obj->key = own->key;
    h->cache_obj->vobj = made;
    return OK;
}

/* Of a new response, or of one that the origin said is still good. */
static apr_status_t store_headers(cache_handle_t *h, request_rec *r, cache_info *info)
{
    response *kept = h->cache_obj->vobj;
    edge_head head = { info->date, info->request_time, info->response_time,
                       (apr_uint32_t)info->status, 0 };

    if (info != &h->cache_obj->info) {
        h->cache_obj->info = *info;
    }
    kept->received = og_clock_mono();
    kept->head = edge_head_pack(r, &head, kept->bytes != NULL);
    return APR_SUCCESS;
}

/* The piece that is being filled, with room in it. */
static struct iovec *piece(request_rec *r, response *made)
{
    struct iovec *last = made->pieces->nelts
                             ? &APR_ARRAY_IDX(made->pieces, made->pieces->nelts - 1, struct iovec)
                             : NULL;

    if (!last || last->iov_len == PIECE) {
        last = apr_array_push(made->pieces);
        last->iov_base = apr_palloc(r->pool, PIECE);
        last->iov_len = 0;
    }
    return last;
}

/* @return 0: it is too long */
static int keep(request_rec *r, response *made, const char *data, apr_size_t len)
{
    if (len > most() - made->length) {
        count(&edge_store_counted(edge_segment_store())->too_large);
        refuse(r);
        return 0;
    }
    made->length += len;
    while (len) {
        struct iovec *to = piece(r, made);
        apr_size_t room = PIECE - to->iov_len, n = len < room ? len : room;

        memcpy((char *)to->iov_base + to->iov_len, data, n);
        to->iov_len += n;
        data += n;
        len -= n;
    }
    return 1;
}

/* Whether all of it came. */
static int is_complete(const request_rec *r, const response *made)
{
    const char *said = apr_table_get(r->err_headers_out, "Content-Length");
    apr_off_t length;

    if (!said) {
        said = apr_table_get(r->headers_out, "Content-Length");
    }
    return !r->connection->aborted && !r->no_cache
           && (!said || (ap_parse_strict_length(&length, said)
                         && (apr_uint64_t)length == made->length));
}

static apr_status_t keep_bucket(request_rec *r, response *made, apr_bucket *b)
{
    const char *data;
    apr_size_t len;

    if (APR_BUCKET_IS_EOS(b)) {
        return is_complete(r, made) ? APR_SUCCESS : APR_EGENERAL;
    }
    if (APR_BUCKET_IS_METADATA(b)) {
        return AP_BUCKET_IS_ERROR(b) ? APR_EGENERAL : APR_SUCCESS;
    }
    if (apr_bucket_read(b, &data, &len, APR_BLOCK_READ) != APR_SUCCESS) {
        return APR_EGENERAL;
    }
    return keep(r, made, data, len) ? APR_SUCCESS : APR_EGENERAL;
}

/* What went to out is passed on, whatever becomes of the entry. */
static apr_status_t store_body(cache_handle_t *h, request_rec *r, apr_bucket_brigade *in,
                               apr_bucket_brigade *out)
{
    response *made = h->cache_obj->vobj;

    while (!APR_BRIGADE_EMPTY(in)) {
        apr_bucket *b = APR_BRIGADE_FIRST(in);
        int is_last = APR_BUCKET_IS_EOS(b) || APR_BUCKET_IS_FLUSH(b);

        if (!made->failed && keep_bucket(r, made, b) != APR_SUCCESS) {
            made->failed = 1;
            release(r);
            return APR_EGENERAL;
        }
        APR_BUCKET_REMOVE(b);
        APR_BRIGADE_INSERT_TAIL(out, b);
        if (is_last) {
            break;
        }
    }
    return APR_SUCCESS;
}

/* Where the answer depends on more than the URL, what it depends on is stored, too. */
static int put_names(response *made, const edge_entry *entry, apr_time_t now)
{
    edge_entry own = *entry;

    own.kind = NAMES;
    own.head_len = 0;
    return !made->names.iov_len
           || edge_store_put(edge_segment_store(), made->first, &own, &made->names, 1, now);
}

static int put(request_rec *r, const edge_request *own, response *kept)
{
    const tenant_identity *identity = edge_identity(r);
    apr_time_t now = og_clock_mono();
    edge_entry entry = { identity ? (apr_uint64_t)identity->org : 0, own->epoch, 0,
                         kept->received, kept->received + life_of(own->family), RESPONSE,
                         (apr_uint32_t)kept->head.iov_len, 0, 0 };
    int body = kept->bytes ? 1 : kept->pieces->nelts;
    struct iovec *parts = apr_palloc(r->pool, sizeof(*parts) * (apr_size_t)(body + 1));

    parts[0] = kept->head;
    if (kept->bytes) {
        parts[1].iov_base = (char *)kept->bytes + kept->entry.head_len;
        parts[1].iov_len = kept->entry.len - kept->entry.head_len;
    }
    else {
        memcpy(parts + 1, kept->pieces->elts, sizeof(*parts) * (apr_size_t)body);
    }
    return edge_store_put(edge_segment_store(), kept->key, &entry, parts, body + 1, now)
           && put_names(kept, &entry, now);
}

static apr_status_t commit_entity(cache_handle_t *h, request_rec *r)
{
    edge_request *own = keyed(r);
    response *kept = h->cache_obj->vobj;
    int done = own && !kept->failed && !r->no_cache
               && (!kept->names.iov_len
                   || edge_vary_key(r, kept->first, kept->names.iov_base, kept->names.iov_len,
                                    kept->key))
               && put(r, own, kept);

    release(r);
    return done ? APR_SUCCESS : APR_EGENERAL;
}

static int remove_entity(cache_handle_t *h)
{
    return OK; /* the new one takes its place */
}

static int remove_url(cache_handle_t *h, request_rec *r)
{
    const response *found = h->cache_obj ? h->cache_obj->vobj : NULL;

    if (found && found->bytes) {
        edge_store_drop(edge_segment_store(), found->key, found->entry.version);
    }
    return OK;
}

static apr_status_t invalidate_entity(cache_handle_t *h, request_rec *r)
{
    return remove_url(h, r) == OK ? APR_SUCCESS : APR_EGENERAL;
}

static const cache_provider orgscale = {
    remove_entity, store_headers, store_body, recall_headers, recall_body,
    create_entity, open_entity, remove_url, commit_entity, invalidate_entity
};

static void child_init(apr_pool_t *p, server_rec *s)
{
    hot = edge_conf()->hot_size ? edge_hot_make((apr_size_t)edge_conf()->hot_size) : NULL;
}

void edge_storage_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_register_provider(p, CACHE_PROVIDER_GROUP, "orgscale", "0", &orgscale);
}
