/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Large entries in a process's own memory, see edge_hot.h. A place for each key, by its first
 * bytes: a digest spreads well, and who chose one to meet another would only have both copied
 * again. */
#include "edge_hot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 256

/* What stands before bytes that are given out */
typedef struct {
    atomic_int users;
    unsigned char key[EDGE_HOT_KEY]; /* with the version: no two entries have both */
    apr_uint64_t version;
    apr_size_t len;
    char bytes[];
} copy;

struct edge_hot {
    pthread_mutex_t lock;
    apr_size_t most;
    apr_size_t held;          /* under lock: bytes of all */
    unsigned hand;            /* under lock: the place that is emptied next */
    copy *places[PLACES];     /* under lock */
    unsigned char used[PLACES]; /* under lock: since the hand came by */
};

static copy *copy_of(const char *bytes)
{
    return (copy *)(bytes - offsetof(copy, bytes));
}

static unsigned place_of(const unsigned char *key)
{
    return key[0]; /* of PLACES */
}

edge_hot *edge_hot_make(apr_size_t most)
{
    edge_hot *hot = calloc(1, sizeof(*hot));

    if (hot) {
        pthread_mutex_init(&hot->lock, NULL);
        hot->most = most;
    }
    return hot;
}

static void release(copy *of)
{
    if (atomic_fetch_sub(&of->users, 1) == 1) {
        free(of);
    }
}

void edge_hot_release(const char *bytes)
{
    release(copy_of(bytes));
}

/* Under the lock. */
static void empty(edge_hot *hot, unsigned place)
{
    copy *of = hot->places[place];

    if (of) {
        hot->held -= of->len;
        hot->places[place] = NULL;
        release(of);
    }
}

void edge_hot_free(edge_hot *hot)
{
    unsigned i;

    for (i = 0; i < PLACES; i++) {
        empty(hot, i);
    }
    pthread_mutex_destroy(&hot->lock);
    free(hot);
}

const char *edge_hot_get(edge_hot *hot, const unsigned char *key, apr_uint64_t version)
{
    unsigned place = place_of(key);
    copy *of;

    pthread_mutex_lock(&hot->lock);
    of = hot->places[place];
    if (of && of->version == version && !memcmp(of->key, key, EDGE_HOT_KEY)) {
        hot->used[place] = 1;
        atomic_fetch_add(&of->users, 1);
    }
    else {
        of = NULL;
    }
    pthread_mutex_unlock(&hot->lock);
    return of ? of->bytes : NULL;
}

char *edge_hot_room(apr_size_t len)
{
    copy *of = malloc(sizeof(*of) + len);

    if (!of) {
        return NULL;
    }
    atomic_init(&of->users, 1);
    of->len = len;
    return of->bytes;
}

/* Under the lock. Second chance: what was used since the hand came by last stays for a round. */
static void make_room(edge_hot *hot, apr_size_t len)
{
    while (hot->held + len > hot->most) {
        if (hot->used[hot->hand]) {
            hot->used[hot->hand] = 0;
        }
        else {
            empty(hot, hot->hand);
        }
        hot->hand = (hot->hand + 1) % PLACES;
    }
}

void edge_hot_put(edge_hot *hot, const unsigned char *key, apr_uint64_t version, char *bytes)
{
    copy *of = copy_of(bytes);
    unsigned place = place_of(key);

    if (of->len > hot->most / 4) {
        return;
    }
    memcpy(of->key, key, EDGE_HOT_KEY);
    of->version = version;
    atomic_fetch_add(&of->users, 1);
    pthread_mutex_lock(&hot->lock);
    empty(hot, place);
    make_room(hot, of->len);
    hot->places[place] = of;
    hot->used[place] = 0;
    hot->held += of->len;
    pthread_mutex_unlock(&hot->lock);
}
