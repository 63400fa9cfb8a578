/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing a connection with a deadline, see rest_db_wire.h. */
#include "rest_db_wire.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "og_clock.h"

/* Wait for the socket. 1 ready, 0 the deadline passed, -1 no such socket any more */
static int wait_ready(const PGconn *pg, short events, apr_time_t deadline)
{
    struct pollfd socket = { PQsocket(pg), events, 0 };

    if (socket.fd < 0) {
        return -1;
    }
    for (;;) {
        apr_time_t left = deadline - og_clock_mono();
        apr_time_t ms = left <= 0 ? 0 : (left + 999) / 1000;
        int n = poll(&socket, 1, ms > INT_MAX ? INT_MAX : (int)ms);

        if (n > 0) {
            return 1;
        }
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        if (og_clock_mono() >= deadline) {
            return 0;
        }
    }
}

rest_db_status rest_db_wire_next(PGconn *pg, apr_time_t deadline, PGresult **res)
{
    *res = NULL;
    for (;;) {
        int unsent = PQflush(pg);
        int ready;

        /* a write that failed shows as the read that follows, with the server's last words */
        if (!PQisBusy(pg)) {
            *res = PQgetResult(pg);
            return REST_DB_OK;
        }
        ready = wait_ready(pg, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline);
        if (ready == 0) {
            return REST_DB_TIMEOUT;
        }
        if (ready < 0 || !PQconsumeInput(pg)) {
            return REST_DB_DOWN;
        }
    }
}

rest_db_status rest_db_wire_ping(PGconn *pg, apr_time_t deadline)
{
    rest_db_status worst = REST_DB_OK;
    rest_db_status status;
    PGresult *res;

    if (!PQsendQueryParams(pg, "SELECT 1", 0, NULL, NULL, NULL, NULL, 0)) {
        return REST_DB_DOWN;
    }
    while ((status = rest_db_wire_next(pg, deadline, &res)) == REST_DB_OK && res) {
        if (worst == REST_DB_OK) {
            worst = rest_db_classify(pg, res);
        }
        PQclear(res);
    }
    return status != REST_DB_OK ? status : worst;
}

int rest_db_wire_quiet(PGconn *pg)
{
    struct pollfd socket = { PQsocket(pg), POLLIN, 0 };

    return PQstatus(pg) == CONNECTION_OK && socket.fd >= 0 && poll(&socket, 1, 0) == 0;
}
