/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A realtime cursor that is read as ours is the very text that its values are written as, and no
 * other organisation, domain or secret reads it so. The input is read as it is, and as the start of
 * a right cursor with bytes of it changed. */
#include "fuzz.h"

#include "rt_cursor.h"

static const unsigned char secret[32] = "a secret of thirty-two bytes ...";

static void check(const char *text, size_t len, const rt_cursor_bond *bond)
{
    rt_cursor_bond other = *bond;
    rt_cursor cursor, again;
    char written[RT_CURSOR_SIZE];

    if (rt_cursor_read(&cursor, text, len, bond) != RT_CURSOR_OK) {
        return;
    }
    must(rt_cursor_write(written, &cursor, bond));
    must(strlen(written) == len && memcmp(written, text, len) == 0);
    other.org++;
    must(rt_cursor_read(&again, text, len, &other) != RT_CURSOR_OK);
    other.org = bond->org;
    other.domain = "elsewhere";
    must(rt_cursor_read(&again, text, len, &other) != RT_CURSOR_OK);
    other.domain = bond->domain;
    other.secret = (const unsigned char *)"another one of thirty-two bytes!";
    must(rt_cursor_read(&again, text, len, &other) != RT_CURSOR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rt_cursor_bond bond = { secret, sizeof(secret), "finance", 7 };
    rt_cursor cursor = { 0, 0, 0 };
    char right[RT_CURSOR_SIZE], *text = malloc(size ? size : 1);
    size_t i;

    if (size) {
        memcpy(text, data, size);
    }
    check(text, size, &bond);
    cursor.partition = rt_cursor_partition(bond.org);
    memcpy(&cursor.epoch, data, size < 8 ? size : 8);
    cursor.id = size > 8 ? data[8] : 0;
    must(rt_cursor_write(right, &cursor, &bond));
    check(right, strlen(right), &bond);
    must(rt_cursor_read(&cursor, right, strlen(right), &bond) == RT_CURSOR_OK);
    for (i = 9; i + 1 < size && i < 15; i += 2) {
        right[data[i] % strlen(right)] ^= (char)(data[i + 1] & 0x1f);
    }
    check(right, strnlen(right, RT_CURSOR_SIZE), &bond);
    free(text);
    return 0;
}
