/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Page cursors, see rest_page.h. */
#include "rest_page.h"

#include "og_b64url.h"
#include "og_bytes.h"
#include "og_number.h"

#include <string.h>

#define VERSION 1
#define BYTES   17
#define CHARS   23

const char *rest_page_encode(apr_pool_t *p, const rest_page_key *key)
{
    unsigned char bytes[BYTES] = { VERSION };
    char *text = apr_palloc(p, CHARS + 1);

    og_put64(bytes + 1, (apr_uint64_t)key->time);
    og_put64(bytes + 9, (apr_uint64_t)key->id);
    text[og_b64url_encode(text, bytes, BYTES)] = '\0';
    return text;
}

int rest_page_decode(rest_page_key *key, const char *text)
{
    unsigned char bytes[BYTES];
    apr_size_t len;

    if (strlen(text) != CHARS || !og_b64url_decode(bytes, &len, text, CHARS) ||
        bytes[0] != VERSION) {
        return 0;
    }
    key->time = (apr_time_t)og_get64(bytes + 1);
    key->id = (apr_int64_t)og_get64(bytes + 9);
    /* within what a row can hold: PostgreSQL would refuse anything else with an error of its own */
    return key->id >= 1 && key->id <= OG_ID_MAX && key->time >= 0
           && key->time < apr_time_from_sec(APR_INT64_C(253402300800));
}
