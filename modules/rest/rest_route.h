/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_route.h
 * @brief Which handler a path and method belong to
 *
 * Pure. Matching is exact, segment by segment, on the path as it stands in the request line: a
 * path that only means the same after decoding or merging slashes is another path (B18).
 */
#ifndef REST_ROUTE_H
#define REST_ROUTE_H

#include <apr.h>

/** Ids that a path may hold. */
#define REST_ROUTE_IDS 2

typedef enum {
    REST_GET = 1, /**< and HEAD */
    REST_POST = 2,
    REST_PATCH = 4,
    REST_DELETE = 8
} rest_method;

/** A line of a module's route table; the table ends with a NULL pattern. */
typedef struct rest_route {
    const char *pattern; /**< "/finance/expenses/{id}": {id} stands for one canonical id */
    rest_method method;
    int what;            /**< the module's own name for the action */
} rest_route;

typedef struct rest_match {
    const rest_route *route;           /**< NULL: no line has this path and method */
    int methods;                       /**< rest_method bits that the path has; 0: no such path */
    apr_int64_t ids[REST_ROUTE_IDS];
} rest_match;

/** Find the line for a path and a method. */
void rest_route_find(rest_match *match, const rest_route *routes, const char *path,
                     rest_method method);

/** The Allow header of methods, such as "GET, HEAD, POST". buf holds 40 characters. */
const char *rest_route_allow(char buf[40], int methods);

#endif /* REST_ROUTE_H */
