/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_coding.h
 * @brief Which content coding a client likes best (RFC 9110 12.5.3)
 *
 * Pure.
 */
#ifndef EDGE_CODING_H
#define EDGE_CODING_H

/** Ascending by how much we like them. */
typedef enum edge_coding {
    EDGE_IDENTITY,
    EDGE_GZIP,
    EDGE_BR,
    EDGE_CODINGS
} edge_coding;

/** "identity", "gzip", "br" */
const char *edge_coding_name(edge_coding coding);

/**
 * The coding with the highest weight; of several the smallest output.
 * @param accept       the field's value, NULL: there is none
 * @param available    bits 1 << coding of what can be made
 * @param no_identity  set to 1 when the client refuses a response that is not encoded
 */
edge_coding edge_coding_choose(const char *accept, unsigned available, int *no_identity);

#endif /* EDGE_CODING_H */
