/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Directives of mod_tenant: create, merge, set, check. Any of them makes its server active: what
 * a server with tenants must never send is stripped in all of it, not only in the location that
 * somebody remembered (tenant_egress.c). */
#include "tenant.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>

#include "og_number.h"
#include "rest_kept.h"
#include "rest_merge.h"

#define MAX_BODY_LIMIT (APR_INT64_C(1) << 40)
#define REVOCATIONS_MIN 16
#define REVOCATION_LIFE_MAX apr_time_from_sec(APR_INT64_C(366) * 86400)

static const char *const claim_words[TENANT_CLAIMS_COUNT] = { "org", "user", "role", "properties",
                                                              "session" };

/* Nothing is set. */
static const tenant_dir_conf blank = { .problem = OG_UNSET, .max_body = OG_UNSET,
                                       .cors_max_age = OG_UNSET, .cors_credentials = OG_UNSET };

void *tenant_dir_create(apr_pool_t *p, char *dir)
{
    return apr_pmemdup(p, &blank, sizeof(blank));
}

void *tenant_dir_merge(apr_pool_t *p, void *basev, void *addv)
{
    const tenant_dir_conf *base = basev, *add = addv;
    tenant_dir_conf *conf = rest_merge_one(basev, addv, &blank, sizeof(blank));
    int i;

    if (conf) {
        return conf;
    }
    conf = apr_pmemdup(p, base, sizeof(*base));
    conf->jwks = add->jwks ? add->jwks : base->jwks;
    conf->secrets = add->secrets ? add->secrets : base->secrets;
    conf->issuer = add->issuer ? add->issuer : base->issuer;
    conf->audiences = add->audiences ? add->audiences : base->audiences;
    for (i = 0; i < TENANT_CLAIMS_COUNT; i++) {
        conf->claims[i] = add->claims[i] ? add->claims[i] : base->claims[i];
    }
    conf->all_properties_roles = add->all_properties_roles ? add->all_properties_roles
                                                           : base->all_properties_roles;
    for (i = 0; i < TENANT_EXTERNAL_COUNT; i++) {
        conf->external[i] = add->external[i] ? add->external[i] : base->external[i];
    }
    conf->problem = (int)og_set_or(add->problem, base->problem);
    conf->problem_base = add->problem_base ? add->problem_base : base->problem_base;
    conf->max_body = og_set_or(add->max_body, base->max_body);
    for (i = 0; i < TENANT_FORWARD_COUNT; i++) {
        conf->forward[i] = add->forward[i] ? add->forward[i] : base->forward[i];
    }
    conf->cors_origins = add->cors_origins ? add->cors_origins : base->cors_origins;
    conf->cors_methods = add->cors_methods ? add->cors_methods : base->cors_methods;
    conf->cors_headers = add->cors_headers ? add->cors_headers : base->cors_headers;
    conf->cors_expose = add->cors_expose ? add->cors_expose : base->cors_expose;
    conf->cors_max_age = og_set_or(add->cors_max_age, base->cors_max_age);
    conf->cors_credentials = (int)og_set_or(add->cors_credentials, base->cors_credentials);
    return conf;
}

void *tenant_server_create(apr_pool_t *p, server_rec *s)
{
    tenant_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->revocations = OG_UNSET;
    conf->revocation_life = OG_UNSET;
    return conf;
}

void *tenant_server_merge(apr_pool_t *p, void *basev, void *addv)
{
    const tenant_server_conf *base = basev, *add = addv;
    tenant_server_conf *conf = apr_pmemdup(p, base, sizeof(*base));

    conf->active = base->active || add->active;
    conf->verifies = base->verifies || add->verifies;
    conf->trusted = add->trusted ? add->trusted : base->trusted;
    if (add->secret) {
        conf->secret = add->secret;
        conf->previous = add->previous;
    }
    conf->revocations = og_set_or(add->revocations, base->revocations);
    conf->revocation_life = og_set_or(add->revocation_life, base->revocation_life);
    return conf;
}

