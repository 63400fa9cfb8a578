/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The handler "tenant-revoke": an admin ends a session, or all of a user's (decisions.md 4). It
 * asks for the role itself, whatever the location requires: who may do this can shut
 * anybody out. */
#include "tenant.h"

#include <apr_strings.h>
#include <http_protocol.h>

#include "og_clock.h"
#include "og_json.h"
#include "og_number.h"
#include "rest_body.h"
#include "rest_problem.h"

#define HANDLER  "tenant-revoke"
#define BODY_MAX 4096

static int refuse(request_rec *r, int status, const char *code, const char *detail,
                  const char *details)
{
    rest_problem problem = { status, code, detail, details,
                             status == HTTP_SERVICE_UNAVAILABLE ? 1 : 0 };

    return rest_problem_send(r, &problem);
}

static int invalid(request_rec *r, const char *detail)
{
    return refuse(r, HTTP_BAD_REQUEST, "invalid_request", detail, NULL);
}

/* A member that is misspelt and ignored would end more sessions than was meant. */
static int has_unknown_member(json_t *value)
{
    static const char *const names[] = { "orgId", "userId", "sessionId", "issuedBefore", NULL };
    void *at = json_object_iter(value);

    for (; at; at = json_object_iter_next(value, at)) {
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

static int id_of(const json_t *value, apr_int64_t *id)
{
    *id = (apr_int64_t)json_integer_value(value);
    return json_is_integer(value) && *id >= 1 && *id <= OG_ID_MAX;
}

/* Seconds since 1970, as a token's iat: from 1 to what a token of now may say. */
static int time_of(const json_t *value, apr_time_t *time)
{
    json_int_t seconds = json_integer_value(value);

    if (!json_is_integer(value) || seconds < 1
        || seconds > apr_time_sec(og_clock_wall()) + TENANT_SKEW_SECONDS) {
        return 0;
    }
    *time = apr_time_from_sec(seconds);
    return 1;
}

/* NULL, or what is wrong with the body. */
static const char *read_body(json_t *body, tenant_revocation *what)
{
    const json_t *org = json_object_get(body, "orgId"), *user = json_object_get(body, "userId");
    const json_t *session = json_object_get(body, "sessionId");
    const json_t *before = json_object_get(body, "issuedBefore");

    memset(what, 0, sizeof(*what));
    if (!json_is_object(body) || has_unknown_member(body)) {
        return "The body takes orgId, userId, sessionId and issuedBefore.";
    }
    if (!json_is_null(org) && !id_of(org, &what->org)) {
        return "orgId must be the id of an organisation, or null for callers of none.";
    }
    if (!user == !session) {
        return "One of userId and sessionId must be there.";
    }
    if (user && !id_of(user, &what->user)) {
        return "userId must be the id of a user.";
    }
    what->session = json_string_value(session);
    if (session && (!what->session || !tenant_session_ok(what->session))) {
        return "sessionId must be 1 to 128 visible ASCII characters.";
    }
    if (before && !time_of(before, &what->issued_before)) {
        return "issuedBefore must be in seconds since 1970, and not in the future.";
    }
    return NULL;
}

static int carry_out(request_rec *r, const tenant_identity *caller, const tenant_revocation *what)
{
    APR_OPTIONAL_FN_TYPE(tenant_session_revoke) *session_revoke =
        APR_RETRIEVE_OPTIONAL_FN(tenant_session_revoke);

    if (session_revoke(what) != APR_SUCCESS) {
        return refuse(r, HTTP_SERVICE_UNAVAILABLE, "upstream_unavailable",
                      "Nothing was revoked. Please try again.", NULL);
    }
    ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r, OGLOGNO(1033)
                  "revoked by user %" APR_INT64_T_FMT ": orgId=%" APR_INT64_T_FMT
                  " userId=%" APR_INT64_T_FMT " sessionId=%s issuedBefore=%" APR_TIME_T_FMT,
                  caller->user, what->org, what->user, what->session ? what->session : "-",
                  apr_time_sec(what->issued_before));
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    r->status = HTTP_NO_CONTENT;
    return OK;
}

/* 1, or 0: the handler does not serve this one, and returns *result. */
static int admit(request_rec *r, const tenant_identity *caller, int *result)
{
    if (r->method_number != M_POST) {
        apr_table_setn(r->headers_out, "Allow", "POST");
        *result = refuse(r, HTTP_METHOD_NOT_ALLOWED, "method_not_allowed",
                         "This resource takes POST.", NULL);
        return 0;
    }
    if (!caller) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, OGLOGNO(1034)
                      "%s is served without a verified caller: refused (AuthType "
                      TENANT_AUTH_TYPE ")", r->uri);
        apr_table_setn(r->headers_out, "WWW-Authenticate", "Bearer");
        *result = refuse(r, HTTP_UNAUTHORIZED, "unauthenticated",
                         "This resource needs a verified caller.", "{\"reason\":\"missing\"}");
        return 0;
    }
    if (strcmp(caller->role, "admin") != 0) {
        *result = refuse(r, HTTP_FORBIDDEN, "forbidden", "Only an admin may revoke.",
                         "{\"reason\":\"role\"}");
        return 0;
    }
    return 1;
}

static int handler(request_rec *r)
{
    const tenant_identity *caller = tenant_identity_get(r);
    apr_size_t max = tenant_max_body(r), len;
    const char *text, *why = NULL;
    rest_problem problem = { 0 };
    tenant_revocation what;
    json_t *body;
    int result;

    if (!r->handler || strcmp(r->handler, HANDLER) != 0) {
        return DECLINED;
    }
    if (!admit(r, caller, &result)) {
        return result;
    }
    if (!rest_body_read(r, "application/json", max < BODY_MAX ? max : BODY_MAX, &text, &len,
                        &problem)) {
        return rest_problem_send(r, &problem);
    }
    body = og_json_load(r->pool, text, len, &why);
    if (!body) {
        return invalid(r, apr_psprintf(r->pool, "The body is %s.", why));
    }
    why = read_body(body, &what);
    return why ? invalid(r, why) : carry_out(r, caller, &what);
}

static void retrieve(void)
{
    APR_OPTIONAL_FN_TYPE(tenant_serves) *serves = APR_RETRIEVE_OPTIONAL_FN(tenant_serves);

    serves(HANDLER);
}

void tenant_revoke_handler_register(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
