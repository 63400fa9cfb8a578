/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "tenant_token.h"
#include "token_maker.h"

#include <apr_strings.h>

#include "og_b64url.h"

#define NOW  1800000000
#define BASE "\"iss\":\"https://issuer.test\",\"aud\":\"orgscale\",\"exp\":1800000300"
#define WHO  "\"sub\":\"2\",\"orgId\":\"1\",\"role\":\"owner\""
#define GOOD "{" BASE "," WHO "}"
#define ALGS 12

static const char *const algs[ALGS] = { "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
                                        "ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512" };

/* One world for all tests: a key an algorithm, kid = its name. */
static struct {
    apr_pool_t *pool;
    EVP_PKEY *key[ALGS];
    tenant_keyset *jwks, *secrets;
    tenant_rules rules;
} world;

static int world_up(void **state)
{
    const char *text = "{\"keys\":[", *why = NULL;
    apr_array_header_t *audiences, *roles;
    int i;

    apr_up(state);
    apr_pool_create(&world.pool, NULL);
    world.secrets = tenant_keyset_make(world.pool);
    for (i = 0; i < ALGS; i++) {
        if (algs[i][0] == 'H') {
            why = tenant_keyset_add_secret(world.secrets, world.pool, algs[i], algs[i],
                                           MAKER_SECRET, strlen(MAKER_SECRET));
            continue;
        }
        world.key[i] = maker_key(world.pool, algs[i], 2048);
        text = apr_psprintf(world.pool, "%s%s{%s,\"kid\":\"%s\",\"alg\":\"%s\"}", text,
                            i ? "," : "", maker_members(world.pool, algs[i], world.key[i]), algs[i],
                            algs[i]);
    }
    text = apr_pstrcat(world.pool, text, "]}", NULL);
    why = why ? why : tenant_jwks_parse(&world.jwks, world.pool, text, strlen(text));
    audiences = apr_array_make(world.pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(audiences, const char *) = "another";
    APR_ARRAY_PUSH(audiences, const char *) = "orgscale";
    roles = apr_array_make(world.pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(roles, const char *) = "owner";
    world.rules.issuer = "https://issuer.test";
    world.rules.audiences = audiences;
    world.rules.names[TENANT_CLAIM_ORG] = "orgId";
    world.rules.names[TENANT_CLAIM_USER] = "sub";
    world.rules.names[TENANT_CLAIM_ROLE] = "role";
    world.rules.names[TENANT_CLAIM_PROPERTIES] = "properties";
    world.rules.names[TENANT_CLAIM_SESSION] = "sid";
    world.rules.all_properties_roles = roles;
    return why ? -1 : 0;
}

static int world_down(void **state)
{
    apr_pool_destroy(world.pool);
    return apr_down(state);
}

static EVP_PKEY *key_of(const char *alg)
{
    int i;

    for (i = 0; i < ALGS && strcmp(algs[i], alg) != 0; i++) {
    }
    return world.key[i];
}

static tenant_reason verify_at(tenant_claims *claims, apr_pool_t *p, const char *token,
                               apr_time_t now)
{
    const tenant_keyset *const sets[] = { world.jwks, world.secrets, NULL };
    char *copy = exact(token, strlen(token));
    tenant_reason reason = tenant_token_verify(claims, p, copy, strlen(token), sets, &world.rules,
                                               now);

    free(copy);
    return reason;
}

static tenant_reason verify(apr_pool_t *p, const char *token)
{
    tenant_claims claims;

    return verify_at(&claims, p, token, apr_time_from_sec(NOW));
}

/* A token of this header, or its default, and payload, signed with EdDSA. */
static const char *eddsa(apr_pool_t *p, const char *header, const char *payload)
{
    return maker_token(p, header ? header : "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"}", payload,
                       "EdDSA", key_of("EdDSA"));
}

static void check(apr_pool_t *p, const char *what, const char *token, tenant_reason expected)
{
    tenant_reason reason = verify(p, token);

    if (reason != expected) {
        print_error("%s: %s, expected %s\n", what, tenant_reason_name(reason),
                    tenant_reason_name(expected));
    }
    assert_int_equal(reason, expected);
}

static void each_algorithm_verifies(void **state)
{
    int i;

    for (i = 0; i < ALGS; i++) {
        const char *header = apr_psprintf(*state, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%s\"}",
                                          algs[i], algs[i]);
        const char *token = maker_token(*state, header, GOOD, algs[i], world.key[i]);
        char *flipped = apr_pstrdup(*state, token);
        char *byte = strrchr(flipped, '.') + 8;

        check(*state, algs[i], token, TENANT_OK);
        *byte = *byte == 'A' ? 'B' : 'A';
        check(*state, algs[i], flipped, TENANT_SIGNATURE);
    }
}

static void claims_are_read(void **state)
{
    tenant_claims claims;

    assert_int_equal(
        verify_at(&claims, *state,
                  eddsa(*state, NULL,
                        "{" BASE ",\"iat\":1799999999.5,\"sub\":4711,"
                        "\"orgId\":9007199254740991,\"role\":\"staff\",\"sid\":\"s~1\","
                        "\"properties\":[7,\"3\",7,5]}"),
                  apr_time_from_sec(NOW)),
        TENANT_OK);
    assert_int_equal(claims.org, 9007199254740991);
    assert_int_equal(claims.user, 4711);
    assert_string_equal(claims.role, "staff");
    assert_string_equal(claims.session, "s~1");
    assert_int_equal(claims.property_count, 3);
    assert_int_equal(claims.properties[0], 3);
    assert_int_equal(claims.properties[2], 7);
    assert_int_equal(claims.all_properties, 0);
    assert_int_equal(claims.expires, apr_time_from_sec(1800000300));
    assert_int_equal(claims.issued, apr_time_from_sec(1799999999) + 500000);
}

static void who_holds_all_properties(void **state)
{
    static const struct {
        const char *who;
        int all;
    } rows[] = { { "\"sub\":2,\"orgId\":1,\"role\":\"owner\"", 1 },
                 { "\"sub\":2,\"orgId\":1,\"role\":\"owner\",\"properties\":[]", 0 },
                 { "\"sub\":2,\"orgId\":1,\"role\":\"manager\"", 0 },
                 { "\"sub\":2,\"orgId\":1,\"role\":\"Owner\"", 0 },
                 { "\"sub\":2,\"role\":\"admin\"", 0 } };
    tenant_claims claims;
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *payload = apr_pstrcat(*state, "{" BASE ",", rows[i].who, "}", NULL);

        assert_int_equal(verify_at(&claims, *state, eddsa(*state, NULL, payload),
                                   apr_time_from_sec(NOW)), TENANT_OK);
        assert_int_equal(claims.all_properties, rows[i].all);
        assert_int_equal(claims.property_count, 0);
    }
}

