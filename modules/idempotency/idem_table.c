/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The table of keys, see idem_table.h. Everything here runs under the owner's lock. */
#include "idem_table.h"

#include <string.h>

static apr_uint64_t *buckets_of(const idem_table *table)
{
    return (apr_uint64_t *)((char *)table + sizeof(*table));
}

static apr_uint64_t *heap_of(const idem_table *table)
{
    return buckets_of(table) + table->slots;
}

/* next[block] */
static apr_uint64_t *next_of(const idem_table *table, apr_uint64_t block)
{
    return heap_of(table) + table->slots + block - 1;
}

static idem_slot *slot_of(const idem_table *table, apr_uint64_t number)
{
    return (idem_slot *)(heap_of(table) + table->slots + table->blocks) + number - 1;
}

static apr_uint64_t number_of(const idem_table *table, const idem_slot *slot)
{
    return (apr_uint64_t)(slot - slot_of(table, 1)) + 1;
}

static char *block_of(const idem_table *table, apr_uint64_t number)
{
    return (char *)(slot_of(table, table->slots) + 1) + (number - 1) * IDEM_TABLE_BLOCK;
}

/* Who and key, each of a fixed length or the last: no two pairs make the same text. */
int idem_table_identify(unsigned char id[IDEM_TABLE_ID], const unsigned char seed[OG_SHA256_LEN],
                        const idempotency_claim *claim)
{
    unsigned char text[2 * sizeof(apr_int64_t) + IDEMPOTENCY_KEY_MAX];
    apr_size_t len = strlen(claim->key);

    if (len > IDEMPOTENCY_KEY_MAX) {
        return 0;
    }
    memcpy(text, &claim->org, sizeof(claim->org));
    memcpy(text + sizeof(claim->org), &claim->user, sizeof(claim->user));
    memcpy(text + 2 * sizeof(apr_int64_t), claim->key, len);
    return og_hmac_sha256(id, seed, OG_SHA256_LEN, text, 2 * sizeof(apr_int64_t) + len);
}

apr_size_t idem_table_bytes(apr_uint64_t slots, apr_uint64_t blocks)
{
    return sizeof(idem_table) + slots * (2 * sizeof(apr_uint64_t) + sizeof(idem_slot))
           + blocks * (sizeof(apr_uint64_t) + IDEM_TABLE_BLOCK);
}

idem_table *idem_table_init(void *block, apr_uint64_t slots, apr_uint64_t blocks)
{
    idem_table *table = block;
    apr_uint64_t i;

    table->slots = slots;
    table->blocks = table->free_blocks = blocks;
    table->free_slot = table->free_block = 1;
    for (i = 1; i < slots; i++) {
        slot_of(table, i)->next = i + 1;
    }
    for (i = 1; i < blocks; i++) {
        *next_of(table, i) = i + 1;
    }
    return table;
}

static void set(idem_table *table, apr_uint64_t *word, apr_uint64_t value)
{
    if (*word != value) {
        idem_journal_set(&table->journal, word, value);
    }
}

/* The heap: each step down or up sets two words of each level. */

static void put(idem_table *table, apr_uint64_t at, apr_uint64_t number)
{
    set(table, &heap_of(table)[at - 1], number);
    set(table, &slot_of(table, number)->heap_at, at);
}

static apr_uint64_t due_at(const idem_table *table, apr_uint64_t at)
{
    return slot_of(table, heap_of(table)[at - 1])->due;
}

/* Put the slot where it belongs; its place, at, is free. */
static void settle(idem_table *table, apr_uint64_t at, apr_uint64_t number, apr_uint64_t size)
{
    apr_uint64_t due = slot_of(table, number)->due, child;

    while (at > 1 && due_at(table, at / 2) > due) {
        put(table, at, heap_of(table)[at / 2 - 1]);
        at /= 2;
    }
    while ((child = 2 * at) <= size) {
        if (child < size && due_at(table, child + 1) < due_at(table, child)) {
            child++;
        }
        if (due_at(table, child) >= due) {
            break;
        }
        put(table, at, heap_of(table)[child - 1]);
        at = child;
    }
    put(table, at, number);
}

