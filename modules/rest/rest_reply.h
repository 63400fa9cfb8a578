/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_reply.h
 * @brief A whole answer from memory
 */
#ifndef REST_REPLY_H
#define REST_REPLY_H

#include <httpd.h>

/**
 * Answer with a body that is complete in memory. Content-Length is set; HEAD, ranges and
 * encodings are the filters' business.
 * @param type  media type, a literal or from r->pool
 * @param body  lives as long as r->pool
 * @return OK, for the handler to return
 */
int rest_reply(request_rec *r, int status, const char *type, const char *body, apr_size_t len);

#endif /* REST_REPLY_H */
