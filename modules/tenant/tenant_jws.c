/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Compact JWS, see tenant_jws.h. The header decides nothing but which of our keys is tried, and
 * the payload is not parsed before its signature held. */
#include "tenant_jws.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>
#include <strings.h>

#include "og_b64url.h"
#include "og_json.h"
#include "og_mac.h"

/* The largest signature: RSA of TENANT_RSA_BITS_MAX */
#define SIGNATURE_MAX (TENANT_RSA_BITS_MAX / 8)

/* A token, cut at its dots; nothing is NUL-terminated. */
typedef struct {
    const char *header, *payload, *signature;
    apr_size_t header_len, payload_len, signature_len;
    apr_size_t signed_len; /* header, dot and payload: what was signed */
} segments;

const char *tenant_reason_name(tenant_reason reason)
{
    static const char *const names[] = { "ok",       "missing", "malformed", "algorithm",
                                         "key",      "signature", "issuer",  "audience",
                                         "expired",  "not_yet_valid", "claims",   "revoked" };

    return names[reason];
}

static int cut(segments *s, const char *token, apr_size_t len)
{
    const char *end = token + len, *dot;

    dot = memchr(token, '.', len);
    if (!dot) {
        return 0;
    }
    s->header = token;
    s->header_len = (apr_size_t)(dot - token);
    s->payload = dot + 1;
    dot = memchr(s->payload, '.', (apr_size_t)(end - s->payload));
    if (!dot) {
        return 0;
    }
    s->payload_len = (apr_size_t)(dot - s->payload);
    s->signed_len = (apr_size_t)(dot - token);
    s->signature = dot + 1;
    s->signature_len = (apr_size_t)(end - s->signature);
    return !memchr(s->signature, '.', s->signature_len);
}

/* The JSON object that a segment encodes, or NULL. */
static json_t *object_of(apr_pool_t *p, const char *segment, apr_size_t len)
{
    unsigned char *bytes = apr_palloc(p, og_b64url_decoded_max(len) + 1);
    apr_size_t size;
    json_t *value;

    if (!og_b64url_decode(bytes, &size, segment, len)) {
        return NULL;
    }
    value = og_json_load(p, (const char *)bytes, size, NULL);
    return json_is_object(value) ? value : NULL;
}

/* RFC 7515 4.1.11, 8725: what changes the meaning of a token, or brings its own key, is refused;
 * thumbprints (x5t) and the like are names only and ignored. */
static int header_is_plain(const json_t *header)
{
    static const char *const refused[] = { "crit", "b64", "zip", "enc",
                                           "jwk",  "jku", "x5u", "x5c" };
    const json_t *typ = json_object_get(header, "typ");
    apr_size_t i;

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (json_object_get(header, refused[i])) {
            return 0;
        }
    }
    if (!typ) {
        return 1;
    }
    return json_is_string(typ)
           && (!strcasecmp(json_string_value(typ), "JWT")
               || !strcasecmp(json_string_value(typ), "at+jwt"));
}

/* The key the header names, in *key. */
static tenant_reason choose(const tenant_key **key, const json_t *header,
                            const tenant_keyset *const *sets)
{
    const json_t *alg = json_object_get(header, "alg"), *kid = json_object_get(header, "kid");
    const tenant_alg *row = json_is_string(alg) ? tenant_alg_find(json_string_value(alg)) : NULL;

    *key = NULL;
    if (!row) {
        return TENANT_ALGORITHM;
    }
    if (!kid) {
        /* only a lone secret is meant without being named */
        if (sets[0] && !sets[1] && sets[0]->kid_optional) {
            *key = &APR_ARRAY_IDX(sets[0]->keys, 0, tenant_key);
        }
    }
    else if (json_is_string(kid)) {
        for (; *sets && !*key; sets++) {
            *key = tenant_keyset_find(*sets, json_string_value(kid));
        }
    }
    if (!*key) {
        return TENANT_KEY;
    }
    return (*key)->alg == row ? TENANT_OK : TENANT_ALGORITHM;
}

static int hmac_holds(const tenant_key *key, const char *text, apr_size_t len,
                      const unsigned char *signature)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t mac_len = 0;

    return EVP_Q_mac(NULL, "HMAC", NULL, key->alg->digest, NULL, key->secret, key->secret_len,
                     (const unsigned char *)text, len, mac, sizeof(mac), &mac_len)
           && mac_len == key->alg->signature && og_equal(mac, signature, mac_len);
}

/* JWS carries r || s, OpenSSL wants DER. @return DER to be freed with OPENSSL_free, or NULL */
static unsigned char *ec_der(const unsigned char *raw, apr_size_t half, int *der_len)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)half, NULL), *s = BN_bin2bn(raw + half, (int)half, NULL);
    unsigned char *der = NULL;

    *der_len = -1;
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* sig's now */
        *der_len = i2d_ECDSA_SIG(sig, &der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return *der_len > 0 ? der : NULL;
}

static int public_key_holds(const tenant_key *key, const char *text, apr_size_t len,
                            const unsigned char *signature, apr_size_t signature_len)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *ctx = NULL;
    unsigned char *der = NULL;
    int der_len = 0, holds = 0;

    if (key->alg->half) {
        der = ec_der(signature, key->alg->half, &der_len);
        if (!der) {
            EVP_MD_CTX_free(md);
            return 0;
        }
        signature = der;
        signature_len = (apr_size_t)der_len;
    }
    if (md && EVP_DigestVerifyInit_ex(md, &ctx, key->alg->digest, NULL, NULL, key->pkey, NULL) == 1
        && (!key->alg->pss
            || (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1))) {
        holds = EVP_DigestVerify(md, signature, signature_len, (const unsigned char *)text, len)
                == 1;
    }
    EVP_MD_CTX_free(md);
    OPENSSL_free(der);
    ERR_clear_error(); /* a wrong signature leaves one, for whoever looks next in this thread */
    return holds;
}

static int signature_holds(const tenant_key *key, const char *token, const segments *s)
{
    unsigned char signature[SIGNATURE_MAX + 3];
    apr_size_t len, want = key->alg->signature;

    if (!want) {
        want = (apr_size_t)EVP_PKEY_get_size(key->pkey);
    }
    /* the length is the algorithm's before a byte is decoded (B06) */
    if (s->signature_len != og_b64url_encoded_len(want) || want > SIGNATURE_MAX
        || !og_b64url_decode(signature, &len, s->signature, s->signature_len) || len != want) {
        return 0;
    }
    return key->pkey ? public_key_holds(key, token, s->signed_len, signature, len)
                     : hmac_holds(key, token, s->signed_len, signature);
}

tenant_reason tenant_jws_verify(const json_t **payload, apr_pool_t *p, const char *token,
                                apr_size_t len, const tenant_keyset *const *sets)
{
    const tenant_key *key;
    const json_t *header;
    tenant_reason reason;
    segments s;

    *payload = NULL;
    if (len > TENANT_TOKEN_MAX || !cut(&s, token, len) || s.header_len > TENANT_HEADER_MAX) {
        return TENANT_MALFORMED;
    }
    header = object_of(p, s.header, s.header_len);
    if (!header || !header_is_plain(header)) {
        return TENANT_MALFORMED;
    }
    reason = choose(&key, header, sets);
    if (reason != TENANT_OK) {
        return reason;
    }
    if (!signature_holds(key, token, &s)) {
        return TENANT_SIGNATURE;
    }
    *payload = object_of(p, s.payload, s.payload_len);
    return *payload ? TENANT_OK : TENANT_MALFORMED;
}
