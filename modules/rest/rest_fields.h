/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_fields.h
 * @brief Names of header fields that several modules treat alike
 *
 * Pure.
 */
#ifndef REST_FIELDS_H
#define REST_FIELDS_H

/** Initialiser: what leaves only toward a trusted edge (http-semantics.md 1). */
#define REST_FIELDS_INTERNAL \
    "X-Org-Key", "Surrogate-Key", "Surrogate-Control", "X-Cache-Tags", "X-Tenant-Partition", \
    "CDN-Cache-Control", "Cache-Tag"

#endif /* REST_FIELDS_H */
