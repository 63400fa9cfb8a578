/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "og_mac.h"
#include "tenant_cache.h"

#define WAYS TENANT_CACHE_WAYS
#define SETS 256

static const unsigned char seed[APR_SIPHASH_KSIZE] = { 4, 7, 1, 1 };

/* A token of its number, as long as is said; what it is held against is a number, too. */
static tenant_cache_key key_of(apr_pool_t *p, unsigned n, apr_size_t len, apr_uint64_t setting)
{
    char *token = apr_palloc(p, len + 1);
    tenant_cache_key key = { token, len, { 0, 0, setting } };

    memset(token, 'x', len);
    memcpy(token, &n, sizeof(n));
    memcpy(token + len - sizeof(n), &n, sizeof(n));
    return key;
}

static tenant_claims caller(apr_int64_t user, apr_time_t expires)
{
    static const apr_int64_t properties[] = { 3, 5 };
    tenant_claims claims = { 7, user, "staff", "s-1", properties, 2, 0, 11, expires };

    return claims;
}

static void gives_back_what_was_put(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state, seed, SETS);
    tenant_claims in = caller(9, 1000), out;
    tenant_cache_key key = key_of(*state, 1, 300, 1);

    assert_false(tenant_cache_get(cache, &key, 10, &out, *state));
    tenant_cache_put(cache, &key, 10, &in);
    assert_true(tenant_cache_get(cache, &key, 11, &out, *state));
    assert_int_equal(out.org, 7);
    assert_int_equal(out.user, 9);
    assert_string_equal(out.role, "staff");
    assert_string_equal(out.session, "s-1");
    in.session = NULL;
    tenant_cache_put(cache, &key, 10, &in);
    assert_true(tenant_cache_get(cache, &key, 11, &out, *state));
    assert_null(out.session);
    assert_string_equal(out.role, "staff");
    assert_int_equal(out.property_count, 2);
    assert_int_equal(out.properties[0], 3);
    assert_int_equal(out.properties[1], 5);
    assert_int_equal(out.issued, 11);
    assert_ptr_not_equal(out.role, in.role);
    assert_ptr_not_equal(out.properties, in.properties);
}

static void forgets_at_expiry(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state, seed, SETS);
    tenant_claims in = caller(9, 1000), out;
    tenant_cache_key key = key_of(*state, 1, 300, 1);

    tenant_cache_put(cache, &key, 10, &in);
    assert_true(tenant_cache_get(cache, &key, 999, &out, *state));
    assert_false(tenant_cache_get(cache, &key, 1000, &out, *state));
}

static void a_full_set_drops_the_least_recently_used(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state, seed, 1);
    tenant_claims in = caller(9, 1000), out;
    tenant_cache_key key[WAYS + 1];
    unsigned n;

    for (n = 0; n <= WAYS; n++) {
        key[n] = key_of(*state, n, 300, 1);
    }
    for (n = 0; n < WAYS; n++) {
        tenant_cache_put(cache, &key[n], 10 + n, &in);
    }
    assert_true(tenant_cache_get(cache, &key[0], 20, &out, *state));
    tenant_cache_put(cache, &key[WAYS], 21, &in);
    for (n = 0; n <= WAYS; n++) {
        assert_int_equal(tenant_cache_get(cache, &key[n], 22, &out, *state), n != 1);
    }
}

/* What is over goes before what is older, and what is put twice has one place. */
static void a_full_set_drops_what_has_expired(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state, seed, 1);
    tenant_claims in, out;
    unsigned n;

    for (n = 0; n <= WAYS; n++) {
        tenant_cache_key key = key_of(*state, n, 300, 1);

        in = caller(n, n == 2 ? 15 : 1000);
        tenant_cache_put(cache, &key, n < WAYS ? 10 + n : 20, &in);
        tenant_cache_put(cache, &key, n < WAYS ? 10 + n : 20, &in);
    }
    for (n = 0; n <= WAYS; n++) {
        tenant_cache_key key = key_of(*state, n, 300, 1);

        assert_int_equal(tenant_cache_get(cache, &key, 22, &out, *state), n != 2);
        assert_true(n == 2 || out.user == n);
    }
}

/* A child's: as many callers as it has connections, who come by turns. */
static void callers_by_turns_are_all_known(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state, seed, TENANT_CACHE_SETS);
    const unsigned callers = TENANT_CACHE_SETS * WAYS / 2;
    unsigned n, known = 0;
    tenant_claims in, out;
    apr_pool_t *p;

    apr_pool_create(&p, *state);
    for (n = 0; n < 2 * callers; n++) {
        tenant_cache_key key = key_of(p, n % callers, 300, 1);

        if (tenant_cache_get(cache, &key, 20, &out, p)) {
            known += out.user == n % callers;
        }
        else {
            in = caller(n % callers, 1000);
            tenant_cache_put(cache, &key, 10, &in);
        }
        apr_pool_clear(p);
    }
    assert_in_range(known, callers * 9 / 10, callers); /* a few sets have more than four */
}

/* Whatever is not the same token, from its first to its last byte, or is held against something
 * else, is not known; neither is one that is the digest of another. */
