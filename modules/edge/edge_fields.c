/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* fields= and expand= of a request (P§22, http-semantics.md 6): read in fixups, so that what is
 * malformed is refused before anybody is asked for anything (B50), and no backend ever sees it.
 *
 * Only these two parameters are read, and strictly; what else a query says is between the client
 * and the backend, which gets all of it as it was sent. A name that is spelt with escapes is that
 * name. */
#include "edge.h"

#include "rest_problem.h"
#include "rest_query.h"

#include <apr_strings.h>
#include <http_request.h>

/* In the pool of the client's request, so that it is there behind a redirect inside the server, and
 * not in subrequests. */
static const char key[] = "mod_edge:fields";

edge_fields *edge_fields_of(const request_rec *r)
{
    void *own = NULL;

    if (r->main || r->method_number != M_GET || edge_dir(r)->fields != 1) {
        return NULL;
    }
    apr_pool_userdata_get(&own, key, r->pool);
    return own;
}

const char *edge_fields_key(const request_rec *r)
{
    const edge_fields *own = edge_fields_of(r);

    return own ? own->selection->text : NULL;
}

/* Where the value of a parameter goes that starts with so many characters of a name; NULL: it is
 * none of ours */
static const char **place_of(apr_pool_t *p, const char *text, apr_size_t name_len,
                             const char **fields, const char **expand)
{
    apr_array_header_t *params;
    const char *name;

    /* six characters, or as many escapes */
    if (name_len > 18 || rest_query_parse(p, apr_pstrmemdup(p, text, name_len), &params)
        || !params->nelts) {
        return NULL;
    }
    name = APR_ARRAY_IDX(params, 0, rest_param).name;
    return !strcmp(name, "fields") ? fields : !strcmp(name, "expand") ? expand : NULL;
}

/* @return NULL, or what is wrong with the query */
static const char *read_query(request_rec *r, const char **fields, const char **expand)
{
    const char *at = r->args, *wrong;
    apr_array_header_t *params;

    while (*at) {
        apr_size_t len = strcspn(at, "&");
        const char **place = place_of(r->pool, at, strcspn(at, "=&"), fields, expand);

        if (place) {
            if (*place) {
                return "fields or expand stands twice in it";
            }
            wrong = rest_query_parse(r->pool, apr_pstrmemdup(r->pool, at, len), &params);
            if (wrong) {
                return wrong;
            }
            *place = APR_ARRAY_IDX(params, 0, rest_param).value;
        }
        at += len + (at[len] == '&');
    }
    return NULL;
}

static int refuse(request_rec *r, const char *wrong)
{
    rest_problem problem = { HTTP_BAD_REQUEST, "invalid_request", NULL, NULL, 0 };

    problem.detail = apr_pstrcat(r->pool, "The query is malformed: ", wrong, ".", NULL);
    rest_problem_send(r, &problem);
    return DONE;
}

static void keep(request_rec *r, const edge_selection *selection)
{
    edge_fields *own = apr_pcalloc(r->pool, sizeof(*own));

    own->selection = selection;
    apr_pool_userdata_setn(own, key, NULL, r->pool);
}

static int fixups(request_rec *r)
{
    const char *fields = NULL, *expand = NULL, *wrong;
    const edge_selection *selection;

    /* behind an error, what there is of a query is that of a page of errors */
    if (edge_dir(r)->fields != 1 || r->main || r->method_number != M_GET || !r->args
        || ap_is_HTTP_ERROR(r->status)) {
        return DECLINED;
    }
    wrong = read_query(r, &fields, &expand);
    if (!wrong && (fields || expand)) {
        wrong = edge_selector_parse(r->pool, fields, expand, &selection);
        if (!wrong) {
            keep(r, selection);
        }
    }
    return wrong ? refuse(r, wrong) : DECLINED;
}

void edge_fields_register(apr_pool_t *p)
{
    ap_hook_fixups(fixups, NULL, NULL, APR_HOOK_MIDDLE);
}
