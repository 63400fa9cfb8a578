/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One shard, see edge_shard.h. */
#include "edge_shard.h"

#include "og_hooks.h"

#include <string.h>

/* Looks at entries that are spared before one goes that was used: the lock is held */
#define CHANCES 32

#define BLOCKS_PER_SLOT 4

static apr_size_t aligned(apr_size_t size)
{
    return (size + 63) & ~(apr_size_t)63;
}

static edge_slot *slot_of(const edge_shard *shard, apr_uint32_t number)
{
    return (edge_slot *)((char *)shard + shard->slots_at) + (number - 1);
}

static apr_uint32_t number_of(const edge_shard *shard, const edge_slot *slot)
{
    return (apr_uint32_t)(slot - slot_of(shard, 1)) + 1;
}

static edge_owner *owner_of(const edge_shard *shard, apr_uint32_t number)
{
    return (edge_owner *)((char *)shard + shard->owners_at) + (number - 1);
}

static apr_uint32_t *next_of(const edge_shard *shard, apr_uint32_t block)
{
    return (apr_uint32_t *)((char *)shard + shard->next_at) + (block - 1);
}

static char *block_of(const edge_shard *shard, apr_uint32_t block)
{
    return (char *)shard + shard->blocks_at + (apr_size_t)(block - 1) * EDGE_STORE_BLOCK;
}

static apr_uint32_t *bucket_of(edge_shard *shard, apr_uint32_t hash)
{
    return &shard->bucket[hash & (shard->buckets - 1)];
}

static apr_uint32_t *owner_bucket_of(edge_shard *shard, apr_uint64_t id)
{
    apr_uint64_t hash = apr_siphash24(&id, sizeof(id), shard->seed);

    return &shard->bucket[shard->buckets + (hash & (shard->buckets - 1))];
}

/* The power of two that is at least as many, so that chains are short. */
static apr_uint32_t buckets_for(apr_uint32_t slots)
{
    apr_uint32_t buckets = 1;

    while (buckets < slots) {
        buckets *= 2;
    }
    return buckets;
}

/* Where each array begins. A slot costs 170 bytes with what belongs to it, so that one for each
 * block would be a sixth of the memory, while most entries have more blocks than these. @return
 * bytes of all */
static apr_size_t plan(edge_shard *shard, apr_uint32_t blocks)
{
    shard->blocks = blocks;
    shard->slots = blocks / BLOCKS_PER_SLOT + 1;
    shard->buckets = buckets_for(shard->slots);
    shard->next_at = aligned(sizeof(*shard) + 2 * sizeof(apr_uint32_t) * shard->buckets);
    shard->slots_at = aligned(shard->next_at + sizeof(apr_uint32_t) * blocks);
    shard->owners_at = aligned(shard->slots_at + sizeof(edge_slot) * shard->slots);
    shard->blocks_at = aligned(shard->owners_at + sizeof(edge_owner) * shard->slots);
    return shard->blocks_at + (apr_size_t)blocks * EDGE_STORE_BLOCK;
}

apr_uint32_t edge_shard_blocks(apr_size_t bytes)
{
    apr_uint32_t blocks = (apr_uint32_t)(bytes / EDGE_STORE_BLOCK);
    edge_shard trial;

    while (blocks && plan(&trial, blocks) > bytes) {
        blocks -= blocks / 256 + 1;
    }
    return blocks;
}

void edge_shard_init(edge_shard *shard, apr_uint32_t blocks,
                     const unsigned char seed[APR_SIPHASH_KSIZE])
{
    plan(shard, blocks);
    memcpy(shard->seed, seed, APR_SIPHASH_KSIZE);
}

void edge_shard_empty(edge_shard *shard)
{
    memset(shard->bucket, 0, 2 * sizeof(apr_uint32_t) * shard->buckets);
    shard->used_slots = shard->used_blocks = 0;
    shard->free_slot = shard->free_owner = shard->free_block = 0;
    shard->fresh_slot = shard->fresh_owner = shard->fresh_block = 0;
    shard->hogs = 0;
    memset(&shard->order, 0, sizeof(shard->order));
    shard->version++;
}

