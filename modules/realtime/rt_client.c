/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The client at the other end, see rt_client.h. */
#include "rt_client.h"

#include <apr_portable.h>
#include <http_core.h>
#include <sys/socket.h>

/* Where mod_reqtimeout's filter hangs. It takes what is read for the body of the poll, which has
 * none, and answers any read later than its time with an end. */
static ap_filter_t **reqtimeout_of(conn_rec *c)
{
    ap_filter_t **at = &c->input_filters;

    while (*at && strcmp((*at)->frec->name, "reqtimeout") != 0) {
        at = &(*at)->next;
    }
    return at;
}

/* The core's filter says nothing at all of an end that it has just come upon, and what it is the
 * next time it is asked: a socket that says each thing once has to be asked twice then. */
static apr_status_t peek(conn_rec *c, apr_bucket_brigade *scratch, apr_size_t len)
{
    apr_status_t rv = ap_get_brigade(c->input_filters, scratch, AP_MODE_SPECULATIVE,
                                     APR_NONBLOCK_READ, (apr_off_t)len);

    if (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(scratch)) {
        rv = ap_get_brigade(c->input_filters, scratch, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ,
                            (apr_off_t)len);
    }
    return rv;
}

rt_incoming rt_client_peek(conn_rec *c, apr_bucket_brigade *scratch, char *text, apr_size_t *len)
{
    ap_filter_t **at = reqtimeout_of(c), *reqtimeout = *at;
    rt_incoming what = RT_END_CAME;
    apr_status_t rv;

    if (reqtimeout) {
        *at = reqtimeout->next; /* a look is no read: the client is not asked for anything */
    }
    rv = peek(c, scratch, *len);
    if (reqtimeout) {
        *at = reqtimeout;
    }
    if (APR_STATUS_IS_EAGAIN(rv) || (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(scratch))) {
        what = RT_NOTHING_CAME;
    }
    else if (rv == APR_SUCCESS && !APR_BUCKET_IS_EOS(APR_BRIGADE_FIRST(scratch))) {
        what = apr_brigade_flatten(scratch, text, len) == APR_SUCCESS ? RT_DATA_CAME : RT_END_CAME;
    }
    apr_brigade_cleanup(scratch);
    return what;
}

rt_incoming rt_client_look(conn_rec *c, apr_bucket_brigade *scratch)
{
    apr_size_t len = 1;
    char first;

    return rt_client_peek(c, scratch, &first, &len);
}

void rt_client_push(conn_rec *c)
{
    ap_filter_t *last = c->output_filters;

    while (last->next) {
        last = last->next;
    }
    if (last->frec->filter_func.out_func(last, NULL) != APR_SUCCESS) {
        c->aborted = 1;
    }
}

void rt_client_summon_worker(const conn_rec *c)
{
    apr_socket_t *socket = ap_get_conn_socket((conn_rec *)c);
    apr_os_sock_t fd;

    if (socket && apr_os_sock_get(&fd, socket) == APR_SUCCESS) {
        shutdown(fd, SHUT_RD);
    }
}