static void set_due(idem_table *table, idem_slot *slot, apr_uint64_t due)
{
    set(table, &slot->due, due);
    settle(table, slot->heap_at, number_of(table, slot), table->used);
}

static void leave_heap(idem_table *table, const idem_slot *slot)
{
    apr_uint64_t at = slot->heap_at, size = table->used - 1;
    apr_uint64_t moved = heap_of(table)[size];

    set(table, &table->used, size);
    if (at <= size) {
        settle(table, at, moved, size);
    }
}

/* The id is a hash, and no one but us knows the seed in it: its first bytes spread well. */
static apr_uint64_t *bucket(const idem_table *table, const unsigned char *id)
{
    apr_uint64_t word;

    memcpy(&word, id, sizeof(word));
    return &buckets_of(table)[word % table->slots];
}

static idem_slot *find(const idem_table *table, const unsigned char *id)
{
    apr_uint64_t number = *bucket(table, id);

    while (number && memcmp(slot_of(table, number)->id, id, IDEM_TABLE_ID) != 0) {
        number = slot_of(table, number)->next;
    }
    return number ? slot_of(table, number) : NULL;
}

/* Give back what is promised, or used. */
static void free_blocks(idem_table *table, idem_slot *slot)
{
    if (slot->state == IDEM_RUNNING) {
        set(table, &table->promised, table->promised - slot->count);
    }
    else if (slot->count) {
        set(table, next_of(table, slot->last), table->free_block);
        set(table, &table->free_block, slot->first);
        set(table, &table->free_blocks, table->free_blocks + slot->count);
    }
    set(table, &slot->first, 0);
    set(table, &slot->last, 0);
    set(table, &slot->count, 0);
    set(table, &slot->length, 0);
}

static void drop(idem_table *table, idem_slot *slot)
{
    apr_uint64_t number = number_of(table, slot), *link = bucket(table, slot->id);

    while (*link != number) {
        link = &slot_of(table, *link)->next;
    }
    set(table, link, slot->next);
    leave_heap(table, slot);
    free_blocks(table, slot);
    set(table, &slot->state, IDEM_FREE);
    set(table, &slot->next, table->free_slot);
    set(table, &table->free_slot, number);
    idem_journal_commit(&table->journal);
}

/* until: when the doubt is over */
static void put_in_doubt(idem_table *table, idem_slot *slot, apr_uint64_t until)
{
    free_blocks(table, slot);
    set(table, &slot->state, IDEM_DOUBT);
    set_due(table, slot, until);
    idem_journal_commit(&table->journal);
}

/* One slot that is due, or that somebody asks for. @return 1 when it is still used */
static int look_at(idem_table *table, idem_slot *slot, apr_time_t now, idem_alive *alive)
{
    if (slot->state == IDEM_RUNNING && !alive(slot->owner)) {
        put_in_doubt(table, slot, slot->begun + slot->ttl);
    }
    if (slot->due > (apr_uint64_t)now) {
        return 1;
    }
    if (slot->state == IDEM_RUNNING) {
        set_due(table, slot, (apr_uint64_t)now + slot->lease);
        idem_journal_commit(&table->journal);
        return 1;
    }
    drop(table, slot);
    return 0;
}

int idem_table_tidy(idem_table *table, apr_time_t now, idem_alive *alive)
{
    int turns = 0;

    while (table->used && due_at(table, 1) <= (apr_uint64_t)now) {
        if (turns++ == IDEM_TABLE_TURNS) {
            return 1;
        }
        look_at(table, slot_of(table, heap_of(table)[0]), now, alive);
    }
    return 0;
}

static apr_uint64_t blocks_for(apr_size_t bytes)
{
    return (bytes + IDEM_TABLE_BLOCK - 1) / IDEM_TABLE_BLOCK;
}

static int has_room(const idem_table *table, apr_uint64_t blocks)
{
    return table->free_slot && table->free_blocks - table->promised >= blocks;
}