static void another_token_is_another_token(void **state)
{
    static const apr_size_t lens[] = { 4, 47, 48, 300, TENANT_CACHE_TOKEN_MAX,
                                       TENANT_CACHE_TOKEN_MAX + 1, TENANT_TOKEN_MAX };
    tenant_cache *cache = tenant_cache_make(*state, seed, SETS);
    tenant_claims in = caller(9, 1000), out;
    unsigned char digest[OG_SHA256_LEN];
    apr_size_t n, at;

    for (n = 0; n < sizeof(lens) / sizeof(lens[0]); n++) {
        tenant_cache_key key = key_of(*state, 1, lens[n], 1), other = key_of(*state, 1, lens[n], 1);

        tenant_cache_put(cache, &key, 10, &in);
        assert_true(tenant_cache_get(cache, &other, 11, &out, *state));
        for (at = 0; at < other.len; at += at < 64 || at > other.len - 64 ? 1 : 17) {
            ((char *)other.token)[at] ^= 1;
            assert_false(tenant_cache_get(cache, &other, 11, &out, *state));
            ((char *)other.token)[at] ^= 1;
        }
        other.len--;
        assert_false(tenant_cache_get(cache, &other, 11, &out, *state));
        other.len++;
        for (at = 0; at < TENANT_CACHE_AGAINST; at++) {
            other.against[at] ^= 8;
            assert_false(tenant_cache_get(cache, &other, 11, &out, *state));
            other.against[at] ^= 8;
        }
        assert_true(og_sha256(digest, key.token, key.len));
        other.token = (const char *)digest;
        other.len = sizeof(digest);
        assert_false(tenant_cache_get(cache, &other, 11, &out, *state));
    }
}

/* One token that many locations hold against settings of their own has a place for each. */
static void many_settings_have_many_places(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state, seed, SETS);
    tenant_claims in = caller(9, 1000), out;
    tenant_cache_key key = key_of(*state, 1, 300, 0);
    unsigned n, known = 0;

    for (n = 0; n < 16 * WAYS; n++) {
        key.against[2] = 0x55550000 + 8 * n;
        tenant_cache_put(cache, &key, 10, &in);
    }
    for (n = 0; n < 16 * WAYS; n++) {
        key.against[2] = 0x55550000 + 8 * n;
        known += (unsigned)tenant_cache_get(cache, &key, 11, &out, *state);
    }
    assert_int_equal(known, 16 * WAYS);
}

/* All that a caller may have at most is kept whole. */
static void the_longest_entry_is_kept(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state, seed, 1);
    char role[TENANT_ROLE_MAX + 1] = { 0 }, session[TENANT_SESSION_MAX + 1] = { 0 };
    apr_int64_t ids[TENANT_CACHE_PROPERTIES_MAX] = { 1 };
    tenant_cache_key key = key_of(*state, 1, 300, 1);
    tenant_claims in = caller(9, 1000), out;

    memset(role, 'r', TENANT_ROLE_MAX);
    memset(session, 's', TENANT_SESSION_MAX);
    in.role = role;
    in.session = session;
    in.properties = ids;
    in.property_count = TENANT_CACHE_PROPERTIES_MAX;
    tenant_cache_put(cache, &key, 10, &in);
    assert_true(tenant_cache_get(cache, &key, 11, &out, *state));
    assert_string_equal(out.role, role);
    assert_string_equal(out.session, session);
    assert_memory_equal(out.properties, ids, sizeof(ids));
}

static void many_properties_are_not_kept(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state, seed, SETS);
    apr_int64_t ids[TENANT_CACHE_PROPERTIES_MAX + 1];
    tenant_claims in = caller(9, 1000), out;
    tenant_cache_key key = key_of(*state, 1, 300, 1);
    int i;

    for (i = 0; i <= TENANT_CACHE_PROPERTIES_MAX; i++) {
        ids[i] = i + 1;
    }
    in.properties = ids;
    in.property_count = TENANT_CACHE_PROPERTIES_MAX + 1;
    tenant_cache_put(cache, &key, 10, &in);
    assert_false(tenant_cache_get(cache, &key, 11, &out, *state));
    in.property_count = TENANT_CACHE_PROPERTIES_MAX;
    tenant_cache_put(cache, &key, 10, &in);
    assert_true(tenant_cache_get(cache, &key, 11, &out, *state));
    assert_int_equal(out.properties[TENANT_CACHE_PROPERTIES_MAX - 1], TENANT_CACHE_PROPERTIES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit_pool_test(gives_back_what_was_put),
                                        unit_pool_test(forgets_at_expiry),
                                        unit_pool_test(a_full_set_drops_the_least_recently_used),
                                        unit_pool_test(a_full_set_drops_what_has_expired),
                                        unit_pool_test(callers_by_turns_are_all_known),
                                        unit_pool_test(another_token_is_another_token),
                                        unit_pool_test(many_settings_have_many_places),
                                        unit_pool_test(the_longest_entry_is_kept),
                                        unit_pool_test(many_properties_are_not_kept) };

    return unit_run(tests);
}
