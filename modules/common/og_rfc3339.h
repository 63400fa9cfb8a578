/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_rfc3339.h
 * @brief Times and days as text (RFC 3339), strict
 *
 * Pure. Years 1970 to 9999; no leap seconds: PostgreSQL and APR know none.
 */
#ifndef OG_RFC3339_H
#define OG_RFC3339_H

#include <apr_time.h>

/** "2025-11-23T10:15:00.123Z" and its NUL; with microseconds three more. */
#define OG_RFC3339_SIZE       25
#define OG_RFC3339_MICRO_SIZE 28

/**
 * A date-time with 'T', seconds, an optional fraction of up to 9 digits, and 'Z' or ±hh:mm.
 * @return 1 and *time (microseconds, truncated), or 0
 */
int og_rfc3339_parse(apr_time_t *time, const char *text);

/** UTC with milliseconds. */
void og_rfc3339_format(char out[OG_RFC3339_SIZE], apr_time_t time);

/** UTC with microseconds, as PostgreSQL keeps them. */
void og_rfc3339_format_micro(char out[OG_RFC3339_MICRO_SIZE], apr_time_t time);

/** Whether text is a day that exists, YYYY-MM-DD. */
int og_date_valid(const char *text);

#endif /* OG_RFC3339_H */