static void headers_decide_nothing(void **state)
{
    static const struct {
        const char *header;
        tenant_reason reason;
    } rows[] = {
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"}", TENANT_OK },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"typ\":\"AT+jwt\"}", TENANT_OK },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"x5t\":\"abc\",\"cty\":\"x\"}", TENANT_OK },
        { "{\"alg\":\"none\",\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"alg\":\"None\",\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"alg\":\"nOnE\",\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"alg\":\"\",\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"alg\":7,\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"alg\":[\"EdDSA\"],\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"alg\":\"eddsa\",\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"alg\":\"ES512\",\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"alg\":\"HS256\",\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"alg\":\"ES256\",\"kid\":\"EdDSA\"}", TENANT_ALGORITHM },
        { "{\"alg\":\"EdDSA\",\"kid\":\"ES256\"}", TENANT_ALGORITHM },
        { "{\"alg\":\"EdDSA\"}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":\"\"}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":\"eddsa\"}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA \"}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":\"../../dev/null\"}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":\"/proc/self/environ\"}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":\"' OR 1=1 --\"}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\\r\\nX: y\"}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":1}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":null}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":[\"EdDSA\"]}", TENANT_KEY },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\\u0000\"}", TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"kid\":\"EdDSA\"}", TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"}", TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"typ\":\"JWE\"}", TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"typ\":7}", TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"crit\":[\"exp\"]}", TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"crit\":[]}", TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"b64\":false}", TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"zip\":\"DEF\"}", TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}",
          TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"jku\":\"http://127.0.0.1:1/\"}",
          TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"x5u\":\"http://127.0.0.1:1/\"}",
          TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"x5c\":[\"AA\"]}", TENANT_MALFORMED },
        { "[\"alg\",\"EdDSA\"]", TENANT_MALFORMED },
        { "\"EdDSA\"", TENANT_MALFORMED },
        { "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"} x", TENANT_MALFORMED },
        { "\xef\xbb\xbf{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"}", TENANT_MALFORMED },
        { "", TENANT_MALFORMED },
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(*state, rows[i].header, eddsa(*state, rows[i].header, GOOD), rows[i].reason);
    }
}

