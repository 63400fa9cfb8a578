/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a poll (realtime.md, "Endpoint"), each with its bound. */
#include "rt.h"

#include "og_number.h"
#include "rest_query.h"

#include <apr_lib.h>
#include <apr_strings.h>

#define PROPERTIES_MAX   100
#define WAIT_MAX         25
#define PATTERN_LEN      64
#define CURSOR_LEN       128
#define POLL_TIMEOUT     (25 * APR_USEC_PER_SEC)

static int refuse(rest_problem *problem, int status, const char *code, const char *detail)
{
    static const rest_problem none = { 0 };

    *problem = none;
    problem->status = status;
    problem->code = code;
    problem->detail = detail;
    return 0;
}

static int bad(rest_problem *problem, const char *detail)
{
    return refuse(problem, HTTP_BAD_REQUEST, "invalid_request", detail);
}

/* "expense.*,revenue.created" */
static int read_types(apr_pool_t *p, const char *text, rt_query *query)
{
    for (;;) {
        apr_size_t len = strcspn(text, ","), i = 0;

        while (i < len && (apr_islower(text[i]) || apr_isdigit(text[i]) || text[i] == '.'
                           || text[i] == '_')) {
            i++;
        }
        i += i + 1 == len && text[i] == '*';
        if (!len || i < len || len > PATTERN_LEN || query->type_count == RT_TYPES_MAX) {
            return 0;
        }
        query->types[query->type_count++] = apr_pstrndup(p, text, len);
        if (!text[len]) {
            return 1;
        }
        text += len + 1;
    }
}

static int number(const apr_array_header_t *params, const char *name, apr_int64_t max,
                  apr_int64_t min, apr_int64_t *value)
{
    const char *text = rest_query_get(params, name);

    return !text || og_int_parse(value, text, strlen(text), min, max);
}

static int read_properties(request_rec *r, const tenant_identity *caller, const char *text,
                           rt_query *query, rest_problem *problem)
{
    apr_array_header_t *ids;
    int i;

    if (!rest_query_ids(r->pool, text, PROPERTIES_MAX, &ids)) {
        return bad(problem, "propertyId must be 1 to 100 ids, separated by commas.");
    }
    for (i = 0; i < ids->nelts; i++) {
        if (!tenant_granted(caller, APR_ARRAY_IDX(ids, i, apr_int64_t))) {
            return refuse(problem, HTTP_FORBIDDEN, "forbidden",
                          "The caller was not granted this property.");
        }
    }
    query->properties = ids;
    return 1;
}

int rt_query_read(request_rec *r, const tenant_identity *caller, rt_query *query,
                  rest_problem *problem)
{
    static const char *const names[] = { "cursor", "propertyId", "types", "wait",
                                         "limit",  "linger",     NULL };
    apr_interval_time_t most = og_set_or(rt_dir(r)->poll_timeout, POLL_TIMEOUT);
    apr_int64_t wait = WAIT_MAX, linger = 0;
    const char *wrong, *properties, *types;
    apr_array_header_t *params;

    memset(query, 0, sizeof(*query));
    wrong = rest_query_parse(r->pool, r->args, &params);
    if (wrong) {
        return bad(problem, wrong);
    }
    if (rest_query_unknown(params, names)) {
        return bad(problem, "A poll takes cursor, propertyId, types, wait, limit and linger.");
    }
    query->cursor = rest_query_get(params, "cursor");
    query->limit = RT_LIMIT_MAX;
    if (!number(params, "wait", WAIT_MAX, 0, &wait)) {
        return bad(problem, "wait must be 0 to 25 seconds.");
    }
    if (!number(params, "limit", RT_LIMIT_MAX, 1, &query->limit)) {
        return bad(problem, "limit must be 1 to 200.");
    }
    if (!number(params, "linger", RT_LINGER_MAX, 0, &linger)) {
        return bad(problem, "linger must be 0 to 5000 milliseconds.");
    }
    if (query->cursor && strlen(query->cursor) > CURSOR_LEN) {
        return bad(problem, "cursor is not one that a poll gave.");
    }
    types = rest_query_get(params, "types");
    if (types && !read_types(r->pool, types, query)) {
        return bad(problem, "types must be 1 to 16 event types, each maybe ending with *.");
    }
    query->linger = apr_time_from_msec(linger);
    query->wait = apr_time_from_sec(wait);
    if (query->wait > most) {
        query->wait = most;
    }
    properties = rest_query_get(params, "propertyId");
    return !properties || read_properties(r, caller, properties, query, problem);
}

static int type_matches(const char *pattern, const char *type, apr_size_t type_len)
{
    apr_size_t len = strlen(pattern);

    if (pattern[len - 1] == '*') {
        return type_len >= len - 1 && !memcmp(pattern, type, len - 1);
    }
    return type_len == len && !memcmp(pattern, type, len);
}

static int wants_type(const rt_query *query, const char *type, apr_size_t len)
{
    int i = 0;

    while (i < query->type_count && !type_matches(query->types[i], type, len)) {
        i++;
    }
    return !query->type_count || i < query->type_count;
}

static int is_listed(const apr_array_header_t *ids, apr_int64_t id)
{
    int i;

    for (i = 0; i < ids->nelts; i++) {
        if (APR_ARRAY_IDX(ids, i, apr_int64_t) == id) {
            return 1;
        }
    }
    return 0;
}

int rt_query_wants(const rt_query *query, const tenant_identity *caller, const rt_record *record)
{
    apr_int64_t property = record->property;

    /* an event of the whole organisation is everybody's (decisions.md 1) */
    if (property && (!tenant_granted(caller, property)
                     || (query->properties && !is_listed(query->properties, property)))) {
        return 0;
    }
    return wants_type(query, rt_record_type(record), record->type_len);
}
