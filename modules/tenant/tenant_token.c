/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The rules of a token's claims, see tenant_token.h. */
#include "tenant_token.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "og_number.h"

/* The last second of the year 9999: what is later, or before 1970, is no date but an attack on a
 * conversion (B07) */
#define SECONDS_MAX APR_INT64_C(253402300799)

int tenant_role_ok(const char *text)
{
    apr_size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-.");

    return len && len <= TENANT_ROLE_MAX && !text[len];
}

/* Visible ASCII, so that it can stand in a log line and a key. */
int tenant_session_ok(const char *text)
{
    apr_size_t i;

    for (i = 0; text[i]; i++) {
        if (text[i] <= ' ' || text[i] > '~' || i >= TENANT_SESSION_MAX) {
            return 0;
        }
    }
    return i > 0;
}

static int listed(const apr_array_header_t *list, const char *text)
{
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(list, i, const char *), text)) {
            return 1;
        }
    }
    return 0;
}

/* A NumericDate (RFC 7519 2): seconds since 1970, a fraction allowed.
 * @return 1 and *time, also when the claim is absent (*time stays); 0: it is no date */
static int date_of(const json_t *payload, const char *name, apr_time_t *time)
{
    const json_t *value = json_object_get(payload, name);

    if (!value) {
        return 1;
    }
    if (json_is_integer(value)) {
        json_int_t seconds = json_integer_value(value);

        if (seconds < 0 || seconds > SECONDS_MAX) {
            return 0;
        }
        *time = apr_time_from_sec(seconds);
        return 1;
    }
    if (json_is_real(value)) {
        double seconds = json_real_value(value);

        /* written so that a NaN fails, too; within the bounds the cast is defined */
        if (!(seconds >= 0 && seconds <= (double)SECONDS_MAX)) {
            return 0;
        }
        *time = (apr_time_t)(seconds * (double)APR_USEC_PER_SEC);
        return 1;
    }
    return 0;
}

/* An id: a JSON integer, or a string that is its canonical decimal form. */
static int id_of(const json_t *value, apr_int64_t *id)
{
    if (json_is_string(value)) {
        return og_id_parse(id, json_string_value(value), json_string_length(value));
    }
    if (json_is_integer(value) && json_integer_value(value) >= 1
        && json_integer_value(value) <= OG_ID_MAX) {
        *id = json_integer_value(value);
        return 1;
    }
    return 0;
}

static tenant_reason check_issuer(const json_t *payload, const tenant_rules *rules)
{
    const char *issuer = json_string_value(json_object_get(payload, "iss"));

    return issuer && !strcmp(issuer, rules->issuer) ? TENANT_OK : TENANT_ISSUER;
}

static tenant_reason check_audience(const json_t *payload, const tenant_rules *rules)
{
    const json_t *aud = json_object_get(payload, "aud");
    apr_size_t i;
    int found = 0;

    if (json_is_string(aud)) {
        return listed(rules->audiences, json_string_value(aud)) ? TENANT_OK : TENANT_AUDIENCE;
    }
    for (i = 0; i < json_array_size(aud); i++) {
        const char *one = json_string_value(json_array_get(aud, i));

        if (!one) {
            return TENANT_AUDIENCE;
        }
        found |= listed(rules->audiences, one);
    }
    return found ? TENANT_OK : TENANT_AUDIENCE;
}

static tenant_reason check_times(tenant_claims *claims, const json_t *payload, apr_time_t now)
{
    const apr_time_t skew = apr_time_from_sec(TENANT_SKEW_SECONDS);
    apr_time_t not_before = 0;

    if (!json_object_get(payload, "exp") || !date_of(payload, "exp", &claims->expires)
        || !date_of(payload, "nbf", &not_before) || !date_of(payload, "iat", &claims->issued)) {
        return TENANT_CLAIMS;
    }
    if (now >= claims->expires) {
        return TENANT_EXPIRED;
    }
    if (not_before > now + skew || claims->issued > now + skew) {
        return TENANT_NOT_YET_VALID;
    }
    return TENANT_OK;
}

