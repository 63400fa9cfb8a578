/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The client at the other end of a poll's connection: what it has sent, whether it takes what it is
 * sent, and how to have the MPM look at it. Nothing here blocks, and nothing here has state: who
 * may touch a connection is said where it is parked. */
#ifndef RT_CLIENT_H
#define RT_CLIENT_H

#include <httpd.h>
#include <util_filter.h>

typedef enum { RT_NOTHING_CAME, RT_DATA_CAME, RT_END_CAME } rt_incoming;

/* What there is to read, without reading it; mod_reqtimeout's clock does not see it. Not for
 * HTTP/2's streams. scratch: an empty brigade of the connection's allocator */
rt_incoming rt_client_look(conn_rec *c, apr_bucket_brigade *scratch);

/* The same, and all of it that fits: *len bytes of text, *len of them on return. A read of the
 * socket may be more than that; no more than len is said. */
rt_incoming rt_client_peek(conn_rec *c, apr_bucket_brigade *scratch, char *text, apr_size_t *len);

/* Write as much of what is in the filters as the socket takes. */
void rt_client_push(conn_rec *c);

/* The MPM sees an end of file, and a worker comes; the client sees nothing. */
void rt_client_summon_worker(const conn_rec *c);

#endif /* RT_CLIENT_H */
