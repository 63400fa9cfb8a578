/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_db_wire.h
 * @brief Reading and writing a connection with a deadline
 *
 * libpq's blocking calls know no deadline, and neither server nor TCP time-outs help against a
 * frozen backend (httpd-facts.md 13.8): so poll() here, and nothing else waits for a socket.
 * A connection belongs to one thread at a time; no lock is held while it waits.
 */
#ifndef REST_DB_WIRE_H
#define REST_DB_WIRE_H

#include "rest_db.h"

/**
 * Send what is queued and take the next result.
 * @param res  NULL where libpq ends a statement's results
 * @return REST_DB_OK, REST_DB_TIMEOUT at the deadline, or REST_DB_DOWN when the connection broke
 */
rest_db_status rest_db_wire_next(PGconn *pg, apr_time_t deadline, PGresult **res);

/** Ask for one row and wait for it: does the server behind this connection answer? */
rest_db_status rest_db_wire_ping(PGconn *pg, apr_time_t deadline);

/**
 * Is an idle connection still there, without a round trip? Nothing is due on it, so whatever can
 * be read is the end: EOF, or the server's farewell before it.
 */
int rest_db_wire_quiet(PGconn *pg);

#endif /* REST_DB_WIRE_H */