/* What begin() says in every slot that runs from now on. */
static void run(idem_table *table, idem_slot *slot, const idem_ask *ask)
{
    const idempotency_claim *claim = ask->claim;
    apr_uint64_t token[2], blocks = blocks_for(claim->answer_max);

    memcpy(token, claim->token, sizeof(token));
    set(table, &slot->token[0], token[0]);
    set(table, &slot->token[1], token[1]);
    set(table, &slot->owner, ask->owner);
    set(table, &slot->begun, (apr_uint64_t)ask->now);
    set(table, &slot->lease, (apr_uint64_t)claim->lease);
    set(table, &slot->ttl, (apr_uint64_t)claim->ttl);
    set(table, &slot->state, IDEM_RUNNING);
    set(table, &slot->count, blocks);
    set(table, &table->promised, table->promised + blocks);
}

/* A free slot for the key; not committed. */
static idem_slot *take_slot(idem_table *table, const idem_ask *ask, apr_uint64_t due)
{
    apr_uint64_t number = table->free_slot, *link = bucket(table, ask->id);
    idem_slot *slot = slot_of(table, number);

    /* nobody can find it yet */
    memcpy(slot->id, ask->id, sizeof(slot->id));
    memcpy(slot->fingerprint, ask->claim->fingerprint, sizeof(slot->fingerprint));
    set(table, &table->free_slot, slot->next);
    set(table, &slot->next, *link);
    set(table, link, number);
    set(table, &slot->due, due);
    set(table, &table->used, table->used + 1);
    settle(table, table->used, number, table->used);
    return slot;
}

static int is_token(const idem_slot *slot, const idem_ask *ask)
{
    return !memcmp(slot->token, ask->claim->token, sizeof(slot->token));
}

/* What a key that is known says. IDEMPOTENCY_NEW where it may run again. */
static idempotency_verdict known(const idem_slot *slot, const idem_ask *ask)
{
    const idempotency_claim *claim = ask->claim;

    if (memcmp(slot->fingerprint, claim->fingerprint, sizeof(slot->fingerprint)) != 0) {
        return IDEMPOTENCY_REUSED;
    }
    if (slot->state == IDEM_RUNNING) {
        return is_token(slot, ask) ? IDEMPOTENCY_NEW : IDEMPOTENCY_RUNNING;
    }
    if (slot->state == IDEM_DONE) {
        return IDEMPOTENCY_DONE;
    }
    return claim->retry
                   && (apr_uint64_t)ask->now >= slot->begun + (apr_uint64_t)claim->retry_pause
               ? IDEMPOTENCY_NEW
               : IDEMPOTENCY_DOUBT;
}

apr_status_t idem_table_begin(idem_table *table, const idem_ask *ask, idempotency_verdict *verdict,
                              const idem_slot **found)
{
    apr_uint64_t blocks = blocks_for(ask->claim->answer_max);
    idem_slot *slot = find(table, ask->id);

    if (slot && !look_at(table, slot, ask->now, ask->alive)) {
        slot = NULL;
    }
    *verdict = slot ? known(slot, ask) : IDEMPOTENCY_NEW;
    *found = slot;
    if (*verdict != IDEMPOTENCY_NEW || (slot && slot->state == IDEM_RUNNING)) {
        return APR_SUCCESS;
    }
    if (!has_room(table, blocks)) {
        idem_table_tidy(table, ask->now, ask->alive);
        slot = find(table, ask->id);
    }
    if (slot && table->free_blocks - table->promised >= blocks) {
        run(table, slot, ask);
        set_due(table, slot, (apr_uint64_t)ask->now + slot->lease);
        idem_journal_commit(&table->journal);
        return APR_SUCCESS;
    }
    if (slot || !has_room(table, blocks)) {
        return APR_ENOSPC;
    }
    run(table, take_slot(table, ask, (apr_uint64_t)(ask->now + ask->claim->lease)), ask);
    idem_journal_commit(&table->journal);
    return APR_SUCCESS;
}

void idem_table_answer(const idem_table *table, const idem_slot *slot, char *out)
{
    apr_size_t left = slot->length;
    apr_uint64_t block = slot->first;

    while (left) {
        apr_size_t n = left < IDEM_TABLE_BLOCK ? left : IDEM_TABLE_BLOCK;

        memcpy(out, block_of(table, block), n);
        out += n;
        left -= n;
        block = *next_of(table, block);
    }
}

