/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What of httpd the database layer links to: its log. Lines go to stderr, as TAP comments. */
#ifndef STUB_LOG_H
#define STUB_LOG_H

#include <httpd.h>
#include <http_log.h>
#include <stdio.h>

void ap_log_error_(const char *file, int line, int module_index, int level, apr_status_t status,
                   const server_rec *s, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args); /* no %pX of APR's in the lines of this layer */
    va_end(args);
    fprintf(stderr, "# log level %d: %s\n", level & APLOG_LEVELMASK, text);
}

#endif /* STUB_LOG_H */
