/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* P§26.3's keys: what answers show and writes outdate. The two have to meet: each read has a tag
 * that every write moves which could change it. Besides the playbook's there is one for all
 * expenses of an organisation, for reads that name no properties, or more than there is room for,
 * and for single rows, whose property only the database knows. */
#include "finance.h"

#include "mod_edge.h"
#include "mod_purge.h"
#include "rest_query.h"

#include <apr_strings.h>
#include <http_request.h>

/* So many properties have a tag each; EDGE_TAGS_MAX has room for mod_edge's own besides */
#define PROPERTIES_MAX (EDGE_TAGS_MAX - 5)

static APR_OPTIONAL_FN_TYPE(edge_tag) *tag_answer;
static APR_OPTIONAL_FN_TYPE(edge_keeps) *is_kept;
static APR_OPTIONAL_FN_TYPE(purge_move) *move;
static APR_OPTIONAL_FN_TYPE(tenant_identity_get) *identity_get;

static void retrieve(void)
{
    tag_answer = APR_RETRIEVE_OPTIONAL_FN(edge_tag);
    is_kept = APR_RETRIEVE_OPTIONAL_FN(edge_keeps);
    move = APR_RETRIEVE_OPTIONAL_FN(purge_move);
    identity_get = APR_RETRIEVE_OPTIONAL_FN(tenant_identity_get);
}

static void add(apr_array_header_t *tags, const char *tag)
{
    APR_ARRAY_PUSH(tags, const char *) = tag;
}

apr_array_header_t *finance_tags_of(const finance_call *call, const finance_effects *effects)
{
    apr_pool_t *p = call->r->pool;
    apr_array_header_t *tags = apr_array_make(p, 8, sizeof(const char *));
    const char *property = finance_int(p, effects->property);
    const char *org = finance_int(p, call->caller->org);
    const char *date = effects->date; /* YYYY-MM-DD */

    add(tags, apr_pstrcat(p, "finance:", effects->resource, "s:property:", property, NULL));
    add(tags, apr_pstrcat(p, "finance:", effects->resource, "s:org:", org, NULL));
    add(tags, apr_pstrcat(p, "finance:summary:property:", property, NULL));
    add(tags, apr_pstrcat(p, "reports:daily:property:", property, ":date:", date, NULL));
    if (strlen(date) > 7) {
        add(tags, apr_psprintf(p, "reports:monthly:property:%s:year:%.4s:month:%.2s", property,
                               date, date + 5));
    }
    add(tags, apr_pstrcat(p, "analytics:overview:org:", org, NULL));
    return tags;
}

void finance_tags_move(const apr_array_header_t *tags)
{
    if (move) {
        move((const char *const *)tags->elts, tags->nelts);
    }
}

void finance_tags_say(request_rec *r)
{
    if (!is_kept || !is_kept(r)) {
        apr_table_setn(r->headers_out, "Cache-Control", "private, no-cache");
    }
}

static void tag_properties(request_rec *r, const apr_int64_t *ids, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        tag_answer(r, apr_pstrcat(r->pool, "finance:expenses:property:",
                                  finance_int(r->pool, ids[i]), NULL));
    }
}

/* Of a list, by the properties that it will be of. */
static void tag_list(request_rec *r, const tenant_identity *caller)
{
    apr_array_header_t *query, *ids = NULL;
    const char *named = rest_query_parse(r->pool, r->args, &query)
                            ? NULL
                            : rest_query_get(query, "propertyId");

    if (named && rest_query_ids(r->pool, named, PROPERTIES_MAX, &ids)) {
        tag_properties(r, (const apr_int64_t *)ids->elts, ids->nelts);
    }
    else if (!named && !caller->all_properties && caller->property_count <= PROPERTIES_MAX) {
        tag_properties(r, caller->properties, caller->property_count);
    }
    else {
        tag_answer(r, apr_pstrcat(r->pool, "finance:expenses:org:",
                                  finance_int(r->pool, caller->org), NULL));
    }
}

/* Before mod_edge's, which makes the key of it. */
static int fixups(request_rec *r)
{
    const tenant_identity *caller;
    apr_size_t len = strlen(r->uri);
    static const char list[] = "/finance/expenses";

    if (!tag_answer || r->main || r->method_number != M_GET || !r->handler
        || strcmp(r->handler, "finance") != 0) {
        return DECLINED;
    }
    caller = identity_get ? identity_get(r) : NULL;
    if (!caller) {
        return DECLINED;
    }
    if (len >= sizeof(list) - 1 && !strcmp(r->uri + len - (sizeof(list) - 1), list)) {
        tag_list(r, caller);
    }
    else {
        tag_answer(r, apr_pstrcat(r->pool, "finance:expenses:org:",
                                  finance_int(r->pool, caller->org), NULL));
    }
    return DECLINED;
}

void finance_tags_register(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_fixups(fixups, NULL, NULL, APR_HOOK_MIDDLE);
}
