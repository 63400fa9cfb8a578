/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_problem.h
 * @brief One error object for every error of every module (http-semantics.md 1, RFC 9457, P§16.2)
 */
#ifndef REST_PROBLEM_H
#define REST_PROBLEM_H

#include <httpd.h>

/** What went wrong. Strings are literals or live in r->pool. */
typedef struct rest_problem {
    int status;           /**< HTTP status, 400..599 */
    const char *code;     /**< machine-readable, from http-semantics.md 1 */
    const char *detail;   /**< one sentence for people; sent as "detail" and as "message" */
    const char *details;  /**< a JSON object for machines, or NULL for {} */
    int retry_after;      /**< seconds for Retry-After, 0: none */
} rest_problem;

/**
 * The problem+json text. "type" stands under mod_tenant's TenantProblemBase, "instance" carries
 * its request id; without mod_tenant: "/problems/" and no instance.
 * @return NUL-terminated, from r->pool
 */
const char *rest_problem_json(request_rec *r, const rest_problem *problem);

/**
 * Answer with a problem: status, Content-Type, Cache-Control: no-store, Retry-After, body.
 * For handlers; errors that hooks return as a status are the business of mod_tenant's filter.
 * @return OK, for the handler to return
 */
int rest_problem_send(request_rec *r, const rest_problem *problem);

#endif /* REST_PROBLEM_H */
