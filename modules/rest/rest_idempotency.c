/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Idempotency-Key, see rest_idempotency.h. */
#include "rest_idempotency.h"

#include "mod_quota.h"
#include "rest_fingerprint.h"
#include "rest_key.h"

const char *rest_idempotency_key(request_rec *r, rest_problem *problem)
{
    static const rest_problem required = {
        HTTP_BAD_REQUEST, "idempotency_key_required",
        "This request needs an Idempotency-Key header.", NULL, 0
    };
    static const rest_problem invalid = {
        HTTP_BAD_REQUEST, "idempotency_key_invalid",
        "Idempotency-Key must be one header of 1 to 255 visible ASCII characters.", NULL, 0
    };
    const char *key = apr_table_get(r->headers_in, "Idempotency-Key");

    if (key && rest_key_valid(key)) {
        return key;
    }
    *problem = key ? invalid : required;
    return NULL;
}

int rest_idempotency_fingerprint(request_rec *r, const char *route, const char *body,
                                 apr_size_t len, unsigned char out[IDEMPOTENCY_FINGERPRINT_LEN],
                                 rest_problem *problem)
{
    static const rest_problem failed = { HTTP_INTERNAL_SERVER_ERROR, "internal_error",
                                         "The request could not be hashed.", NULL, 0 };
    rest_fingerprint parts = { r->method, route, r->args, NULL, body, len };

    parts.type = apr_table_get(r->headers_in, "Content-Type");
    if (rest_fingerprint_make(out, r->pool, &parts)) {
        return 1;
    }
    *problem = failed;
    return 0;
}

void rest_idempotency_refusal(idempotency_verdict verdict, rest_problem *problem)
{
    static const rest_problem running = {
        HTTP_CONFLICT, "idempotency_in_progress",
        "A request with this Idempotency-Key is still running.", NULL, 1
    };
    static const rest_problem reused = {
        HTTP_CONFLICT, "idempotency_key_reused",
        "This Idempotency-Key was used for another request.", NULL, 0
    };
    static const rest_problem doubt = {
        HTTP_CONFLICT, "idempotency_in_doubt",
        "A request with this Idempotency-Key was cut off. Whether it had its effect is not known.",
        NULL, 0
    };

    *problem = verdict == IDEMPOTENCY_RUNNING ? running
               : verdict == IDEMPOTENCY_DOUBT ? doubt
                                              : reused;
}

int rest_idempotency_kept(int status)
{
    static const int refusals[] = { HTTP_NOT_FOUND, HTTP_CONFLICT, HTTP_PRECONDITION_FAILED,
                                    HTTP_UNPROCESSABLE_ENTITY, 0 };
    const int *refusal = refusals;

    while (*refusal && *refusal != status) {
        refusal++;
    }
    return *refusal || ap_is_HTTP_SUCCESS(status);
}

void rest_idempotency_replayed(request_rec *r)
{
    APR_OPTIONAL_FN_TYPE(quota_give_back) *give_back = APR_RETRIEVE_OPTIONAL_FN(quota_give_back);

    apr_table_setn(r->headers_out, "Idempotent-Replayed", "true");
    if (give_back) {
        give_back(r);
    }
}
