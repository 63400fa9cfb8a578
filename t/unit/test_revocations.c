/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "tenant_revocations.h"

#define NOW    apr_time_from_sec(1800000000)
#define LIFE   apr_time_from_sec(3600)
#define FLOORS 4096
#define LIMIT  100

/* In a block of its exact size, so that ASan sees an entry too many. */
static tenant_revocations *make(void)
{
    const unsigned char seed[2 * APR_SIPHASH_KSIZE] = { 1, 2, 3 };

    return tenant_revocations_init(calloc(1, tenant_revocations_bytes()), seed);
}

static tenant_holder by_user(apr_int64_t org, apr_int64_t user)
{
    tenant_holder whose = { org, user, NULL };

    return whose;
}

static tenant_holder by_session(apr_int64_t org, const char *session)
{
    tenant_holder whose = { org, 0, session };

    return whose;
}

static int add(tenant_revocations *table, tenant_holder whose, apr_time_t before, apr_time_t now)
{
    return tenant_revocations_add(table, &whose, before, now + LIFE, now, LIMIT);
}

static int has(const tenant_revocations *table, apr_int64_t org, apr_int64_t user,
               const char *session, apr_time_t issued, apr_time_t now)
{
    tenant_holder whose = { org, user, session };

    return tenant_revocations_has(table, &whose, issued, now);
}

static void refuses_what_was_issued_before(void **state)
{
    tenant_revocations *table = make();

    assert_false(has(table, 7, 1, "s", NOW - 1, NOW));
    assert_false(add(table, by_user(7, 1), NOW, NOW));
    assert_true(has(table, 7, 1, "s", NOW - 1, NOW));
    assert_true(has(table, 7, 1, NULL, 1, NOW));
    assert_false(has(table, 7, 1, "s", NOW, NOW));
    assert_false(has(table, 7, 1, "s", NOW + 1, NOW));
    assert_int_equal(tenant_revocations_count(table), 1);
    free(table);
}

static void knows_users_sessions_and_orgs_apart(void **state)
{
    tenant_revocations *table = make();

    add(table, by_user(7, 1), NOW, NOW);
    add(table, by_session(7, "abc"), NOW, NOW);
    add(table, by_session(0, "abc"), NOW, NOW);
    assert_true(has(table, 7, 2, "abc", 1, NOW));
    assert_true(has(table, 7, 1, "abcd", 1, NOW));
    assert_true(has(table, 0, 2, "abc", 1, NOW));
    assert_false(has(table, 7, 2, "abcd", 1, NOW));
    assert_false(has(table, 7, 2, "ab", 1, NOW));
    assert_false(has(table, 7, 2, NULL, 1, NOW));
    assert_false(has(table, 8, 1, "abc", 1, NOW));
    assert_false(has(table, 7 + FLOORS, 1, "abc", 1, NOW)); /* the same floor */
    assert_false(has(table, 0, 1, NULL, 1, NOW));
    free(table);
}

static void without_a_time_of_issue_refused_for_a_life(void **state)
{
    tenant_revocations *table = make();

    add(table, by_user(7, 1), NOW, NOW);
    assert_true(has(table, 7, 1, NULL, 0, NOW));
    assert_true(has(table, 7, 1, NULL, 0, NOW + LIFE - 1));
    assert_false(has(table, 7, 1, NULL, 0, NOW + LIFE));
    assert_true(has(table, 7, 1, NULL, NOW - 1, NOW + LIFE)); /* what says when, for ever */
    free(table);
}

static void a_later_one_of_the_same_takes_no_place(void **state)
{
    tenant_revocations *table = make();

    add(table, by_user(7, 1), NOW, NOW);
    add(table, by_user(7, 1), NOW + 10, NOW + 10);
    assert_int_equal(tenant_revocations_count(table), 1);
    assert_true(has(table, 7, 1, NULL, NOW + 9, NOW + 10));
    assert_true(has(table, 7, 1, NULL, 0, NOW + LIFE + 9));
    add(table, by_user(7, 1), NOW - 10, NOW + 10); /* an earlier one takes nothing back */
    assert_true(has(table, 7, 1, NULL, NOW + 9, NOW + 10));
    free(table);
}

static void revisions_move_with_each(void **state)
{
    tenant_revocations *table = make();
    apr_uint64_t first, second;

    assert_int_equal(tenant_revocations_revision(table, 7), 0);
    add(table, by_user(7, 1), NOW, NOW);
    first = tenant_revocations_revision(table, 7);
    assert_int_not_equal(first, 0);
    assert_int_equal(tenant_revocations_revision(table, 8), 0);
    add(table, by_user(7, 1), NOW + 1, NOW);
    second = tenant_revocations_revision(table, 7);
    assert_int_not_equal(first, second);
    assert_true(has(table, 7, 1, NULL, 1, NOW));
    assert_int_equal(tenant_revocations_revision(table, 7), second);
    free(table);
}

