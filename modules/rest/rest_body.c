/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Request bodies, see rest_body.h. */
#include "rest_body.h"

#include <apr_buckets.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <util_filter.h>

static int refuse(rest_problem *problem, int status, const char *code, const char *detail)
{
    problem->status = status;
    problem->code = code;
    problem->detail = detail;
    problem->details = NULL;
    problem->retry_after = 0;
    return 0;
}

static int too_large(request_rec *r, rest_problem *problem, apr_size_t max)
{
    /* what still comes is not worth reading: the connection ends with the answer */
    r->connection->keepalive = AP_CONN_CLOSE;
    refuse(problem, HTTP_REQUEST_ENTITY_TOO_LARGE, "payload_too_large",
           apr_psprintf(r->pool, "The body is larger than %" APR_SIZE_T_FMT " bytes.", max));
    problem->details = apr_psprintf(r->pool, "{\"maxBytes\":%" APR_SIZE_T_FMT "}", max);
    return 0;
}

/* The media type without its parameters, compared without case (RFC 9110 8.3.1). */
static int type_is(request_rec *r, const char *type)
{
    const char *sent = apr_table_get(r->headers_in, "Content-Type");
    apr_size_t len;

    if (!sent) {
        return 0;
    }
    len = strcspn(sent, "; \t");
    return len == strlen(type) && !ap_cstr_casecmpn(sent, type, len);
}

/* The input filters end a body that they refuse with a status of their own. */
static int read_failed(rest_problem *problem, apr_status_t rv)
{
    if (APR_STATUS_IS_TIMEUP(rv)) {
        return refuse(problem, HTTP_REQUEST_TIME_OUT, "request_timeout",
                      "The body did not arrive in time.");
    }
    if (ap_map_http_request_error(rv, HTTP_BAD_REQUEST) == HTTP_REQUEST_ENTITY_TOO_LARGE) {
        return refuse(problem, HTTP_REQUEST_ENTITY_TOO_LARGE, "payload_too_large",
                      "The body is larger than the server takes.");
    }
    return refuse(problem, HTTP_BAD_REQUEST, "invalid_request", "The body could not be read.");
}

/* Appends what the brigade holds. 1: go on, 0: end of body, -1: failed, problem is set. */
static int collect(request_rec *r, apr_bucket_brigade *bb, apr_array_header_t *bytes,
                   apr_size_t max, rest_problem *problem)
{
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t n;
        apr_status_t rv;

        if (APR_BUCKET_IS_EOS(b)) {
            return 0;
        }
        if (APR_BUCKET_IS_METADATA(b)) {
            continue;
        }
        rv = apr_bucket_read(b, &data, &n, APR_BLOCK_READ);
        if (rv != APR_SUCCESS) {
            read_failed(problem, rv);
            return -1;
        }
        if (n > max - (apr_size_t)bytes->nelts) {
            too_large(r, problem, max);
            return -1;
        }
        if (n) {
            apr_array_header_t chunk = { bytes->pool, 1, (int)n, (int)n, (char *)data };

            apr_array_cat(bytes, &chunk);
        }
    }
    return 1;
}

int rest_body_take(request_rec *r, apr_size_t max, const char **body, apr_size_t *len,
                   rest_problem *problem)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_array_header_t *bytes;
    apr_bucket_brigade *bb;
    apr_off_t announced;
    int more = 1;

    if (length && ap_parse_strict_length(&announced, length)
        && (apr_uint64_t)announced > (apr_uint64_t)max) {
        return too_large(r, problem, max);
    }
    bytes = apr_array_make(r->pool, 1024, 1);
    bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    while (more > 0) {
        apr_status_t rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ,
                                         HUGE_STRING_LEN);

        if (rv != APR_SUCCESS) {
            return read_failed(problem, rv);
        }
        more = collect(r, bb, bytes, max, problem);
        apr_brigade_cleanup(bb);
    }
    if (more < 0) {
        return 0;
    }
    *len = (apr_size_t)bytes->nelts;
    APR_ARRAY_PUSH(bytes, char) = '\0';
    *body = bytes->elts;
    return 1;
}

int rest_body_read(request_rec *r, const char *type, apr_size_t max, const char **body,
                   apr_size_t *len, rest_problem *problem)
{
    const char *coding = apr_table_get(r->headers_in, "Content-Encoding");

    if (!type_is(r, type) || (coding && ap_cstr_casecmp(coding, "identity") != 0)) {
        return refuse(problem, HTTP_UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
                      apr_psprintf(r->pool, "The body must be %s, not encoded.", type));
    }
    return rest_body_take(r, max, body, len, problem);
}