const tenant_dir_conf *tenant_dir_get(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &tenant_module);
}

const tenant_server_conf *tenant_server_get(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &tenant_module);
}

tenant_server_conf *tenant_active(cmd_parms *cmd)
{
    tenant_server_conf *conf = ap_get_module_config(cmd->server->module_config, &tenant_module);

    conf->active = 1;
    return conf;
}

/* Push a value to a list that is made by its first. */
static void push_text(cmd_parms *cmd, apr_array_header_t **list, const char *text)
{
    if (!*list) {
        *list = apr_array_make(cmd->pool, 2, sizeof(const char *));
    }
    APR_ARRAY_PUSH(*list, const char *) = text;
}

/* Secrets as editors and echo write them */
static const rest_kept_shape secret_line = { TENANT_SECRET_MIN, 1 };
static const rest_kept_shape key_line = { TENANT_KEY_SECRET_MIN, 1 };

static const char *set_jwks(cmd_parms *cmd, void *conf, const char *arg)
{
    const char *path, *wrong = rest_kept_path(cmd, arg, &path);

    tenant_active(cmd)->verifies = 1;
    if (!wrong) {
        wrong = tenant_keys_open(&((tenant_dir_conf *)conf)->jwks, cmd->pool, cmd->server, path);
        wrong = wrong ? apr_pstrcat(cmd->pool, "TenantJWKS: ", wrong, NULL) : NULL;
    }
    return wrong;
}

static const char *set_secret(cmd_parms *cmd, void *confv, const char *name, const char *file,
                              const char *alg)
{
    tenant_dir_conf *conf = confv;
    const char *bytes, *wrong;
    apr_size_t len;

    tenant_active(cmd)->verifies = 1;
    wrong = rest_kept_secret(cmd, file, &secret_line, &bytes, &len);
    if (wrong) {
        return wrong;
    }
    if (!conf->secrets) {
        conf->secrets = tenant_keyset_make(cmd->pool);
    }
    wrong = tenant_keyset_add_secret(conf->secrets, cmd->pool, name, alg ? alg : "HS256", bytes,
                                     len);
    return wrong ? apr_pstrcat(cmd->pool, "TenantSecret: ", wrong, NULL) : NULL;
}

static const char *set_issuer(cmd_parms *cmd, void *conf, const char *arg)
{
    tenant_active(cmd);
    ((tenant_dir_conf *)conf)->issuer = arg;
    return NULL;
}

static const char *add_audience(cmd_parms *cmd, void *conf, const char *arg)
{
    tenant_active(cmd);
    push_text(cmd, &((tenant_dir_conf *)conf)->audiences, arg);
    return NULL;
}

