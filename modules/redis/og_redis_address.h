/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_redis_address.h
 * @brief Where a Redis is: HOST:PORT, [V6]:PORT or unix:/path, and what its name resolved to
 *
 * Pure. Names are resolved on the connector thread alone, and what they last resolved to is kept
 * while resolvers fail or hang (F34).
 */
#ifndef OG_REDIS_ADDRESS_H
#define OG_REDIS_ADDRESS_H

#include <apr_pools.h>
#include <apr_time.h>
#include <sys/socket.h>
#include <sys/un.h>

/** Addresses of one name that are tried. */
#define OG_REDIS_ADDRESSES 4

typedef struct og_redis_address {
    const char *text;       /**< as the directive has it */
    const char *host, *port; /**< NULL: a socket of this host, at text + strlen("unix:") */
    /* connector: */
    int found;              /**< how many of the following there are */
    socklen_t len[OG_REDIS_ADDRESSES];
    struct sockaddr_storage at[OG_REDIS_ADDRESSES];
    apr_time_t resolve_after; /**< monotonic: not before */
} og_redis_address;

/** @return NULL, or what was expected */
const char *og_redis_address_parse(apr_pool_t *p, const char *text, og_redis_address *address);

/**
 * Look its name up, if that is not too soon after the last time. May block for as long as the
 * resolver does. Keeps what there was where that fails.
 * @return 1 when it has other addresses than before
 */
int og_redis_address_resolve(og_redis_address *address);

#endif /* OG_REDIS_ADDRESS_H */
