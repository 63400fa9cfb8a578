/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_body.h
 * @brief A bounded request body, whole in memory
 */
#ifndef REST_BODY_H
#define REST_BODY_H

#include "rest_problem.h"

#include <httpd.h>

/**
 * Read the body of a request that must be of one media type.
 * @param type  media type without parameters, "application/json"
 * @param max   bytes; one more is 413
 * @param body  from r->pool, NUL-terminated behind len bytes
 * @param problem  filled when the body can't be had: 400, 408, 413, 415
 * @return 1, or 0 and *problem
 */
int rest_body_read(request_rec *r, const char *type, apr_size_t max, const char **body,
                   apr_size_t *len, rest_problem *problem);

/** The same whatever its media type and coding are. */
int rest_body_take(request_rec *r, apr_size_t max, const char **body, apr_size_t *len,
                   rest_problem *problem);

#endif /* REST_BODY_H */