static const char *set_claim(cmd_parms *cmd, void *conf, const char *word, const char *name)
{
    int i;

    tenant_active(cmd);
    for (i = 0; i < TENANT_CLAIMS_COUNT; i++) {
        if (!strcmp(claim_words[i], word)) {
            ((tenant_dir_conf *)conf)->claims[i] = name;
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool, "TenantClaim: expected org, user, role, properties or session, "
                                   "not \"%.40s\"", word);
}

static const char *add_all_properties_role(cmd_parms *cmd, void *confv, const char *arg)
{
    tenant_dir_conf *conf = confv;

    tenant_active(cmd);
    if (!tenant_role_ok(arg)) {
        return apr_psprintf(cmd->pool, "TenantAllPropertiesRoles: expected names of roles, or "
                                       "none, not \"%.80s\"", arg);
    }
    push_text(cmd, &conf->all_properties_roles, arg);
    return NULL;
}

/* process: which of them the configuration being read has, a bit each */
static unsigned int external_seen;

/* TenantOrg and its siblings; cmd->info says which. */
static const char *set_external(cmd_parms *cmd, void *conf, const char *arg)
{
    const ap_expr_info_t **expr = &((tenant_dir_conf *)conf)->external[(apr_size_t)cmd->info];
    const char *wrong = NULL;

    tenant_active(cmd);
    external_seen |= 1U << (apr_size_t)cmd->info;
    *expr = ap_expr_parse_cmd(cmd, arg, AP_EXPR_FLAG_STRING_RESULT, &wrong, NULL);
    return wrong || !*arg ? apr_psprintf(cmd->pool, "%s: expected an expression such as "
                                         "\"%%{env:OAUTH2_CLAIM_x}\", not \"%.80s\"%s%s",
                                         cmd->cmd->name, arg, wrong ? ": " : "", wrong ? wrong : "")
                          : NULL;
}

static const char *set_problem(cmd_parms *cmd, void *conf, int on)
{
    tenant_active(cmd);
    ((tenant_dir_conf *)conf)->problem = on;
    return NULL;
}

static const char *set_problem_base(cmd_parms *cmd, void *conf, const char *arg)
{
    const char *c;

    tenant_active(cmd);
    for (c = arg; *c && apr_isgraph(*c) && *c != '"' && *c != '\\'; c++) {
    }
    if (c == arg || *c || c[-1] != '/') {
        return apr_psprintf(cmd->pool, "TenantProblemBase: expected a path or URL that ends in /, "
                                       "not \"%.80s\"", arg);
    }
    ((tenant_dir_conf *)conf)->problem_base = arg;
    return NULL;
}

static const char *set_max_body(cmd_parms *cmd, void *conf, const char *arg)
{
    const char *wrong = og_arg_size(cmd->pool, arg, 1, MAX_BODY_LIMIT,
                                    &((tenant_dir_conf *)conf)->max_body);

    tenant_active(cmd);
    return wrong ? apr_pstrcat(cmd->pool, "TenantMaxBody: ", wrong, NULL) : NULL;
}

static const char *set_key_secret(cmd_parms *cmd, void *dummy, const char *current,
                                  const char *previous)
{
    const char *args[2] = { current, previous };
    tenant_secret *made[2] = { NULL, NULL };
    tenant_server_conf *conf = tenant_active(cmd);
    int i;

    for (i = 0; i < 2 && args[i]; i++) {
        const char *wrong;

        made[i] = apr_pcalloc(cmd->pool, sizeof(*made[i]));
        wrong = rest_kept_secret(cmd, args[i], &key_line, &made[i]->bytes, &made[i]->len);
        if (wrong) {
            return wrong;
        }
    }
    conf->secret = made[0];
    conf->previous = made[1];
    return NULL;
}

static const char *add_trusted_edge(cmd_parms *cmd, void *dummy, const char *arg)
{
    tenant_server_conf *conf = tenant_active(cmd);
    char *address = apr_pstrdup(cmd->pool, arg), *mask = strchr(address, '/');
    tenant_edge edge;

    if (!conf->trusted) {
        conf->trusted = apr_array_make(cmd->pool, 4, sizeof(tenant_edge));
    }
    if (!strcasecmp(arg, "none")) {
        return NULL;
    }
    if (mask) {
        *mask++ = '\0';
    }
    edge.text = arg;
    /* names would be looked up, and whoever answers for them would be trusted: addresses only */
    if (strspn(address, "0123456789abcdefABCDEF.:") != strlen(address)
        || apr_ipsubnet_create(&edge.subnet, address, mask, cmd->pool) != APR_SUCCESS) {
        return apr_psprintf(cmd->pool, "TenantTrustedEdge: expected an address such as 10.1.2.3, "
                                       "10.0.0.0/8 or fd00::/8, or none, not \"%.80s\"", arg);
    }
    APR_ARRAY_PUSH(conf->trusted, tenant_edge) = edge;
    return NULL;
}

/* One table serves all servers. */
static const char *main_server(cmd_parms *cmd, const char *wrong)
{
    const char *context = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (context) {
        return context;
    }
    return wrong ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", wrong, NULL) : NULL;
}

static const char *set_revocations(cmd_parms *cmd, void *dummy, const char *arg)
{
    return main_server(cmd, og_arg_int(cmd->temp_pool, arg, REVOCATIONS_MIN, TENANT_REVOCATIONS_MAX,
                                       &tenant_active(cmd)->revocations));
}

static const char *set_revocation_life(cmd_parms *cmd, void *dummy, const char *arg)
{
    return main_server(cmd, og_arg_span(cmd->temp_pool, arg, apr_time_from_sec(1),
                                        REVOCATION_LIFE_MAX, &tenant_active(cmd)->revocation_life));
}

static int same_trust(const tenant_server_conf *a, const tenant_server_conf *b)
{
    int a_count = a->trusted ? a->trusted->nelts : 0, b_count = b->trusted ? b->trusted->nelts : 0;
    int i, j;

    if (a_count != b_count) {
        return 0;
    }
    for (i = 0; i < a_count; i++) {
        const char *text = APR_ARRAY_IDX(a->trusted, i, tenant_edge).text;

        for (j = 0; j < b_count && strcmp(APR_ARRAY_IDX(b->trusted, j, tenant_edge).text, text);
             j++) {
        }
        if (j == b_count) {
            return 0;
        }
    }
    return 1;
}

/* Whether both answer at one address:port, which of them being the Host header's choice. */
static const server_addr_rec *shared_address(const server_rec *a, const server_rec *b)
{
    const server_addr_rec *x, *y;

    for (x = a->addrs; x; x = x->next) {
        for (y = b->addrs; y; y = y->next) {
            if (x->host_port == y->host_port && apr_sockaddr_equal(x->host_addr, y->host_addr)) {
                return x;
            }
        }
    }
    return NULL;
}

/* A configuration is read anew at each reload. */
int tenant_config_begin(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    external_seen = 0;
    tenant_cors_begin();
    tenant_forward_begin(pconf);
    return OK;
}

int tenant_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main)
{
    const unsigned int both = 1U << TENANT_EXTERNAL_ORG | 1U << TENANT_EXTERNAL_USER;
    const server_rec *a, *b;

    if (external_seen && (external_seen & both) != both) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, main,
                     OGLOGNO(1016) "%s: expected both, so that the callers of another "
                     "authentication module can be told apart",
                     external_seen & 1U << TENANT_EXTERNAL_ORG ? "TenantOrg without TenantUser"
                                                               : "TenantUser, TenantRole, "
                                                                 "TenantProperties or "
                                                                 "TenantExpires without TenantOrg");
        return !OK;
    }
    for (a = main->next; a; a = a->next) {
        for (b = a->next; b; b = b->next) {
            const server_addr_rec *shared = shared_address(a, b);

            if (shared && !same_trust(tenant_server_get(a), tenant_server_get(b))) {
                ap_log_error(APLOG_MARK, APLOG_CRIT, 0, main,
                             OGLOGNO(1003) "the virtual hosts %s (line %u) and %s (line %u) share "
                             "%s:%d but trust different edges: expected the same "
                             "TenantTrustedEdge, or an address of its own for each",
                             a->server_hostname, a->defn_line_number, b->server_hostname,
                             b->defn_line_number, shared->virthost, shared->host_port);
                return !OK;
            }
        }
    }
    for (a = main; a; a = a->next) {
        const tenant_server_conf *conf = tenant_server_get(a);

        if (conf->verifies && !conf->secret
            && ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, main,
                         OGLOGNO(1004) "%s: partition keys are unkeyed hashes that anyone can "
                         "compute (TenantKeySecret)",
                         a->server_hostname ? a->server_hostname : "the main server");
            break; /* once is enough to be read */
        }
    }
    return OK;
}

