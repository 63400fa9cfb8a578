/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Publishing: rt_publish() for other modules, and the handler "realtime-publish". An event is made
 * into the JSON that clients get once, here. Publishing never waits for a subscriber. */
#include "rt.h"

#include "og_clock.h"
#include "og_json.h"
#include "og_number.h"
#include "og_ulid.h"
#include "rest_body.h"
#include "rest_reply.h"

#include <apr_lib.h>
#include <apr_strings.h>

#define BATCH_MAX 100
#define BODY_MAX  (1024 * 1024)

int rt_is_made_of(const char *text, apr_size_t max, const char *also, int upper)
{
    const char *at = text;

    while (apr_islower(*at) || apr_isdigit(*at) || (upper && apr_isupper(*at))
           || (*at && strchr(also, *at))) {
        at++;
    }
    return at != text && !*at && (apr_size_t)(at - text) <= max;
}

/* Every bound of mod_realtime_lp.h. */
static int is_acceptable(const char *domain, const rt_event *event)
{
    return rt_domain_known(domain) && event->org >= 1 && event->org <= OG_ID_MAX
           && event->property >= 0 && event->property <= OG_ID_MAX && event->type
           && rt_is_made_of(event->type, RT_EVENT_TYPE_MAX, "_.", 0)
           && (!event->id || rt_is_made_of(event->id, RT_EVENT_ID_MAX, "_-", 1))
           && (!event->coalesce_key || strlen(event->coalesce_key) <= RT_EVENT_COALESCE_MAX)
           && event->data_len <= RT_EVENT_DATA_MAX && event->ts >= 0;
}

static void write_event(og_jsonw *w, const rt_event *event, const char *id)
{
    og_jsonw_begin(w, '{');
    og_jsonw_name(w, "eventId");
    og_jsonw_string(w, id);
    og_jsonw_name(w, "type");
    og_jsonw_string(w, event->type);
    og_jsonw_name(w, "propertyId");
    if (event->property) {
        og_jsonw_int(w, event->property);
    }
    else {
        og_jsonw_null(w);
    }
    og_jsonw_name(w, "ts");
    og_jsonw_int(w, event->ts ? event->ts : apr_time_as_msec(og_clock_wall()));
    og_jsonw_name(w, "coalesceKey");
    og_jsonw_string(w, event->coalesce_key);
    og_jsonw_name(w, "data");
    if (event->data) {
        og_jsonw_raw(w, event->data, event->data_len);
    }
    else {
        og_jsonw_null(w);
    }
    og_jsonw_end(w, '}');
}

/* Append under the lock, and see who waits; then ring, without it. */
static apr_status_t store(const rt_place *place, const rt_ring_event *event, rt_cursor *cursor)
{
    apr_uint32_t children = 0;
    rt_ring_keep keep;
    rt_shard locked;
    apr_status_t rv;

    if (!rt_segment_lock(place->shard, &locked)) {
        return APR_TIMEUP;
    }
    rt_segment_keep(&keep);
    rv = rt_ring_append(locked.ring, &place->whose, event, &keep, &cursor->id);
    cursor->epoch = rt_ring_epoch(locked.ring);
    if (rv == APR_SUCCESS) {
        children = rt_interest_children(locked.interest, place->key);
    }
    rt_segment_unlock(place->shard);
    rt_bell_ring(children, place->key);
    return rv;
}

static apr_status_t count(apr_status_t rv)
{
    rt_counters *counters = rt_segment_counters();

    atomic_fetch_add(rv == APR_SUCCESS          ? &counters->published
                     : APR_STATUS_IS_EEXIST(rv) ? &counters->duplicates
                     : APR_STATUS_IS_TIMEUP(rv) ? &counters->late
                                                : &counters->too_large, 1);
    return rv;
}

