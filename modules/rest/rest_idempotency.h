/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_idempotency.h
 * @brief What an Idempotency-Key means to a client, whichever store has it (http-semantics.md 8)
 *
 * Shared by mod_idempotency and by handlers that keep keys in their own transaction.
 */
#ifndef REST_IDEMPOTENCY_H
#define REST_IDEMPOTENCY_H

#include "mod_idempotency.h"
#include "rest_problem.h"

#include <httpd.h>

/** The request's key, or NULL and *problem where it is missing or malformed. */
const char *rest_idempotency_key(request_rec *r, rest_problem *problem);

/**
 * The fingerprint of the request.
 * @param route  what its path means
 * @return 1, or 0 and *problem
 */
int rest_idempotency_fingerprint(request_rec *r, const char *route, const char *body,
                                 apr_size_t len, unsigned char out[IDEMPOTENCY_FINGERPRINT_LEN],
                                 rest_problem *problem);

/** The refusal that a verdict other than IDEMPOTENCY_NEW and IDEMPOTENCY_DONE means. */
void rest_idempotency_refusal(idempotency_verdict verdict, rest_problem *problem);

/** Whether an answer of this status is kept: one that the same request would get again, since it
 * had its effect or was refused for what it says. Others leave the key free. */
int rest_idempotency_kept(int status);

/** Mark the answer that is about to be sent as a replay. */
void rest_idempotency_replayed(request_rec *r);

#endif /* REST_IDEMPOTENCY_H */
