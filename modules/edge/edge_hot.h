/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_hot.h
 * @brief Large entries that a process was asked for lately, in memory of its own
 *
 * Pure. To send an entry it has to stay as it is until the last byte has left, and in shared memory
 * any process may replace it: so it is copied. A list of 100 rows is copied once a process here,
 * not once a request. Which version is asked for the store says each time, so nothing here is ever
 * out of date.
 *
 * Bytes have a count of who uses them, and are freed by the last one, on any thread. The table's
 * lock guards its places and what they hold, and is held for a few words.
 */
#ifndef EDGE_HOT_H
#define EDGE_HOT_H

#include <apr.h>

/** Bytes of a key: a digest. */
#define EDGE_HOT_KEY 16

/** Shorter ones fit into a block of a request's pool, and are copied there. */
#define EDGE_HOT_MIN 8192

typedef struct edge_hot edge_hot;

/**
 * @param most  bytes that it holds at most
 * @return NULL without memory
 */
edge_hot *edge_hot_make(apr_size_t most);

/** Free the table. What others still use is freed by them. */
void edge_hot_free(edge_hot *hot);

/** The bytes of that version of an entry, to be released; NULL: they are not here. */
const char *edge_hot_get(edge_hot *hot, const unsigned char *key, apr_uint64_t version);

/** Room for an entry's bytes, to be filled and released; NULL without memory. */
char *edge_hot_room(apr_size_t len);

/** From now on they are found here: nobody writes to them any more. What is larger than a quarter
 * of the table is not kept. */
void edge_hot_put(edge_hot *hot, const unsigned char *key, apr_uint64_t version, char *bytes);

void edge_hot_release(const char *bytes);

#endif /* EDGE_HOT_H */