static apr_status_t publish(const char *domain, const rt_event *event, rt_receipt *receipt,
                            apr_pool_t *p)
{
    char made[OG_ULID_SIZE];
    const char *id = event->id ? event->id : made;
    rt_ring_event item = { event->property, event->type, id, event->coalesce_key };
    rt_cursor cursor = { 0 };
    rt_cursor_bond bond;
    rt_place place;
    og_jsonw w;
    apr_status_t rv;

    if ((!event->id && !og_ulid_make(made)) || !rt_segment_place(&place, domain, event->org)) {
        return APR_EGENERAL;
    }
    og_jsonw_init(&w, p, event->data_len + 512);
    write_event(&w, event, id);
    item.json = w.text;
    item.json_len = w.len;
    rv = count(store(&place, &item, &cursor));
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EEXIST(rv)) {
        return rv;
    }
    if (receipt) {
        receipt->duplicate = rv != APR_SUCCESS;
        cursor.partition = place.shard;
        rt_segment_bond(&bond, &place);
        return rt_cursor_write(receipt->cursor, &cursor, &bond) ? APR_SUCCESS : APR_EGENERAL;
    }
    return APR_SUCCESS;
}

static apr_status_t rt_publish(const char *domain, const rt_event *event, rt_receipt *receipt)
{
    apr_pool_t *p;
    apr_status_t rv;

    if (!is_acceptable(domain, event)) {
        return APR_EINVAL;
    }
    /* unmanaged: any thread may publish, and none of them shares a pool with another */
    rv = apr_pool_create_unmanaged_ex(&p, NULL, NULL);
    if (rv == APR_SUCCESS) {
        rv = publish(domain, event, receipt, p);
        apr_pool_destroy(p);
    }
    return rv;
}

static int id_of(const json_t *value, apr_int64_t *id)
{
    *id = (apr_int64_t)json_integer_value(value);
    return json_is_integer(value) && *id >= 1 && *id <= OG_ID_MAX;
}

/* A member that is misspelt and ignored would show an event to more callers than was meant. */
static int has_unknown_member(const json_t *value)
{
    static const char *const names[] = { "orgId",       "propertyId", "type", "eventId",
                                         "coalesceKey", "data",       NULL };
    void *at = json_object_iter((json_t *)value);

    for (; at; at = json_object_iter_next((json_t *)value, at)) {
        const char *const *name = names;

        while (*name && strcmp(*name, json_object_iter_key(at)) != 0) {
            name++;
        }
        if (!*name) {
            return 1;
        }
    }
    return 0;
}

/* One event of a body. NULL, or what is wrong with it. */
static const char *read_event(apr_pool_t *p, const json_t *value, rt_event *event)
{
    const json_t *property = json_object_get(value, "propertyId");
    const json_t *id = json_object_get(value, "eventId");
    const json_t *coalesce = json_object_get(value, "coalesceKey");
    const json_t *data = json_object_get(value, "data");
    og_jsonw w;

    memset(event, 0, sizeof(*event));
    event->type = json_string_value(json_object_get(value, "type"));
    event->id = json_string_value(id);
    event->coalesce_key = json_string_value(coalesce);
    if (has_unknown_member(value)) {
        return "it takes orgId, propertyId, type, eventId, coalesceKey and data";
    }
    if (!id_of(json_object_get(value, "orgId"), &event->org)) {
        return "orgId must be the id of an organisation";
    }
    if (property && !json_is_null(property) && !id_of(property, &event->property)) {
        return "propertyId must be the id of a property";
    }
    if (!event->type || (id && !event->id) || (coalesce && !json_is_null(coalesce)
                                               && !event->coalesce_key)) {
        return "type, eventId and coalesceKey must be strings";
    }
    if (!data) {
        return "data must be there";
    }
    og_jsonw_init(&w, p, 256);
    rt_data_write(&w, data);
    event->data = og_jsonw_text(&w);
    event->data_len = w.len;
    return NULL;
}

static int refuse(request_rec *r, int status, const char *code, const char *detail)
{
    rest_problem problem = { status, code, detail, NULL, status == 503 ? 1 : 0 };

    return rest_problem_send(r, &problem);
}

