/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_loopback.h
 * @brief Asking a server of this host, over loopback
 *
 * Pure. One request a connection, never longer than its deadline.
 */
#ifndef EDGE_LOOPBACK_H
#define EDGE_LOOPBACK_H

#include <apr_pools.h>
#include <sys/socket.h>

/** What a URL names. pool: that of edge_loopback_parse; read-only afterwards */
typedef struct edge_loopback {
    struct sockaddr_storage at;
    socklen_t at_len;
    const char *host; /* as the field Host says it */
    const char *path;
} edge_loopback;

/** Bytes of a URL, and of what is read of an answer. */
#define EDGE_LOOPBACK_URL_MAX    1024
#define EDGE_LOOPBACK_ANSWER_MAX 65536

/** Microseconds that a request may take, from connect to the last byte. */
#define EDGE_LOOPBACK_WITHIN (2 * APR_USEC_PER_SEC)

/**
 * http://ADDRESS:PORT/PATH, where ADDRESS is in 127.0.0.0/8 or [::1]; no query.
 * @return NULL, or what was expected (from p)
 */
const char *edge_loopback_parse(apr_pool_t *p, const char *url, edge_loopback *target);

/** Whether an address is one of this host's own. */
int edge_loopback_is(const struct sockaddr *address);

/** pool: that of edge_loopback_ask */
typedef struct edge_loopback_answer {
    int status;         /* 0: there is no answer */
    const char *head;   /* lines that end with \r\n each */
    const char *body;   /* as it came: Transfer-Encoding is not undone */
    const char *wrong;  /* why there is no answer, else NULL */
} edge_loopback_answer;

/**
 * GET what the target names, with a query and fields more. Blocks, EDGE_LOOPBACK_WITHIN at most.
 * @param fields  whole lines, each with its \r\n
 * @param ends    asked each 100 ms: not 0 and there is no answer. NULL: never
 */
void edge_loopback_ask(apr_pool_t *p, const edge_loopback *target, const char *query,
                       const char *fields, int (*ends)(void), edge_loopback_answer *answer);

/** Take what a server sent apart. @return 0 when it is no answer */
int edge_loopback_read(char *text, edge_loopback_answer *answer);

/** The value of the first field of that name, from p; NULL: there is none. */
const char *edge_loopback_field(apr_pool_t *p, const edge_loopback_answer *answer,
                                const char *name);

#endif /* EDGE_LOOPBACK_H */
