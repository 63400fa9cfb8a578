/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Cross-origin requests (P§4, http-semantics.md 2, the Fetch standard): which pages may ask, and
 * what they may read.
 *
 * A preflight is answered before anybody else sees it: in translate_name, before rewrite rules,
 * aliases and redirects, where the rules of its URL are known by then; else in header_parser, the
 * first hook that knows all sections. Neither authentication nor a handler nor a backend is asked.
 * Every other answer gets its headers from TENANT_EGRESS, behind mod_cache, which so never stores
 * what was said to one origin, and behind all that makes errors.
 */
#include "tenant.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>

#include "og_number.h"

static const char *const default_headers[] = {
    "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-Modified-Since",
    "If-None-Match", "If-Range", "If-Unmodified-Since", "Range", "Realtime-Tab", "Traceparent"
};
#define DEFAULT_HEADERS ((int)(sizeof(default_headers) / sizeof(default_headers[0])))
#define DEFAULT_METHODS "GET, HEAD, POST, PUT, PATCH, DELETE"
/* P§4: two hours */
#define DEFAULT_MAX_AGE 7200

/* process: what pages may read of answers, by the modules that send it; filled when modules are
 * loaded, read-only after that */
#define EXPOSED_MAX 64
static const char *exposed[EXPOSED_MAX];
static int exposed_count;

static void tenant_exposes(const char *header)
{
    int i;

    for (i = 0; i < exposed_count; i++) {
        if (!strcasecmp(exposed[i], header)) {
            return;
        }
    }
    if (exposed_count < EXPOSED_MAX) {
        exposed[exposed_count++] = header;
    }
}

static int is_on(const tenant_dir_conf *conf)
{
    return conf && conf->cors_origins && conf->cors_origins->nelts > 0;
}

/* The rules of the URL that the client asked for, where it has some; else of what httpd made of it
 * (a rewrite rule, an ErrorDocument). NULL: no CORS here. */
static const tenant_dir_conf *rules_of(const request_rec *r)
{
    const request_rec *first = r;
    const tenant_dir_conf *conf;

    while (first->prev) {
        first = first->prev;
    }
    conf = tenant_request_of(first)->cors;
    if (!conf) {
        conf = tenant_dir_get(first);
    }
    if (!is_on(conf)) {
        conf = tenant_dir_get(r);
    }
    return is_on(conf) ? conf : NULL;
}

/* What to say to a browser that sends this Origin, or NULL. "null" is every sandboxed page and
 * every local file: no star stands for it. */
static const char *allowed_origin(const tenant_dir_conf *conf, const char *sent)
{
    const apr_array_header_t *origins = conf->cors_origins;
    int i;

    if (!sent || strlen(sent) > TENANT_ORIGIN_MAX) {
        return NULL;
    }
    for (i = 0; i < origins->nelts; i++) {
        const tenant_origin *origin = &APR_ARRAY_IDX(origins, i, tenant_origin);

        if (!strcmp(origin->text, "*") ? strcmp(sent, "null") != 0
                                       : tenant_origin_is(origin, sent)) {
            return origin->suffix ? sent : origin->text;
        }
    }
    return NULL;
}

static int is_preflight(const request_rec *r)
{
    return r->method_number == M_OPTIONS && !r->main && !r->prev
           && apr_table_get(r->headers_in, "Origin")
           && apr_table_get(r->headers_in, "Access-Control-Request-Method");
}

/* Ends the request: DONE in place of the hook's own answer. */
static int answer(request_rec *r)
{
    tenant_request_of(r)->preflight = 1;
    r->status = HTTP_NO_CONTENT;
    r->status_line = NULL;
    /* no browser sends a body with it, and nobody waits for one: the connection ends instead */
    if (ap_request_has_body(r)) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    return DONE;
}

/* translate_name: which location the URL is in is known, which files it stands for is not. */
static int answer_by_url(request_rec *r)
{
    const tenant_dir_conf *conf = tenant_dir_get(r);

    if (r->main || r->prev || tenant_cors_by_file() || !is_on(conf)) {
        return DECLINED;
    }
    tenant_request_of(r)->cors = conf;
    return is_preflight(r) ? answer(r) : DECLINED;
}

static int answer_preflight(request_rec *r)
{
    return is_preflight(r) && rules_of(r) ? answer(r) : DECLINED;
}