static void payloads_keep_the_rules(void **state)
{
    static const struct {
        const char *payload;
        tenant_reason reason;
    } rows[] = {
        { "{\"aud\":\"orgscale\",\"exp\":1800000300," WHO "}", TENANT_ISSUER },
        { "{\"iss\":\"https://issuer.test/\",\"aud\":\"orgscale\",\"exp\":1800000300," WHO "}",
          TENANT_ISSUER },
        { "{\"iss\":[\"https://issuer.test\"],\"aud\":\"orgscale\",\"exp\":1800000300," WHO "}",
          TENANT_ISSUER },
        { "{\"iss\":\"https://issuer.test\",\"exp\":1800000300," WHO "}", TENANT_AUDIENCE },
        { "{\"iss\":\"https://issuer.test\",\"aud\":\"other\",\"exp\":1800000300," WHO "}",
          TENANT_AUDIENCE },
        { "{\"iss\":\"https://issuer.test\",\"aud\":[],\"exp\":1800000300," WHO "}",
          TENANT_AUDIENCE },
        { "{\"iss\":\"https://issuer.test\",\"aud\":[\"orgscale\",7],\"exp\":1800000300," WHO "}",
          TENANT_AUDIENCE },
        { "{\"iss\":\"https://issuer.test\",\"aud\":{\"orgscale\":1},\"exp\":1800000300," WHO "}",
          TENANT_AUDIENCE },
        { "{\"iss\":\"https://issuer.test\",\"aud\":[\"x\",\"orgscale\"],"
          "\"exp\":1800000300," WHO "}", TENANT_OK },
        { "{\"iss\":\"https://issuer.test\",\"aud\":\"orgscale\"," WHO "}", TENANT_CLAIMS },
#define EXP(exp) "{\"iss\":\"https://issuer.test\",\"aud\":\"orgscale\",\"exp\":" exp "," WHO "}"
        { EXP("1800000000"), TENANT_EXPIRED },
        { EXP("1800000000.0"), TENANT_EXPIRED },
        { EXP("1799999990"), TENANT_EXPIRED },
        { EXP("0"), TENANT_EXPIRED },
        { EXP("1800000001"), TENANT_OK },
        { EXP("1800000000.5"), TENANT_OK },
        { EXP("18e8"), TENANT_EXPIRED },
        { EXP("-1"), TENANT_CLAIMS },
        { EXP("-1e300"), TENANT_CLAIMS },
        { EXP("1e300"), TENANT_CLAIMS },
        { EXP("9223372036854775807"), TENANT_CLAIMS },
        { EXP("253402300800"), TENANT_CLAIMS },
        { EXP("\"1800000300\""), TENANT_CLAIMS },
        { EXP("null"), TENANT_CLAIMS },
        { EXP("true"), TENANT_CLAIMS },
        { EXP("[1800000300]"), TENANT_CLAIMS },
        { EXP("9223372036854775808"), TENANT_MALFORMED },
        { EXP("1e400"), TENANT_MALFORMED },
        { EXP("NaN"), TENANT_MALFORMED },
        { EXP("01800000300"), TENANT_MALFORMED },
        { EXP("1800000300,\"exp\":1800000300"), TENANT_MALFORMED },
        { "{" BASE ",\"nbf\":1800000030," WHO "}", TENANT_OK },
        { "{" BASE ",\"nbf\":1800000031," WHO "}", TENANT_NOT_YET_VALID },
        { "{" BASE ",\"iat\":1800000030," WHO "}", TENANT_OK },
        { "{" BASE ",\"iat\":1800000060," WHO "}", TENANT_NOT_YET_VALID },
        { "{" BASE ",\"nbf\":-1," WHO "}", TENANT_CLAIMS },
        { "{" BASE ",\"nbf\":\"0\"," WHO "}", TENANT_CLAIMS },
        { "{" BASE ",\"iat\":1e300," WHO "}", TENANT_CLAIMS },
#define ORG(org) "{" BASE ",\"sub\":\"2\",\"role\":\"owner\",\"orgId\":" org "}"
        { "{" BASE ",\"sub\":\"2\",\"role\":\"owner\"}", TENANT_CLAIMS },
        { ORG("\"\""), TENANT_CLAIMS },
        { ORG("\"007\""), TENANT_CLAIMS },
        { ORG("\"7 \""), TENANT_CLAIMS },
        { ORG("\"+7\""), TENANT_CLAIMS },
        { ORG("\"\xef\xbc\x97\""), TENANT_CLAIMS },
        { ORG("\"7,8\""), TENANT_CLAIMS },
        { ORG("0"), TENANT_CLAIMS },
        { ORG("-7"), TENANT_CLAIMS },
        { ORG("7.0"), TENANT_CLAIMS },
        { ORG("9007199254740992"), TENANT_CLAIMS },
        { ORG("\"9007199254740992\""), TENANT_CLAIMS },
        { ORG("[7]"), TENANT_CLAIMS },
        { ORG("{\"id\":7}"), TENANT_CLAIMS },
        { ORG("null"), TENANT_CLAIMS },
        { ORG("1,\"orgId\":2"), TENANT_MALFORMED },
        { "{" BASE ",\"sub\":\"2\",\"role\":\"admin\",\"orgId\":null}", TENANT_CLAIMS },
        { "{" BASE ",\"orgId\":\"1\",\"role\":\"owner\"}", TENANT_CLAIMS },
        { "{" BASE ",\"sub\":\"root\",\"orgId\":\"1\",\"role\":\"owner\"}", TENANT_CLAIMS },
        { "{" BASE ",\"sub\":\"2\",\"orgId\":\"1\"}", TENANT_CLAIMS },
        { "{" BASE ",\"sub\":\"2\",\"orgId\":\"1\",\"role\":\"\"}", TENANT_CLAIMS },
        { "{" BASE ",\"sub\":\"2\",\"orgId\":\"1\",\"role\":[\"owner\"]}", TENANT_CLAIMS },
        { "{" BASE ",\"sub\":\"2\",\"orgId\":\"1\",\"role\":\"own er\"}", TENANT_CLAIMS },
        { "{" BASE ",\"sid\":7," WHO "}", TENANT_CLAIMS },
        { "{" BASE ",\"sid\":\"\"," WHO "}", TENANT_CLAIMS },
        { "{" BASE ",\"sid\":\"a\\nb\"," WHO "}", TENANT_CLAIMS },
        { "{" BASE ",\"properties\":7," WHO "}", TENANT_CLAIMS },
        { "{" BASE ",\"properties\":null," WHO "}", TENANT_CLAIMS },
        { "{" BASE ",\"properties\":\"1,2\"," WHO "}", TENANT_CLAIMS },
        { "{" BASE ",\"properties\":[1,\"02\"]," WHO "}", TENANT_CLAIMS },
        { "{" BASE ",\"properties\":[[1]]," WHO "}", TENANT_CLAIMS },
        { "[" "1" "]", TENANT_MALFORMED },
        { "", TENANT_MALFORMED },
        { "{" BASE "," WHO, TENANT_MALFORMED },
        { "{" BASE "," WHO "}{}", TENANT_MALFORMED },
        { "{" BASE "," WHO
          ",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
          TENANT_MALFORMED },
        { "{" BASE "," WHO ",\"x\":\"\xff\"}", TENANT_MALFORMED },
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(*state, rows[i].payload, eddsa(*state, NULL, rows[i].payload), rows[i].reason);
    }
}

