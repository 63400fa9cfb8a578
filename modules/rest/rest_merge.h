/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_merge.h
 * @brief Merges of per-directory settings that need no third record
 *
 * Pure. httpd merges the settings of all modules for each section that a request is in, from the
 * request's pool: where one of two records sets nothing, the other is what both come to. Records
 * are read-only once the configuration is read.
 */
#ifndef REST_MERGE_H
#define REST_MERGE_H

#include <apr.h>

/**
 * @param blank  a record that sets nothing, of size bytes; those that were made are copies of it
 * @return base or add where the other is blank; NULL: both set something
 */
void *rest_merge_one(void *base, void *add, const void *blank, apr_size_t size);

#endif /* REST_MERGE_H */
