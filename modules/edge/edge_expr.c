/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Words for expressions: %{query:propertyId}, a parameter of the query, decoded; %{tenant:org},
 * %{tenant:user}, %{tenant:role} and %{tenant:properties}, of who was verified. Each is "" where
 * there is none, or, for properties, where the caller has them all. A query that can't be read,
 * or that names a parameter twice, has none. */
#include "edge.h"

#include "rest_query.h"

#include <apr_strings.h>

static const char *of_query(ap_expr_eval_ctx_t *ctx, const void *data, const char *name)
{
    apr_array_header_t *params;
    const char *value;

    if (rest_query_parse(ctx->p, ctx->r ? ctx->r->args : NULL, &params)) {
        return "";
    }
    value = rest_query_get(params, name);
    return value ? value : "";
}

static const char *id_text(apr_pool_t *p, apr_int64_t id)
{
    return id ? apr_psprintf(p, "%" APR_INT64_T_FMT, id) : "";
}

static const char *of_tenant(ap_expr_eval_ctx_t *ctx, const void *data, const char *name)
{
    const tenant_identity *identity = ctx->r ? edge_identity(ctx->r) : NULL;
    const char *text = "";
    int i;

    if (!identity) {
        return "";
    }
    if (!strcmp(name, "org")) {
        return id_text(ctx->p, identity->org);
    }
    if (!strcmp(name, "user")) {
        return id_text(ctx->p, identity->user);
    }
    if (!strcmp(name, "role")) {
        return identity->role;
    }
    for (i = 0; !strcmp(name, "properties") && i < identity->property_count; i++) {
        text = apr_pstrcat(ctx->p, text, i ? "," : "", id_text(ctx->p, identity->properties[i]),
                           NULL);
    }
    return text;
}

static int lookup(ap_expr_lookup_parms *parms)
{
    ap_expr_string_func_t *function;

    if (parms->type != AP_EXPR_FUNC_STRING) {
        return DECLINED;
    }
    if (!strcasecmp(parms->name, "query")) {
        function = of_query;
    }
    else if (!strcasecmp(parms->name, "tenant")) {
        function = of_tenant;
    }
    else {
        return DECLINED;
    }
    *parms->func = (const void *)function;
    *parms->data = NULL;
    return OK;
}

void edge_expr_register(apr_pool_t *p)
{
    ap_hook_expr_lookup(lookup, NULL, NULL, APR_HOOK_MIDDLE);
}