/* The same JWS in other spellings (B06). */
static void only_one_spelling(void **state)
{
    const char *good = eddsa(*state, NULL, GOOD), *end = good + strlen(good) - 1;
    const char *dot = strchr(good, '.');
    const char *head = apr_pstrmemdup(*state, good, (apr_size_t)(dot - good));
    const char *body = apr_pstrmemdup(*state, dot + 1, (apr_size_t)(strrchr(good, '.') - dot - 1));
    const char *sign = strrchr(good, '.') + 1;
    const char *cut = apr_pstrmemdup(*state, good, strlen(good) - 1);
    char *spare = apr_pstrdup(*state, good);
    const struct {
        const char *what, *token;
        tenant_reason reason;
    } rows[] = {
        { "as it is", good, TENANT_OK },
        { "empty", "", TENANT_MALFORMED },
        { "dots", "..", TENANT_MALFORMED },
        { "one segment", head, TENANT_MALFORMED },
        { "two segments", apr_pstrcat(*state, head, ".", body, NULL), TENANT_MALFORMED },
        { "four segments", apr_pstrcat(*state, good, ".AA", NULL), TENANT_MALFORMED },
        { "five segments", apr_pstrcat(*state, good, "..", NULL), TENANT_MALFORMED },
        { "a space before", apr_pstrcat(*state, " ", good, NULL), TENANT_MALFORMED },
        { "padded header", apr_pstrcat(*state, head, "=.", body, ".", sign, NULL),
          TENANT_MALFORMED },
        { "padded signature", apr_pstrcat(*state, good, "==", NULL), TENANT_SIGNATURE },
        { "a space after", apr_pstrcat(*state, good, " ", NULL), TENANT_SIGNATURE },
        { "no signature", apr_pstrcat(*state, head, ".", body, ".", NULL), TENANT_SIGNATURE },
        { "short signature", cut, TENANT_SIGNATURE },
        { "long signature", apr_pstrcat(*state, good, "AAAA", NULL), TENANT_SIGNATURE },
        { "stray trailing bits", spare, TENANT_SIGNATURE },
        { "no payload", apr_pstrcat(*state, head, "..", sign, NULL), TENANT_SIGNATURE },
        { "swapped segments", apr_pstrcat(*state, body, ".", head, ".", sign, NULL),
          TENANT_ALGORITHM },
    };
    size_t i;

    /* 64 bytes are 85 characters and two bits; the last character's low four are spare */
    spare[strlen(spare) - 1] = *end == 'A' ? 'B' : *end == 'Q' ? 'R' : *end == 'g' ? 'h' : 'x';
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(*state, rows[i].what, rows[i].token, rows[i].reason);
    }
}

