/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Ids and the values of directives, against a second reading in wide arithmetic: what is taken is
 * within its bounds and means what its digits and unit say; what is refused is refused in a
 * sentence that says what was expected. */
#include "fuzz.h"

#include <ctype.h>

#include "og_number.h"

/* Digits as a number, saturating; *used is how many there were. */
static __int128 digits(const char *text, size_t *used)
{
    const __int128 most = (__int128)1 << 100;
    __int128 value = 0;

    for (*used = 0; isdigit((unsigned char)text[*used]); (*used)++) {
        value = value > most / 10 - 10 ? most : value * 10 + (text[*used] - '0');
    }
    return value;
}

static void check_id(const char *text)
{
    size_t len = strlen(text), used;
    __int128 want = digits(text, &used);
    apr_int64_t id = -1;
    int right = len && used == len && *text != '0' && want <= OG_ID_MAX;

    must(og_id_parse(&id, text, len) == right);
    must(!right || id == want);
}

static void check_int(apr_pool_t *p, const char *text)
{
    size_t used;
    int negative = *text == '-';
    __int128 want = digits(text + negative, &used);
    apr_int64_t value = 12345;
    const char *wrong = og_arg_int(p, text, -1000, APR_INT64_C(1) << 40, &value);

    want = negative ? -want : want;
    if (!wrong) {
        must(used && used == strlen(text + negative) && value == want && value >= -1000);
        must(value <= APR_INT64_C(1) << 40);
        return;
    }
    must(strstr(wrong, "expected") != NULL);
    must(!used || used != strlen(text + negative) || want < -1000
         || want > (__int128)1 << 40 || (*text == '-' ? text[1] : *text) == '0');
}

/* Units and their factors; a unit that is not there has none. */
typedef struct unit {
    const char *name;
    apr_int64_t factor;
} unit;

static __int128 factor_of(const unit *units, const char *name)
{
    for (; units->name && strcmp(units->name, name) != 0; units++) {
    }
    return units->name ? units->factor : 0;
}

typedef const char *reader(apr_pool_t *, const char *, apr_int64_t, apr_int64_t, apr_int64_t *);

static void check_unit(apr_pool_t *p, const char *text, reader *read, const unit *units,
                       apr_int64_t min, apr_int64_t max)
{
    size_t used;
    __int128 count = digits(text, &used), factor = factor_of(units, text + used);
    apr_int64_t value = 12345;
    const char *wrong = read(p, text, min, max, &value);

    if (!wrong) {
        must(used && factor && value == count * factor && value >= min && value <= max);
    }
    else {
        must(strstr(wrong, "expected") != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unit spans[] = { { "", 1000000 }, { "ms", 1000 }, { "s", 1000000 },
                                  { "min", 60000000 }, { "h", APR_INT64_C(3600000000) },
                                  { "d", APR_INT64_C(86400000000) }, { NULL, 0 } };
    static const unit sizes[] = { { "", 1 }, { "K", 1024 }, { "M", 1048576 }, { "G", 1073741824 },
                                  { "k", 1024 }, { "m", 1048576 }, { "g", 1073741824 },
                                  { NULL, 0 } };
    apr_pool_t *p = pool_of();
    char *text = text_of(data, size);

    check_id(text);
    check_int(p, text);
    check_unit(p, text, og_arg_span, spans, 1000, APR_INT64_C(86400000000) * 365);
    check_unit(p, text, og_arg_size, sizes, 1, APR_INT64_MAX);
    apr_pool_destroy(p);
    free(text);
    return 0;
}
