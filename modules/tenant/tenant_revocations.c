/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The table of revocations, see tenant_revocations.h.
 *
 * A writer may be killed between any two stores (repair): an entry counts from the moment the head
 * is moved behind it, and is given up only once its floor refuses what it did. Chains are made anew
 * from the entries, and every revision is moved, since the one that belongs to the last store may
 * not have been. */
#include "tenant_revocations.h"

#include <stdatomic.h>
#include <string.h>

#include "og_hooks.h"

#define FLOORS  4096
#define BUCKETS 65536
#define SLOTS   (TENANT_REVOCATIONS_MAX + 1) /* one more, to move an entry in a full ring */

/* Entries that one revocation moves, and past ones that it clears away: it holds a lock */
#define MOVES_MAX   64
#define RETIRES_MAX 64

enum { BY_USER = 1, BY_SESSION };

typedef struct subject {
    apr_int64_t org;
    apr_uint64_t kind;
    apr_uint64_t id[2]; /* a user's, or two hashes of a session's under different keys */
} subject;

typedef struct entry {
    subject who;
    apr_time_t before, until;
    apr_uint32_t next;  /* in its bucket: slot + 1; 0: the last */
    apr_uint32_t again; /* revoked once more since it stands here */
} entry;

/* What is left of the revocations of some organisations that gave up their places. */
typedef struct ground {
    atomic_ullong revision;
    apr_time_t before; /* tokens that were issued before are refused */
    apr_time_t until;  /* … and until then those that do not say when */
} ground;

struct tenant_revocations {
    unsigned char seed[2][APR_SIPHASH_KSIZE];
    atomic_ullong head, tail; /* positions: next to write, oldest kept */
    ground floors[FLOORS];
    apr_uint32_t buckets[BUCKETS]; /* slot + 1; 0: none */
    entry entries[SLOTS];
};

apr_size_t tenant_revocations_bytes(void)
{
    return sizeof(tenant_revocations);
}

tenant_revocations *tenant_revocations_init(void *block,
                                            const unsigned char seed[2 * APR_SIPHASH_KSIZE])
{
    tenant_revocations *table = block;

    memcpy(table->seed, seed, sizeof(table->seed));
    return table;
}

static ground *floor_of(const tenant_revocations *table, apr_int64_t org)
{
    return (ground *)&table->floors[(apr_uint64_t)org % FLOORS];
}

static entry *entry_at(const tenant_revocations *table, apr_uint64_t position)
{
    return (entry *)&table->entries[position % SLOTS];
}

static apr_uint32_t *bucket_of(const tenant_revocations *table, const subject *who)
{
    apr_uint64_t hash = apr_siphash24(who, sizeof(*who), table->seed[0]);

    return (apr_uint32_t *)&table->buckets[hash % BUCKETS];
}

static subject user_of(const tenant_holder *whose)
{
    subject who = { whose->org, BY_USER, { (apr_uint64_t)whose->user, 0 } };

    return who;
}

static subject session_of(const tenant_revocations *table, const tenant_holder *whose)
{
    apr_size_t len = strlen(whose->session);
    subject who = { whose->org, BY_SESSION, { apr_siphash24(whose->session, len, table->seed[0]),
                                              apr_siphash24(whose->session, len,
                                                            table->seed[1]) } };

    return who;
}

static entry *find(const tenant_revocations *table, const subject *who)
{
    apr_uint32_t slot = *bucket_of(table, who);

    while (slot && memcmp(&table->entries[slot - 1].who, who, sizeof(*who)) != 0) {
        slot = table->entries[slot - 1].next;
    }
    return slot ? (entry *)&table->entries[slot - 1] : NULL;
}

static void link_entry(tenant_revocations *table, entry *at)
{
    apr_uint32_t *bucket = bucket_of(table, &at->who);

    at->next = *bucket;
    *bucket = (apr_uint32_t)(at - table->entries) + 1;
}

static void unlink_entry(tenant_revocations *table, const entry *at)
{
    apr_uint32_t slot = (apr_uint32_t)(at - table->entries) + 1;
    apr_uint32_t *link = bucket_of(table, &at->who);

    while (*link && *link != slot) {
        link = &table->entries[*link - 1].next;
    }
    if (*link) {
        *link = at->next;
    }
}

static void raise_to(apr_time_t *time, apr_time_t to)
{
    if (*time < to) {
        *time = to;
    }
}

