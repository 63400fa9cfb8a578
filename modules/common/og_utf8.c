/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, see og_utf8.h. */
#include "og_utf8.h"

apr_size_t og_utf8_len(const unsigned char *s, apr_size_t len)
{
    apr_size_t need, i;

    if (s[0] < 0x80) {
        return 1;
    }
    if (s[0] < 0xC2 || s[0] > 0xF4) {
        return 0;
    }
    need = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (len < need) {
        return 0;
    }
    for (i = 1; i < need; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F)
        || (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F)) {
        return 0;
    }
    return need;
}

int og_utf8_valid(const char *text, apr_size_t len)
{
    const unsigned char *s = (const unsigned char *)text;

    while (len) {
        apr_size_t n = og_utf8_len(s, len);

        if (!n) {
            return 0;
        }
        s += n;
        len -= n;
    }
    return 1;
}