/* A list's last. */
static void append(edge_shard *shard, edge_list *list, int which, apr_uint32_t number)
{
    edge_slot *slot = slot_of(shard, number);

    slot->link[which].prev = list->last;
    slot->link[which].next = 0;
    if (list->last) {
        slot_of(shard, list->last)->link[which].next = number;
    }
    else {
        list->first = number;
    }
    list->last = number;
}

static void unlink_slot(edge_shard *shard, edge_list *list, int which, apr_uint32_t number)
{
    const edge_slot *slot = slot_of(shard, number);
    apr_uint32_t prev = slot->link[which].prev, next = slot->link[which].next;

    *(prev ? &slot_of(shard, prev)->link[which].next : &list->first) = next;
    *(next ? &slot_of(shard, next)->link[which].prev : &list->last) = prev;
}

edge_slot *edge_shard_find(edge_shard *shard, apr_uint32_t hash, const unsigned char *key)
{
    apr_uint32_t number = *bucket_of(shard, hash);

    while (number && memcmp(slot_of(shard, number)->key, key, EDGE_STORE_KEY) != 0) {
        number = slot_of(shard, number)->chain;
    }
    return number ? slot_of(shard, number) : NULL;
}

void edge_shard_copy(const edge_shard *shard, const edge_slot *slot, char *out, apr_size_t len)
{
    apr_uint32_t block = slot->first;

    while (len) {
        apr_size_t n = len < EDGE_STORE_BLOCK ? len : EDGE_STORE_BLOCK;

        memcpy(out, block_of(shard, block), n);
        out += n;
        len -= n;
        block = *next_of(shard, block);
    }
}

/* More than its share, with so many blocks */
static int is_over(const edge_shard *shard, apr_uint64_t blocks)
{
    return blocks * EDGE_STORE_SHARE > shard->blocks;
}

/* An owner holds more, or fewer, blocks than before. There are fewer hogs than EDGE_STORE_SHARE:
 * each holds more than that part of the shard. */
static void weigh(edge_shard *shard, apr_uint32_t number)
{
    edge_owner *owner = owner_of(shard, number);
    apr_uint32_t is_hog = (apr_uint32_t)is_over(shard, owner->blocks), i;

    if (is_hog == owner->is_hog) {
        return;
    }
    owner->is_hog = is_hog;
    if (is_hog) {
        shard->hog[shard->hogs++] = number;
        return;
    }
    for (i = 0; shard->hog[i] != number; i++) {
    }
    shard->hog[i] = shard->hog[--shard->hogs];
}

static apr_uint32_t find_owner(edge_shard *shard, apr_uint64_t id)
{
    apr_uint32_t number = *owner_bucket_of(shard, id);

    while (number && owner_of(shard, number)->id != id) {
        number = owner_of(shard, number)->chain;
    }
    return number;
}

/* There is one for each slot, and so one to be had. */
static apr_uint32_t make_owner(edge_shard *shard, apr_uint64_t id)
{
    apr_uint32_t number = shard->free_owner, *bucket = owner_bucket_of(shard, id);
    edge_owner *owner;

    if (number) {
        shard->free_owner = owner_of(shard, number)->chain;
    }
    else {
        number = ++shard->fresh_owner;
    }
    owner = owner_of(shard, number);
    memset(owner, 0, sizeof(*owner));
    owner->id = id;
    owner->chain = *bucket;
    *bucket = number;
    return number;
}

static void free_owner(edge_shard *shard, apr_uint32_t number)
{
    edge_owner *owner = owner_of(shard, number);
    apr_uint32_t *link = owner_bucket_of(shard, owner->id);

    while (*link != number) {
        link = &owner_of(shard, *link)->chain;
    }
    *link = owner->chain;
    owner->chain = shard->free_owner;
    shard->free_owner = number;
}

static void leave_owner(edge_shard *shard, const edge_slot *slot)
{
    edge_owner *owner = owner_of(shard, slot->owner);

    unlink_slot(shard, &owner->entries, EDGE_IN_OWNER, number_of(shard, slot));
    owner->blocks -= slot->count;
    weigh(shard, slot->owner);
    if (!owner->entries.first) {
        free_owner(shard, slot->owner);
    }
}