/* More of the organisation's tokens are refused than before. */
static void changed(tenant_revocations *table, apr_int64_t org)
{
    atomic_fetch_add(&floor_of(table, org)->revision, 1);
}

static void append(tenant_revocations *table, const subject *who, apr_time_t before,
                   apr_time_t until)
{
    entry *at = entry_at(table, table->head);

    at->who = *who;
    at->before = before;
    at->until = until;
    at->again = 0;
    og_hooks_crash_point();
    link_entry(table, at);
    og_hooks_crash_point();
    atomic_fetch_add(&table->head, 1);
    og_hooks_crash_point();
}

/* The oldest gives its place up. */
static void drop_oldest(tenant_revocations *table)
{
    unlink_entry(table, entry_at(table, table->tail));
    og_hooks_crash_point();
    atomic_fetch_add(&table->tail, 1);
    og_hooks_crash_point();
}

/* … for its floor, which refuses what it did. */
static void retire(tenant_revocations *table, apr_time_t now)
{
    const entry *oldest = entry_at(table, table->tail);
    ground *under = floor_of(table, oldest->who.org);

    if (oldest->until > now) {
        raise_to(&under->until, oldest->until);
    }
    raise_to(&under->before, oldest->before);
    og_hooks_crash_point();
    changed(table, oldest->who.org);
    drop_oldest(table);
}

/* One that was revoked again is not the oldest: to the other end with it. */
static void move_oldest(tenant_revocations *table)
{
    const entry *oldest = entry_at(table, table->tail);

    append(table, &oldest->who, oldest->before, oldest->until);
    drop_oldest(table);
}

/* @return 1 when one that is not past its time was retired */
static int make_room(tenant_revocations *table, apr_time_t now, apr_uint32_t limit)
{
    int moves = MOVES_MAX, retires = RETIRES_MAX, early = 0;

    while (tenant_revocations_count(table)) {
        const entry *oldest = entry_at(table, table->tail);
        int full = tenant_revocations_count(table) >= limit, past = oldest->until <= now;

        if (!full && (!past || !retires)) {
            break;
        }
        if (!past && oldest->again && moves) {
            moves--;
            move_oldest(table);
            continue;
        }
        retires -= past && retires;
        early |= !past;
        retire(table, now);
    }
    return early;
}

int tenant_revocations_add(tenant_revocations *table, const tenant_holder *whose,
                           apr_time_t before, apr_time_t until, apr_time_t now,
                           apr_uint32_t limit)
{
    subject who = whose->session ? session_of(table, whose) : user_of(whose);
    entry *known = find(table, &who);
    int early = 0;

    if (known) {
        known->again = 1;
        raise_to(&known->until, until);
        og_hooks_crash_point();
        raise_to(&known->before, before);
        og_hooks_crash_point();
    }
    else {
        early = make_room(table, now, limit);
        append(table, &who, before, until);
    }
    changed(table, whose->org);
    return early;
}

static int refuses(apr_time_t before, apr_time_t until, apr_time_t issued, apr_time_t now)
{
    return issued ? issued < before : now < until;
}

static int concerns(const entry *found, apr_time_t issued, apr_time_t now)
{
    return found && refuses(found->before, found->until, issued, now);
}

int tenant_revocations_has(const tenant_revocations *table, const tenant_holder *whose,
                           apr_time_t issued, apr_time_t now)
{
    const ground *under = floor_of(table, whose->org);
    subject who;

    if (refuses(under->before, under->until, issued, now)) {
        return 1;
    }
    if (whose->user) {
        who = user_of(whose);
        if (concerns(find(table, &who), issued, now)) {
            return 1;
        }
    }
    if (whose->session) {
        who = session_of(table, whose);
        return concerns(find(table, &who), issued, now);
    }
    return 0;
}

apr_uint64_t tenant_revocations_revision(const tenant_revocations *table, apr_int64_t org)
{
    return atomic_load(&floor_of(table, org)->revision);
}

apr_uint32_t tenant_revocations_count(const tenant_revocations *table)
{
    return (apr_uint32_t)(table->head - table->tail);
}

void tenant_revocations_repair(tenant_revocations *table)
{
    apr_uint64_t at;
    apr_size_t i;

    memset(table->buckets, 0, sizeof(table->buckets));
    for (at = table->tail; at < table->head; at++) {
        link_entry(table, entry_at(table, at));
    }
    for (i = 0; i < FLOORS; i++) {
        atomic_fetch_add(&table->floors[i].revision, 1);
    }
}
