/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "tenant_jwks.h"
#include "token_maker.h"

#include <apr_strings.h>

/* The set of {"keys":[{…},…]}, or NULL and *why. */
static tenant_keyset *parse(apr_pool_t *p, const char *keys, const char **why)
{
    const char *text = apr_pstrcat(p, "{\"keys\":[", keys, "]}", NULL);
    char *copy = exact(text, strlen(text));
    tenant_keyset *set = NULL;

    *why = tenant_jwks_parse(&set, p, copy, strlen(text));
    free(copy);
    return *why ? NULL : set;
}

static const char *jwk(apr_pool_t *p, const char *alg, EVP_PKEY *key, const char *more)
{
    return apr_psprintf(p, "{%s%s}", maker_members(p, alg, key), more);
}

static void pins_one_algorithm_a_key(void **state)
{
    static const struct {
        const char *kind, *more, *alg; /* alg NULL: skipped */
    } rows[] = {
        { "RS256", ",\"kid\":\"k\"", "RS256" },
        { "RS256", ",\"kid\":\"k\",\"alg\":\"PS384\"", "PS384" },
        { "RS256", ",\"kid\":\"k\",\"alg\":\"RS512\",\"use\":\"sig\"", "RS512" },
        { "ES256", ",\"kid\":\"k\"", "ES256" },
        { "ES384", ",\"kid\":\"k\",\"alg\":\"ES384\"", "ES384" },
        { "EdDSA", ",\"kid\":\"k\",\"key_ops\":[\"sign\",\"verify\"]", "EdDSA" },
        { "RS256", ",\"kid\":\"k\",\"alg\":\"HS256\"", NULL },
        { "RS256", ",\"kid\":\"k\",\"alg\":\"none\"", NULL },
        { "RS256", ",\"kid\":\"k\",\"alg\":7", NULL },
        { "RS256", ",\"kid\":\"k\",\"alg\":\"RSA-OAEP\"", NULL },
        { "ES256", ",\"kid\":\"k\",\"alg\":\"ES384\"", NULL },
        { "ES256", ",\"kid\":\"k\",\"alg\":\"RS256\"", NULL },
        { "ES256", ",\"kid\":\"k\",\"use\":\"enc\"", NULL },
        { "EdDSA", ",\"kid\":\"k\",\"key_ops\":[\"sign\"]", NULL },
        { "EdDSA", ",\"kid\":\"k\",\"key_ops\":\"verify\"", NULL },
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EVP_PKEY *key = maker_key(*state, rows[i].kind, 2048);
        const char *why;
        tenant_keyset *set = parse(*state, jwk(*state, rows[i].kind, key, rows[i].more), &why);

        if (!rows[i].alg) {
            assert_null(set);
            assert_string_equal(why, "it has no key that verifies signatures");
            continue;
        }
        assert_non_null(set);
        assert_string_equal(tenant_keyset_find(set, "k")->alg->name, rows[i].alg);
        assert_null(tenant_keyset_find(set, "K"));
        assert_int_equal(set->kid_optional, 0);
    }
}

static void foreign_keys_are_skipped_beside_ours(void **state)
{
    EVP_PKEY *key = maker_key(*state, "EdDSA", 0);
    const char *why;
    tenant_keyset *set;

    set = parse(
        *state,
        apr_pstrcat(*state,
                    "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"},"
                    "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"kid\":\"s\"},{\"kty\":\"AKP\"},{},",
                    jwk(*state, "EdDSA", key, ",\"kid\":\"k\""), NULL),
        &why);
    assert_non_null(set);
    assert_int_equal(set->keys->nelts, 1);
}

