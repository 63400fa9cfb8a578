/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdio.h>

#include "rt_batch.h"

static const unsigned char seed[APR_SIPHASH_KSIZE] = { 1, 2, 3 };
static const unsigned char another[APR_SIPHASH_KSIZE] = { 4, 5, 6 };

/* A record as the ring would hold it: its JSON is fill bytes, or its name in quotation marks */
static const rt_record *record_of(apr_pool_t *p, const char *name, const char *key, size_t fill)
{
    size_t key_len = key ? strlen(key) : 0, len = fill ? fill : strlen(name) + 2;
    rt_record *record = apr_pcalloc(p, sizeof(*record) + 2 + key_len + len);
    char *to = (char *)(record + 1);

    record->type_len = 1;
    record->event_id_len = 1;
    record->coalesce_len = (apr_uint16_t)key_len;
    record->json_len = (apr_uint32_t)len;
    memcpy(to, "ti", 2);
    if (key) {
        memcpy(to + 2, key, key_len);
    }
    memset(to + 2 + key_len, '1', len);
    if (!fill) {
        to[2 + key_len] = to[2 + key_len + len - 1] = '"';
        memcpy(to + 2 + key_len + 1, name, len - 2);
    }
    return record;
}

static int add(rt_batch *batch, const char *name, const char *key)
{
    return rt_batch_add(batch, record_of(batch->pool, name, key, 0));
}

static const char *sent(const rt_batch *batch)
{
    og_jsonw w;

    og_jsonw_init(&w, batch->pool, 0);
    og_jsonw_begin(&w, '[');
    rt_batch_write(batch, &w);
    og_jsonw_end(&w, ']');
    return og_jsonw_text(&w);
}

static void of_each_key_the_newest_is_sent_where_it_stands(void **state)
{
    rt_batch batch;

    rt_batch_init(&batch, *state, 200, 1, seed);
    assert_string_equal(sent(&batch), "[]");
    assert_true(add(&batch, "a1", "a") && add(&batch, "ab1", "ab") && add(&batch, "n1", NULL)
                && add(&batch, "a2", "a") && add(&batch, "n2", "") && add(&batch, "A1", "A")
                && add(&batch, "a3", "a"));
    assert_string_equal(sent(&batch), "[\"ab1\",\"n1\",\"n2\",\"A1\",\"a3\"]");
    assert_int_equal(batch.count, 5);
    assert_int_equal(batch.superseded, 2);
    assert_int_equal(batch.bytes, strlen(sent(&batch)) - 1);
}

static void without_coalescing_all_are_sent(void **state)
{
    rt_batch batch;

    rt_batch_init(&batch, *state, 200, 0, seed);
    assert_true(add(&batch, "a1", "a") && add(&batch, "a2", "a") && add(&batch, "a3", "a"));
    assert_string_equal(sent(&batch), "[\"a1\",\"a2\",\"a3\"]");
    assert_int_equal(batch.superseded, 0);
}

static void the_limit_is_of_what_is_sent(void **state)
{
    rt_batch batch;

    rt_batch_init(&batch, *state, 2, 1, seed);
    assert_true(add(&batch, "a1", "a") && add(&batch, "a2", "a") && add(&batch, "b1", "b"));
    assert_false(add(&batch, "c1", "c"));
    assert_false(add(&batch, "n1", NULL));
    assert_true(add(&batch, "a3", "a"));
    assert_string_equal(sent(&batch), "[\"b1\",\"a3\"]");
}

