/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Addresses of servers, see og_redis_address.h. */
#include "og_redis_address.h"

#include <apr_strings.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

#include "og_clock.h"
#include "og_number.h"

#define RESOLVE_EVERY APR_USEC_PER_SEC

/* A resolver that hangs holds the thread that connects: let it have a tenth of the time */
#define RESOLVE_PAUSE 10

static const char unix_scheme[] = "unix:";

static const char *parse_unix(const char *path, og_redis_address *address)
{
    struct sockaddr_un *at = (struct sockaddr_un *)&address->at[0];

    if (path[0] != '/' || strlen(path) >= sizeof(at->sun_path)) {
        return "expected unix:/PATH of at most 107 characters";
    }
    at->sun_family = AF_UNIX;
    memcpy(at->sun_path, path, strlen(path) + 1);
    address->len[0] = sizeof(*at);
    address->found = 1;
    return NULL;
}

const char *og_redis_address_parse(apr_pool_t *p, const char *text, og_redis_address *address)
{
    static const char expected[] = "expected HOST:PORT, [ADDRESS]:PORT or unix:/PATH";
    static const char host_of_v6[] = "0123456789abcdefABCDEF:.";
    static const char host_of_name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789.-_";
    const char *colon = strrchr(text, ':'), *host = text;
    apr_size_t len;
    apr_int64_t port;
    int is_v6 = text[0] == '[';

    memset(address, 0, sizeof(*address));
    address->text = text;
    if (strncmp(text, unix_scheme, sizeof(unix_scheme) - 1) == 0) {
        return parse_unix(text + sizeof(unix_scheme) - 1, address);
    }
    if (!colon || !og_int_parse(&port, colon + 1, strlen(colon + 1), 1, 65535)) {
        return expected;
    }
    len = (apr_size_t)(colon - text);
    if (is_v6) {
        if (len < 4 || colon[-1] != ']') {
            return expected;
        }
        host++;
        len -= 2;
    }
    if (len < 1 || len > 253 || strspn(host, is_v6 ? host_of_v6 : host_of_name) != len) {
        return expected;
    }
    address->host = apr_pstrmemdup(p, host, len);
    address->port = colon + 1;
    return NULL;
}

/* @return whether that is something new */
static int keep(og_redis_address *address, const struct addrinfo *list)
{
    og_redis_address before = *address;
    const struct addrinfo *each;

    address->found = 0;
    memset(address->at, 0, sizeof(address->at));
    for (each = list; each && address->found < OG_REDIS_ADDRESSES; each = each->ai_next) {
        if (each->ai_addrlen <= sizeof(address->at[0])) {
            memcpy(&address->at[address->found], each->ai_addr, each->ai_addrlen);
            address->len[address->found++] = each->ai_addrlen;
        }
    }
    return address->found != before.found || memcmp(address->at, before.at, sizeof(before.at)) != 0;
}

int og_redis_address_resolve(og_redis_address *address)
{
    struct addrinfo hints, *list = NULL;
    apr_time_t began = og_clock_mono(), took, pause;
    int rc, is_new = 0;

    if (!address->host || began < address->resolve_after) {
        return 0;
    }
    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL); /* the child may end meanwhile */
    rc = getaddrinfo(address->host, address->port, &hints, &list);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    took = og_clock_mono() - began;
    pause = took * RESOLVE_PAUSE > RESOLVE_EVERY ? took * RESOLVE_PAUSE : RESOLVE_EVERY;
    address->resolve_after = began + took + pause;
    if (rc == 0) {
        is_new = keep(address, list);
        freeaddrinfo(list);
    }
    return is_new;
}