static int ascending(const void *a, const void *b)
{
    apr_int64_t left = *(const apr_int64_t *)a, right = *(const apr_int64_t *)b;

    return (left > right) - (left < right);
}

/* The granted properties; without the claim: all for the roles that hold all, else none. */
static int read_properties(tenant_claims *claims, apr_pool_t *p, const json_t *payload,
                           const tenant_rules *rules)
{
    const json_t *list = json_object_get(payload, rules->names[TENANT_CLAIM_PROPERTIES]);
    apr_size_t i, count = json_array_size(list);
    apr_int64_t *ids;
    int kept = 0;

    if (!list) {
        claims->all_properties = claims->org && listed(rules->all_properties_roles, claims->role);
        return 1;
    }
    if (!json_is_array(list) || count > TENANT_PROPERTIES_MAX) {
        return 0;
    }
    ids = apr_palloc(p, (count + 1) * sizeof(*ids));
    for (i = 0; i < count; i++) {
        if (!id_of(json_array_get(list, i), &ids[i])) {
            return 0;
        }
    }
    qsort(ids, count, sizeof(*ids), ascending);
    for (i = 0; i < count; i++) {
        if (!kept || ids[kept - 1] != ids[i]) {
            ids[kept++] = ids[i];
        }
    }
    claims->properties = ids;
    claims->property_count = kept;
    return 1;
}

static tenant_reason read_caller(tenant_claims *claims, apr_pool_t *p, const json_t *payload,
                                 const tenant_rules *rules)
{
    const json_t *org = json_object_get(payload, rules->names[TENANT_CLAIM_ORG]);
    const json_t *session = json_object_get(payload, rules->names[TENANT_CLAIM_SESSION]);
    const char *role = json_string_value(
        json_object_get(payload, rules->names[TENANT_CLAIM_ROLE]));

    if (!role || !tenant_role_ok(role)
        || !id_of(json_object_get(payload, rules->names[TENANT_CLAIM_USER]), &claims->user)) {
        return TENANT_CLAIMS;
    }
    /* only an admin may be of no organisation; a wrong one is wrong for everybody */
    if (org ? !id_of(org, &claims->org) : strcmp(role, "admin") != 0) {
        return TENANT_CLAIMS;
    }
    if (session && (!json_is_string(session) || !tenant_session_ok(json_string_value(session)))) {
        return TENANT_CLAIMS;
    }
    claims->role = apr_pstrdup(p, role);
    claims->session = session ? apr_pstrdup(p, json_string_value(session)) : NULL;
    return read_properties(claims, p, payload, rules) ? TENANT_OK : TENANT_CLAIMS;
}

tenant_reason tenant_token_verify(tenant_claims *claims, apr_pool_t *p, const char *token,
                                  apr_size_t len, const tenant_keyset *const *sets,
                                  const tenant_rules *rules, apr_time_t now)
{
    const json_t *payload;
    tenant_reason reason;
    apr_pool_t *scratch;

    memset(claims, 0, sizeof(*claims));
    /* of its own, and gone at the end: p may be that of a request that is parked for long */
    if (apr_pool_create_unmanaged_ex(&scratch, NULL, NULL) != APR_SUCCESS) {
        return TENANT_MALFORMED;
    }
    reason = tenant_jws_verify(&payload, scratch, token, len, sets);
    if (reason == TENANT_OK) {
        reason = check_issuer(payload, rules);
    }
    if (reason == TENANT_OK) {
        reason = check_audience(payload, rules);
    }
    if (reason == TENANT_OK) {
        reason = check_times(claims, payload, now);
    }
    if (reason == TENANT_OK) {
        reason = read_caller(claims, p, payload, rules);
    }
    apr_pool_destroy(scratch);
    return reason;
}