static void free_blocks(edge_shard *shard, const edge_slot *slot)
{
    apr_uint32_t last = slot->first, i;

    for (i = 1; i < slot->count; i++) {
        last = *next_of(shard, last);
    }
    *next_of(shard, last) = shard->free_block;
    shard->free_block = slot->first;
    shard->used_blocks -= slot->count;
}

void edge_shard_drop(edge_shard *shard, edge_slot *slot)
{
    apr_uint32_t number = number_of(shard, slot), *link = bucket_of(shard, slot->hash);

    while (*link != number) {
        link = &slot_of(shard, *link)->chain;
    }
    *link = slot->chain;
    og_hooks_crash_point();
    unlink_slot(shard, &shard->order, EDGE_IN_SHARD, number);
    leave_owner(shard, slot);
    og_hooks_crash_point();
    free_blocks(shard, slot);
    og_hooks_crash_point();
    slot->chain = shard->free_slot;
    shard->free_slot = number;
    shard->used_slots--;
}

/* The owner whose entries go first, for one that wants so many blocks; 0: anybody's. */
static apr_uint32_t payer(edge_shard *shard, apr_uint64_t id, apr_uint32_t blocks)
{
    apr_uint32_t self = find_owner(shard, id), most = 0, most_blocks = 0, i;

    if (self && is_over(shard, (apr_uint64_t)owner_of(shard, self)->blocks + blocks)) {
        most = self;
        most_blocks = owner_of(shard, self)->blocks + blocks;
    }
    for (i = 0; i < shard->hogs; i++) {
        if (owner_of(shard, shard->hog[i])->blocks > most_blocks) {
            most = shard->hog[i];
            most_blocks = owner_of(shard, most)->blocks;
        }
    }
    return most;
}

/* The oldest of a list that was not used, or is past its time. */
static edge_slot *oldest(edge_shard *shard, edge_list *list, int which, apr_time_t now)
{
    edge_slot *slot = slot_of(shard, list->first);
    int chances = CHANCES;

    while (slot->was_used && slot->entry.until > now && chances--) {
        apr_uint32_t number = number_of(shard, slot);

        slot->was_used = 0;
        unlink_slot(shard, list, which, number);
        append(shard, list, which, number);
        slot = slot_of(shard, list->first);
    }
    return slot;
}

/* One entry goes. @return 1 when that was before its time */
static unsigned evict(edge_shard *shard, apr_uint64_t id, apr_uint32_t blocks, apr_time_t now)
{
    apr_uint32_t owner = payer(shard, id, blocks);
    edge_slot *slot = owner ? oldest(shard, &owner_of(shard, owner)->entries, EDGE_IN_OWNER, now)
                            : oldest(shard, &shard->order, EDGE_IN_SHARD, now);
    unsigned is_early = slot->entry.until > now;

    edge_shard_drop(shard, slot);
    return is_early;
}

/* A free block, in no chain. */
static apr_uint32_t take_block(edge_shard *shard)
{
    apr_uint32_t block = shard->free_block;

    if (block) {
        shard->free_block = *next_of(shard, block);
        return block;
    }
    return ++shard->fresh_block;
}

static apr_uint32_t take_slot(edge_shard *shard)
{
    apr_uint32_t number = shard->free_slot;

    if (number) {
        shard->free_slot = slot_of(shard, number)->chain;
        return number;
    }
    return ++shard->fresh_slot;
}

/* Where the next byte goes: a slot's last block so far, and how full it is */
typedef struct cursor {
    apr_uint32_t block;
    apr_size_t used;
} cursor;

static void fill_part(edge_shard *shard, edge_slot *slot, cursor *at, const char *from,
                      apr_size_t len)
{
    while (len) {
        apr_size_t room = EDGE_STORE_BLOCK - at->used, n = len < room ? len : room;

        if (!room) {
            apr_uint32_t block = take_block(shard);

            *(slot->count++ ? next_of(shard, at->block) : &slot->first) = block;
            at->block = block;
            at->used = 0;
            continue;
        }
        memcpy(block_of(shard, at->block) + at->used, from, n);
        at->used += n;
        from += n;
        len -= n;
    }
}

