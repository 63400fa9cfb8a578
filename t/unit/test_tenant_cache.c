/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "tenant_cache.h"

/* Keys that differ in their first bytes only fall into different sets, others into one. */
static void key_of(unsigned char key[TENANT_CACHE_KEY], unsigned int set, unsigned int n)
{
    memset(key, 0, TENANT_CACHE_KEY);
    key[0] = (unsigned char)(set >> 8);
    key[1] = (unsigned char)set;
    memcpy(key + 8, &n, sizeof(n));
}

static tenant_claims caller(apr_int64_t user, apr_time_t expires)
{
    static const apr_int64_t properties[] = { 3, 5 };
    tenant_claims claims = { 7, user, "staff", "s-1", properties, 2, 0, 11, expires };

    return claims;
}

static void gives_back_what_was_put(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state);
    tenant_claims in = caller(9, 1000), out;
    unsigned char key[TENANT_CACHE_KEY];

    key_of(key, 1, 1);
    assert_false(tenant_cache_get(cache, key, 10, &out, *state));
    tenant_cache_put(cache, key, 10, &in);
    assert_true(tenant_cache_get(cache, key, 11, &out, *state));
    assert_int_equal(out.org, 7);
    assert_int_equal(out.user, 9);
    assert_string_equal(out.role, "staff");
    assert_string_equal(out.session, "s-1");
    assert_int_equal(out.property_count, 2);
    assert_int_equal(out.properties[0], 3);
    assert_int_equal(out.properties[1], 5);
    assert_int_equal(out.issued, 11);
    assert_ptr_not_equal(out.role, in.role);
    assert_ptr_not_equal(out.properties, in.properties);
}

static void forgets_at_expiry(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state);
    tenant_claims in = caller(9, 1000), out;
    unsigned char key[TENANT_CACHE_KEY];

    key_of(key, 1, 1);
    tenant_cache_put(cache, key, 10, &in);
    assert_true(tenant_cache_get(cache, key, 999, &out, *state));
    assert_false(tenant_cache_get(cache, key, 1000, &out, *state));
}

static void a_full_set_drops_the_least_recently_used(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state);
    tenant_claims in = caller(9, 1000), out;
    unsigned char key[TENANT_CACHE_KEY];
    unsigned int n;

    for (n = 0; n < 4; n++) {
        key_of(key, 5, n);
        tenant_cache_put(cache, key, 10 + n, &in);
    }
    key_of(key, 5, 0);
    assert_true(tenant_cache_get(cache, key, 20, &out, *state));
    key_of(key, 5, 4);
    tenant_cache_put(cache, key, 21, &in);
    for (n = 0; n < 5; n++) {
        key_of(key, 5, n);
        assert_int_equal(tenant_cache_get(cache, key, 22, &out, *state), n != 1);
    }
}

static void many_properties_are_not_kept(void **state)
{
    tenant_cache *cache = tenant_cache_make(*state);
    apr_int64_t ids[TENANT_CACHE_PROPERTIES_MAX + 1];
    tenant_claims in = caller(9, 1000), out;
    unsigned char key[TENANT_CACHE_KEY];
    int i;

    for (i = 0; i <= TENANT_CACHE_PROPERTIES_MAX; i++) {
        ids[i] = i + 1;
    }
    key_of(key, 1, 1);
    in.properties = ids;
    in.property_count = TENANT_CACHE_PROPERTIES_MAX + 1;
    tenant_cache_put(cache, key, 10, &in);
    assert_false(tenant_cache_get(cache, key, 11, &out, *state));
    in.property_count = TENANT_CACHE_PROPERTIES_MAX;
    tenant_cache_put(cache, key, 10, &in);
    assert_true(tenant_cache_get(cache, key, 11, &out, *state));
    assert_int_equal(out.properties[TENANT_CACHE_PROPERTIES_MAX - 1], TENANT_CACHE_PROPERTIES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit_pool_test(gives_back_what_was_put),
                                        unit_pool_test(forgets_at_expiry),
                                        unit_pool_test(a_full_set_drops_the_least_recently_used),
                                        unit_pool_test(many_properties_are_not_kept) };

    return unit_run(tests);
}