/* The public key is no shared secret, and an empty one is none either (B02). */
static void no_confusion_of_keys(void **state)
{
    static const char header[] = "{\"alg\":\"HS256\",\"kid\":\"RS256\"}";
    const char *text = apr_pstrcat(*state, maker_b64(*state, header, strlen(header)), ".",
                                   maker_b64(*state, GOOD, strlen(GOOD)), NULL);
    const char *jwk = maker_members(*state, "RS256", key_of("RS256"));
    const unsigned char *mac;
    apr_size_t len;

    mac = maker_sign(*state, "HS256", NULL, jwk, strlen(jwk), text, &len);
    check(*state, "HS with the public key", apr_pstrcat(*state, text, ".",
          maker_b64(*state, mac, len), NULL), TENANT_ALGORITHM);
    mac = maker_sign(*state, "HS256", NULL, "", 0, text, &len);
    check(*state, "HS with nothing", apr_pstrcat(*state, text, ".", maker_b64(*state, mac, len),
          NULL), TENANT_ALGORITHM);
    check(*state, "another's key",
          maker_token(*state, "{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"}", GOOD, "EdDSA",
                      maker_key(*state, "EdDSA", 0)),
          TENANT_SIGNATURE);
    check(*state, "PS256's key with RS256's padding",
          maker_token(*state, "{\"alg\":\"PS256\",\"kid\":\"PS256\"}", GOOD, "RS256",
                      key_of("PS256")), TENANT_SIGNATURE);
    check(*state, "RS256 as RS384",
          maker_token(*state, "{\"alg\":\"RS384\",\"kid\":\"RS256\"}", GOOD, "RS384",
                      key_of("RS256")),
          TENANT_ALGORITHM);
}

