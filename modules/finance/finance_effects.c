/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a write leaves besides the change (finance-api.md): three rows in its transaction, and right
 * after its commit the tags that it outdates, and a publication. The outbox is the truth, the
 * publication only haste: what a crash, a full lock queue or a missing mod_realtime_lp loses, the
 * relay publishes. */
#include "finance.h"

#include "og_hooks.h"
#include "og_ulid.h"

#include <apr_strings.h>

static APR_OPTIONAL_FN_TYPE(rt_publish) *publish;
static APR_OPTIONAL_FN_TYPE(tenant_request_id) *request_id;

static void retrieve(void)
{
    publish = APR_RETRIEVE_OPTIONAL_FN(rt_publish);
    request_id = APR_RETRIEVE_OPTIONAL_FN(tenant_request_id);
}

void finance_effects_register(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
}

APR_OPTIONAL_FN_TYPE(rt_publish) *finance_effects_publisher(void)
{
    return publish;
}

static void event_stmt(const finance_call *call, const finance_effects *effects, rest_tx_stmt *stmt)
{
    apr_pool_t *p = call->r->pool;
    const char **values = apr_palloc(p, 7 * sizeof(*values));

    values[0] = finance_int(p, call->caller->org);
    values[1] = finance_int(p, effects->property);
    values[2] = finance_event_domain(call->r->server);
    values[3] = effects->action;
    values[4] = effects->event_id;
    values[5] = effects->coalesce_key;
    values[6] = effects->data;
    stmt->sql = "INSERT INTO event_outbox (org_id, property_id, domain, type, event_id,"
                " coalesce_key, data) VALUES ($1::bigint, $2::bigint, $3, $4, $5, $6, $7)"
                " RETURNING id";
    stmt->count = 7;
    stmt->values = values;
}

static void purge_stmt(const finance_call *call, const finance_effects *effects, rest_tx_stmt *stmt)
{
    apr_pool_t *p = call->r->pool;
    const char **values = apr_palloc(p, 2 * sizeof(*values));

    values[0] = finance_int(p, call->caller->org);
    /* no tag needs quotes in an array's literal */
    values[1] = apr_pstrcat(p, "{", apr_array_pstrcat(p, finance_tags_of(call, effects), ','), "}",
                            NULL);
    stmt->sql = "INSERT INTO purge_outbox (org_id, keys) VALUES ($1::bigint, $2::text[])";
    stmt->count = 2;
    stmt->values = values;
}

static void audit_stmt(const finance_call *call, const finance_effects *effects, rest_tx_stmt *stmt)
{
    apr_pool_t *p = call->r->pool;
    const char **values = apr_palloc(p, 7 * sizeof(*values));

    values[0] = finance_int(p, call->caller->org);
    values[1] = finance_int(p, call->caller->user);
    values[2] = effects->action;
    values[3] = effects->resource;
    values[4] = finance_int(p, effects->id);
    values[5] = call->r->useragent_ip;
    values[6] = request_id ? request_id(call->r) : NULL;
    stmt->sql = "INSERT INTO audit_log (org_id, user_id, action, resource_type, resource_id, ip,"
                " request_id) VALUES ($1::bigint, $2::bigint, $3, $4, $5::bigint, $6::inet, $7)";
    stmt->count = 7;
    stmt->values = values;
}

int finance_effects_stmts(const finance_call *call, finance_effects *effects,
                          rest_tx_stmt stmts[FINANCE_EFFECT_STMTS])
{
    apr_pool_t *p = call->r->pool;
    char *event_id = apr_palloc(p, OG_ULID_SIZE);

    if (!og_ulid_make(event_id)) {
        return 0;
    }
    effects->event_id = event_id;
    effects->coalesce_key = apr_psprintf(p, "%s:%" APR_INT64_T_FMT, effects->resource, effects->id);
    event_stmt(call, effects, &stmts[0]);
    purge_stmt(call, effects, &stmts[1]);
    audit_stmt(call, effects, &stmts[2]);
    return 1;
}

void finance_effects_committed(const finance_call *call, const finance_effects *effects,
                               const PGresult *outbox)
{
    rt_event event = { call->caller->org, effects->property, effects->action, effects->event_id,
                       effects->coalesce_key, effects->data, strlen(effects->data), 0 };
    apr_int64_t outbox_id;
    apr_status_t rv;

    og_hooks_crash_point();
    /* first: who hears of it reads what is new */
    finance_tags_move(finance_tags_of(call, effects));
    if (!publish) {
        return;
    }
    rv = publish(finance_event_domain(call->r->server), &event, NULL);
    if (rv == APR_SUCCESS) {
        if (finance_number(outbox, 0, 0, APR_INT64_MAX, &outbox_id)) {
            finance_relay_mark(outbox_id);
        }
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, call->r, OGLOGNO(1601)
                      "event %s of org %" APR_INT64_T_FMT " was not published at once: the relay "
                      "will (FinanceJobDSN, FinanceEventDomain)", effects->event_id,
                      call->caller->org);
    }
}
