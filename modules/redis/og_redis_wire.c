/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing a connection with a deadline, see og_redis_wire.h. */
#include "og_redis_wire.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "og_clock.h"
#include "og_redis_reply.h"

/* Seconds until a peer that vanished is noticed while nobody asks it anything */
#define KEEPALIVE_IDLE     15
#define KEEPALIVE_INTERVAL 5
#define KEEPALIVE_COUNT    3

/* Wait for the socket. OG_REDIS_OK: *events is what it is ready for */
static og_redis_reason wait_ready(int fd, short *events, const og_redis_patience *patience)
{
    struct pollfd fds[2] = { { fd, *events, 0 }, { patience->stop_fd, POLLIN, 0 } };

    for (;;) {
        apr_time_t left = patience->deadline - og_clock_mono();
        apr_time_t ms = left <= 0 ? 0 : (left + 999) / 1000;
        int n = poll(fds, 2, ms > INT_MAX ? INT_MAX : (int)ms); /* ignores an fd of -1 */

        if (n < 0 && errno != EINTR) {
            return OG_REDIS_LOST;
        }
        if (n > 0 && !fds[1].revents) {
            *events = fds[0].revents;
            return OG_REDIS_OK;
        }
        if (n > 0 || og_clock_mono() >= patience->deadline) {
            return OG_REDIS_TIMEOUT;
        }
    }
}

static void tune(int fd, int family)
{
    int on = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL, count = KEEPALIVE_COUNT;

    if (family == AF_UNIX) {
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static og_redis_reason finish_connect(int fd, const og_redis_patience *patience)
{
    short events = POLLOUT;
    int error = 0;
    socklen_t size = sizeof(error);
    og_redis_reason reason = wait_ready(fd, &events, patience);

    if (reason != OG_REDIS_OK) {
        return reason;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0 ? OG_REDIS_OK
                                                                                : OG_REDIS_LOST;
}

redisContext *og_redis_wire_connect(const struct sockaddr *at, socklen_t len,
                                    const og_redis_patience *patience, og_redis_reason *reason)
{
    int fd = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    redisContext *conn;

    *reason = OG_REDIS_LOST;
    if (fd < 0) {
        return NULL;
    }
    tune(fd, at->sa_family);
    *reason = connect(fd, at, len) == 0      ? OG_REDIS_OK
              : errno == EINPROGRESS         ? finish_connect(fd, patience)
                                             : OG_REDIS_LOST;
    conn = *reason == OG_REDIS_OK ? redisConnectFd(fd) : NULL;
    if (!conn) {
        close(fd);
        *reason = *reason == OG_REDIS_OK ? OG_REDIS_LOST : *reason;
        return NULL;
    }
    conn->flags &= ~REDIS_BLOCK; /* hiredis: EAGAIN is no error then */
    og_redis_reply_bound(conn->reader);
    return conn;
}

/* What came is read. OG_REDIS_OK with *reply NULL: it is not all there yet */
static og_redis_reason take_reply(redisContext *conn, short events, apr_size_t max,
                                  redisReply **reply)
{
    if (!(events & ~POLLOUT)) {
        return OG_REDIS_OK;
    }
    if (redisBufferRead(conn) != REDIS_OK) {
        return conn->err == REDIS_ERR_IO || conn->err == REDIS_ERR_EOF ? OG_REDIS_LOST
                                                                      : OG_REDIS_PROTOCOL;
    }
    if (conn->reader->len > max || redisGetReplyFromReader(conn, (void **)reply) != REDIS_OK) {
        return OG_REDIS_PROTOCOL;
    }
    /* one command, one reply: what follows is nobody's, and would be the next one's */
    return *reply && conn->reader->pos != conn->reader->len ? OG_REDIS_PROTOCOL : OG_REDIS_OK;
}

static og_redis_reason exchange(redisContext *conn, const og_redis_patience *patience,
                                redisReply **reply)
{
    int sent = 0;
    og_redis_reason reason = OG_REDIS_OK;

    while (reason == OG_REDIS_OK && !*reply) {
        short events = POLLIN;

        if (!sent && redisBufferWrite(conn, &sent) != REDIS_OK) {
            return OG_REDIS_LOST;
        }
        events |= sent ? 0 : POLLOUT;
        reason = wait_ready(conn->fd, &events, patience);
        if (reason == OG_REDIS_OK) {
            reason = take_reply(conn, events, patience->reply_max, reply);
        }
    }
    /* an answer to what was not all sent is none */
    return reason == OG_REDIS_OK && !sent ? OG_REDIS_PROTOCOL : reason;
}

og_redis_reason og_redis_wire_ask(redisContext *conn, const og_redis_command *command,
                                  const og_redis_patience *patience, redisReply **reply)
{
    og_redis_reason reason;

    *reply = NULL;
    if (redisAppendCommandArgv(conn, command->argc, command->argv, command->lens) != REDIS_OK) {
        return OG_REDIS_LOST;
    }
    reason = exchange(conn, patience, reply);
    if (reason != OG_REDIS_OK) {
        freeReplyObject(*reply); /* takes NULL */
        *reply = NULL;
        return reason;
    }
    return (*reply)->type == REDIS_REPLY_ERROR ? og_redis_reply_classify((*reply)->str)
                                               : OG_REDIS_OK;
}

int og_redis_wire_quiet(const redisContext *conn)
{
    struct pollfd socket = { conn->fd, POLLIN, 0 };

    return !conn->err && poll(&socket, 1, 0) == 0;
}
