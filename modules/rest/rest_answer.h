/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_answer.h
 * @brief Answers as bytes, in the layout of mod_idempotency.h
 *
 * Pure. What is read back is checked as if somebody else had written it: a store may be one that
 * others can write to.
 */
#ifndef REST_ANSWER_H
#define REST_ANSWER_H

#include <apr_tables.h>

#include "mod_idempotency.h"

typedef struct rest_answer {
    int status;
    int no_body;          /**< it was too large to keep */
    apr_table_t *fields;  /**< Content-Type among them; no name twice is fine */
    const char *body;
    apr_size_t body_len;
} rest_answer;

/** Whether a field of an answer is kept: not one of this connection, this message or this moment,
 * and no internal one. */
int rest_answer_keeps(const char *name);

/** Bytes that rest_answer_write() makes. */
apr_size_t rest_answer_size(const rest_answer *answer);

/** @return the bytes, from p; NULL for what rest_answer_read() would not take */
char *rest_answer_write(apr_pool_t *p, const rest_answer *answer);

/** @param answer  its body points into bytes, its fields are from p
 *  @return 1, or 0 when the bytes are no answer */
int rest_answer_read(apr_pool_t *p, const char *bytes, apr_size_t len, rest_answer *answer);

#endif /* REST_ANSWER_H */
