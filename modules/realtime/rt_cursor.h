/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_cursor.h
 * @brief Where a client stands in its org's events: opaque, versioned, bound to domain and org
 *
 * Pure. base64url of 34 bytes, integers big-endian:
 *   0 version (1) | 1 partition | 2..9 epoch | 10..17 id | 18..33 HMAC-SHA-256, first 16 bytes
 * The mac covers bytes 0..17, the org (8 bytes) and the domain's name. A cursor means "last
 * scanned": events that a filter left out advance it as well.
 */
#ifndef RT_CURSOR_H
#define RT_CURSOR_H

#include "mod_realtime_lp.h"

typedef struct rt_cursor {
    int partition;       /* rt_cursor_partition() of the org */
    apr_uint64_t epoch;  /* of the store that made it */
    apr_uint64_t id;     /* of the last event scanned; 0: before the first */
} rt_cursor;

/** What cursors are bound to. Borrowed pointers. */
typedef struct rt_cursor_bond {
    const unsigned char *secret;
    apr_size_t secret_len;
    const char *domain;
    apr_int64_t org;
} rt_cursor_bond;

typedef enum rt_cursor_verdict {
    RT_CURSOR_OK,
    RT_CURSOR_MALFORMED, /* nothing we ever wrote: 400 */
    RT_CURSOR_FOREIGN,   /* of another org, domain or secret: gap "foreign" */
    RT_CURSOR_FAILED     /* OpenSSL failed */
} rt_cursor_verdict;

/** First byte of SHA-256(decimal org) mod 16, equal on all nodes (decisions.md 27); -1: failed. */
int rt_cursor_partition(apr_int64_t org);

/** @return 1, or 0 when OpenSSL fails or the secret is empty */
int rt_cursor_write(char out[RT_CURSOR_SIZE], const rt_cursor *cursor, const rt_cursor_bond *bond);

/** text need not be NUL-terminated; *cursor is set on RT_CURSOR_OK alone. */
rt_cursor_verdict rt_cursor_read(rt_cursor *cursor, const char *text, apr_size_t len,
                                 const rt_cursor_bond *bond);

#endif /* RT_CURSOR_H */