static void so_are_the_bytes(void **state)
{
    const rt_record *large = record_of(*state, "", "large", RT_REPLY_MAX + 1);
    const rt_record *half = record_of(*state, "", "half", RT_REPLY_MAX / 2);
    const rt_record *rest = record_of(*state, "", "rest", RT_REPLY_MAX / 2 - 1);
    const rt_record *more = record_of(*state, "", "rest", RT_REPLY_MAX / 2);
    rt_batch batch;

    rt_batch_init(&batch, *state, 200, 1, seed);
    assert_true(rt_batch_add(&batch, half) && rt_batch_add(&batch, rest));
    assert_int_equal(strlen(sent(&batch)), RT_REPLY_MAX + 2);
    assert_false(add(&batch, "n", NULL));
    assert_false(rt_batch_add(&batch, more)); /* in the place of "rest", and a byte too long */
    assert_true(rt_batch_add(&batch, rest));
    assert_int_equal(batch.count, 2);
    rt_batch_init(&batch, *state, 200, 1, seed);
    assert_true(rt_batch_add(&batch, large)); /* alone it always goes */
    assert_false(add(&batch, "n", NULL));
}

static void what_was_kept_needs_no_ring_and_can_be_superseded(void **state)
{
    rt_record *first = (rt_record *)record_of(*state, "a1", "a", 0);
    rt_record *other = (rt_record *)record_of(*state, "b1", "b", 0);
    rt_batch batch;

    rt_batch_init(&batch, *state, 200, 1, seed);
    assert_true(rt_batch_add(&batch, first) && rt_batch_add(&batch, other));
    rt_batch_keep(&batch);
    memset(first, 'x', sizeof(*first) + 7); /* its place in the ring is somebody else's now */
    memset(other, 'x', sizeof(*other) + 7);
    assert_string_equal(sent(&batch), "[\"a1\",\"b1\"]");
    assert_true(add(&batch, "a2", "a"));
    rt_batch_keep(&batch);
    assert_string_equal(sent(&batch), "[\"b1\",\"a2\"]");
    rt_batch_keep(&batch);
    assert_string_equal(sent(&batch), "[\"b1\",\"a2\"]");
}

static void as_many_keys_as_a_reply_has_events(void **state)
{
    rt_batch batch;
    char key[16];
    int i;

    rt_batch_init(&batch, *state, RT_LIMIT_MAX, 1, seed);
    for (i = 0; i < 50 * RT_LIMIT_MAX; i++) {
        snprintf(key, sizeof(key), "key:%d", i % RT_LIMIT_MAX);
        assert_true(add(&batch, key, key));
    }
    assert_int_equal(batch.count, RT_LIMIT_MAX);
    assert_int_equal(batch.superseded, 49 * RT_LIMIT_MAX);
    assert_false(add(&batch, "one", "more"));
}

/* How many entries of the index stand side by side, at most: what a look-up compares with */
static int longest_run(const rt_batch *batch)
{
    int run = 0, longest = 0, i;

    for (i = 0; i < 512; i++) {
        run = batch->index[i] ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* B35: keys of one place under a seed that was guessed are spread under the one that is used */
static void keys_that_collide_under_one_seed_do_not_under_another(void **state)
{
    rt_batch guessed, used;
    int found = 0, i;

    rt_batch_init(&guessed, *state, RT_LIMIT_MAX, 1, seed);
    rt_batch_init(&used, *state, RT_LIMIT_MAX, 1, another);
    for (i = 0; found < RT_LIMIT_MAX; i++) {
        char key[16];
        int len = snprintf(key, sizeof(key), "key:%d", i);

        if (apr_siphash24(key, (apr_size_t)len, seed) % 512 == 7) {
            found++;
            assert_true(add(&guessed, key, key) && add(&used, key, key));
        }
    }
    assert_int_equal(longest_run(&guessed), RT_LIMIT_MAX);
    assert_in_range(longest_run(&used), 1, RT_LIMIT_MAX / 4);
    assert_string_equal(sent(&used), sent(&guessed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(of_each_key_the_newest_is_sent_where_it_stands),
        unit_pool_test(without_coalescing_all_are_sent),
        unit_pool_test(the_limit_is_of_what_is_sent),
        unit_pool_test(so_are_the_bytes),
        unit_pool_test(what_was_kept_needs_no_ring_and_can_be_superseded),
        unit_pool_test(as_many_keys_as_a_reply_has_events),
        unit_pool_test(keys_that_collide_under_one_seed_do_not_under_another),
    };

    return unit_run(tests);
}
