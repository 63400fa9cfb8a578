/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_selector.h
 * @brief What fields= and expand= ask for (P§22, http-semantics.md 6)
 *
 * Pure. The grammar, of decoded values:
 *
 *     fields = list
 *     list   = item *( "," item )
 *     item   = name [ "(" list ")" ]          ; a(b): of a, its member b
 *     expand = name *( "," name )
 *     name   = ( ALPHA / "_" ) *63( ALPHA / DIGIT / "_" )
 *
 * Nothing else is one, not even white space: what is accepted can stand in a header, a key and a
 * log line as it is. Bounds: EDGE_SELECTOR_NAMES_MAX names in both together,
 * EDGE_SELECTOR_DEPTH_MAX lists inside of one another, a name once in a list.
 */
#ifndef EDGE_SELECTOR_H
#define EDGE_SELECTOR_H

#include <apr_pools.h>

#define EDGE_SELECTOR_NAMES_MAX 32
#define EDGE_SELECTOR_DEPTH_MAX 4
#define EDGE_SELECTOR_NAME_MAX  64

/** A name of a list, and where it has a list of its own, that. Never changes. */
typedef struct edge_field {
    const char *name;                  /**< NUL-terminated */
    apr_size_t len;
    unsigned int index;                /**< 0..EDGE_SELECTOR_NAMES_MAX-1, of all names of both */
    struct edge_field *members;        /**< NULL: all of it */
    struct edge_field *next;           /**< ascending by name */
} edge_field;

/** Lives in the pool it was parsed into, never changes. */
typedef struct edge_selection {
    const edge_field *fields;          /**< NULL: there was no fields= */
    const edge_field *expand;          /**< NULL: there was no expand= */
    const char *text;                  /**< "fields=a,b(c)&expand=x", sorted: equal texts ask for
                                            the same */
} edge_selection;

/**
 * @param fields,expand  decoded values, NULL: the parameter is not there. One of them at least is
 * @param selection      set when nothing is wrong
 * @return NULL, or a sentence that says what is wrong, without a word of the caller's
 */
const char *edge_selector_parse(apr_pool_t *p, const char *fields, const char *expand,
                                const edge_selection **selection);

/** The name of a list, or NULL. */
const edge_field *edge_field_find(const edge_field *list, const char *name, apr_size_t len);

/** Whether text is what the grammar calls a name. */
int edge_field_is_name(const char *text, apr_size_t len);

#endif /* EDGE_SELECTOR_H */
