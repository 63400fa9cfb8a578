/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The store's ring, see rt_ring.h. Everything here runs under the owner's lock. */
#include "rt_ring.h"

#include <string.h>

#include "og_hooks.h"

#define WINDOW   8 /* slots that an org may live in */
#define PADDING  APR_UINT64_MAX /* id of a filler up to the ring's end */

typedef struct rt_ring_slot {
    apr_int64_t org;         /* 0: free */
    char domain[RT_DOMAIN_SIZE];
    apr_uint64_t newest;     /* position + 1; 0: none */
    apr_uint64_t newest_id;
    apr_uint64_t floor;      /* newest id of all orgs that lost the slot */
    apr_time_t used;         /* monotonic: its last publication or poll */
    rt_burst burst;
} rt_ring_slot;

struct rt_ring {
    apr_uint64_t epoch, seed[2];
    apr_uint64_t data;       /* bytes of the ring */
    apr_uint64_t head, tail; /* positions: next to write, oldest kept */
    apr_uint64_t last_id;
    apr_uint64_t evicted;
    apr_uint32_t slots, taken; /* orgs there is room for, and those that are not free */
    apr_uint32_t hand, unused; /* words looked at by rt_ring_give_back() */
    struct {
        apr_uint32_t active; /* the commit word: 0 is written last */
        apr_uint32_t index;
        rt_ring_slot slot;
        apr_uint64_t head, last_id;
    } intent;
};

static rt_ring_slot *slots_of(const rt_ring *ring)
{
    return (rt_ring_slot *)((char *)ring + sizeof(*ring));
}

/* A bit a slot, set before it is taken and cleared behind its end: who looks for those that are not
 * free touches no page of those that never were anything else */
static apr_uint64_t *marks_of(const rt_ring *ring)
{
    return (apr_uint64_t *)(slots_of(ring) + ring->slots);
}

static apr_uint32_t words(apr_uint32_t slots)
{
    return (slots + 63) / 64;
}

static rt_record *record_at(const rt_ring *ring, apr_uint64_t at)
{
    char *data = (char *)(marks_of(ring) + words(ring->slots));

    return (rt_record *)(data + at % ring->data);
}

apr_size_t rt_ring_bytes(apr_uint32_t slots, apr_size_t data)
{
    return sizeof(rt_ring) + slots * sizeof(rt_ring_slot) + words(slots) * sizeof(apr_uint64_t)
           + data;
}

rt_ring *rt_ring_init(void *block, apr_uint32_t slots, apr_size_t data, apr_uint64_t epoch,
                      const apr_uint64_t seed[2])
{
    rt_ring *ring = block;

    memset(block, 0, rt_ring_bytes(slots, 0));
    ring->epoch = epoch;
    ring->seed[0] = seed[0];
    ring->seed[1] = seed[1];
    ring->data = data / sizeof(rt_record) * sizeof(rt_record);
    ring->slots = slots;
    return ring;
}

apr_uint64_t rt_ring_epoch(const rt_ring *ring)
{
    return ring->epoch;
}

apr_uint64_t rt_ring_last_id(const rt_ring *ring)
{
    return ring->last_id;
}

void rt_ring_use(const rt_ring *ring, rt_ring_usage *sum)
{
    sum->bytes += ring->data;
    sum->bytes_used += ring->head - ring->tail;
    sum->slots += ring->slots;
    sum->slots_used += ring->taken;
    sum->evicted += ring->evicted;
}

