/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the tests of rings share: a small one, records that show whether they are whole, and orgs
 * that have one each. */
#ifndef RING_H
#define RING_H

#include "unit.h"

#include <stdio.h>

#include "rt_ring.h"

#define SLOTS 64
#define DATA  16384
#define KEEP  200

static const apr_uint64_t seed[2] = { 11, 22 };
static const rt_ring_keep keep = { KEEP, 1000, 0 };

static inline rt_ring_key key_of(apr_int64_t org)
{
    rt_ring_key key = { "finance", org };

    return key;
}

/* A record whose JSON says its org and number, and ends in a sum over both and its filling */
static inline unsigned sum_of(const char *text, size_t len)
{
    unsigned sum = 2166136261U;

    while (len--) {
        sum = (sum ^ (unsigned char)*text++) * 16777619U;
    }
    return sum;
}

static inline apr_status_t add(rt_ring *ring, apr_int64_t org, int n, const rt_ring_keep *how,
                        apr_uint64_t *id)
{
    rt_ring_key key = key_of(org);
    char json[512], name[32];
    rt_ring_event event = { 0, "expense.created", name, "expense:1", json, 0 };
    int len = snprintf(json, sizeof(json), "{\"org\":%d,\"n\":%d,\"fill\":\"%.*s\"", (int)org, n,
                       n % 97, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");

    len += snprintf(json + len, sizeof(json) - (size_t)len, ",\"sum\":%08x}",
                    sum_of(json, (size_t)len));
    event.json_len = (apr_size_t)len;
    snprintf(name, sizeof(name), "e%d", n);
    return rt_ring_append(ring, &key, &event, how, id);
}

/* Fails unless the record is whole and org's; @return its number */
static inline int number_of(const rt_record *record, apr_int64_t org)
{
    char text[512];
    unsigned sum;
    int seen_org, n;

    assert_true(record->json_len > 15 && record->json_len < sizeof(text));
    memcpy(text, rt_record_json(record), record->json_len);
    text[record->json_len] = '\0';
    assert_int_equal(sscanf(text, "{\"org\":%d,\"n\":%d", &seen_org, &n), 2);
    assert_int_equal(sscanf(text + record->json_len - 9, "%8x}", &sum), 1);
    assert_int_equal(sum, sum_of(text, record->json_len - 16));
    assert_int_equal(seen_org, org);
    return n;
}

/* Each org has an event, of its own number and id: a reader who has not seen
 * it finds it or hears of a gap. @return how many find it */
static inline int found_or_missed(const rt_ring *ring, int orgs)
{
    apr_uint64_t at[KEEP];
    int org, gap, n, found = 0;

    for (org = 1; org <= orgs; org++) {
        rt_ring_key key = key_of(org);

        n = rt_ring_scan(ring, &key, (apr_uint64_t)org - 1, &keep, at, &gap);
        assert_true(n > 0 || gap);
        assert_true(n == 0 || number_of(rt_ring_record(ring, at[n - 1]), org) == org);
        found += n > 0;
    }
    return found;
}

static inline void fill(rt_ring *ring, int orgs)
{
    apr_uint64_t id;
    int org;

    for (org = 1; org <= orgs; org++) {
        assert_int_equal(add(ring, org, org, &keep, &id), APR_SUCCESS);
        assert_true(id == (apr_uint64_t)org);
    }
}

#endif /* RING_H */