/* Revoke user 1 of organisations first to last, a microsecond one after the other. */
static int fill(tenant_revocations *table, int first, int last)
{
    int n, early = 0;

    for (n = first; n <= last; n++) {
        early += add(table, by_user(n, 1), NOW + n, NOW + n);
    }
    return early;
}

static void when_full_the_oldest_gets_coarser_and_is_not_forgotten(void **state)
{
    tenant_revocations *table = make();
    apr_uint64_t revision;

    assert_int_equal(fill(table, 1, LIMIT), 0);
    assert_int_equal(tenant_revocations_count(table), LIMIT);
    revision = tenant_revocations_revision(table, 1);
    assert_int_equal(fill(table, LIMIT + 1, LIMIT + 2), 2);
    assert_int_equal(tenant_revocations_count(table), LIMIT);
    assert_int_not_equal(tenant_revocations_revision(table, 1), revision);
    /* all of its organisation that was issued before it, and of those on its floor */
    assert_true(has(table, 1, 1, NULL, NOW, NOW));
    assert_true(has(table, 1, 99, "other", NOW, NOW));
    assert_true(has(table, 1, 99, "other", 0, NOW));
    assert_true(has(table, 1 + FLOORS, 99, NULL, NOW, NOW));
    assert_false(has(table, 1, 1, NULL, NOW + 1, NOW));
    assert_false(has(table, 1, 99, NULL, 0, NOW + 1 + LIFE));
    assert_true(has(table, 1, 99, NULL, NOW, NOW + 1 + LIFE));
    /* nobody else */
    assert_false(has(table, 3, 99, NULL, 1, NOW));
    assert_true(has(table, 3, 1, NULL, 1, NOW));
    assert_true(has(table, LIMIT + 2, 1, NULL, 1, NOW));
    free(table);
}

static void who_is_revoked_again_is_not_the_oldest(void **state)
{
    tenant_revocations *table = make();

    fill(table, 1, LIMIT);
    add(table, by_user(1, 1), NOW + LIMIT, NOW + LIMIT);
    fill(table, LIMIT + 1, LIMIT + 1);
    assert_true(has(table, 1, 1, NULL, NOW + LIMIT - 1, NOW));
    assert_false(has(table, 1, 2, NULL, 1, NOW));
    assert_true(has(table, 2, 2, NULL, 1, NOW)); /* the next one was */
    assert_int_equal(tenant_revocations_count(table), LIMIT);
    fill(table, LIMIT + 2, 2 * LIMIT - 1); /* once is not for ever */
    assert_false(has(table, 1, 2, NULL, 1, NOW));
    fill(table, 2 * LIMIT, 2 * LIMIT);
    assert_true(has(table, 1, 2, NULL, 1, NOW));
    assert_true(has(table, 1, 1, NULL, NOW + LIMIT - 1, NOW));
    free(table);
}

static void all_revoked_again_end_all_the_same(void **state)
{
    tenant_revocations *table = make();

    fill(table, 1, LIMIT);
    fill(table, 1, LIMIT);
    assert_int_equal(fill(table, LIMIT + 1, 3 * LIMIT), 2 * LIMIT);
    assert_int_equal(tenant_revocations_count(table), LIMIT);
    assert_true(has(table, 1, 1, NULL, NOW, NOW));
    assert_true(has(table, LIMIT, 1, NULL, NOW, NOW));
    free(table);
}

static void what_is_past_its_time_makes_room_first(void **state)
{
    tenant_revocations *table = make();
    const apr_time_t later = NOW + LIMIT + LIFE;

    fill(table, 1, LIMIT);
    assert_false(add(table, by_user(500, 1), later, later));
    assert_true(tenant_revocations_count(table) < LIMIT);
    assert_false(add(table, by_user(501, 1), later, later));
    assert_int_equal(tenant_revocations_count(table), 2);
    /* a token that lives longer than it should is refused still, one that does not say is not */
    assert_true(has(table, 1, 1, NULL, NOW, later));
    assert_true(has(table, 1, 2, NULL, NOW, later));
    assert_false(has(table, 1, 1, NULL, 0, later));
    assert_false(has(table, 1, 1, NULL, NOW + 1, later));
    free(table);
}

static void a_lower_limit_holds_from_the_next_one_on(void **state)
{
    tenant_revocations *table = make();
    tenant_holder whose = by_user(500, 1);
    int n;

    fill(table, 1, LIMIT);
    assert_true(tenant_revocations_add(table, &whose, NOW, NOW + LIFE, NOW, 10));
    assert_int_equal(tenant_revocations_count(table), 10);
    for (n = 1; n <= LIMIT; n++) {
        assert_true(has(table, n, 1, NULL, 1, NOW));
    }
    assert_false(has(table, LIMIT, 2, NULL, 1, NOW));
    free(table);
}

