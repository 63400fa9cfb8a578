/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_key.h
 * @brief The syntax of an Idempotency-Key (B46)
 *
 * Pure.
 */
#ifndef REST_KEY_H
#define REST_KEY_H

#define REST_KEY_MAX 255

/** Whether text is 1 to REST_KEY_MAX visible ASCII characters. Two fields, which httpd joins with
 * ", ", are none, for the space. */
int rest_key_valid(const char *text);

#endif /* REST_KEY_H */
