/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Times as text, see og_rfc3339.h. Day arithmetic is done here because mktime() knows the
 * process's time zone and timegm() is no standard. */
#include "og_rfc3339.h"

#include <string.h>

/* Exactly n digits at text as a number, or -1. */
static int number(const char *text, int n)
{
    int value = 0, i;

    for (i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* "YYYY-MM-DD" at text: its parts, or 0. */
static int date(const char *text, int *year, int *month, int *day)
{
    *year = number(text, 4);
    if (*year < 1970 || text[4] != '-') {
        return 0;
    }
    *month = number(text + 5, 2);
    if (*month < 1 || *month > 12 || text[7] != '-') {
        return 0;
    }
    *day = number(text + 8, 2);
    return *day >= 1 && *day <= days_in_month(*year, *month);
}

/* Days from 1970-01-01, in the civil calendar with years that begin in March. */
static apr_int64_t days_from_epoch(int year, int month, int day)
{
    apr_int64_t y = year - (month <= 2);
    apr_int64_t era = y / 400;
    apr_int64_t year_of_era = y - era * 400;
    apr_int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
           - 719468;
}

/* ".123456" at *text: microseconds, and *text moves behind it; -1 when it is malformed. */
static int fraction(const char **text)
{
    int micros = 0, digits = 0;

    if (**text != '.') {
        return 0;
    }
    for ((*text)++; **text >= '0' && **text <= '9'; (*text)++) {
        if (digits < 6) {
            micros = micros * 10 + (**text - '0');
        }
        if (++digits > 9) {
            return -1;
        }
    }
    if (!digits) {
        return -1;
    }
    for (; digits < 6; digits++) {
        micros *= 10;
    }
    return micros;
}

/* "Z" or "+05:30" as the whole rest of the text: *seconds east of UTC. */
static int offset(const char *text, int *seconds)
{
    int hours, minutes;

    *seconds = 0;
    if (text[0] == 'Z') {
        return !text[1];
    }
    if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 || text[3] != ':') {
        return 0;
    }
    hours = number(text + 1, 2);
    minutes = number(text + 4, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return 0;
    }
    *seconds = (text[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return 1;
}

int og_rfc3339_parse(apr_time_t *time, const char *text)
{
    int year, month, day, hour, minute, second, micros, east;
    apr_int64_t seconds;

    if (strnlen(text, 20) < 20 || !date(text, &year, &month, &day) || text[10] != 'T') {
        return 0;
    }
    hour = number(text + 11, 2);
    minute = number(text + 14, 2);
    second = number(text + 17, 2);
    if (hour < 0 || hour > 23 || text[13] != ':' || minute < 0 || minute > 59 || text[16] != ':'
        || second < 0 || second > 59) {
        return 0;
    }
    text += 19;
    micros = fraction(&text);
    if (micros < 0 || !offset(text, &east)) {
        return 0;
    }
    seconds = days_from_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - east;
    if (seconds < 0) {
        return 0;
    }
    *time = apr_time_from_sec(seconds) + micros;
    return 1;
}

/* value as n digits at out. */
static char *put(char *out, int value, int n)
{
    int i;

    for (i = n - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + n;
}

/* Everything but the fraction, "2025-11-23T10:15:00." */
static char *put_seconds(char *out, apr_time_t time)
{
    apr_time_exp_t at;

    apr_time_exp_gmt(&at, time);
    out = put(out, at.tm_year + 1900, 4);
    *out++ = '-';
    out = put(out, at.tm_mon + 1, 2);
    *out++ = '-';
    out = put(out, at.tm_mday, 2);
    *out++ = 'T';
    out = put(out, at.tm_hour, 2);
    *out++ = ':';
    out = put(out, at.tm_min, 2);
    *out++ = ':';
    out = put(out, at.tm_sec, 2);
    *out++ = '.';
    return out;
}

void og_rfc3339_format(char out[OG_RFC3339_SIZE], apr_time_t time)
{
    out = put(put_seconds(out, time), (int)(apr_time_usec(time) / 1000), 3);
    *out++ = 'Z';
    *out = '\0';
}

void og_rfc3339_format_micro(char out[OG_RFC3339_MICRO_SIZE], apr_time_t time)
{
    out = put(put_seconds(out, time), (int)apr_time_usec(time), 6);
    *out++ = 'Z';
    *out = '\0';
}

int og_date_valid(const char *text)
{
    int year, month, day;

    return strnlen(text, 11) == 10 && date(text, &year, &month, &day);
}
