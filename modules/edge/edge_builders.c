/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Marks of who builds, see edge_builders.h. */
#include "edge_builders.h"

#include "og_hooks.h"
#include "og_lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* As long as a shard of the store is waited for */
#define LOCK_WITHIN apr_time_from_msec(20)

typedef struct mark {
    unsigned char key[EDGE_BUILDERS_KEY];
    apr_uint64_t epoch;
    apr_uint64_t ticket; /* 0: nobody's. Written last */
    apr_uint64_t turn;   /* the ticket of who had it first, of those that did not end */
    apr_time_t until;
    apr_time_t refused;  /* its answer was not to be kept, until then; 0: nothing is known */
    apr_int32_t pid;
    atomic_uint word;    /* another number whenever a builder is done; no lock */
} mark;

typedef struct group {
    pthread_mutex_t lock;
    apr_uint64_t tickets; /* given so far */
    mark marks[EDGE_BUILDERS_MARKS];
} group;

struct edge_builders {
    unsigned char seed[APR_SIPHASH_KSIZE];
    group groups[EDGE_BUILDERS_GROUPS];
};

apr_size_t edge_builders_bytes(void)
{
    return sizeof(edge_builders);
}

edge_builders *edge_builders_init(void *block, const unsigned char seed[APR_SIPHASH_KSIZE])
{
    edge_builders *builders = block;
    int i;

    memcpy(builders->seed, seed, APR_SIPHASH_KSIZE);
    for (i = 0; i < EDGE_BUILDERS_GROUPS; i++) {
        if (og_lock_init(&builders->groups[i].lock) != 0) {
            return NULL;
        }
    }
    return builders;
}