static void refuses_what_is_wrong(void **state)
{
    apr_pool_t *p = *state;
    EVP_PKEY *key = maker_key(p, "EdDSA", 0), *weak = maker_key(p, "RS256", 1024);
    const char *good = jwk(p, "EdDSA", key, ",\"kid\":\"k\""), *why;
    const struct {
        const char *keys, *why;
    } rows[] = {
        { apr_pstrcat(p, good, ",", good, NULL), "key 2: its kid \"k\" stands there twice" },
        { jwk(p, "EdDSA", key, ""), "key 1: expected a kid of 1 to 256 characters" },
        { jwk(p, "EdDSA", key, ",\"kid\":\"\""), "key 1: expected a kid of 1 to 256 characters" },
        { jwk(p, "EdDSA", key, ",\"kid\":7"), "key 1: expected a kid of 1 to 256 characters" },
        { jwk(p, "EdDSA", key, ",\"kid\":\"k\",\"d\":\"AA\""),
          "key 1: it is a private or shared key: only public keys belong into a JWKS" },
        { "{\"kty\":\"oct\",\"kid\":\"k\",\"k\":\"AA\"}",
          "key 1: it is a private or shared key: only public keys belong into a JWKS" },
        { jwk(p, "RS256", weak, ",\"kid\":\"k\""),
          "key 1: expected an RSA key of 2048 to 8192 bits, not 1024" },
        { "{\"kty\":\"RSA\",\"kid\":\"k\",\"n\":\"AA==\",\"e\":\"AQAB\"}",
          "key 1: its n or e is missing or not a base64url number of a usable size" },
        { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"AAAA\"}",
          "key 1: expected x of 32 bytes" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
          "key 1: expected x and y of 32 bytes each" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\","
          "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
          "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}",
          "key 1: its x and y are no point of the curve" },
        { "7", "key 1: it is not an object" },
        { "", "it has no key that verifies signatures" },
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_null(parse(p, rows[i].keys, &why));
        assert_string_equal(why, rows[i].why);
    }
}

static void refuses_what_is_no_jwks(void **state)
{
    static const char *const bad[] = { "", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[", "null",
                                       "{\"keys\":[],\"keys\":[]}" };
    tenant_keyset *set;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(tenant_jwks_parse(&set, *state, bad[i], strlen(bad[i])));
    }
}

static void count_is_bounded(void **state)
{
    const char *keys = "{}", *why;
    int i;

    for (i = 0; i < TENANT_JWKS_KEYS_MAX; i++) {
        keys = apr_pstrcat(*state, keys, ",{}", NULL);
    }
    assert_null(parse(*state, keys, &why));
    assert_string_equal(why, "expected at most 64 keys");
}

static void secrets_have_a_minimum(void **state)
{
    tenant_keyset *set = tenant_keyset_make(*state);

    assert_string_equal(tenant_keyset_add_secret(set, *state, "a", "HS256", "", 0),
                        "expected a secret of at least 32 bytes, not 0");
    assert_non_null(tenant_keyset_add_secret(set, *state, "a", "HS256", MAKER_SECRET, 31));
    assert_non_null(tenant_keyset_add_secret(set, *state, "a", "RS256", MAKER_SECRET, 32));
    assert_non_null(tenant_keyset_add_secret(set, *state, "", "HS256", MAKER_SECRET, 32));
    assert_int_equal(set->keys->nelts, 0);
    assert_null(tenant_keyset_add_secret(set, *state, "a", "HS512", MAKER_SECRET, 32));
    assert_int_equal(set->kid_optional, 1);
    assert_non_null(tenant_keyset_add_secret(set, *state, "a", "HS256", MAKER_SECRET, 32));
    assert_null(tenant_keyset_add_secret(set, *state, "b", "HS256", MAKER_SECRET, 32));
    assert_int_equal(set->kid_optional, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit_pool_test(pins_one_algorithm_a_key),
                                        unit_pool_test(foreign_keys_are_skipped_beside_ours),
                                        unit_pool_test(refuses_what_is_wrong),
                                        unit_pool_test(refuses_what_is_no_jwks),
                                        unit_pool_test(count_is_bounded),
                                        unit_pool_test(secrets_have_a_minimum) };

    return unit_run(tests);
}
