/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  mod_tenant.h
 * @brief What mod_tenant offers the other modules: who calls, who no longer may, and the last word
 *        on headers
 *
 * All of it is optional functions and two optional hooks: a module that finds them absent goes on
 * without (architecture.md, "Who may know whom"). Retrieve in an optional_fn_retrieve hook.
 */
#ifndef MOD_TENANT_H
#define MOD_TENANT_H

#include <httpd.h>
#include <apr_optional.h>
#include <apr_optional_hooks.h>

/** The partition key: 16 lower-case hex digits (P§13.1). */
#define TENANT_KEY_LEN 16

/** What somebody may see, as hex digits. */
#define TENANT_PERMISSIONS_LEN 16

/**
 * A verified caller. Lives in the request's pool (of the main, initial request), never changes.
 * Ids are 1..2^53-1 (og_number.h).
 */
typedef struct tenant_identity {
    apr_int64_t org;                /**< organisation; 0 for an admin token without one */
    apr_int64_t user;
    const char *role;               /**< "owner", "manager", "staff", "admin", … */
    const char *session;            /**< session id, or NULL */
    const apr_int64_t *properties;  /**< granted properties, ascending */
    int property_count;
    int all_properties;             /**< every property of the org, properties is empty */
    apr_time_t issued;              /**< wall clock; 0 when the token does not say */
    apr_time_t expires;             /**< wall clock; a poll is never parked past it */
    char key[TENANT_KEY_LEN + 1];   /**< partition key; "" without an org */
    char permissions[TENANT_PERMISSIONS_LEN + 1]; /**< equal where role and properties are; or "" */
    apr_uint64_t revision;          /**< of the revocations that it passed (tenant_revoked) */
} tenant_identity;

/** Whether the caller was granted a property. Says nothing about which org owns it. */
static inline int tenant_granted(const tenant_identity *identity, apr_int64_t property)
{
    int low = 0, high = identity->property_count;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (identity->properties[middle] == property) {
            return 1;
        }
        if (identity->properties[middle] < property) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return identity->all_properties;
}

/** Who calls, or NULL where nobody was verified. Any thread that owns r. */
APR_DECLARE_OPTIONAL_FN(const tenant_identity *, tenant_identity_get, (const request_rec *r));

/**
 * Tokens that are refused from now on, though they have not expired (decisions.md 4): those of one
 * user or one session that were issued before a time. What a bus sends to other hosts is this.
 */
typedef struct tenant_revocation {
    apr_int64_t org;          /**< 0: of callers of no organisation (admins) */
    apr_int64_t user;         /**< 0: session says which */
    const char *session;      /**< NULL: user says who; 1..128 of visible ASCII */
    apr_time_t issued_before; /**< wall clock. 0: a user's that were issued by now, and a session's
                                   whenever they were. Never later than what a token can say */
    int relayed;              /**< it came over a bus: a bus does not send it once more */
} tenant_revocation;

/**
 * Revoke. When it returns it holds in all processes of this host, and the hooks (session_revoked)
 * have run. Any thread, no request needed. Repeating it does no harm.
 * @return APR_EINVAL: past its bounds; APR_TIMEUP: the table's lock was not to be had, try again;
 *         APR_ENOTIMPL: there is no table (before the configuration is complete)
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, tenant_session_revoke, (const tenant_revocation *what));

/**
 * Whether a caller was revoked since it was verified: for what outlives the first answer to that
 * question, such as a parked poll. Mostly the comparison of two numbers. Any thread.
 * @param revision  the caller's (identity->revision) at first; kept by who asks, between questions
 * @return 1; 0; or -1, when the table's lock was not to be had: do not serve, ask again
 */
APR_DECLARE_OPTIONAL_FN(int, tenant_revoked,
                        (const tenant_identity *identity, apr_uint64_t *revision));

/** This request's id: what X-Request-Id says. Never NULL, from the request's pool. */
APR_DECLARE_OPTIONAL_FN(const char *, tenant_request_id, (const request_rec *r));

/** Whether the peer of r's connection is a trusted edge (TenantTrustedEdge). */
APR_DECLARE_OPTIONAL_FN(int, tenant_trusted, (const request_rec *r));

/** Whether the egress hook is run for responses of this server: some Tenant directive stands in it.
 * Once the configuration is read. */
APR_DECLARE_OPTIONAL_FN(int, tenant_is_on, (const server_rec *s));

/** What stands before a problem's code in its "type": TenantProblemBase, "/problems/". */
APR_DECLARE_OPTIONAL_FN(const char *, tenant_problem_base, (const request_rec *r));

/** Bytes that a request body may have here: TenantMaxBody, 1 MiB. */
APR_DECLARE_OPTIONAL_FN(apr_size_t, tenant_max_body, (const request_rec *r));

/** A location with this SetHandler is ours to speak for: the server's own errors there are
 * problem+json, too, unless TenantProblem says otherwise. handler lives as long as the process.
 * For optional_fn_retrieve hooks. */
APR_DECLARE_OPTIONAL_FN(void, tenant_serves, (const char *handler));

/** Pages of other origins may read this header of answers (TenantCorsOrigins): one that the caller
 * sends and that browsers don't show by themselves. header lives as long as the process. For
 * optional_fn_retrieve hooks. */
APR_DECLARE_OPTIONAL_FN(void, tenant_exposes, (const char *header));

#define TENANT_DECLARE(type) type

/**
 * Optional hook, run once a response just before its header is written, for each response of a
 * location that mod_tenant serves: write here what every answer carries (limits, timing, cache
 * face). mod_tenant strips what may not leave after it.
 * Register with APR_OPTIONAL_HOOK(tenant, egress, fn, NULL, NULL, APR_HOOK_MIDDLE).
 */
APR_DECLARE_EXTERNAL_HOOK(tenant, TENANT, int, egress, (request_rec *r, int trusted))

/**
 * Optional hook, run by tenant_session_revoke() in the process and thread that called it, once the
 * revocation holds: wake who waits, send it on. issued_before is what it came to, never 0. Return
 * OK; must not block. Register with
 * APR_OPTIONAL_HOOK(tenant, session_revoked, fn, NULL, NULL, APR_HOOK_MIDDLE).
 */
APR_DECLARE_EXTERNAL_HOOK(tenant, TENANT, int, session_revoked, (const tenant_revocation *what))

#endif /* MOD_TENANT_H */
