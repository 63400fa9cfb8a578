/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Idempotency keys, see rest_key.h. */
#include "rest_key.h"

int rest_key_valid(const char *text)
{
    const char *at = text;

    while (*at > 0x20 && *at < 0x7F && at - text < REST_KEY_MAX) {
        at++;
    }
    return at != text && !*at;
}