static void holds_as_many_as_it_may(void **state)
{
    tenant_revocations *table = make();
    tenant_holder whose;
    int n;

    for (n = 1; n <= TENANT_REVOCATIONS_MAX + 1000; n++) {
        whose = by_user(5, n);
        tenant_revocations_add(table, &whose, NOW, NOW + LIFE, NOW, TENANT_REVOCATIONS_MAX);
    }
    assert_int_equal(tenant_revocations_count(table), TENANT_REVOCATIONS_MAX);
    whose = by_user(5, 1001);
    tenant_revocations_add(table, &whose, NOW, NOW + LIFE, NOW, TENANT_REVOCATIONS_MAX);
    whose = by_user(6, 1); /* the oldest is moved first, in a ring that is full */
    assert_true(tenant_revocations_add(table, &whose, NOW, NOW + LIFE, NOW,
                                       TENANT_REVOCATIONS_MAX));
    assert_int_equal(tenant_revocations_count(table), TENANT_REVOCATIONS_MAX);
    for (n = 1; n <= TENANT_REVOCATIONS_MAX + 1000; n += 777) {
        assert_true(has(table, 5, n, NULL, NOW - 1, NOW));
    }
    free(table);
}

static void a_repair_keeps_all_and_moves_every_revision(void **state)
{
    tenant_revocations *table = make();
    apr_uint64_t revision;
    int n;

    fill(table, 1, LIMIT + 10);
    revision = tenant_revocations_revision(table, 50);
    tenant_revocations_repair(table);
    assert_int_not_equal(tenant_revocations_revision(table, 50), revision);
    assert_int_not_equal(tenant_revocations_revision(table, 4000), 0);
    assert_int_equal(tenant_revocations_count(table), LIMIT);
    for (n = 1; n <= LIMIT + 10; n++) {
        assert_true(has(table, n, 1, NULL, 1, NOW));
        assert_int_equal(has(table, n, 2, NULL, 1, NOW), n <= 10);
    }
    fill(table, 300, 300 + LIMIT);
    assert_true(has(table, LIMIT + 10, 2, NULL, 1, NOW));
    free(table);
}

/* The layout of tenant_revocations.c */
typedef struct subject {
    apr_int64_t org;
    apr_uint64_t kind, id[2];
} subject;

typedef struct entry {
    subject who;
    apr_time_t before, until;
    apr_uint32_t next, again;
} entry;

#define BUCKETS   65536
#define COLLIDING 40

/* The longest chain that the first entries of a table stand in */
static int longest_chain(const tenant_revocations *table, const subject *first)
{
    const char *at = (const char *)table;
    const entry *all;
    int longest = 0, i;

    while (memcmp(at, first, sizeof(*first)) != 0) {
        at += sizeof(apr_uint64_t);
        assert_true(at < (const char *)table + tenant_revocations_bytes() - sizeof(entry));
    }
    all = (const entry *)at;
    for (i = 0; i < COLLIDING; i++) {
        apr_uint32_t slot = (apr_uint32_t)i + 1;
        int n = 0;

        for (; slot; slot = all[slot - 1].next) {
            n++;
        }
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* B35: whoever knew one start's seed would know nothing about the next one's */
static void users_that_collide_under_one_seed_do_not_under_another(void **state)
{
    const unsigned char seed[2 * APR_SIPHASH_KSIZE] = { 1, 2, 3 };
    const unsigned char another[2 * APR_SIPHASH_KSIZE] = { 4, 5, 6 };
    tenant_revocations *guessed =
        tenant_revocations_init(calloc(1, tenant_revocations_bytes()), seed);
    tenant_revocations *used =
        tenant_revocations_init(calloc(1, tenant_revocations_bytes()), another);
    subject who = { 7, 1, { 0, 0 } }, first = who;
    int found = 0;

    while (found < COLLIDING) {
        who.id[0]++;
        if (apr_siphash24(&who, sizeof(who), seed) % BUCKETS == 3) {
            first = found++ ? first : who;
            add(guessed, by_user(7, (apr_int64_t)who.id[0]), NOW, NOW);
            add(used, by_user(7, (apr_int64_t)who.id[0]), NOW, NOW);
        }
    }
    assert_int_equal(longest_chain(guessed, &first), COLLIDING);
    assert_in_range(longest_chain(used, &first), 1, 3);
    free(guessed);
    free(used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_was_issued_before),
        cmocka_unit_test(knows_users_sessions_and_orgs_apart),
        cmocka_unit_test(without_a_time_of_issue_refused_for_a_life),
        cmocka_unit_test(a_later_one_of_the_same_takes_no_place),
        cmocka_unit_test(revisions_move_with_each),
        cmocka_unit_test(when_full_the_oldest_gets_coarser_and_is_not_forgotten),
        cmocka_unit_test(who_is_revoked_again_is_not_the_oldest),
        cmocka_unit_test(all_revoked_again_end_all_the_same),
        cmocka_unit_test(what_is_past_its_time_makes_room_first),
        cmocka_unit_test(a_lower_limit_holds_from_the_next_one_on),
        cmocka_unit_test(holds_as_many_as_it_may),
        cmocka_unit_test(a_repair_keeps_all_and_moves_every_revision),
        cmocka_unit_test(users_that_collide_under_one_seed_do_not_under_another),
    };

    return unit_run(tests);
}
