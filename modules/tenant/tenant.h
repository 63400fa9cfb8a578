/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Private to modules/tenant: what its httpd-side files share. */
#ifndef TENANT_H
#define TENANT_H

#include <httpd.h>
#include <ap_expr.h>
#include <http_config.h>
#include <http_log.h>

#include "mod_tenant.h"
#include "og_log.h"
#include "tenant_key.h"
#include "tenant_keys.h"
#include "tenant_origin.h"
#include "tenant_revocations.h"
#include "tenant_token.h"

extern module AP_MODULE_DECLARE_DATA tenant_module;
APLOG_USE_MODULE(tenant);

/** An entry of TenantTrustedEdge. */
typedef struct tenant_edge {
    const char *text;         /**< as written: two servers' lists are compared by it */
    apr_ipsubnet_t *subnet;
} tenant_edge;

/** pool: pconf. Read-only once the configuration is read. */
typedef struct tenant_server_conf {
    int active;                     /**< some Tenant directive stands in this server */
    int verifies;                   /**< … and one of them gives keys for tokens */
    apr_array_header_t *trusted;    /**< tenant_edge; NULL: unset */
    const tenant_secret *secret;    /**< TenantKeySecret: NULL: unset */
    const tenant_secret *previous;
    apr_int64_t revocations;        /**< the main server's: TenantRevocations; OG_UNSET */
    apr_interval_time_t revocation_life; /**< … TenantRevocationLife; OG_UNSET */
} tenant_server_conf;

#define TENANT_REVOCATIONS_DEFAULT     65536
#define TENANT_REVOCATION_LIFE_DEFAULT apr_time_from_sec(86400)

/** The directives that take an identity from another authentication module. */
typedef enum tenant_external {
    TENANT_EXTERNAL_ORG,
    TENANT_EXTERNAL_USER,
    TENANT_EXTERNAL_ROLE,
    TENANT_EXTERNAL_PROPERTIES,
    TENANT_EXTERNAL_EXPIRES,
    TENANT_EXTERNAL_COUNT
} tenant_external;

/** What TenantForward tells a backend of who calls. */
typedef enum tenant_forward {
    TENANT_FORWARD_ORG,
    TENANT_FORWARD_USER,
    TENANT_FORWARD_ROLE,
    TENANT_FORWARD_PROPERTIES,
    TENANT_FORWARD_SESSION,
    TENANT_FORWARD_EXPIRES,
    TENANT_FORWARD_COUNT
} tenant_forward;

/** pool: pconf, or a request's when it is merged there. Read-only. */
typedef struct tenant_dir_conf {
    tenant_keys *jwks;                      /**< NULL: unset */
    tenant_keyset *secrets;                 /**< NULL: unset */
    const char *issuer;
    apr_array_header_t *audiences;          /**< const char *; NULL: unset */
    const char *claims[TENANT_CLAIMS_COUNT];
    apr_array_header_t *all_properties_roles;
    const ap_expr_info_t *external[TENANT_EXTERNAL_COUNT]; /**< NULL: unset */
    int problem;                            /**< OG_UNSET: where callers are verified; 0, 1 */
    const char *problem_base;
    apr_int64_t max_body;                   /**< OG_UNSET */
    const char *forward[TENANT_FORWARD_COUNT]; /**< names of headers; NULL: unset, "": none */
    apr_array_header_t *cors_origins;       /**< tenant_origin; NULL: unset, empty: none */
    const char *cors_methods;               /**< a list as it is sent; NULL: unset */
    apr_array_header_t *cors_headers;       /**< const char *; NULL: unset */
    const char *cors_expose;                /**< a list as it is sent; NULL: unset */
    apr_int64_t cors_max_age;               /**< seconds; OG_UNSET */
    int cors_credentials;                   /**< OG_UNSET; 0, 1 */
} tenant_dir_conf;

/** What we know about one request_rec. r: its own, from r->pool. */
typedef struct tenant_request {
    const char *id;                     /**< of the initial request only */
    const tenant_identity *identity;    /**< NULL: nobody verified here */
    tenant_reason reason;               /**< why check_authn refused; TENANT_OK: it didn't */
    const char *denied;                 /**< which Require refused: "org", "role", "property" */
    const tenant_dir_conf *cors;        /**< CORS rules of the URL that was asked for, or NULL */
    int preflight;                      /**< a CORS preflight, answered by us */
    int early;                          /**< a trusted edge says that it came as early data */
} tenant_request;

