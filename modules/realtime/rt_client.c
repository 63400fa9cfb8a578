/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The client at the other end, see rt_client.h. */
#include "rt_client.h"

#include <apr_portable.h>
#include <http_core.h>
#include <sys/socket.h>

/* Where mod_reqtimeout's filter hangs. It takes what is read for the body of the poll, which has none,
 * and answers any read later than its time with an end. */
static ap_filter_t **reqtimeout_of(conn_rec *c)
{
    ap_filter_t **at = &c->input_filters;

    while (*at && strcmp((*at)->frec->name, "reqtimeout") != 0) {
        at = &(*at)->next;
    }
    return at;
}

rt_incoming rt_client_look(conn_rec *c, apr_bucket_brigade *scratch)
{
    ap_filter_t **at = reqtimeout_of(c), *reqtimeout = *at;
    rt_incoming what = RT_END_CAME;
    apr_status_t rv;

    if (reqtimeout) {
        *at = reqtimeout->next; /* a look is no read: the client is not asked for anything */
    }
    rv = ap_get_brigade(c->input_filters, scratch, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, 1);
    if (reqtimeout) {
        *at = reqtimeout;
    }
    if (APR_STATUS_IS_EAGAIN(rv) || (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(scratch))) {
        what = RT_NOTHING_CAME;
    }
    else if (rv == APR_SUCCESS && !APR_BUCKET_IS_EOS(APR_BRIGADE_FIRST(scratch))) {
        what = RT_DATA_CAME;
    }
    apr_brigade_cleanup(scratch);
    return what;
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