static apr_uint64_t rotate(apr_uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(apr_uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-2-4's rounds over whole words: keyed, so that nobody picks orgs that share a window */
static apr_uint64_t hash(const rt_ring *ring, const rt_ring_key *key)
{
    apr_uint64_t words[1 + RT_DOMAIN_SIZE / 8] = { 0 };
    apr_uint64_t v[4] = { 0x736f6d6570736575U, 0x646f72616e646f6dU, 0x6c7967656e657261U,
                          0x7465646279746573U };
    apr_size_t i;

    words[0] = (apr_uint64_t)key->org;
    memcpy(words + 1, key->domain, strlen(key->domain));
    for (i = 0; i < 4; i++) {
        v[i] ^= ring->seed[i % 2];
    }
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        v[3] ^= words[i];
        sip_round(v);
        sip_round(v);
        v[0] ^= words[i];
    }
    v[2] ^= 0xff;
    for (i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Where an org without a slot would have one */
typedef struct vacancy {
    rt_ring_slot *slot; /* a free one, or its window's longest silent */
    apr_uint64_t floor; /* newest id that it may have lost */
} vacancy;

/* The org's slot, or NULL and *vacant */
static rt_ring_slot *find(const rt_ring *ring, const rt_ring_key *key, vacancy *vacant)
{
    apr_uint64_t start = hash(ring, key);
    rt_ring_slot *all = slots_of(ring), *idle = NULL;
    apr_uint64_t floor = 0;
    int i;

    for (i = 0; i < WINDOW; i++) {
        rt_ring_slot *slot = &all[(start + (apr_uint64_t)i) & (ring->slots - 1)];

        if (slot->org == key->org && strcmp(slot->domain, key->domain) == 0) {
            return slot;
        }
        if (!idle || slot->newest_id < idle->newest_id) {
            idle = slot;
        }
        floor = slot->floor > floor ? slot->floor : floor;
    }
    vacant->slot = idle;
    vacant->floor = floor;
    return NULL;
}

/* A walk through the org's kept records, newest first */
typedef struct walk {
    const rt_ring *ring;
    const rt_ring_keep *keep;
    apr_uint64_t next, next_id; /* the record to look at: position + 1, id */
    int seen;
} walk;

/* @return the next kept record, or NULL at the end; w->next_id then is the newest id lost */
static const rt_record *step(walk *w, apr_uint64_t *at)
{
    const rt_record *record;

    if (!w->next || w->next - 1 < w->ring->tail || w->seen == w->keep->events) {
        return NULL;
    }
    record = record_at(w->ring, w->next - 1);
    if (w->keep->now - record->born > w->keep->ttl) {
        return NULL;
    }
    *at = w->next - 1;
    w->next = record->prev;
    w->next_id = record->prev_id;
    w->seen++;
    return record;
}

static const rt_record *duplicate(const rt_ring *ring, const rt_ring_slot *slot,
                                  const rt_ring_keep *keep, const char *event_id)
{
    walk w = { ring, keep, slot->newest, slot->newest_id, 0 };
    apr_size_t len = strlen(event_id);
    const rt_record *record;
    apr_uint64_t at;

    while ((record = step(&w, &at)) != NULL) {
        if (record->event_id_len == len
            && memcmp(rt_record_type(record) + record->type_len, event_id, len) == 0) {
            return record;
        }
    }
    return NULL;
}

/* Overwrite from the oldest on until size bytes fit in front of the head */
static void make_room(rt_ring *ring, apr_uint64_t size)
{
    while (ring->head + size - ring->tail > ring->data) {
        const rt_record *oldest = record_at(ring, ring->tail);

        if (oldest->id != PADDING) {
            ring->evicted++;
        }
        ring->tail += oldest->size;
        og_hooks_crash_point();
    }
}

/* @return where a record of size bytes goes; fills the ring's end up when it would wrap */
static apr_uint64_t reserve(rt_ring *ring, apr_uint64_t size)
{
    apr_uint64_t left = ring->data - ring->head % ring->data;

    if (size > left) {
        rt_record *filler;

        make_room(ring, left);
        filler = record_at(ring, ring->head);
        filler->id = PADDING;
        og_hooks_crash_point();
        filler->size = (apr_uint32_t)left;
        og_hooks_crash_point();
        ring->head += left;
        og_hooks_crash_point();
    }
    make_room(ring, size);
    return ring->head;
}

static void put(char **to, const char *from, apr_size_t len)
{
    og_hooks_crash_point();
    if (len) {
        memcpy(*to, from, len);
        *to += len;
    }
}

static void begin(rt_ring *ring, const rt_ring_slot *slot)
{
    ring->intent.index = (apr_uint32_t)(slot - slots_of(ring));
    ring->intent.slot = *slot;
    ring->intent.head = ring->head;
    ring->intent.last_id = ring->last_id;
    og_hooks_crash_point();
    __atomic_store_n(&ring->intent.active, 1, __ATOMIC_SEQ_CST);
    og_hooks_crash_point();
}

static void commit(rt_ring *ring)
{
    og_hooks_crash_point();
    __atomic_store_n(&ring->intent.active, 0, __ATOMIC_SEQ_CST);
    og_hooks_crash_point();
}

/* The ring's size too is a multiple of a record's header: a filler always has room for its own */
static apr_uint64_t padded(apr_uint64_t size)
{
    return (size + sizeof(rt_record) - 1) / sizeof(rt_record) * sizeof(rt_record);
}

/* Free a slot. The floor first: a death in between raises it for nothing, which no reader minds;
 * an org that is gone before would not be told what it lost. */
static void vacate(rt_ring *ring, rt_ring_slot *slot)
{
    rt_ring_slot empty = { 0 };

    empty.floor = slot->newest_id > slot->floor ? slot->newest_id : slot->floor;
    slot->floor = empty.floor;
    og_hooks_crash_point();
    ring->taken -= slot->org != 0;
    __atomic_store_n(&slot->org, 0, __ATOMIC_SEQ_CST);
    og_hooks_crash_point();
    *slot = empty;
    og_hooks_crash_point();
}

static void take_slot(rt_ring *ring, const vacancy *vacant, const rt_ring_key *key)
{
    rt_ring_slot *slot = vacant->slot;
    apr_size_t n = (apr_size_t)(slot - slots_of(ring));

    marks_of(ring)[n / 64] |= APR_UINT64_C(1) << n % 64;
    vacate(ring, slot);
    ring->taken++;
    slot->org = key->org;
    memcpy(slot->domain, key->domain, strlen(key->domain));
    slot->newest_id = vacant->floor;
}

static void write_record(rt_ring *ring, rt_ring_slot *slot, const rt_ring_event *event,
                         const rt_ring_keep *keep, apr_uint64_t size)
{
    apr_uint64_t at = reserve(ring, size);
    rt_record *record = record_at(ring, at);
    char *to = (char *)(record + 1);

    memset(record, 0, sizeof(*record));
    og_hooks_crash_point();
    record->id = ring->last_id + 1;
    record->prev = slot->newest;
    record->prev_id = slot->newest_id;
    record->property = event->property;
    record->born = keep->now;
    record->size = (apr_uint32_t)size;
    record->json_len = (apr_uint32_t)event->json_len;
    record->type_len = (apr_uint16_t)strlen(event->type);
    record->event_id_len = (apr_uint16_t)strlen(event->event_id);
    record->coalesce_len = (apr_uint16_t)(event->coalesce ? strlen(event->coalesce) : 0);
    put(&to, event->type, record->type_len);
    put(&to, event->event_id, record->event_id_len);
    put(&to, event->coalesce, record->coalesce_len);
    put(&to, event->json, event->json_len);
    og_hooks_crash_point();
    rt_burst_count(&slot->burst, keep->now);
    slot->used = keep->now;
    og_hooks_crash_point();
    slot->newest = at + 1;
    og_hooks_crash_point();
    slot->newest_id = record->id;
    og_hooks_crash_point();
    ring->last_id = record->id;
    og_hooks_crash_point();
    ring->head = at + size;
}

apr_status_t rt_ring_append(rt_ring *ring, const rt_ring_key *key, const rt_ring_event *event,
                            const rt_ring_keep *keep, apr_uint64_t *id)
{
    const rt_record *known;
    rt_ring_slot *slot;
    vacancy vacant;
    apr_uint64_t size;

    if (strlen(key->domain) >= RT_DOMAIN_SIZE || key->org < 1
        || strlen(event->type) > RT_EVENT_TYPE_MAX || strlen(event->event_id) > RT_EVENT_ID_MAX
        || (event->coalesce && strlen(event->coalesce) > RT_EVENT_COALESCE_MAX)) {
        return APR_EINVAL;
    }
    size = padded(sizeof(rt_record) + strlen(event->type) + strlen(event->event_id)
                  + (event->coalesce ? strlen(event->coalesce) : 0) + event->json_len);
    if (size > ring->data / 4) {
        return APR_ENOSPC;
    }
    slot = find(ring, key, &vacant);
    known = slot ? duplicate(ring, slot, keep, event->event_id) : NULL;
    if (known) {
        *id = known->id;
        return APR_EEXIST;
    }
    begin(ring, slot ? slot : vacant.slot);
    if (!slot) {
        slot = vacant.slot;
        take_slot(ring, &vacant, key);
    }
    write_record(ring, slot, event, keep, size);
    commit(ring);
    *id = ring->last_id;
    return APR_SUCCESS;
}

int rt_ring_scan(const rt_ring *ring, const rt_ring_key *key, apr_uint64_t after,
                 const rt_ring_keep *keep, apr_uint64_t *at, int *gap)
{
    walk w = { ring, keep, 0, 0, 0 };
    rt_ring_slot *slot;
    vacancy vacant;
    const rt_record *record;
    int n = 0;

    *gap = after > ring->last_id;
    if (strlen(key->domain) >= RT_DOMAIN_SIZE) {
        return 0;
    }
    slot = find(ring, key, &vacant);
    w.next = slot ? slot->newest : 0;
    w.next_id = slot ? slot->newest_id : vacant.floor;
    while (w.next_id > after && (record = step(&w, &at[n])) != NULL) {
        n++;
    }
    *gap = *gap || w.next_id > after;
    return n;
}

apr_uint32_t rt_ring_visit(rt_ring *ring, const rt_ring_key *key, const rt_ring_keep *keep,
                           apr_uint64_t *newest)
{
    vacancy vacant;
    rt_ring_slot *slot = find(ring, key, &vacant);

    *newest = slot ? slot->newest_id : vacant.floor;
    if (!slot) {
        return 0;
    }
    slot->used = keep->now;
    return rt_burst_rate(&slot->burst, keep->now);
}

/* Give back what is idle of a word's slots. @return how many were */
static apr_uint32_t give_back(rt_ring *ring, apr_uint32_t word, apr_time_t before)
{
    apr_uint64_t *mark = &marks_of(ring)[word], left = *mark;
    apr_uint32_t given = 0;

    while (left) {
        int bit = __builtin_ctzll(left);
        rt_ring_slot *slot = &slots_of(ring)[word * 64 + (apr_uint32_t)bit];

        left &= left - 1;
        if (slot->org && slot->used < before) {
            vacate(ring, slot);
            given++;
        }
        if (!slot->org) {
            *mark &= ~(APR_UINT64_C(1) << bit);
        }
    }
    return given;
}

apr_uint32_t rt_ring_give_back(rt_ring *ring, apr_uint32_t slots, apr_time_t before)
{
    apr_uint32_t all = words(ring->slots), n = words(slots), given = 0;

    for (n = n < all ? n : all; n; n--) {
        given += give_back(ring, ring->hand++ % all, before);
    }
    return given;
}

const rt_record *rt_ring_record(const rt_ring *ring, apr_uint64_t at)
{
    return record_at(ring, at);
}

const char *rt_record_type(const rt_record *record)
{
    return (const char *)(record + 1);
}

const char *rt_record_coalesce(const rt_record *record)
{
    return rt_record_type(record) + record->type_len + record->event_id_len;
}

const char *rt_record_json(const rt_record *record)
{
    return rt_record_coalesce(record) + record->coalesce_len;
}

/* The count of slots is off by one when its holder died beside the store that it counts. */
static void count_taken(rt_ring *ring)
{
    apr_uint32_t i, taken = 0;

    for (i = 0; i < ring->slots; i++) {
        taken += (marks_of(ring)[i / 64] >> i % 64 & 1) && slots_of(ring)[i].org != 0;
    }
    ring->taken = taken;
}

int rt_ring_repair(rt_ring *ring)
{
    count_taken(ring);
    if (!__atomic_load_n(&ring->intent.active, __ATOMIC_SEQ_CST)) {
        return 0;
    }
    /* tail stays: records it passed may be overwritten already */
    slots_of(ring)[ring->intent.index] = ring->intent.slot;
    og_hooks_crash_point();
    ring->head = ring->intent.head;
    og_hooks_crash_point();
    if (ring->tail > ring->head) {
        ring->head = ring->tail;
    }
    ring->last_id = ring->intent.last_id;
    count_taken(ring);
    commit(ring);
    return 1;
}