/* What an error of rt_publish() means to who asked over HTTP. */
static int not_published(request_rec *r, const rt_event *event, apr_status_t rv)
{
    if (event->data_len > RT_EVENT_DATA_MAX) {
        return refuse(r, HTTP_REQUEST_ENTITY_TOO_LARGE, "payload_too_large",
                      "An event's data may have 65536 bytes.");
    }
    if (APR_STATUS_IS_EINVAL(rv)) {
        return refuse(r, HTTP_BAD_REQUEST, "invalid_request",
                      "type must be 1 to 64 of [a-z0-9_.], eventId 1 to 64 of [A-Za-z0-9_-], "
                      "coalesceKey at most 128 bytes.");
    }
    if (APR_STATUS_IS_TIMEUP(rv)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, OGLOGNO(1511)
                      "an event of org %" APR_INT64_T_FMT " was not stored: its part of the store "
                      "stayed locked (was a child stopped while it wrote?)", event->org);
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, r, OGLOGNO(1504)
                      "an event of org %" APR_INT64_T_FMT " was not stored (RealtimeBufferMemory)",
                      event->org);
    }
    return refuse(r, HTTP_SERVICE_UNAVAILABLE, "upstream_unavailable",
                  "The event could not be stored. Please try again.");
}

/* All events are read before the first is published: a body that is wrong anywhere does nothing. */
static int publish_all(request_rec *r, const json_t *body)
{
    int many = json_is_array(body);
    size_t n = many ? json_array_size(body) : 1, i;
    rt_event *events = apr_palloc(r->pool, (n + 1) * sizeof(*events));
    rt_receipt receipt;
    og_jsonw w;

    if (!n || n > BATCH_MAX) {
        return refuse(r, HTTP_BAD_REQUEST, "invalid_request", "A batch has 1 to 100 events.");
    }
    for (i = 0; i < n; i++) {
        const json_t *value = many ? json_array_get(body, i) : body;
        const char *wrong = read_event(r->pool, value, &events[i]);

        if (wrong) {
            return refuse(r, HTTP_BAD_REQUEST, "invalid_request",
                          apr_psprintf(r->pool, "Event %d: %s.", (int)i + 1, wrong));
        }
        if (!is_acceptable(rt_dir(r)->domain, &events[i])) {
            return not_published(r, &events[i], APR_EINVAL);
        }
    }
    og_jsonw_init(&w, r->pool, n * 80);
    if (many) {
        og_jsonw_begin(&w, '[');
    }
    for (i = 0; i < n; i++) {
        apr_status_t rv = rt_publish(rt_dir(r)->domain, &events[i], &receipt);

        if (rv != APR_SUCCESS) {
            return not_published(r, &events[i], rv);
        }
        og_jsonw_begin(&w, '{');
        og_jsonw_name(&w, "cursor");
        og_jsonw_string(&w, receipt.cursor);
        og_jsonw_name(&w, "duplicate");
        og_jsonw_bool(&w, receipt.duplicate);
        og_jsonw_end(&w, '}');
    }
    if (many) {
        og_jsonw_end(&w, ']');
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    return rest_reply(r, HTTP_ACCEPTED, "application/json", w.text, w.len);
}

static int handler(request_rec *r)
{
    APR_OPTIONAL_FN_TYPE(tenant_max_body) *max;
    rest_problem problem = { 0 };
    const char *body, *why = NULL;
    apr_size_t len;
    json_t *json;

    if (!r->handler || strcmp(r->handler, "realtime-publish") != 0 || !rt_dir(r)->domain) {
        return DECLINED;
    }
    if (r->method_number != M_POST) {
        return rt_method_not_allowed(r, "POST");
    }
    max = APR_RETRIEVE_OPTIONAL_FN(tenant_max_body);
    if (!rest_body_read(r, "application/json", max ? max(r) : BODY_MAX, &body, &len, &problem)) {
        return rest_problem_send(r, &problem);
    }
    json = og_json_load(r->pool, body, len, &why);
    if (!json) {
        return refuse(r, HTTP_BAD_REQUEST, "invalid_request",
                      apr_psprintf(r->pool, "The body is %s.", why));
    }
    return publish_all(r, json);
}

void rt_publish_register(apr_pool_t *p)
{
    APR_REGISTER_OPTIONAL_FN(rt_publish);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
