/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_scan.h
 * @brief A walk over a JSON text that shows where its parts are and builds nothing
 *
 * Pure. Strict RFC 8259: UTF-8, no byte-order mark, surrogates in pairs, at most
 * EDGE_SCAN_DEPTH_MAX levels, and no name twice in an object (spelt with escapes or not), since no
 * two readers agree on what that means. The text is read once, byte by byte; what is walked past is
 * checked as strictly as what is looked at.
 *
 * Memory: 28 bytes a member of the objects that are open, of which there may be
 * EDGE_SCAN_MEMBERS_MAX. Their names are hashed under a key of each walk's own (B35): nobody's data
 * can make it take longer than its length.
 */
#ifndef EDGE_SCAN_H
#define EDGE_SCAN_H

#include <apr_pools.h>
#include <apr_siphash.h>

#define EDGE_SCAN_DEPTH_MAX   32
#define EDGE_SCAN_MEMBERS_MAX 65536

/** The name of a member: as it stands in the text with its quotes, and what it means. */
typedef struct edge_scan_name {
    const char *raw;
    apr_size_t raw_len;
    const char *text;   /**< not NUL-terminated; may hold NULs */
    apr_size_t len;
} edge_scan_name;

/** An object or array that is open. */
typedef struct edge_scan_level {
    char close;
    int begun;
    int names;          /**< of the levels outside of it */
} edge_scan_level;

/** A walk. In its pool; one thread. */
typedef struct edge_scan {
    apr_pool_t *pool;
    const char *at, *end;
    const char *why;    /**< what is wrong, once something is */
    int depth;
    struct edge_scan_seen *seen;   /* names of open objects, innermost last */
    int *heads;                    /* of chains in seen; as many as seen has room for */
    int count, room;
    unsigned char seed[APR_SIPHASH_KSIZE];
} edge_scan;

/** Begin in front of the text's value. */
void edge_scan_init(edge_scan *scan, apr_pool_t *p, const char *text, apr_size_t len);

/** Walk over white space; the next byte, 0 at the end (or a NUL, which is no JSON). */
char edge_scan_peek(edge_scan *scan);

/** Walk over one value. 0: there is none, see why */
int edge_scan_value(edge_scan *scan);

/** Go into the object or array whose bracket is next. 0: it is too deep */
int edge_scan_enter(edge_scan *scan, edge_scan_level *level);

/**
 * To the next member or element: scan->at is at its value, which the caller walks over.
 * @param name  filled for a member
 * @return 1; 0: the level was closed, scan->at is behind it; -1: malformed
 */
int edge_scan_next(edge_scan *scan, edge_scan_level *level, edge_scan_name *name);

/** Whether nothing but white space is left. */
int edge_scan_done(edge_scan *scan);

#endif /* EDGE_SCAN_H */