#define HERE (RSRC_CONF | ACCESS_CONF)

const command_rec tenant_cmds[] = {
    AP_INIT_TAKE1("TenantJWKS", set_jwks, NULL, HERE, "file:PATH of the keys that verify tokens"),
    AP_INIT_TAKE23("TenantSecret", set_secret, NULL, HERE,
                   "Name and file:PATH of a shared secret, and HS256 (default), HS384 or HS512"),
    AP_INIT_TAKE1("TenantIssuer", set_issuer, NULL, HERE, "What a token's iss must be"),
    AP_INIT_ITERATE("TenantAudience", add_audience, NULL, HERE,
                    "What a token's aud must contain, one of several"),
    AP_INIT_TAKE2("TenantClaim", set_claim, NULL, HERE,
                  "org, user, role, properties or session, and the name of its claim"),
    AP_INIT_ITERATE("TenantAllPropertiesRoles", add_all_properties_role, NULL, HERE,
                    "Roles that hold all properties when a token does not list any, or none"),
    AP_INIT_TAKE1("TenantOrg", set_external, (void *)TENANT_EXTERNAL_ORG, HERE,
                  "Expression for the organisation of who another module authenticated"),
    AP_INIT_TAKE1("TenantUser", set_external, (void *)TENANT_EXTERNAL_USER, HERE,
                  "Expression for the user of who another module authenticated"),
    AP_INIT_TAKE1("TenantRole", set_external, (void *)TENANT_EXTERNAL_ROLE, HERE,
                  "Expression for the role of who another module authenticated"),
    AP_INIT_TAKE1("TenantProperties", set_external, (void *)TENANT_EXTERNAL_PROPERTIES, HERE,
                  "Expression for the properties granted to who another module authenticated"),
    AP_INIT_TAKE1("TenantExpires", set_external, (void *)TENANT_EXTERNAL_EXPIRES, HERE,
                  "Expression for when that ends, in seconds since 1970"),
    AP_INIT_FLAG("TenantProblem", set_problem, NULL, HERE,
                 "On to send problem+json in place of the server's own error pages"),
    AP_INIT_TAKE1("TenantProblemBase", set_problem_base, NULL, HERE,
                  "What stands before a problem's code in its type"),
    AP_INIT_TAKE1("TenantMaxBody", set_max_body, NULL, HERE, "Bytes a request body may have"),
    AP_INIT_TAKE12("TenantForward", tenant_forward_set, NULL, HERE,
                   "org, user, role, properties, session or expires, and the request header that "
                   "tells it to a backend"),
    AP_INIT_ITERATE("TenantCorsOrigins", tenant_cors_origin, NULL, HERE,
                    "Origins whose pages may ask, or none"),
    AP_INIT_ITERATE("TenantCorsMethods", tenant_cors_method, NULL, HERE,
                    "Methods that they may use"),
    AP_INIT_ITERATE("TenantCorsHeaders", tenant_cors_header, NULL, HERE,
                    "Request headers that they may send"),
    AP_INIT_ITERATE("TenantCorsExpose", tenant_cors_expose, NULL, HERE,
                    "Response headers that they may read besides ours"),
    AP_INIT_TAKE1("TenantCorsMaxAge", tenant_cors_max_age, NULL, HERE,
                  "Seconds for which a browser need not ask again, 0 to 86400"),
    AP_INIT_FLAG("TenantCorsCredentials", tenant_cors_credentials, NULL, HERE,
                 "On to let them send cookies"),
    AP_INIT_TAKE12("TenantKeySecret", set_key_secret, NULL, RSRC_CONF,
                   "file:PATH of the secret of partition keys, and of the one before"),
    AP_INIT_ITERATE("TenantTrustedEdge", add_trusted_edge, NULL, RSRC_CONF,
                    "Addresses of peers that get internal headers, or none"),
    AP_INIT_TAKE1("TenantRevocations", set_revocations, NULL, RSRC_CONF,
                  "How many revocations are kept one by one"),
    AP_INIT_TAKE1("TenantRevocationLife", set_revocation_life, NULL, RSRC_CONF,
                  "For how long each is: as long as tokens live"),
    { NULL }
};
