/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_validator.h
 * @brief Entity tags: one a representation, told apart by a suffix for the content coding
 *
 * Pure. "x" is what the origin knows, "x-br" and "x-gzip" what clients see of encoded
 * representations. (httpd-facts.md 6: a handler that compares with "x" never matches "x-br".)
 */
#ifndef EDGE_VALIDATOR_H
#define EDGE_VALIDATOR_H

#include "edge_coding.h"

#include <apr_pools.h>

/** Characters of a tag that is made here, quotes included; with a NUL. */
#define EDGE_VALIDATOR_SIZE 26

/** A strong tag of 128 bits of a digest: '~' and 22 characters. */
void edge_validator_make(char tag[EDGE_VALIDATOR_SIZE], const unsigned char *digest);

/** Whether a tag was made here: no origin knows it. */
int edge_validator_is_ours(const char *tag);

/** Whether text is one well-formed entity tag, weak or strong, of at most 256 characters. */
int edge_validator_ok(const char *text);

/** The tag of an encoded representation, from p; the tag itself for identity. */
const char *edge_validator_of(apr_pool_t *p, const char *tag, edge_coding coding);

/** A list of If-None-Match as the origin knows these tags: without suffixes, from p. */
const char *edge_validator_bases(apr_pool_t *p, const char *list);

/**
 * Which of the client's tags a 304 of the origin is about: its tag in the coding that the client
 * would get now, else as it is, else in any other coding that the list names; from p.
 */
const char *edge_validator_held(apr_pool_t *p, const char *list, const char *tag,
                                edge_coding coding);

#endif /* EDGE_VALIDATOR_H */