static int is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* Whether a comma-separated list has a name. (ap_find_token takes "auth" for "Authorization".) */
static int lists(const char *list, const char *name)
{
    const apr_size_t len = strlen(name);

    while (*list) {
        const char *end, *next = list;

        while (*next && *next != ',') {
            next++;
        }
        for (end = next; end > list && is_blank(end[-1]); end--) {
        }
        while (list < end && is_blank(*list)) {
            list++;
        }
        if ((apr_size_t)(end - list) == len && !strncasecmp(list, name, len)) {
            return 1;
        }
        list = *next ? next + 1 : next;
    }
    return 0;
}

/* Whether a Vary of a table names a field: there may be several lines, and httpd joins them. */
static int varies(const apr_table_t *headers, const char *field)
{
    const apr_array_header_t *lines = apr_table_elts(headers);
    const apr_table_entry_t *line = (const apr_table_entry_t *)lines->elts;
    int i;

    for (i = 0; i < lines->nelts; i++) {
        if (!strcasecmp(line[i].key, "Vary") && lists(line[i].val, field)) {
            return 1;
        }
    }
    return 0;
}

static void vary(request_rec *r, const char *field)
{
    if (!varies(r->headers_out, field) && !varies(r->err_headers_out, field)) {
        apr_table_mergen(r->headers_out, "Vary", field);
    }
}

/* Of the names that are asked for those that are allowed, each once and in our own spelling. */
static const char *allowed_headers(request_rec *r, const tenant_dir_conf *conf)
{
    const char *asked = apr_table_get(r->headers_in, "Access-Control-Request-Headers");
    const char *const *names = conf->cors_headers ? (const char *const *)conf->cors_headers->elts
                                                  : default_headers;
    int i, count = conf->cors_headers ? conf->cors_headers->nelts : DEFAULT_HEADERS;
    const char *list = NULL;

    for (i = 0; asked && i < count; i++) {
        if (lists(asked, names[i])) {
            list = list ? apr_pstrcat(r->pool, list, ", ", names[i], NULL) : names[i];
        }
    }
    return list;
}

static void say_preflight(request_rec *r, const tenant_dir_conf *conf)
{
    const char *headers = allowed_headers(r, conf);

    tenant_say(r, "Access-Control-Allow-Methods",
               conf->cors_methods ? conf->cors_methods : DEFAULT_METHODS);
    if (headers) {
        tenant_say(r, "Access-Control-Allow-Headers", headers);
    }
    tenant_say(r, "Access-Control-Max-Age",
               apr_off_t_toa(r->pool, og_set_or(conf->cors_max_age, DEFAULT_MAX_AGE)));
}

/* The whole list each time, not what this answer has of it: a 304 renews what a browser kept of the
 * answer before it. */
static void say_exposed(request_rec *r, const tenant_dir_conf *conf)
{
    const char *list = conf->cors_expose;
    int i;

    for (i = 0; i < exposed_count; i++) {
        list = list ? apr_pstrcat(r->pool, list, ", ", exposed[i], NULL) : exposed[i];
    }
    tenant_say(r, "Access-Control-Expose-Headers", list);
}

void tenant_cors_finish(request_rec *r)
{
    static const char *const ours[] = {
        "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
        "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age",
        "Access-Control-Expose-Headers", "Access-Control-Allow-Private-Network", NULL
    };
    const tenant_dir_conf *conf = rules_of(r);
    int i, preflight = tenant_request_of(r)->preflight;
    const char *origin;

    if (!conf) {
        return;
    }
    for (i = 0; ours[i]; i++) {
        tenant_drop(r, ours[i]); /* a backend's own: one voice only */
    }
    vary(r, "Origin");
    if (preflight) {
        vary(r, "Access-Control-Request-Method");
        vary(r, "Access-Control-Request-Headers");
    }
    origin = allowed_origin(conf, apr_table_get(r->headers_in, "Origin"));
    if (!origin) {
        return;
    }
    tenant_say(r, "Access-Control-Allow-Origin", origin);
    if (conf->cors_credentials == 1 && strcmp(origin, "*") != 0) {
        tenant_say(r, "Access-Control-Allow-Credentials", "true");
    }
    if (preflight) {
        say_preflight(r, conf);
    }
    else {
        say_exposed(r, conf);
    }
}

void tenant_cors_register(apr_pool_t *p)
{
    exposed_count = 0; /* a module may stay loaded over a reload */
    tenant_exposes("Allow");
    tenant_exposes("ETag");
    tenant_exposes("Location");
    tenant_exposes("Retry-After");
    tenant_exposes("WWW-Authenticate");
    tenant_exposes("X-Request-Id");
    ap_hook_translate_name(answer_by_url, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_header_parser(answer_preflight, NULL, NULL, APR_HOOK_REALLY_FIRST);
    APR_REGISTER_OPTIONAL_FN(tenant_exposes);
}
