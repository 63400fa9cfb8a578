/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A token that verifies was signed by one of our keys, and no other bytes verify: Ed25519 and
 * HMAC signatures are deterministic, so the signature is made again from the private key and must
 * be the token's, character by character. What the token claims is within the rules.
 *
 * The same input also goes through the JWKS parser, whose oracle is the sanitizers'. The first
 * segments of a mutated token are signed anew in a second run, so that mutations of the claims are
 * not all stopped by the signature. */
#include <apr_general.h>
#include <apr_strings.h>
#include <openssl/evp.h>
#include <sanitizer/lsan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "og_b64url.h"
#include "og_number.h"
#include "tenant_token.h"

#define NOW 1800000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned char seed[32] = "the fuzz target's Ed25519 seed!";
static const char secret[] = "the fuzz target's shared secret.";

static apr_pool_t *root;
static EVP_PKEY *private_key;
static const tenant_keyset *sets[3];
static tenant_rules rules = { "i", NULL, { "orgId", "sub", "role", "properties", "sid" }, NULL };

static void set_up(void)
{
    unsigned char public_key[32];
    size_t len = sizeof(public_key);
    char x[44] = "", *jwks;
    tenant_keyset *public_keys, *secrets;
    apr_array_header_t *list;

    apr_initialize();
    apr_pool_create(&root, NULL);
    private_key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
    EVP_PKEY_get_raw_public_key(private_key, public_key, &len);
    og_b64url_encode(x, public_key, len);
    jwks = apr_psprintf(root, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"e\","
                              "\"x\":\"%s\"}]}", x);
    secrets = tenant_keyset_make(root);
    if (tenant_jwks_parse(&public_keys, root, jwks, strlen(jwks))
        || tenant_keyset_add_secret(secrets, root, "h", "HS256", secret, sizeof(secret) - 1)) {
        abort();
    }
    sets[0] = public_keys;
    sets[1] = secrets;
    list = apr_array_make(root, 1, sizeof(const char *));
    APR_ARRAY_PUSH(list, const char *) = "a";
    rules.audiences = list;
    list = apr_array_make(root, 1, sizeof(const char *));
    APR_ARRAY_PUSH(list, const char *) = "owner";
    rules.all_properties_roles = list;
}

/* The signature's characters that our keys give a text: of len bytes, or NULL. */
static const char *ours(apr_pool_t *p, const char *text, size_t text_len, size_t len)
{
    unsigned char raw[64];
    size_t raw_len = sizeof(raw);
    char *coded = apr_pcalloc(p, 100);
    EVP_MD_CTX *md;

    if (len == og_b64url_encoded_len(32)) {
        EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, sizeof(secret) - 1,
                  (const unsigned char *)text, text_len, raw, sizeof(raw), &raw_len);
    }
    else {
        md = EVP_MD_CTX_new();
        EVP_DigestSignInit(md, NULL, NULL, NULL, private_key);
        EVP_DigestSign(md, raw, &raw_len, (const unsigned char *)text, text_len);
        EVP_MD_CTX_free(md);
    }
    og_b64url_encode(coded, raw, raw_len);
    return coded;
}

static void check(apr_pool_t *p, const char *token, size_t size)
{
    tenant_claims claims;
    const char *dot;
    size_t text_len, sign_len;
    int i;

    if (tenant_token_verify(&claims, p, token, size, sets, &rules, apr_time_from_sec(NOW))
        != TENANT_OK) {
        return;
    }
    dot = memrchr(token, '.', size);
    text_len = (size_t)(dot - token);
    sign_len = size - text_len - 1;
    if (memcmp(ours(p, token, text_len, sign_len), dot + 1, sign_len) != 0
        || claims.user < 1 || claims.user > OG_ID_MAX || claims.org < 0 || claims.org > OG_ID_MAX
        || (!claims.org && strcmp(claims.role, "admin") != 0) || !tenant_role_ok(claims.role)
        || claims.expires <= apr_time_from_sec(NOW)
        || (claims.all_properties && claims.property_count)) {
        abort();
    }
    for (i = 1; i < claims.property_count; i++) {
        if (claims.properties[i - 1] >= claims.properties[i]) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1), *text;
    const char *newline;
    tenant_keyset *set;
    apr_pool_t *p;

    if (!root) {
        __lsan_disable(); /* it cannot see that APR's pools, which are mmap'ed, point to these */
        set_up();
        __lsan_enable();
    }
    apr_pool_create(&p, root);
    memcpy(copy, data, size); /* of its exact size on the heap: ASan sees a read past it */
    check(p, copy, size);
    tenant_jwks_parse(&set, p, copy, size);
    /* header, a new line, payload: signed by us, whatever they say */
    newline = memchr(copy, '\n', size);
    if (newline && size < 4096) {
        size_t header = (size_t)(newline - copy), payload = size - header - 1, len;

        text = apr_pcalloc(p, 2 * size + 200);
        len = og_b64url_encode(text, (unsigned char *)copy, header);
        text[len++] = '.';
        len += og_b64url_encode(text + len, (unsigned char *)copy + header + 1, payload);
        text = apr_pstrcat(p, text, ".", ours(p, text, len, 0), NULL);
        check(p, text, strlen(text));
    }
    apr_pool_destroy(p);
    free(copy);
    return 0;
}
