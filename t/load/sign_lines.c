/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* sign_lines KEY.pem < lines > signatures: the Ed25519 signature of each line, without its newline,
 * in base64url. The openssl command would have to be started for each of 50,000 tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "og_b64url.h"

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    unsigned char signature[64];
    char *line = NULL, text[128];
    size_t size = 0, len;
    ssize_t got;

    if (!key || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
        fputs("sign_lines: expected a file with a private Ed25519 key\n", stderr);
        return 1;
    }
    fclose(file);
    while ((got = getline(&line, &size, stdin)) > 0) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();

        len = sizeof(signature);
        if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1
            || EVP_DigestSign(context, signature, &len, (unsigned char *)line, (size_t)got - 1)
                   != 1) {
            fputs("sign_lines: OpenSSL failed\n", stderr);
            return 1;
        }
        EVP_MD_CTX_free(context);
        memset(text, 0, sizeof(text));
        og_b64url_encode(text, signature, sizeof(signature));
        puts(text);
    }
    free(line);
    EVP_PKEY_free(key);
    return 0;
}
