/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_prune.h
 * @brief Of a JSON text, what a selection asks for (P§22, http-semantics.md 6)
 *
 * Pure. What is kept is copied as it stands: numbers, strings and spaces inside of values byte by
 * byte, members in the order they have.
 *
 * A selection is of an answer's elements: the objects of a top-level array, those of the array
 * under the envelope's name of a top-level object ({"data":[…],"nextCursor":…}; the other members
 * are kept), or else the top-level object itself. Of an element are kept
 *  - the members that fields= names, and "id";
 *  - the members that expand= names, where they hold an object, an array or null.
 * a(b) is of a the member b: of the object that a holds, or of each object in the array that it
 * holds. What is no object has no members, and stays whole. Without fields= all is kept, and the
 * names are only looked at.
 */
#ifndef EDGE_PRUNE_H
#define EDGE_PRUNE_H

#include <apr_tables.h>

#include "edge_selector.h"

#define EDGE_PRUNE_AVAILABLE_MAX 64

typedef enum {
    EDGE_PRUNED,
    EDGE_PRUNE_UNKNOWN,    /**< there are elements, and a name that none of them has */
    EDGE_PRUNE_MALFORMED   /**< no JSON as edge_scan.h wants it: nothing is known of it */
} edge_prune_verdict;

/** What became of it; all of it in the pool. Arrays are of const char *, NUL-terminated. */
typedef struct edge_pruned {
    const char *body;                /**< EDGE_PRUNED: the text; may be the one that was given */
    apr_size_t len;
    apr_array_header_t *returned;    /**< members of elements that were kept, as they were met */
    apr_array_header_t *available;   /**< names of elements' members, as they were met: the first
                                          EDGE_PRUNE_AVAILABLE_MAX that fields= could name */
    apr_array_header_t *unknown;     /**< EDGE_PRUNE_UNKNOWN: "a", "a.b" */
    const char *why;                 /**< EDGE_PRUNE_MALFORMED: what is wrong with it */
} edge_pruned;

/**
 * @param text      lives as long as p
 * @param envelope  its name, or NULL: answers have none
 */
edge_prune_verdict edge_prune(apr_pool_t *p, const char *text, apr_size_t len, const char *envelope,
                              const edge_selection *selection, edge_pruned *out);

#endif /* EDGE_PRUNE_H */
