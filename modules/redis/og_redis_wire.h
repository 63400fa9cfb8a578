/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_redis_wire.h
 * @brief One connection: commands and replies with a deadline
 *
 * hiredis writes commands and reads replies, on sockets that never block; waiting is ours. Its own
 * synchronous calls block for as long as a stopped server likes, or for a time-out of the socket,
 * which begins anew with each byte.
 *
 * A connection belongs to one thread at a time. One that did not return OG_REDIS_OK or an error
 * that the server answered is in the middle of something, and only fit to be closed.
 */
#ifndef OG_REDIS_WIRE_H
#define OG_REDIS_WIRE_H

#include <apr_time.h>
#include <hiredis.h>
#include <sys/socket.h>

#include "mod_orgscale_redis.h"

/** A command's words. */
typedef struct og_redis_command {
    int argc;
    const char **argv;
    const size_t *lens;
    int keys; /**< of a script */
    /** Whether the reply is of the type that is expected; NULL: any is */
    int (*is_sound)(const redisReply *reply, int keys);
} og_redis_command;

/** How long for, and how much of it. */
typedef struct og_redis_patience {
    apr_time_t deadline;  /**< og_clock_mono() */
    apr_size_t reply_max; /**< bytes */
    int stop_fd;          /**< readable: give up; -1: there is none */
} og_redis_patience;

/** Connect a new socket. @return the connection, or NULL and *reason */
redisContext *og_redis_wire_connect(const struct sockaddr *at, socklen_t len,
                                    const og_redis_patience *patience, og_redis_reason *reason);

/**
 * Send a command and wait for its reply.
 * @param reply  to be freed with freeReplyObject() where it is not NULL: with OG_REDIS_OK, and with
 *               the reasons that an error reply of the server's means
 */
og_redis_reason og_redis_wire_ask(redisContext *conn, const og_redis_command *command,
                                  const og_redis_patience *patience, redisReply **reply);

/** Nothing to read, not even an end. Never waits. */
int og_redis_wire_quiet(const redisContext *conn);

#endif /* OG_REDIS_WIRE_H */