/* tenant_config.c */
extern const command_rec tenant_cmds[];
void *tenant_dir_create(apr_pool_t *p, char *dir);
void *tenant_dir_merge(apr_pool_t *p, void *base, void *add);
void *tenant_server_create(apr_pool_t *p, server_rec *s);
void *tenant_server_merge(apr_pool_t *p, void *base, void *add);
const tenant_dir_conf *tenant_dir_get(const request_rec *r);
const tenant_server_conf *tenant_server_get(const server_rec *s);
int tenant_config_begin(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp);
int tenant_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

/* tenant_request.c */
tenant_request *tenant_request_of(const request_rec *r);      /**< made when it is not there */
const char *tenant_request_id(const request_rec *r);
const char *tenant_problem_base(const request_rec *r);
apr_size_t tenant_max_body(const request_rec *r);
void tenant_request_register(apr_pool_t *p);

/** The server's record, marked as one with tenants. */
tenant_server_conf *tenant_active(cmd_parms *cmd);

/* tenant_cors_rules.c: directives, and what is known once all are read */
const char *tenant_cors_origin(cmd_parms *cmd, void *conf, const char *arg);
const char *tenant_cors_method(cmd_parms *cmd, void *conf, const char *arg);
const char *tenant_cors_header(cmd_parms *cmd, void *conf, const char *arg);
const char *tenant_cors_expose(cmd_parms *cmd, void *conf, const char *arg);
const char *tenant_cors_max_age(cmd_parms *cmd, void *conf, const char *arg);
const char *tenant_cors_credentials(cmd_parms *cmd, void *conf, int on);
void tenant_cors_begin(void);
/** Whether some section that no URL alone leads to (Directory, Files, If, Proxy) has CORS rules. */
int tenant_cors_by_file(void);
/** RFC 9110 5.6.2: a method or the name of a header, of at most 64 characters, and no star. */
int tenant_is_token(const char *text);

/* tenant_edge.c */
/** What leaves only toward a trusted edge, and is never believed when it comes in; NULL-ended. */
extern const char *const tenant_edge_headers[];
int tenant_trusted(const request_rec *r);
void tenant_edge_register(apr_pool_t *p);

/* tenant_forward.c: its directive, and whether some TenantForward gives this name */
void tenant_forward_begin(apr_pool_t *pconf);
const char *tenant_forward_set(cmd_parms *cmd, void *conf, const char *word, const char *name);
int tenant_forwards(const char *name);

/* tenant_egress.c */
/** Take a header out of the answer, whoever put it in. */
void tenant_drop(request_rec *r, const char *name);
/** Say a header in place of whatever a handler or a backend said. */
void tenant_say(request_rec *r, const char *name, const char *value);

/* tenant_cors.c */
/** CORS headers of an answer. May be called again, the answer may start anew meanwhile. */
void tenant_cors_finish(request_rec *r);

/* tenant_identity.c */
#define TENANT_AUTH_TYPE "TenantJWT"
const tenant_identity *tenant_identity_get(const request_rec *r);
/** From now on the request is this caller's, whose partition key is derived where it is not in the
 * claims yet. @return OK or an HTTP status */
int tenant_assume(request_rec *r, tenant_claims *claims);
/** Holds claims against the revocations since claims->revision. @return OK and *reason (TENANT_OK,
 * TENANT_REVOKED), or HTTP_SERVICE_UNAVAILABLE */
int tenant_hold_against(request_rec *r, tenant_claims *claims, tenant_reason *reason);
/** Whether a role that was granted no properties one by one holds
 * all (TenantAllPropertiesRoles). */
int tenant_holds_all(const tenant_dir_conf *conf, const char *role);

/* tenant_revoke.c */
/** Whether a token is refused by a revocation that came after *revision.
 * @return 1; 0, and *revision moved on; or -1, when that could not be found out in time */
int tenant_revoke_look(const tenant_holder *whose, apr_time_t issued, apr_uint64_t *revision);

/* tenant_external.c */
int tenant_external_is_on(const tenant_dir_conf *conf);
void tenant_external_register(apr_pool_t *p);

/* Each other noun registers its own hooks. */
void tenant_identity_register(apr_pool_t *p);
void tenant_authz_register(apr_pool_t *p);
void tenant_revoke_register(apr_pool_t *p);
void tenant_revoke_handler_register(apr_pool_t *p);
void tenant_key_handler_register(apr_pool_t *p);
void tenant_ingress_register(apr_pool_t *p);
void tenant_egress_register(apr_pool_t *p);
void tenant_problem_register(apr_pool_t *p);
void tenant_log_register(apr_pool_t *p);
void tenant_cors_register(apr_pool_t *p);
void tenant_early_register(apr_pool_t *p);
void tenant_forward_register(apr_pool_t *p);

#endif /* TENANT_H */
