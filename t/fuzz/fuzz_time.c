/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A time that is read is written as the same moment, and a day that is taken exists. */
#include "fuzz.h"

#include "og_rfc3339.h"

static void check_day(const char *text)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int year, month, day, leap;

    if (!og_date_valid(text)) {
        return;
    }
    must(strlen(text) == 10 && text[4] == '-' && text[7] == '-');
    year = atoi(text);
    month = atoi(text + 5);
    day = atoi(text + 8);
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    must(month >= 1 && month <= 12 && day >= 1);
    must(day <= days[month - 1] + (month == 2 && leap));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size), written[OG_RFC3339_MICRO_SIZE];
    apr_time_t time, again;

    check_day(text);
    if (og_rfc3339_parse(&time, text)) {
        og_rfc3339_format_micro(written, time);
        must(og_rfc3339_parse(&again, written) && again == time);
        must(strlen(written) == OG_RFC3339_MICRO_SIZE - 1);
    }
    free(text);
    return 0;
}