static void wake(mark *at)
{
    atomic_fetch_add(&at->word, 1);
    syscall(SYS_futex, &at->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void clear(mark *at)
{
    at->ticket = 0;
    og_hooks_crash_point();
    wake(at);
}

/* @return 1: held. Behind a holder that died nobody builds as far as we know. */
static int lock(group *in)
{
    int rc = og_lock_take(&in->lock, LOCK_WITHIN), i;

    if (rc == EOWNERDEAD) {
        for (i = 0; i < EDGE_BUILDERS_MARKS; i++) {
            clear(&in->marks[i]);
        }
        rc = og_lock_repaired(&in->lock);
    }
    if (!rc) {
        og_hooks_crash_point();
    }
    return rc == 0;
}

static void unlock(group *in)
{
    og_hooks_crash_point();
    og_lock_give(&in->lock);
}

static int is_alive(const mark *at, apr_time_t now)
{
    return at->until > now && (kill(at->pid, 0) == 0 || errno == EPERM);
}

/* Whose mark it is, or was. */
static int is_of(const mark *at, const unsigned char *key, apr_uint64_t epoch)
{
    return at->epoch == epoch && !memcmp(at->key, key, EDGE_BUILDERS_KEY);
}

static int is_for(const mark *at, const unsigned char *key, apr_uint64_t epoch)
{
    return at->ticket && is_of(at, key, epoch);
}

/* The key's mark, else a free one, that which has the least to remember, else one whose builder is
 * gone, else NULL. */
static mark *look_up(group *in, const unsigned char *key, apr_uint64_t epoch, apr_time_t now)
{
    mark *other = NULL;
    int i;

    for (i = 0; i < EDGE_BUILDERS_MARKS; i++) {
        mark *at = &in->marks[i];

        if (is_of(at, key, epoch)) {
            return at;
        }
        if (!at->ticket && (!other || at->refused < other->refused)) {
            other = at;
        }
    }
    for (i = 0; i < EDGE_BUILDERS_MARKS && !other; i++) {
        other = is_alive(&in->marks[i], now) ? NULL : &in->marks[i];
    }
    return other;
}

static void take(group *in, mark *at, const unsigned char *key, apr_uint64_t epoch, apr_time_t now)
{
    apr_uint64_t ticket = in->tickets + 1;

    at->turn = is_for(at, key, epoch) ? at->turn : ticket;
    at->ticket = 0;
    at->refused = 0;
    memcpy(at->key, key, EDGE_BUILDERS_KEY);
    at->epoch = epoch;
    at->until = now + EDGE_BUILDERS_LEASE;
    at->pid = (apr_int32_t)getpid();
    og_hooks_crash_point();
    in->tickets = ticket;
    at->ticket = ticket;
    og_hooks_crash_point();
}

static group *group_of(edge_builders *builders, const unsigned char *key)
{
    apr_uint64_t hash = apr_siphash24(key, EDGE_BUILDERS_KEY, builders->seed);

    return &builders->groups[hash % EDGE_BUILDERS_GROUPS];
}

edge_building edge_builders_begin(edge_builders *builders,
                                  const unsigned char key[EDGE_BUILDERS_KEY], apr_uint64_t epoch,
                                  apr_time_t now, edge_build *build)
{
    edge_building whose = EDGE_BUILDING_NOBODY;
    group *in = group_of(builders, key);
    mark *at;

    build->ticket = 0;
    build->group = (apr_uint32_t)(in - builders->groups);
    if (!lock(in)) {
        return whose;
    }
    at = look_up(in, key, epoch, now);
    if (at) {
        build->mark = (apr_uint32_t)(at - in->marks);
        whose = is_for(at, key, epoch) && is_alive(at, now) ? EDGE_BUILDING_OTHERS
                                                            : EDGE_BUILDING_MINE;
    }
    if (whose == EDGE_BUILDING_OTHERS) {
        build->seen = atomic_load(&at->word);
        build->turn = at->turn;
    }
    if (whose == EDGE_BUILDING_MINE) {
        take(in, at, key, epoch, now);
        build->ticket = at->ticket;
    }
    unlock(in);
    return whose;
}

void edge_builders_wait(edge_builders *builders, const edge_build *build,
                        apr_interval_time_t within)
{
    mark *at = &builders->groups[build->group].marks[build->mark];
    apr_interval_time_t round = within < EDGE_BUILDERS_ROUND ? within : EDGE_BUILDERS_ROUND;
    struct timespec timeout = { 0, (long)(round > 0 ? round : 0) * 1000 };

    /* not at all when the word has changed */
    syscall(SYS_futex, &at->word, FUTEX_WAIT, build->seen, &timeout, NULL, 0);
}

/* by: what becomes of the mark, if it is still the builder's */
static void leave(edge_builders *builders, const edge_build *build, void (*by)(mark *at),
                  apr_time_t refused)
{
    group *in = &builders->groups[build->group];
    mark *at = &in->marks[build->mark];

    if (!lock(in)) {
        return; /* its lease ends it */
    }
    if (at->ticket == build->ticket) {
        at->refused = refused;
        by(at);
    }
    unlock(in);
}

void edge_builders_end(edge_builders *builders, const edge_build *build)
{
    leave(builders, build, clear, 0);
}

void edge_builders_refuse(edge_builders *builders, const edge_build *build, apr_time_t now)
{
    leave(builders, build, clear, now + EDGE_BUILDERS_REFUSAL);
}

int edge_builders_refused(edge_builders *builders, const unsigned char key[EDGE_BUILDERS_KEY],
                          apr_uint64_t epoch, apr_time_t now)
{
    group *in = group_of(builders, key);
    int i, refused = 0;

    if (!lock(in)) {
        return 0;
    }
    for (i = 0; i < EDGE_BUILDERS_MARKS; i++) {
        refused |= is_of(&in->marks[i], key, epoch) && in->marks[i].refused > now;
    }
    unlock(in);
    return refused;
}

/* As one that was killed leaves it: the turn goes on with who takes it over. */
static void expire(mark *at)
{
    at->until = 0;
    og_hooks_crash_point();
    wake(at);
}

void edge_builders_give_up(edge_builders *builders, const edge_build *build)
{
    leave(builders, build, expire, 0);
}
