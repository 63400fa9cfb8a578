/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Whole numbers from outside, see og_number.h. Nothing here can overflow: bounds are checked
 * before each multiplication. */
#include "og_number.h"

#include "og_log.h"

#include <apr_strings.h>
#include <string.h>

typedef struct {
    const char *name;
    apr_int64_t factor;
} unit;

static const unit spans[] = {
    { "ms", 1000 },
    { "s", APR_USEC_PER_SEC },
    { "min", 60 * APR_USEC_PER_SEC },
    { "h", 3600 * APR_USEC_PER_SEC },
    { "d", 86400 * APR_USEC_PER_SEC },
    { NULL, 0 }
};

static const unit sizes[] = {
    { "K", 1024 }, { "M", 1024 * 1024 }, { "G", 1024 * 1024 * 1024 }, { NULL, 0 }
};

/* Digits only, at most max; *used tells how many characters they took (0: none, or too large). */
static apr_int64_t digits(const char *text, apr_size_t len, apr_int64_t max, apr_size_t *used)
{
    apr_int64_t value = 0;
    apr_size_t i;

    *used = 0;
    for (i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
        int digit = text[i] - '0';

        if (value > (max - digit) / 10) {
            return 0;
        }
        value = value * 10 + digit;
    }
    *used = i;
    return value;
}

int og_id_parse(apr_int64_t *id, const char *text, apr_size_t len)
{
    apr_size_t used;
    apr_int64_t value;

    if (!len || len > OG_ID_DIGITS || text[0] == '0') {
        return 0;
    }
    value = digits(text, len, OG_ID_MAX, &used);
    if (used != len) {
        return 0;
    }
    *id = value;
    return 1;
}

int og_int_parse(apr_int64_t *value, const char *text, apr_size_t len, apr_int64_t min,
                 apr_int64_t max)
{
    int negative = len && text[0] == '-';
    apr_size_t used;
    apr_int64_t magnitude;

    text += negative;
    len -= (apr_size_t)negative;
    magnitude = digits(text, len, APR_INT64_MAX, &used);
    if (!len || used != len) {
        return 0;
    }
    if (negative) {
        magnitude = -magnitude;
    }
    if (magnitude < min || magnitude > max) {
        return 0;
    }
    *value = magnitude;
    return 1;
}

apr_int64_t og_set_or(apr_int64_t value, apr_int64_t other)
{
    return value != OG_UNSET ? value : other;
}

const char *og_arg_int(apr_pool_t *p, const char *arg, apr_int64_t min, apr_int64_t max,
                       apr_int64_t *value)
{
    if (og_int_parse(value, arg, strlen(arg), min, max)) {
        return NULL;
    }
    return apr_psprintf(p, "expected a whole number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT
                        ", not \"%.40s\"", min, max, arg);
}

/* Digits and a unit of the table, as a multiple that fits; 0 when arg is not of that form. */
static int with_unit(const char *arg, const unit *units, apr_int64_t bare, apr_int64_t *value)
{
    apr_size_t used;
    apr_int64_t count = digits(arg, strlen(arg), APR_INT64_MAX, &used);
    apr_int64_t factor = bare;

    if (!used) {
        return 0;
    }
    if (arg[used]) {
        while (units->name && strcmp(units->name, arg + used) != 0) {
            units++;
        }
        if (!units->name) {
            return 0;
        }
        factor = units->factor;
    }
    if (count > APR_INT64_MAX / factor) {
        return 0;
    }
    *value = count * factor;
    return 1;
}

const char *og_span_text(apr_pool_t *p, apr_interval_time_t span)
{
    if (span % APR_USEC_PER_SEC) {
        return apr_psprintf(p, "%" APR_INT64_T_FMT "ms", (apr_int64_t)(span / 1000));
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT "s", (apr_int64_t)apr_time_sec(span));
}

const char *og_arg_span(apr_pool_t *p, const char *arg, apr_interval_time_t min,
                        apr_interval_time_t max, apr_interval_time_t *value)
{
    apr_int64_t span;

    if (with_unit(arg, spans, APR_USEC_PER_SEC, &span) && span >= min && span <= max) {
        *value = span;
        return NULL;
    }
    return apr_psprintf(p, "expected a time from %s to %s, such as 500ms, 25s, 2min, 1h or 7d, "
                        "not \"%.40s\"", og_span_text(p, min), og_span_text(p, max), arg);
}

const char *og_arg_size(apr_pool_t *p, const char *arg, apr_int64_t min, apr_int64_t max,
                        apr_int64_t *value)
{
    apr_int64_t size;

    if (with_unit(arg, sizes, 1, &size) && size >= min && size <= max) {
        *value = size;
        return NULL;
    }
    return apr_psprintf(p, "expected a size from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT
                        " bytes, such as 65536, 64K or 16M, not \"%.40s\"", min, max, arg);
}
