/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Words for expressions: %{query:propertyId}, a parameter of the query, decoded; %{tenant:org},
 * %{tenant:user}, %{tenant:role} and %{tenant:properties}, of who was verified. Each is "" where
 * there is none, or, for properties, where the caller has them all.
 *
 * A backend may read a query that ours would refuse, and what it answers has to have its tags: so
 * only the parameter is read, whatever the others are. One that stands several times is a list of
 * its values, since nobody knows which of them the backend takes; one that can't be decoded is
 * something that can't be a tag. */
#include "edge.h"

#include "rest_query.h"

#include <apr_strings.h>

/* What no tag can have in it */
#define NO_TAG " "

/* len characters of a query, decoded; NULL: they can't be */
static const char *decoded(apr_pool_t *p, const char *text, apr_size_t len)
{
    apr_array_header_t *params;
    const char *wrong = rest_query_parse(p, apr_pstrcat(p, "=", apr_pstrmemdup(p, text, len), NULL),
                                         &params);

    return wrong ? NULL : APR_ARRAY_IDX(params, 0, rest_param).value;
}

/* Whether so many characters say a name, with escapes or without. */
static int is_called(apr_pool_t *p, const char *text, apr_size_t len, const char *name)
{
    const char *said = len >= strlen(name) && len <= 3 * strlen(name) ? decoded(p, text, len)
                                                                      : NULL;

    return said && !strcmp(said, name);
}

static const char *of_query(ap_expr_eval_ctx_t *ctx, const void *data, const char *name)
{
    const char *at = ctx->r && ctx->r->args ? ctx->r->args : "", *all = NULL;

    for (; *at; at += *at == '&') {
        apr_size_t len = strcspn(at, "&"), name_len = strcspn(at, "=&");

        if (is_called(ctx->p, at, name_len, name)) {
            apr_size_t skip = name_len + (at[name_len] == '=');
            const char *value = decoded(ctx->p, at + skip, len - skip);

            value = value ? value : NO_TAG;
            all = all ? apr_pstrcat(ctx->p, all, ",", value, NULL) : value;
        }
        at += len;
    }
    return all ? all : "";
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
