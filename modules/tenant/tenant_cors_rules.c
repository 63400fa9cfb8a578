/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* TenantCors…: the rules as they are read, each checked so that what is answered from them later
 * can be copied as it is. All of it runs while the configuration is read, in one thread. */
#include "tenant.h"

#include <apr_strings.h>
#include <http_protocol.h>

#include "og_number.h"

#define ORIGINS_MAX 256
#define HEADERS_MAX 64
#define MAX_AGE_MAX 86400

/* process: whether the configuration being read has CORS rules that no URL alone leads to */
static int cors_by_file;

void tenant_cors_begin(void)
{
    cors_by_file = 0;
}

int tenant_cors_by_file(void)
{
    return cors_by_file;
}

static tenant_dir_conf *rules(cmd_parms *cmd, void *conf)
{
    tenant_active(cmd);
    cors_by_file |=
        ap_check_cmd_context(cmd, NOT_IN_DIRECTORY | NOT_IN_FILES | NOT_IN_PROXY) != NULL;
    return conf;
}

/* A star means everybody: also those who got the user's cookies. */
static const char *credentials_fit(const tenant_dir_conf *conf)
{
    int i;

    for (i = 0; conf->cors_credentials == 1 && conf->cors_origins && i < conf->cors_origins->nelts;
         i++) {
        const char *text = APR_ARRAY_IDX(conf->cors_origins, i, tenant_origin).text;

        if (!strcmp(text, "*") || !strcmp(text, "null")) {
            return apr_pstrcat(conf->cors_origins->pool, "TenantCorsCredentials: expected origins "
                               "with names beside it (TenantCorsOrigins), not \"", text, "\"",
                               NULL);
        }
    }
    return NULL;
}

const char *tenant_cors_origin(cmd_parms *cmd, void *confv, const char *arg)
{
    tenant_dir_conf *conf = rules(cmd, confv);
    tenant_origin origin = { arg, NULL };

    if (!conf->cors_origins) {
        conf->cors_origins = apr_array_make(cmd->pool, 4, sizeof(tenant_origin));
    }
    if (!strcasecmp(arg, "none")) {
        return NULL;
    }
    if (strcmp(arg, "*") && strcmp(arg, "null") && !tenant_origin_parse(&origin, cmd->pool, arg)) {
        return apr_psprintf(cmd->pool, "TenantCorsOrigins: expected scheme://host[:port] without a "
                            "path, https://*.example.com, *, null or none, not \"%.80s\"", arg);
    }
    if (conf->cors_origins->nelts >= ORIGINS_MAX) {
        return apr_psprintf(cmd->pool, "TenantCorsOrigins: expected at most %d origins, not "
                            "\"%.80s\" as well", ORIGINS_MAX, arg);
    }
    APR_ARRAY_PUSH(conf->cors_origins, tenant_origin) = origin;
    return credentials_fit(conf);
}

const char *tenant_cors_credentials(cmd_parms *cmd, void *confv, int on)
{
    tenant_dir_conf *conf = rules(cmd, confv);

    conf->cors_credentials = on;
    return credentials_fit(conf);
}

int tenant_is_token(const char *text)
{
    return *text && strlen(text) <= 64 && !*ap_scan_http_token(text) && strcmp(text, "*") != 0;
}

const char *tenant_cors_method(cmd_parms *cmd, void *confv, const char *arg)
{
    tenant_dir_conf *conf = rules(cmd, confv);

    if (!tenant_is_token(arg) || ap_method_number_of(arg) == M_INVALID) {
        return apr_psprintf(cmd->pool, "TenantCorsMethods: expected methods such as GET, not "
                                       "\"%.80s\"", arg);
    }
    conf->cors_methods = conf->cors_methods
                             ? apr_pstrcat(cmd->pool, conf->cors_methods, ", ", arg, NULL) : arg;
    return NULL;
}

const char *tenant_cors_header(cmd_parms *cmd, void *confv, const char *arg)
{
    tenant_dir_conf *conf = rules(cmd, confv);

    if (!tenant_is_token(arg)) {
        return apr_psprintf(cmd->pool, "TenantCorsHeaders: expected names of request headers, not "
                                       "\"%.80s\"", arg);
    }
    if (!conf->cors_headers) {
        conf->cors_headers = apr_array_make(cmd->pool, 8, sizeof(const char *));
    }
    APR_ARRAY_PUSH(conf->cors_headers, const char *) = arg;
    return conf->cors_headers->nelts <= HEADERS_MAX ? NULL
           : apr_psprintf(cmd->pool, "TenantCorsHeaders: expected at most %d names, not \"%s\" as "
                          "well", HEADERS_MAX, arg);
}

const char *tenant_cors_expose(cmd_parms *cmd, void *confv, const char *arg)
{
    tenant_dir_conf *conf = rules(cmd, confv);

    if (!tenant_is_token(arg)) {
        return apr_psprintf(cmd->pool, "TenantCorsExpose: expected names of response headers, not "
                                       "\"%.80s\"", arg);
    }
    conf->cors_expose = conf->cors_expose
                            ? apr_pstrcat(cmd->pool, conf->cors_expose, ", ", arg, NULL) : arg;
    return NULL;
}

const char *tenant_cors_max_age(cmd_parms *cmd, void *confv, const char *arg)
{
    tenant_dir_conf *conf = rules(cmd, confv);
    const char *wrong = og_arg_int(cmd->pool, arg, 0, MAX_AGE_MAX, &conf->cors_max_age);

    return wrong ? apr_pstrcat(cmd->pool, "TenantCorsMaxAge: ", wrong, NULL) : NULL;
}