/* ECDSA as DER, as zeros, and very long (B06: the heap overflow of HAProxy's converter). */
static void ec_signatures_have_one_form(void **state)
{
    static const char header[] = "{\"alg\":\"ES256\",\"kid\":\"ES256\"}";
    const char *good = maker_token(*state, header, GOOD, "ES256", key_of("ES256"));
    const char *text = apr_pstrmemdup(*state, good, (apr_size_t)(strrchr(good, '.') - good));
    unsigned char bytes[200] = { 0 }, *der;
    char *huge = apr_palloc(*state, 5001);
    const unsigned char *raw;
    apr_size_t len;

    raw = maker_sign(*state, "ES256", key_of("ES256"), NULL, 0, text, &len);
    der = apr_pcalloc(*state, 72);
    der[0] = 0x30;
    der[1] = 68;
    der[2] = der[36] = 2;
    der[3] = der[37] = 32;
    memcpy(der + 4, raw, 32);
    memcpy(der + 38, raw + 32, 32);
    check(*state, "good", good, TENANT_OK);
    check(*state, "DER", apr_pstrcat(*state, text, ".", maker_b64(*state, der, 70), NULL),
          TENANT_SIGNATURE);
    check(*state, "zeros", apr_pstrcat(*state, text, ".", maker_b64(*state, bytes, 64), NULL),
          TENANT_SIGNATURE);
    check(*state, "P-384's length", apr_pstrcat(*state, text, ".", maker_b64(*state, bytes, 96),
          NULL), TENANT_SIGNATURE);
    memset(huge, 'A', 5000);
    huge[5000] = '\0';
    check(*state, "5000 characters", apr_pstrcat(*state, text, ".", huge, NULL), TENANT_SIGNATURE);
    huge = apr_palloc(*state, 21831);
    memset(huge, 'A', 21830);
    huge[21830] = '\0';
    check(*state, "21830 characters", apr_pstrcat(*state, text, ".", huge, NULL), TENANT_MALFORMED);
}

static void sizes_are_bounded(void **state)
{
    char *kid = apr_palloc(*state, 3001);
    char *long_text = apr_palloc(*state, 9001);

    memset(kid, 'k', 3000);
    kid[3000] = '\0';
    memset(long_text, 'x', 9000);
    long_text[9000] = '\0';
    check(*state, "long header", eddsa(*state, apr_psprintf(*state,
          "{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", kid), GOOD), TENANT_MALFORMED);
    check(*state, "long payload", eddsa(*state, NULL, apr_psprintf(*state,
          "{" BASE "," WHO ",\"x\":\"%s\"}", long_text)), TENANT_MALFORMED);
    kid[65] = '\0';
    check(*state, "long role", eddsa(*state, NULL, apr_psprintf(*state,
          "{" BASE ",\"sub\":2,\"orgId\":1,\"role\":\"%s\"}", kid)), TENANT_CLAIMS);
    kid[65] = 'k';
    kid[129] = '\0';
    check(*state, "long session", eddsa(*state, NULL, apr_psprintf(*state,
          "{" BASE "," WHO ",\"sid\":\"%s\"}", kid)), TENANT_CLAIMS);
}

static void a_lone_secret_needs_no_kid(void **state)
{
    tenant_keyset *one = tenant_keyset_make(*state);
    const tenant_keyset *const lone[] = { one, NULL }, *const both[] = { world.jwks, one, NULL };
    const char *token = maker_token(*state, "{\"alg\":\"HS256\"}", GOOD, "HS256", NULL);
    tenant_claims claims;

    assert_null(tenant_keyset_add_secret(one, *state, "a", "HS256", MAKER_SECRET, 32));
    assert_int_equal(tenant_token_verify(&claims, *state, token, strlen(token), lone, &world.rules,
                                         apr_time_from_sec(NOW)), TENANT_OK);
    assert_int_equal(tenant_token_verify(&claims, *state, token, strlen(token), both, &world.rules,
                                         apr_time_from_sec(NOW)), TENANT_KEY);
}

/* Every byte of a token matters: one that is another makes it invalid, whichever it is. */
static void no_byte_is_free(void **state)
{
    const char *good = eddsa(*state, NULL, GOOD);
    size_t i;

    for (i = 0; i < strlen(good); i++) {
        char *other = apr_pstrdup(*state, good);

        other[i] = other[i] == 'A' ? 'Q' : 'A';
        assert_int_not_equal(verify(*state, other), TENANT_OK);
        assert_int_not_equal(verify(*state, apr_pstrmemdup(*state, good, i)), TENANT_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit_pool_test(each_algorithm_verifies),
                                        unit_pool_test(claims_are_read),
                                        unit_pool_test(who_holds_all_properties),
                                        unit_pool_test(headers_decide_nothing),
                                        unit_pool_test(payloads_keep_the_rules),
                                        unit_pool_test(only_one_spelling),
                                        unit_pool_test(no_confusion_of_keys),
                                        unit_pool_test(ec_signatures_have_one_form),
                                        unit_pool_test(sizes_are_bounded),
                                        unit_pool_test(a_lone_secret_needs_no_kid),
                                        unit_pool_test(no_byte_is_free) };

    return cmocka_run_group_tests(tests, world_up, world_down);
}
