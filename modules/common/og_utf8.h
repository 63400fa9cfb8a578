/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_utf8.h
 * @brief Is it UTF-8? (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF)
 */
#ifndef OG_UTF8_H
#define OG_UTF8_H

#include <apr.h>

/** Length of the sequence at s, 1 to 4; 0 when there is none within len (> 0) bytes. */
apr_size_t og_utf8_len(const unsigned char *s, apr_size_t len);

/** Whether all of text is UTF-8. */
int og_utf8_valid(const char *text, apr_size_t len);

#endif /* OG_UTF8_H */