/* The slot that runs under the claim's token, or NULL. */
static idem_slot *claimed(const idem_table *table, const idem_ask *ask)
{
    idem_slot *slot = find(table, ask->id);

    return slot && slot->state == IDEM_RUNNING && is_token(slot, ask) ? slot : NULL;
}

/* Into the first free blocks, which nobody can reach yet. @return the last of them */
static apr_uint64_t fill(const idem_table *table, const char *answer, apr_size_t len)
{
    apr_uint64_t block = table->free_block, last = 0;

    while (len) {
        apr_size_t n = len < IDEM_TABLE_BLOCK ? len : IDEM_TABLE_BLOCK;

        memcpy(block_of(table, block), answer, n);
        answer += n;
        len -= n;
        last = block;
        block = *next_of(table, block);
    }
    return last;
}

/* The answer is the slot's; there is room for it, and not committed. */
static void keep_answer(idem_table *table, idem_slot *slot, const char *answer, apr_size_t len)
{
    apr_uint64_t last = fill(table, answer, len);

    set(table, &slot->first, table->free_block);
    set(table, &slot->last, last);
    set(table, &slot->count, blocks_for(len));
    set(table, &slot->length, len);
    set(table, &table->free_block, *next_of(table, last));
    set(table, &table->free_blocks, table->free_blocks - blocks_for(len));
    set(table, &slot->state, IDEM_DONE);
}

apr_status_t idem_table_finish(idem_table *table, const idem_ask *ask, const char *answer,
                               apr_size_t len)
{
    idem_slot *slot = claimed(table, ask);

    if (!slot) {
        return APR_NOTFOUND;
    }
    if (!len || blocks_for(len) > slot->count) {
        return APR_EINVAL;
    }
    set(table, &table->promised, table->promised - slot->count);
    keep_answer(table, slot, answer, len);
    set_due(table, slot, (apr_uint64_t)ask->now + slot->ttl);
    idem_journal_commit(&table->journal);
    return APR_SUCCESS;
}

apr_status_t idem_table_doubt(idem_table *table, const idem_ask *ask)
{
    idem_slot *slot = claimed(table, ask);

    if (slot) {
        put_in_doubt(table, slot, (apr_uint64_t)ask->now + slot->ttl);
    }
    return slot ? APR_SUCCESS : APR_NOTFOUND;
}

apr_status_t idem_table_release(idem_table *table, const idem_ask *ask)
{
    idem_slot *slot = claimed(table, ask);

    if (slot) {
        drop(table, slot);
    }
    return slot ? APR_SUCCESS : APR_NOTFOUND;
}

static int is_same(const idem_slot *slot, const idem_ask *ask)
{
    return slot->due > (apr_uint64_t)ask->now
           && !memcmp(slot->fingerprint, ask->claim->fingerprint, sizeof(slot->fingerprint));
}

apr_status_t idem_table_remember(idem_table *table, const idem_ask *ask, apr_time_t due,
                                 const char *answer, apr_size_t len)
{
    idem_slot *slot = find(table, ask->id);

    if (!len || blocks_for(len) > table->blocks || due <= ask->now) {
        return APR_EINVAL;
    }
    if (slot && is_same(slot, ask)) {
        return APR_SUCCESS;
    }
    if (slot) {
        drop(table, slot);
    }
    while (!has_room(table, blocks_for(len))) {
        drop(table, slot_of(table, heap_of(table)[0]));
    }
    keep_answer(table, take_slot(table, ask, (apr_uint64_t)due), answer, len);
    idem_journal_commit(&table->journal);
    return APR_SUCCESS;
}

const idem_slot *idem_table_recall(const idem_table *table, const idem_ask *ask)
{
    const idem_slot *slot = find(table, ask->id);

    return slot && is_same(slot, ask) ? slot : NULL;
}

int idem_table_repair(idem_table *table)
{
    return idem_journal_undo(&table->journal);
}