/* An entry of no bytes has a block, too: it holds one against its owner's share. */
static void fill(edge_shard *shard, edge_slot *slot, const struct iovec *parts, int n)
{
    cursor at = { 0, EDGE_STORE_BLOCK };
    int i;

    slot->first = slot->count = 0;
    for (i = 0; i < n; i++) {
        fill_part(shard, slot, &at, parts[i].iov_base, parts[i].iov_len);
        og_hooks_crash_point();
    }
    if (!slot->count) {
        slot->first = take_block(shard);
        slot->count = 1;
    }
    shard->used_blocks += slot->count;
}

static void join_owner(edge_shard *shard, edge_slot *slot)
{
    edge_owner *owner;

    slot->owner = find_owner(shard, slot->entry.owner);
    if (!slot->owner) {
        slot->owner = make_owner(shard, slot->entry.owner);
    }
    owner = owner_of(shard, slot->owner);
    append(shard, &owner->entries, EDGE_IN_OWNER, number_of(shard, slot));
    owner->blocks += slot->count;
    weigh(shard, slot->owner);
}

unsigned edge_shard_put(edge_shard *shard, apr_uint32_t hash, const unsigned char *key,
                        const edge_entry *entry, const struct iovec *parts, int n, apr_time_t now)
{
    apr_uint32_t blocks = (apr_uint32_t)((entry->len + EDGE_STORE_BLOCK - 1) / EDGE_STORE_BLOCK);
    apr_uint32_t number;
    edge_slot *slot = edge_shard_find(shard, hash, key);
    unsigned evicted = 0;

    if (slot) {
        edge_shard_drop(shard, slot);
    }
    blocks += !blocks;
    while (shard->used_slots == shard->slots || shard->blocks - shard->used_blocks < blocks) {
        evicted += evict(shard, entry->owner, blocks, now);
    }
    number = take_slot(shard);
    slot = slot_of(shard, number);
    memcpy(slot->key, key, EDGE_STORE_KEY);
    slot->entry = *entry;
    slot->entry.version = ++shard->version;
    slot->hash = hash;
    slot->was_used = 0;
    og_hooks_crash_point();
    fill(shard, slot, parts, n);
    join_owner(shard, slot);
    og_hooks_crash_point();
    append(shard, &shard->order, EDGE_IN_SHARD, number);
    slot->chain = *bucket_of(shard, hash);
    *bucket_of(shard, hash) = number;
    shard->used_slots++;
    og_hooks_crash_point();
    return evicted;
}

static int is_owner_whole(const edge_shard *shard, const edge_owner *owner)
{
    apr_uint32_t number, blocks = 0;

    for (number = owner->entries.first; number; ) {
        const edge_slot *slot = slot_of(shard, number);

        blocks += slot->count;
        number = slot->link[EDGE_IN_OWNER].next;
    }
    return blocks == owner->blocks && (int)owner->is_hog == is_over(shard, blocks);
}

static int is_slot_whole(const edge_shard *shard, apr_uint32_t number)
{
    const edge_slot *slot = slot_of(shard, number);
    const edge_owner *owner = owner_of(shard, slot->owner);
    apr_uint32_t blocks = 0, block = slot->first;

    while (++blocks < slot->count) {
        block = *next_of(shard, block);
    }
    return block && owner->id == slot->entry.owner && is_owner_whole(shard, owner)
           && edge_shard_find((edge_shard *)shard, slot->hash, slot->key) == slot;
}

int edge_shard_is_whole(const edge_shard *shard)
{
    apr_uint32_t number, slots = 0, blocks = 0, free_ones = 0, block;

    for (number = shard->order.first; number; number = slot_of(shard, number)->link[0].next) {
        if (!is_slot_whole(shard, number)) {
            return 0;
        }
        slots++;
        blocks += slot_of(shard, number)->count;
    }
    for (block = shard->free_block; block; block = *next_of(shard, block)) {
        free_ones++;
    }
    return slots == shard->used_slots && blocks == shard->used_blocks
           && blocks + free_ones == shard->fresh_block;
}
